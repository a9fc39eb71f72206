"""What a name stands for, and whether it loads: a model, a law, or a file of mdmot."""

import dataclasses
import json
import os
import pathlib
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mdmot.errors import InputError, InputWarning
from mdmot.names import EDITING, INSERTION, MASKED
from mdmot.provenance import jsonable
from mdmot.readable import so_many
from mdmot.workflows.naming import Name, assert_there, called, load, precision_of
from mdmot.workflows.precision import computing_in

if TYPE_CHECKING:
    from mdmot.models import Loaded, Named, NamedEditor, NamedInserter

TRIED = 8
"""Masked tokens that a model is asked about."""

MASK_SIGN = "_"


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What a name stands for.

    Attributes:
      name: The name.
      kind: What it is, in a few words.
      about: What is known of it, by name: numbers and texts.
      notes: What was warned of as it was loaded.
      error: Why it does not load; None if it does.
    """

    name: str
    kind: str
    about: dict[str, Any]
    notes: tuple[str, ...] = ()
    error: str | None = None

    @property
    def loads(self) -> bool:
        """Whether it loads."""
        return self.error is None

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot inspect --json` prints."""
        content: dict[str, Any] = jsonable(dataclasses.asdict(self))
        return content | {"loads": self.loads}


def inspect(name: Name = None) -> Inspection:
    """Loads what a name stands for, asks a model for one prediction, and says what it is.

    Args:
      name: As `mdmot.load` takes it, or the .json file of a plan or a profile.

    Returns:
      What it is; that it does not load is no error.

    Raises:
      InputError: If there is nothing of that name.

    Example:
      >>> found = inspect("markov:states=2,length=8")
      >>> found.kind, found.about["tokens"], found.loads
      ('law', 2, True)
    """
    assert_there(name, "the folder of a model, a law, or a file of mdmot")
    path = None if name is None else pathlib.Path(name)
    try:
        if path is not None and path.suffix == ".json" and path.is_file():
            return _file(path)
        with warnings.catch_warnings(record=True) as caught, computing_in(precision_of(name)):
            warnings.simplefilter("always", InputWarning)
            named = load(name)
            about = FACTS[named.process](named)
        notes = tuple(str(each.message) for each in caught if issubclass(each.category, InputWarning))
        return Inspection(called(name), _kind(path, named), about, notes)
    except InputError as error:
        return Inspection(called(name), _kind(path, None), {}, error=str(error))


def _file(path: pathlib.Path) -> Inspection:
    """A plan or a profile."""
    from mdmot.information import read_profile
    from mdmot.plans import read_plan

    try:
        kind = json.loads(path.read_text(encoding="utf-8")).get("kind")
    except (OSError, ValueError, AttributeError):
        kind = None
    if kind == "profile":
        return Inspection(str(path), "profile", {"summary": repr(read_profile(path))})
    plan = read_plan(path)
    about = {
        "tokens of a sequence": plan.length,
        "steps": plan.steps,
        "reveal": plan.reveal.name,
        "order": plan.order.name,
        "counts": plan.counts,
    }
    return Inspection(str(path), "plan", about)


def _kind(path: pathlib.Path | None, named: "Loaded | None") -> str:
    from mdmot.models import Named
    from mdmot.models.model_folder import MODEL_FILE
    from mdmot.models.pretrained.settings import CONFIG_FILE

    if isinstance(named, Named) and named.law is not None:
        return "law"
    if path is None or (path / MODEL_FILE).exists():
        return "model that mdmot saved"
    try:
        content = json.loads((path / CONFIG_FILE).read_text(encoding="utf-8-sig"))
        family = content.get("model_type") or content.get("kind")
    except (OSError, ValueError, AttributeError):
        family = None
    return f"folder of {family}" if family else "unknown"


def _of_masked(named: "Named") -> dict[str, Any]:
    """What is known of a masked model or a law, once it has made a prediction.

    Raises:
      InputError: If that is not finite.
    """
    import jax.numpy as jnp

    from mdmot.vocabulary import without_end

    length = named.length if named.law is not None else min(named.length, TRIED)
    logits = named.model(jnp.full((1, length), named.model.mask_id, jnp.int32))
    if not bool(jnp.isfinite(logits).any(axis=-1).all()):
        raise InputError(f"{named.name}: predicts nothing finite for {length} masks; check its weights")
    about: dict[str, Any] = {
        "tokens": named.vocabulary.size,
        "vocabulary": type(named.vocabulary).__name__.lower(),
        "tokens never drawn": len(named.never),
        **_never(named),
        "tokens of a sequence": named.length,
    }
    if named.law is not None:
        return about | {"spelled out": named.law.spec}
    if named.end is not None:
        about["vocabulary"] = f"{type(without_end(named.vocabulary)).__name__.lower()}, and an end"
        about["tokens of a text, with its end"] = named.room
    text, language = named.trained_on
    records = named.trained_on_records
    source = "the sources of Python's library" if text is None and named.provenance else text
    return about | {
        **_weights(named.model.params),
        "longer sequences": "allowed" if named.stretches else "refused",
        "trained on": (records and records.path) or language or (None if source is None else str(source)),
    }


def _of_editor(named: "NamedEditor") -> dict[str, Any]:
    """What is known of a model that edits, once it has been asked for the edits of a row.

    Raises:
      InputError: If what it asks for are no numbers.
    """
    import jax.numpy as jnp

    model, config = named.model, named.config
    controls = model.editor(model.params, jnp.full((1, TRIED), model.mask_id, jnp.int32))
    if any(bool(jnp.isnan(part).any()) for part in controls):
        raise InputError(f"{named.name}: asks for no edits of {TRIED} masks; check its weights")
    return {
        "process": "edits: tokens are unmasked and masked again, inserted and deleted",
        "tokens": named.vocabulary.size,
        "vocabulary": type(named.vocabulary).__name__.lower(),
        "tokens of a row": "any number",
        "tokens seen to both sides of a position": "all" if config.reach is None else config.reach,
        **_weights(model.params),
        "trained on": named.task,
    }


def _of_inserter(named: "NamedInserter") -> dict[str, Any]:
    """What is known of a model that inserts, once it has been asked about a row.

    Raises:
      InputError: If what it says are no numbers.
    """
    import jax.numpy as jnp

    model, length = named.model, min(named.length, TRIED)
    masks, gaps = jnp.full((1, length), model.mask_id, jnp.int32), jnp.ones((1, length + 1), bool)
    if any(bool(jnp.isnan(part).any()) for part in model(masks, gaps, jnp.full(1, 0.5, jnp.float32))):
        raise InputError(f"{named.name}: says nothing of {length} masks; check its weights")
    records = named.trained_on_records
    return {
        "process": "insertion: tokens are inserted as masks, and masks become tokens",
        "tokens": named.vocabulary.size,
        "vocabulary": type(named.vocabulary).__name__.lower(),
        "tokens of a row": f"any number up to {named.length}",
        **_weights(model.params),
        "trained on": None if records is None else records.path,
    }


FACTS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    MASKED: _of_masked,
    EDITING: _of_editor,
    INSERTION: _of_inserter,
}
"""What is known of a model, by its process."""


def _weights(params: Any) -> dict[str, Any]:
    import jax

    leaves = jax.tree.leaves(params)
    return {
        "weights": sum(leaf.size for leaf in leaves),
        "number type": str(max(leaves, key=lambda leaf: leaf.size).dtype),
        "memory": f"{sum(leaf.nbytes for leaf in leaves) / 2**20:.1f} MiB",
    }


def _never(named: "Named") -> dict[str, Any]:
    """The texts of the tokens that are never drawn, with their numbers, by why they are not."""
    from mdmot.models.named import WITHOUT_TEXT

    found: dict[str, tuple[str, ...]] = {}
    for token in named.never:
        why = named.why_never[token]
        text = "" if why == WITHOUT_TEXT else named.vocabulary.decode([token], MASK_SIGN).strip()
        key = f"never drawn, {why}"
        found[key] = (*found.get(key, ()), f"{text} ({token})".lstrip())
    return found


def sentence(found: Inspection) -> str:
    """Whether it loads, in a sentence."""
    if found.error is not None:
        return f"does not load: {found.error}"
    noted = f", with {so_many(len(found.notes), 'note')}" if found.notes else ""
    return f"loads{noted}"


def folder_size(path: str | os.PathLike[str]) -> int:
    """Bytes of the files in a folder and below."""
    return sum(each.stat().st_size for each in pathlib.Path(path).rglob("*") if each.is_file())
