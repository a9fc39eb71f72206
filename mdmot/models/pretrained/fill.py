"""Weights filled from named tensors: each tensor has its place, each place its tensor, or none is."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mdmot.errors import InputError
from mdmot.models.pretrained.tensors import Entry, Reader, is_named

FLOATS = ("F16", "BF16", "F32", "F64")
MOST_NAMED = 5

BY_TOKEN = ("token", "head.kernel", "head.bias")
"""Weights with a row a token, of which files may have more than there are tokens: sizes are rounded up."""


class Rule(NamedTuple):
    """Where the tensors of one name go.

    Attributes:
      source: The name of the tensor; `{}` stands for the number of the block. Names that the same
        tensor has had in the course of time are separated by `|`.
      target: The path of the weight, e.g. layers.query.kernel; of a name with `{}`, the number is the
        first axis of the weight.
      is_transposed: Whether the tensor has the two axes the other way round, as PyTorch's layers have.
      is_copy: Whether it may be absent, and must be what the target has from elsewhere: a tied weight.
        Where the file has the copy alone, it is the weight.
      first: The first block that has such a tensor; the weight has no rows for those before.
    """

    source: str
    target: str
    is_transposed: bool = False
    is_copy: bool = False
    first: int = 0


def dense(source: str, target: str, has_bias: bool = True) -> list[Rule]:
    """The rules of a PyTorch layer `Linear`."""
    bias = [Rule(f"{source}.bias", f"{target}.bias")] if has_bias else []
    return [Rule(f"{source}.weight", f"{target}.kernel", is_transposed=True), *bias]


def norm(source: str, target: str) -> list[Rule]:
    """The rules of a PyTorch layer `LayerNorm`; the first BERTs call its weights gamma and beta."""
    return [
        Rule(f"{source}.weight|{source}.gamma", f"{target}.scale"),
        Rule(f"{source}.bias|{source}.beta", f"{target}.bias"),
    ]


class Place(NamedTuple):
    """Where one tensor goes: a rule, and its row of the weight, if it is a block's."""

    rule: Rule
    row: int | None


class Filled(NamedTuple):
    """Weights from tensors.

    Attributes:
      params: Nested dictionaries of arrays.
      unused: Names of the tensors that the network does not need.
      cut: Names of the tensors with more rows than there are tokens, and how many rows they have.
    """

    params: dict[str, Any]
    unused: tuple[str, ...]
    cut: dict[str, int]


def fill(
    where: str,
    entries: Mapping[str, Entry],
    rules: Sequence[Rule],
    shapes: Mapping[str, tuple[int, ...]],
    dtype: np.dtype,
    depth: int,
    defaults: Mapping[str, Callable[[], np.ndarray]],
    ignored: Iterable[str],
) -> Filled:
    """Reads all tensors into the weights of a network.

    Names, shapes and types are compared before anything is read or made, so that a config of any size is
    safe. Tensors are read one by one: little more than the weights is ever in memory.

    Args:
      where: What the tensors are, for messages.
      entries: The tensors.
      rules: Where they go.
      shapes: The shape of each weight by its path; of those under `layers` with the blocks first.
      dtype: The type of the weights.
      depth: Number of blocks.
      defaults: Weights that may be absent, with what makes their value in its type.
      ignored: Regular expressions of tensors that are known and not needed.

    Returns:
      The weights, and what was not needed.

    Raises:
      InputError: If tensors are missing, stray, given twice, of a wrong shape or no numbers, or a tied
        one is not what it should repeat; the message lists all of them.
    """
    if depth > len(entries):
        raise InputError(
            f"{where}: {len(entries)} tensors cannot fill the {depth} blocks of the config; "
            "copy all files of the model"
        )
    places, problems = places_of(entries, rules, depth, defaults)
    unused = tuple(name for name in entries if name not in places and is_named(name, ignored))
    problems["stray"] = sorted(entries.keys() - places.keys() - set(unused))
    cut: dict[str, int] = {}
    for name, place in places.items():
        shape = _file_shape(place, shapes)
        rows, *others = entries[name].shape or (0,)
        if entries[name].dtype not in FLOATS:
            problems["no floating-point numbers"].append(f"{name} ({entries[name].dtype})")
        elif place.rule.target in BY_TOKEN and others == list(shape[1:]) and rows > shape[0]:
            cut[name] = rows
        elif entries[name].shape != shape:
            found = list(entries[name].shape)
            problems["of a wrong shape"].append(f"{name} ({found}, the config asks for {list(shape)})")
    _raise(where, problems)
    arrays = {path: np.empty(shape, dtype) for path, shape in shapes.items() if path not in defaults}
    arrays |= {path: default() for path, default in defaults.items()}
    with Reader() as reader:
        # Copies last: by then what they repeat is there.
        for name, place in sorted(places.items(), key=lambda item: item[1].rule.is_copy):
            tensor = reader.read(name, entries[name])
            tensor = tensor[: _file_shape(place, shapes)[0]] if name in cut else tensor
            tensor = tensor.T if place.rule.is_transposed else tensor
            target = arrays[place.rule.target]
            if not place.rule.is_copy:
                target[... if place.row is None else place.row] = tensor
            elif not np.array_equal(target, tensor.astype(target.dtype)):
                problems["not what they are tied to"].append(f"{name} ({place.rule.target})")
    _raise(where, problems)
    return Filled(_nested(arrays), unused, cut)


def places_of(
    entries: Mapping[str, Entry], rules: Sequence[Rule], depth: int, optional: Collection[str]
) -> tuple[dict[str, Place], dict[str, list[str]]]:
    """Where each known tensor goes; and the names that are missing or given twice.

    Args:
      entries: The tensors.
      rules: Where they go.
      depth: Number of blocks.
      optional: Paths of weights that may be absent.
    """
    places: dict[str, Place] = {}
    problems: dict[str, list[str]] = {
        kind: []
        for kind in (
            "missing",
            "stray",
            "given twice",
            "of a wrong shape",
            "no floating-point numbers",
            "not what they are tied to",
        )
    }
    twins = {rule.target: rule for rule in rules if rule.is_copy and rule.source in entries}
    for rule in sorted(rules, key=lambda rule: rule.is_copy):
        for block in range(rule.first, depth) if "{}" in rule.source else (None,):
            names = [source.format(block) for source in rule.source.split("|")]
            found = [name for name in names if name in entries and name not in places]
            row = None if block is None or rule.is_copy else block - rule.first
            places |= {name: Place(rule, row) for name in found}
            if len(found) > 1:
                problems["given twice"].append(" and ".join(found))
            if found or rule.is_copy or rule.target in optional:
                continue
            if rule.target in twins:
                twin = twins[rule.target]
                places[twin.source] = Place(twin._replace(is_copy=False), row)
            else:
                problems["missing"].append(names[0])
    return places, problems


def _file_shape(place: Place, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    shape = shapes[place.rule.target]
    shape = shape if place.row is None else shape[1:]
    return shape[::-1] if place.rule.is_transposed else shape


def _raise(where: str, problems: Mapping[str, Sequence[str]]) -> None:
    """Raises InputError with all problems, the first few names of each kind."""
    parts = []
    for kind, names in problems.items():
        if names:
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            parts.append(f"{kind}: {', '.join(names[:MOST_NAMED])}{more}")
    if parts:
        raise InputError(f"{where}: {'; '.join(parts)}; the weights do not belong to the config")


def _nested(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, array in arrays.items():
        *folders, leaf = path.split(".")
        branch = tree
        for name in folders:
            branch = branch.setdefault(name, {})
        branch[leaf] = array
    return tree
