"""What `mdmot train` does to a folder that it refuses: nothing."""

import contextlib
import pathlib
from collections.abc import Iterator

from mdmot.errors import InputError
from mdmot.vocabulary import Tokenizer, Vocabulary

TOKENIZER_FILE = "tokenizer.json"


class BegunRunError(InputError):
    """Of a run that was no longer refused: what it has made stays."""


def assert_nothing_lost(out: pathlib.Path, vocabulary: Vocabulary) -> None:
    """Refuses a folder that is in use, or with files that a run would overwrite and that are not of a run.

    Raises:
      InputError: If there is one, with its name.
    """
    from mdmot.files import alone_in
    from mdmot.models.checkpoint import WEIGHTS_FILE
    from mdmot.training.config_file import is_config
    from mdmot.training.runs import CONFIG_FILE, METRICS_FILE

    if out.is_dir():
        with alone_in(out):  # the run asks again, but its tokenizer is kept before
            pass
    if is_config(out / CONFIG_FILE):
        return
    lost = [name for name in (METRICS_FILE, WEIGHTS_FILE) if (out / name).exists()]
    # A run that was killed before it began has kept its tokenizer already.
    if isinstance(vocabulary, Tokenizer) and (out / TOKENIZER_FILE).exists():
        try:
            is_same = (out / TOKENIZER_FILE).read_bytes() == vocabulary.content.encode()
        except OSError:
            is_same = False
        lost += [] if is_same else [TOKENIZER_FILE]
    if lost:
        raise InputError(
            f"{out / lost[0]} is not of a training run and would be lost; train in another --out"
        )


@contextlib.contextmanager
def nothing_left_if_refused(out: pathlib.Path, cache: pathlib.Path) -> Iterator[None]:
    """Takes back what was made in the folders of a run that was refused before its first measurement.

    Only files that are new and that any run makes again are deleted, and only folders that are empty: what
    another process has put there meanwhile stays. Tokens in a cache elsewhere stay, as others may share it.
    """
    from mdmot.files import alone_in
    from mdmot.training.runs import CHECKPOINTS, CONFIG_FILE, METRICS_FILE

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


def _missing(folder: pathlib.Path) -> list[pathlib.Path]:
    """A folder and those above it that are not there."""
    return [place for place in (folder, *folder.parents) if not place.exists()]


def _depth(path: pathlib.Path) -> int:
    return len(path.absolute().parts)
