"""The folder of a run with its model: what it holds, and nothing left in it by a run that is refused."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from mdmot.errors import InputError
from mdmot.files import alone_in, prepare_folder, write_atomically
from mdmot.models.config import DTYPES
from mdmot.models.model_folder import MODEL_FILE, WEIGHTS_FILE
from mdmot.training.checkpoints import saved_steps
from mdmot.training.config_file import RunConfig, assert_same_run, is_config, read_config
from mdmot.training.course import CHECKPOINTS, CONFIG_FILE, METRICS_FILE
from mdmot.vocabulary import Tokenizer, Vocabulary, without_end

TOKENIZER_FILE, TOKENS_FOLDER = "tokenizer.json", "tokens"


class BegunRun(NamedTuple):
    """A run that may be resumed.

    Attributes:
      config: Its settings.
      data: Description of its data.
      store: What the weights of its model are stored in.
    """

    config: RunConfig
    data: dict[str, Any]
    store: str


class BegunRunError(InputError):
    """Of a run that was no longer refused: what it has made stays."""


def begun_run(out: pathlib.Path, resume: bool) -> BegunRun | None:
    """The run that a folder holds, if it is to be resumed and there is one.

    Args:
      out: The folder, which need not be there.
      resume: Whether a run is to go on.

    Raises:
      InputError: If the folder holds a run that is not to go on or cannot, or a model of another origin.
    """
    has_config, has_steps = (out / CONFIG_FILE).exists(), bool(saved_steps(out / CHECKPOINTS))
    if has_steps and not resume:
        raise InputError(f"{out} holds a run; pass --resume to go on with it, or another --out")
    if has_steps and not has_config:
        raise InputError(
            f"{out / CONFIG_FILE}, the settings of the run, is missing; begin in another folder"
        )
    if not has_steps and ((out / MODEL_FILE).exists() or (has_config and not is_config(out / CONFIG_FILE))):
        raise InputError(
            f"{out} holds a model, but no checkpoints of its training to go on from; train elsewhere"
        )
    if not resume or not has_config:
        return None
    return BegunRun(*read_config(out / CONFIG_FILE), _stored(out))


def assert_goes_on(out: pathlib.Path, config: RunConfig, data: dict[str, Any]) -> None:
    """Refuses what cannot go on in a folder that holds a run, before a network is made.

    Args:
      out: The folder.
      config: The settings now.
      data: Description of the data now.

    Raises:
      InputError: If the data differ, or the settings in more than the number of steps, or more steps are
        saved.
    """
    assert_same_run(out / CONFIG_FILE, config, data)
    steps = saved_steps(out / CHECKPOINTS)
    if steps and steps[-1] > config.num_steps:
        raise InputError(
            f"{out} keeps step {steps[-1]}, and num_steps = {config.num_steps}; pass at least {steps[-1]}"
        )


def standing(out: pathlib.Path, num_steps: int) -> str:
    """How far the run in a folder is saved, in a few words."""
    steps = saved_steps(out / CHECKPOINTS)
    return f"{out} keeps step {steps[-1]} of {num_steps}" if steps else "no step is saved yet"


def keep_tokenizer(out: pathlib.Path, vocabulary: Vocabulary) -> None:
    """Keeps a tokenizer with the run, which may then be resumed without its file; makes the folder."""
    prepare_folder(out)
    plain = without_end(vocabulary)
    if isinstance(plain, Tokenizer):
        write_atomically(out / TOKENIZER_FILE, plain.content)


def assert_nothing_lost(out: pathlib.Path, vocabulary: Vocabulary) -> None:
    """Refuses a folder that is in use, or with files that a run would overwrite and that are not of a run.

    Raises:
      InputError: If there is one, with its name.
    """
    if out.is_dir():
        with alone_in(out):  # the run asks again, but its tokenizer is kept before
            pass
    if is_config(out / CONFIG_FILE):
        return
    lost = [name for name in (METRICS_FILE, WEIGHTS_FILE) if (out / name).exists()]
    # A run that was killed before it began has kept its tokenizer already.
    plain = without_end(vocabulary)
    if isinstance(plain, Tokenizer) and (out / TOKENIZER_FILE).exists():
        try:
            is_same = (out / TOKENIZER_FILE).read_bytes() == plain.content.encode()
        except OSError:
            is_same = False
        lost += [] if is_same else [TOKENIZER_FILE]
    if lost:
        raise InputError(
            f"{out / lost[0]} is not of a training run and would be lost; train in another folder"
        )


@contextlib.contextmanager
def nothing_left_if_refused(out: pathlib.Path, cache: pathlib.Path) -> Iterator[None]:
    """Takes back what was made in the folders of a run that was refused before its first measurement.

    Only files that are new and that any run makes again are deleted, and only folders that are empty: what
    another process has put there meanwhile stays. Tokens in a cache elsewhere stay, as others may share it.
    """
    places = [out / CHECKPOINTS, *_missing(cache), *_missing(out)]
    folders = sorted({place for place in places if not place.exists()}, key=_depth, reverse=True)
    is_own = cache.resolve().is_relative_to(out.resolve())
    kept = set(cache.iterdir()) if cache.is_dir() else set()
    ours = [path for path in (out / CONFIG_FILE, out / TOKENIZER_FILE) if not path.exists()]
    measured = (out / METRICS_FILE).exists()
    try:
        yield
    except BegunRunError:
        raise
    except InputError:
        # Another process that runs there keeps all.
        with contextlib.suppress(InputError, OSError), alone_in(out):
            if measured or not (out / METRICS_FILE).exists():
                tokens = set(cache.iterdir()) - kept if is_own and cache.is_dir() else set()
                for path in (*ours, *tokens):
                    with contextlib.suppress(OSError):
                        path.unlink()
                for folder in folders:
                    with contextlib.suppress(OSError):
                        folder.rmdir()
        raise


def _stored(out: pathlib.Path) -> str:
    """What the weights of a run's model are stored in, if it has one yet; else it is written anew."""
    try:
        found = json.loads((out / MODEL_FILE).read_text(encoding="utf-8"))["config"]["param_dtype"]
    except (OSError, ValueError, KeyError, TypeError):
        return DTYPES[0]
    return found if found in DTYPES else DTYPES[0]


def _missing(folder: pathlib.Path) -> list[pathlib.Path]:
    """A folder and those above it that are not there."""
    return [place for place in (folder, *folder.parents) if not place.exists()]


def _depth(path: pathlib.Path) -> int:
    return len(path.absolute().parts)
