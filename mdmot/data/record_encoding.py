"""Texts of records as tokens of a vocabulary, and what of them it has none for."""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from mdmot.data.encoded_records import EncodedRecords
from mdmot.data.records import Record, Records
from mdmot.errors import InputError, InputWarning, shown
from mdmot.readable import so_many
from mdmot.vocabulary import Ended, Tokenizer, Unread, Vocabulary, unread, without_end


def encode_records(records: Records, vocabulary: Vocabulary, never: Sequence[int] = ()) -> EncodedRecords:
    """The tokens of records.

    Args:
      records: The records.
      vocabulary: What they are written in.
      never: Tokens that no text may have.

    Example:
      >>> from mdmot.data.encoded_records import row_shape
      >>> from mdmot.data.records import Record
      >>> from mdmot.vocabulary import Bytes
      >>> records = Records("two", (Record("ab", "x:", 1), Record("c", "yz:", 2)), True)
      >>> encoded = encode_records(records, Ended(Bytes(), end=256))
      >>> (found,) = encoded.ended(row_shape([encoded])).rows
      >>> found.tokens.tolist()
      [[120, 58, 97, 98, 256, 256], [121, 122, 58, 99, 256, 256]]
      >>> found.is_given.astype(int).tolist(), found.parts.counted.tolist()
      ([[1, 1, 0, 0, 0, 1], [1, 1, 1, 0, 0, 0]], [3, 2])
    """
    # A vocabulary may read what spells a mask as the mask.
    dtype, mask = np.min_scalar_type(vocabulary.size - 1), frozenset({vocabulary.size})
    refused = mask | frozenset(never)
    if isinstance(vocabulary, Ended):
        refused |= {vocabulary.end}
    prompts, texts, is_written, unknown = [], [], [], None
    lost: list[tuple[int, Unread]] = []
    for record in records.items:
        try:
            # What is given may have tokens that are never drawn, as turns of a conversation.
            found = [_clean(record.prompt, vocabulary, mask), _clean(record.text, vocabulary, refused)]
            is_written.append(True)
            found_lost = _unread(record, found, vocabulary)
            lost += [] if found_lost is None else [(record.line, found_lost)]
        except InputError as error:
            unknown = unknown or f"line {record.line}: {error}"
            found = [[], []]
            is_written.append(False)
        prompts.append(np.array(found[0], dtype))
        texts.append(np.array(found[1], dtype))
    if lost:
        line, words = lost[0]
        warnings.warn(
            f"{records.name}: {so_many(len(lost), 'record')} of {len(records.items):,} with words that the "
            f"vocabulary has no token for, as line {line}: {words}",
            InputWarning,
            stacklevel=2,
        )
    return EncodedRecords(records, vocabulary, tuple(prompts), tuple(texts), np.array(is_written), unknown)


def texts_of(records: Records) -> Iterator[str]:
    """All texts and prompts."""
    for record in records.items:
        yield record.prompt
        yield record.text


def _unread(record: Record, tokens: Sequence[Sequence[int]], vocabulary: Vocabulary) -> Unread | None:
    """What of a prompt and a text has no token."""
    inner = without_end(vocabulary)
    if not isinstance(inner, Tokenizer):
        return None
    # To look at what every word has become takes as long as to find the tokens once more.
    is_doubtful = inner.unknown is None or any(inner.unknown in part for part in tokens)
    if not is_doubtful:
        return None
    return inner.unread(record.prompt) or inner.unread(record.text)


def _clean(text: str, vocabulary: Vocabulary, refused: frozenset[int]) -> Sequence[int]:
    tokens = vocabulary.encode(text)
    wrong = next((token for token in tokens if token in refused), None)
    if wrong is not None:
        lost = unread(vocabulary, text)
        if lost is not None and lost.token == vocabulary.decode([wrong], ""):
            raise InputError(f"{lost}, which stands in no text of the model")
        written = shown(vocabulary.decode([wrong], ""))
        raise InputError(f"token {wrong} ({written}) of {shown(text)} stands in no text of the model")
    return tokens
