"""Documents to train on: files, folders and the sources of Python's standard library."""

import dataclasses
import hashlib
import os
import pathlib
import platform
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mdmot.data.text_files import find_files, is_binary, read_bytes
from mdmot.errors import InputError, InputWarning

NOT_SOURCES = frozenset({"__pycache__", "dist-packages", "idle_test", "site-packages", "test", "tests"})
LARGEST_PIECE = 2**16
NUM_PIECES = 32
LONGEST_CHARACTER = 4
MOST_SKIPPED = 3
"""Files left out that are named."""


class Document(NamedTuple):
    """A text and its name.

    Attributes:
      path: Relative to the folder, with slashes; of a piece of a file its number as well.
      content: Its bytes, at least one.
    """

    path: str
    content: bytes


class Entry(NamedTuple):
    """Where the bytes of a document are, and what they were when the corpus was read."""

    path: str
    file: pathlib.Path
    start: int
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Documents on disk, in the order of their names; their bytes are read when they are asked for.

    Attributes:
      name: What they are, for a person.
      licence: As SPDX names it, where it is known.
      entries: One a document.
      skipped: One line a file that is left out, and why.
      folder: The folder that they are of, if it is the user's.
    """

    name: str
    licence: str | None
    entries: tuple[Entry, ...]
    skipped: tuple[str, ...]
    folder: pathlib.Path | None = None

    @property
    def num_bytes(self) -> int:
        """Bytes of all documents."""
        return sum(entry.size for entry in self.entries)

    @property
    def fingerprint(self) -> str:
        """A digest of the names and contents of the documents."""
        digest = hashlib.sha256()
        for entry in self.entries:
            digest.update(f"{entry.path}\0{entry.sha256}\0".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    @property
    def provenance(self) -> dict[str, str | int | None]:
        """What a model card says of the data."""
        return {
            "name": self.name,
            "licence": self.licence,
            "documents": len(self.entries),
            "bytes": self.num_bytes,
            "sha256": self.fingerprint,
        }

    def without(self, *folders: pathlib.Path) -> "Corpus":
        """The documents that do not lie in any of these folders, as those of a model or of a run.

        Raises:
          InputError: If one is the folder of the text itself, or nothing is left.
        """
        if self.folder is None:
            return self
        root = self.folder.resolve()
        inside = [
            path.resolve().relative_to(root) for path in folders if path.resolve().is_relative_to(root)
        ]
        if pathlib.Path() in inside:
            raise InputError(f"{self.name} is the folder of the text and of a model, too; keep them apart")
        prefixes = tuple(f"{path.as_posix()}/" for path in inside)
        entries = tuple(entry for entry in self.entries if not entry.path.startswith(prefixes))
        if not entries:
            raise InputError(f"{self.name} has no text but that of {folders[0]}; pass another --text")
        skipped = tuple(line for line in self.skipped if not line.startswith(prefixes))
        return dataclasses.replace(self, entries=entries, skipped=skipped)

    def warn_of_skipped(self) -> None:
        """Warns (`InputWarning`) of the files that are left out, but for empty ones."""
        skipped = [line for line in self.skipped if not line.endswith(": empty")]
        if skipped:
            more = f" and {len(skipped) - MOST_SKIPPED} more" if len(skipped) > MOST_SKIPPED else ""
            message = f"left out {', '.join(skipped[:MOST_SKIPPED])}{more}"
            warnings.warn(message, InputWarning, stacklevel=2)

    def documents(self) -> Iterator[Document]:
        """The documents, one at a time.

        Raises:
          InputError: If a file cannot be read or is no longer what it was.
        """
        for entry in self.entries:
            content = read_bytes(entry.file, entry.start, entry.size)
            if hashlib.sha256(content).hexdigest() != entry.sha256:
                raise InputError(f"{entry.file} has changed since it was first read; start again")
            yield Document(entry.path, content)


def read_corpus(path: str | os.PathLike[str] | None) -> Corpus:
    """The documents of a folder, of a file, or of Python's standard library.

    Of a folder every file that holds text is a document, whatever its name; hidden ones, those in hidden
    folders and linked folders are left out. A file is cut at ends of lines into documents of at most
    64 KiB, or of a thirty-second part if that is less, so that some can be held out; binary files and
    empty ones are left out.

    Args:
      path: The folder or the file; None for the .py files of the standard library, without its tests,
        installed packages and the settings of this machine's build.

    Returns:
      At least one document.

    Raises:
      InputError: If there is no text or it cannot be read.

    Example:
      >>> corpus = read_corpus(None)
      >>> corpus.licence, corpus.entries[0].path, len(corpus.entries) > 100
      ('PSF-2.0', '__future__.py', True)
    """
    if path is None:
        root = pathlib.Path(sysconfig.get_paths()["stdlib"])
        name = f"standard library of {platform.python_implementation()} {platform.python_version()}"
        return _folder(name, "PSF-2.0", root, find_files(root, {".py"}, NOT_SOURCES, _is_library))
    root = pathlib.Path(path)
    if root.is_dir():
        return dataclasses.replace(_folder(str(path), None, root, find_files(root)), folder=root)
    return _pieces(root)


HELD_OUT_SHARE = 0.05
"""Of the documents of a text, about: what trainings hold out."""


def hold_out_documents(corpus: Corpus, share: float = HELD_OUT_SHARE) -> tuple[Corpus, Corpus]:
    """Splits documents into those to train on and those to evaluate on, by the digest of their names.

    Whether a document is held out depends on its name alone: on any machine, and when other documents
    come or go. Only if that leaves a part empty, the document of the least digest is held out, or that
    of the greatest is trained on.

    Args:
      corpus: At least two documents.
      share: Of the documents to hold out, about; between 0 and 1.

    Returns:
      The corpus to train on, and the one held out.

    Raises:
      InputError: If there is one document, or the share is out of its range.

    Example:
      >>> trained, held_out = hold_out_documents(read_corpus(None), 0.1)
      >>> 0.05 < len(held_out.entries) / len(trained.entries) < 0.2
      True
    """
    if not 0 < share < 1:
        raise InputError(f"held-out share {share}; pass a number between 0 and 1")
    if len(corpus.entries) < 2:
        raise InputError(f"{corpus.name} is one document, of which none can be held out; pass more text")
    places = [_place(entry.path) for entry in corpus.entries]
    limit = min(max(share, min(places) + 2.0**-53), max(places))
    parts: tuple[list[Entry], list[Entry]] = ([], [])
    for entry, place in zip(corpus.entries, places, strict=True):
        parts[place < limit].append(entry)
    train, held_out = (dataclasses.replace(corpus, entries=tuple(part), skipped=()) for part in parts)
    return dataclasses.replace(train, skipped=corpus.skipped), held_out


def _folder(name: str, licence: str | None, root: pathlib.Path, paths: Sequence[str]) -> Corpus:
    entries, skipped = [], []
    for path in paths:
        file = root / path
        is_file = os.path.isfile(file)
        content = read_bytes(file) if is_file else b""
        if not content:
            skipped.append(f"{path}: {'empty' if is_file else 'no file'}")
        elif is_binary(content):
            skipped.append(f"{path}: binary")
        else:
            entries.append(Entry(path, file, 0, len(content), hashlib.sha256(content).hexdigest()))
    if not entries:
        why = f": {len(skipped)} files are empty or binary, as {skipped[0]}" if skipped else ""
        raise InputError(f"no text found in {root}{why}; pass --text PATH, a file or a folder with text")
    return Corpus(name, licence, tuple(entries), tuple(skipped))


def _pieces(file: pathlib.Path) -> Corpus:
    content = read_bytes(file)
    if not content or is_binary(content):
        raise InputError(
            f"{file} is {'binary' if content else 'empty'}; pass --text PATH, a file or a folder with text"
        )
    most = min(LARGEST_PIECE, max(LONGEST_CHARACTER, len(content) // NUM_PIECES))
    entries: list[Entry] = []
    start = 0
    while start < len(content):
        end = _piece_end(content, start, start + most)
        digest = hashlib.sha256(content[start:end]).hexdigest()
        entries.append(Entry(f"{file.name}#{len(entries):06d}", file, start, end - start, digest))
        start = end
    return Corpus(str(file), None, tuple(entries), ())


def _piece_end(content: bytes, start: int, end: int) -> int:
    """The last end of a line up to `end`, or of a character in UTF-8 if there is none."""
    if end >= len(content):
        return len(content)
    line_end = content.rfind(b"\n", start, end) + 1
    if line_end > 0:
        return line_end
    starts = [i for i in range(end, end - LONGEST_CHARACTER, -1) if content[i] & 0xC0 != 0x80]
    return starts[0] if starts and starts[0] > start else end


def _is_library(path: str) -> bool:
    """Whether a source belongs to Python, not to the settings of this machine's build or user."""
    return not path.rpartition("/")[2].startswith(("_sysconfigdata", "sitecustomize", "usercustomize"))


def _place(path: str) -> float:
    """Where a name falls in [0, 1), evenly."""
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) * 2.0**-53
