"""Tokens of a corpus on disk, mapped into memory."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Integer, UInt

from mdmot.data.corpus import Corpus
from mdmot.errors import InputError
from mdmot.files import prepare_folder, write_atomically, writing_atomically
from mdmot.vocabulary import Bytes, Vocabulary, fingerprint

VERSION = 1


@dataclasses.dataclass(frozen=True, eq=False)
class TokenizedCorpus:
    """The tokens of documents, one after the other.

    Attributes:
      tokens: Mapped from disk, or read into memory.
      starts: Where each document begins in them, and where the last one ends.
      paths: The name of each document.
      num_bytes: Of the documents, before they were tokens.
    """

    tokens: UInt[np.ndarray, " tokens"]
    starts: Integer[np.ndarray, " documents_and_one"]
    paths: tuple[str, ...]
    num_bytes: int

    @property
    def bytes_per_token(self) -> float:
        """Bytes that a token stands for, on average: 1 for bytes."""
        return self.num_bytes / self.tokens.size

    def windows(self, length: int, offset: int = 0) -> UInt[np.ndarray, "windows length"]:
        """Windows of tokens that follow each other through all documents; nothing is copied.

        A window may begin in one document and end in the next. A rest shorter than a window is left out.

        Args:
          length: Tokens a window, at least 1.
          offset: Tokens to leave out at the beginning, 0 to length - 1: as many ways to cut the text.

        Returns:
          At least one window, one a row.

        Raises:
          InputError: If the documents together are shorter than a window, or a number is out of its range.
        """
        if length < 1 or not 0 <= offset < length:
            raise InputError(
                f"windows of {length} tokens from token {offset}; pass a length of at least 1 and an "
                "offset below it"
            )
        num = (self.tokens.size - offset) // length
        if num < 1:
            raise InputError(
                f"the text has {self.tokens.size} tokens in {len(self.paths)} documents, less than one "
                f"window of {length}; pass a longer --text PATH or a shorter length"
            )
        return self.tokens[offset : offset + num * length].reshape(num, length)


def tokenize(
    corpus: Corpus, vocabulary: Vocabulary, folder: str | os.PathLike[str] | None
) -> TokenizedCorpus:
    """The tokens of a corpus, from a cache if it has them.

    The files in the cache are named by a digest of the documents' names and contents and of the
    vocabulary. So what is stale is not found and is made again; old files may be deleted at any time. A
    file is renamed into place when it is whole.

    Args:
      corpus: The documents.
      vocabulary: What they are written in; where it has text, bytes that are no UTF-8 are read as the
        replacement character.
      folder: The cache, made if absent; None to hold the tokens in memory.

    Returns:
      The tokens, in 1, 2 or 4 bytes each, as the vocabulary needs.

    Raises:
      InputError: If a document cannot be read or written in the vocabulary, or the cache not be written.

    Example:
      >>> import tempfile
      >>> from mdmot.data.corpus import read_corpus
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     _ = pathlib.Path(folder, "a.txt").write_text("to be or not to be")
      ...     text = tokenize(read_corpus(folder), Bytes(), pathlib.Path(folder, "cache"))
      ...     Bytes().decode(text.windows(5)[1].tolist(), "_")
      ' or n'
    """
    if folder is None:
        parts = list(_tokens(corpus, vocabulary))
        return _checked(corpus, np.concatenate(parts), [part.size for part in parts])
    key = f"{VERSION} {corpus.fingerprint} {fingerprint(vocabulary)}"
    stem = hashlib.sha256(key.encode()).hexdigest()
    folder = prepare_folder(pathlib.Path(folder))
    tokens_file, index_file = folder / f"{stem}.tokens", folder / f"{stem}.json"
    found = _opened(tokens_file, index_file, corpus)
    if found is None:
        dtype, sizes = _dtype(vocabulary), []
        with writing_atomically(tokens_file) as file:
            for part in _tokens(corpus, vocabulary):
                file.write(part.tobytes())
                sizes.append(part.size)
        write_atomically(index_file, json.dumps({"kind": "tokens", "dtype": dtype.str, "sizes": sizes}))
        found = _opened(tokens_file, index_file, corpus)
    if found is None:
        raise InputError(f"{tokens_file} is not what was written; use a folder that nothing else uses")
    return found


def _tokens(corpus: Corpus, vocabulary: Vocabulary) -> Iterator[np.ndarray]:
    """The tokens of each document."""
    dtype = _dtype(vocabulary)
    for path, content in corpus.documents():
        if isinstance(vocabulary, Bytes):
            yield np.frombuffer(content, dtype)
            continue
        try:
            yield np.array(vocabulary.encode(content.decode("utf-8", "replace")), dtype)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def _dtype(vocabulary: Vocabulary) -> np.dtype:
    """The smallest type that holds the clean tokens, in the order of bytes that the file has."""
    return np.min_scalar_type(vocabulary.size - 1).newbyteorder("<")


def _opened(tokens_file: pathlib.Path, index_file: pathlib.Path, corpus: Corpus) -> TokenizedCorpus | None:
    """The cache if both files are there and fit together."""
    try:
        index = json.loads(index_file.read_text(encoding="utf-8"))
        dtype, sizes = np.dtype(index["dtype"]), [int(size) for size in index["sizes"]]
        if tokens_file.stat().st_size != sum(sizes) * dtype.itemsize:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if len(sizes) != len(corpus.entries):
        return None
    # An empty file cannot be mapped.
    tokens = np.memmap(tokens_file, dtype, mode="r") if sum(sizes) else np.empty(0, dtype)
    return _checked(corpus, tokens, sizes)


def _checked(corpus: Corpus, tokens: np.ndarray, sizes: list[int]) -> TokenizedCorpus:
    if tokens.size == 0:
        raise InputError(f"{corpus.name} has no token in this vocabulary; pass another text or tokenizer")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return TokenizedCorpus(tokens, starts, tuple(entry.path for entry in corpus.entries), corpus.num_bytes)
