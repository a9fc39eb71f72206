"""Saved states of training: whole or not there, checked before they are read, the last few kept."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from mdmot.errors import InputError, InputWarning
from mdmot.files import prepare_folder
from mdmot.training.update import TrainState

STATE_FOLDER, DIGESTS_FILE = "state", "sha256.json"
PARTIAL = ".partial"
SPARE_BYTES = 2**20


class Restored(NamedTuple):
    """A state from disk.

    Attributes:
      state: On the devices of the state that was asked for.
      step: Steps that it has taken.
      damaged: The newer checkpoints that cannot be used, one line each.
    """

    state: TrainState
    step: int
    damaged: list[str]


def save_state(folder: str | os.PathLike[str], state: TrainState, keep: int) -> pathlib.Path:
    """Saves a state with Orbax under the number of its steps, and deletes the oldest ones.

    It is written under another name, with the digest of each file, and renamed when it is whole: whenever
    the process dies, what is there under a number is good. An older one is deleted after that.

    Args:
      folder: Of the checkpoints; made if absent.
      state: Its arrays may be split over the devices of this process.
      keep: How many to leave, at least 1.

    Returns:
      The folder of this one.

    Raises:
      InputError: If it cannot be written, as on a full disk; the older ones are as they were.

    Example:
      >>> import tempfile
      >>> import jax.numpy as jnp
      >>> state = TrainState(jnp.ones(2), (), None, (), jnp.asarray(3, jnp.int32))
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = save_state(folder, state, keep=2)
      ...     path.name, load_state(folder, state).step
      ('00000003', 3)
    """
    if keep < 1:
        raise InputError(f"keep = {keep}; pass at least 1")
    if jax.process_count() > 1:
        raise InputError(f"{jax.process_count()} processes; checkpoints are written by one process")
    folder = prepare_folder(pathlib.Path(folder).absolute())  # Orbax takes no other
    _delete_partial(folder)
    path = folder / f"{int(state.step):08d}"
    partial = folder / f".{path.name}{PARTIAL}"
    leaves = _named(state)
    try:
        size = sum(np.dtype(leaf.dtype).itemsize * leaf.size for leaf in leaves.values())
        free = shutil.disk_usage(folder).free
        if free < size + SPARE_BYTES:
            raise OSError(f"{free / 1e6:.1f} MB are free, about {(size + SPARE_BYTES) / 1e6:.1f} MB needed")
        partial.mkdir()
        _write(partial / STATE_FOLDER, leaves)
        (partial / DIGESTS_FILE).write_text(json.dumps(_digests(partial)))
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
    # Orbax passes on what TensorStore says, a full disk for one, as errors of several kinds.
    except Exception as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(
            f"checkpoint {path} cannot be written ({_first_line(error)}); free space or choose another "
            "folder: older checkpoints are intact"
        ) from error
    for old in saved_steps(folder)[:-keep]:
        shutil.rmtree(folder / f"{old:08d}", ignore_errors=True)
    return path


def load_state(folder: str | os.PathLike[str], like: TrainState) -> Restored | None:
    """The newest state in a folder that is whole.

    Args:
      folder: Of the checkpoints.
      like: A state of the same structure, shapes and dtypes; the arrays come to lie where its arrays are.

    Returns:
      The state, with a warning for each newer one that is damaged; None if there are no checkpoints.

    Raises:
      InputError: If all are damaged, or the newest whole one is of another structure.

    Example:
      >>> import tempfile
      >>> import jax.numpy as jnp
      >>> state = TrainState(jnp.ones(2), (), None, (), jnp.asarray(3, jnp.int32))
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     load_state(folder, state) is None
      ...     _ = save_state(folder, state, keep=1)
      ...     load_state(folder, state).state.params.tolist()
      True
      [1.0, 1.0]
    """
    folder = pathlib.Path(folder).absolute()
    steps = saved_steps(folder)
    damaged: list[str] = []
    for step in reversed(steps):
        path = folder / f"{step:08d}"
        problem = _problem(path)
        if problem is None:
            return Restored(_read(path, like), step, damaged)
        damaged.append(f"checkpoint {path} is damaged ({problem})")
        older = [s for s in steps if s < step]
        what = f"falling back to step {older[-1]}" if older else "none is left"
        warnings.warn(f"{damaged[-1]}; {what}", InputWarning, stacklevel=2)
    if damaged:
        raise InputError(f"all checkpoints in {folder} are damaged: {damaged[0]}; start again elsewhere")
    return None


def saved_steps(folder: str | os.PathLike[str]) -> list[int]:
    """The steps of the checkpoints in a folder, in order, damaged ones too; none if it is absent."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(int(path.name) for path in pathlib.Path(folder).iterdir() if path.name.isdigit())
    return []


def delete_state(folder: str | os.PathLike[str], step: int) -> None:
    """Deletes the checkpoint of a step if it is there."""
    shutil.rmtree(pathlib.Path(folder) / f"{step:08d}", ignore_errors=True)


def _named(state: TrainState) -> dict[str, Any]:
    """The leaves by their paths: what is on disk knows no class of ours."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _write(path: pathlib.Path, leaves: dict[str, Any]) -> None:
    import orbax.checkpoint as ocp

    with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
        checkpointer.save(path, args=ocp.args.StandardSave(leaves))


def _read(path: pathlib.Path, like: TrainState) -> TrainState:
    import orbax.checkpoint as ocp

    places = {
        name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
        for name, leaf in _named(like).items()
    }
    with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
        found = checkpointer.metadata(path / STATE_FOLDER).item_metadata
        _assert_alike(path, found, places)
        leaves = checkpointer.restore(path / STATE_FOLDER, args=ocp.args.StandardRestore(places))
    return jax.tree.unflatten(jax.tree.structure(like), [leaves[name] for name in places])


def _assert_alike(path: pathlib.Path, found: Any, places: dict[str, Any]) -> None:
    for name in sorted(found.keys() ^ places.keys()):
        where = "is not in the checkpoint" if name in places else "is not in the state asked for"
        raise InputError(f"checkpoint {path}: {name} {where}; resume with the model and settings it is of")
    for name, place in places.items():
        shape, dtype = tuple(found[name].shape), np.dtype(found[name].dtype)
        if shape != place.shape or dtype != place.dtype:
            raise InputError(
                f"checkpoint {path}: {name} is {dtype}{list(shape)}, expected {place.dtype}"
                f"{list(place.shape)}; resume with the model and settings it is of"
            )


def _files(path: pathlib.Path) -> Iterator[pathlib.Path]:
    yield from sorted(p for p in path.rglob("*") if p.is_file() and p.name != DIGESTS_FILE)


def _digests(path: pathlib.Path) -> dict[str, str]:
    """SHA-256 of each file: TensorStore itself gives wrong numbers for a changed byte without a word."""
    found = {}
    for file in _files(path):
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        found[file.relative_to(path).as_posix()] = digest
    return found


def _problem(path: pathlib.Path) -> str | None:
    """What is wrong with a checkpoint's files, or None."""
    try:
        expected = json.loads((path / DIGESTS_FILE).read_text())
        found = _digests(path)
    except (OSError, ValueError) as error:
        return _first_line(error)
    if not isinstance(expected, dict) or not expected:
        return f"{DIGESTS_FILE} holds no digests"
    wrong = [name for name in expected if found.get(name) != expected[name]]
    return f"{wrong[0]} is not what was saved" if wrong else None


def _delete_partial(folder: pathlib.Path) -> None:
    for path in folder.glob(f".*{PARTIAL}"):
        shutil.rmtree(path, ignore_errors=True)


def _first_line(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return next(iter(text.splitlines()), type(error).__name__)[:200]
