"""Records: examples of any length, each by itself, some of them held out."""

import dataclasses
import hashlib
from typing import NamedTuple

from mdmot.data.corpus import HELD_OUT_SHARE
from mdmot.errors import InputError
from mdmot.readable import so_many

MOST_SHOWN = 40
"""Characters of a record that are shown."""


class Record(NamedTuple):
    """An example.

    Attributes:
      text: What is learned; it may be empty behind a prompt.
      prompt: What is given; empty for nothing.
      line: Where it stands in its file, from 1.
    """

    text: str
    prompt: str
    line: int

    @property
    def digest(self) -> bytes:
        """A digest of the prompt and the text."""
        prompt = self.prompt.encode("utf-8", "surrogatepass")
        return hashlib.sha256(
            b"%d\0" % len(prompt) + prompt + self.text.encode("utf-8", "surrogatepass")
        ).digest()


@dataclasses.dataclass(frozen=True)
class Records:
    """Examples in the order of their file.

    Attributes:
      name: Where they come from, for a person.
      items: At least one.
      is_prompted: Whether some have a prompt.
      path: Where to find them again, FILE or FILE:COLUMN; None for standard input.
    """

    name: str
    items: tuple[Record, ...]
    is_prompted: bool
    path: str | None = None

    @property
    def fingerprint(self) -> str:
        """A digest of all records in their order."""
        return hashlib.sha256(b"".join(record.digest for record in self.items)).hexdigest()

    @property
    def set_fingerprint(self) -> str:
        """A digest of the different records, in whatever order and however often they are there."""
        return hashlib.sha256(b"".join(sorted({record.digest for record in self.items}))).hexdigest()

    @property
    def digests(self) -> dict[str, str]:
        """What tells these records from others: two files of one set may be in different orders."""
        return {"sha256": self.fingerprint, "set_sha256": self.set_fingerprint}

    @property
    def provenance(self) -> dict[str, str | int]:
        """What a model card says of the data."""
        return {"name": self.name, "records": len(self.items), **self.digests}


def in_words(trained: Records, held_out: Records) -> str:
    """How many records there are and what the first says, for a person to see that they are what is meant.

    Args:
      trained: Those to train on.
      held_out: The others of the same file.

    Example:
      >>> items = tuple(Record(text, "", line) for line, text in enumerate(("Ada", "Emmy", "Ada"), start=1))
      >>> in_words(*(Records("names.txt", part, False) for part in (items[1:], items[:1])))
      "names.txt: 3 records, 2 of them different; 1 held out; the first is 'Ada'"
    """
    items = [*trained.items, *held_out.items]
    first = min(items, key=lambda record: record.line)
    num = len({record.digest for record in items})
    different = "" if num == len(items) else f", {num:,} of them different"
    behind = f" behind {_cut(first.prompt)}" if first.prompt else ""
    found = f"{trained.name}: {len(items):,} records{different}; {len(held_out.items):,} held out"
    return f"{found}; the first is {_cut(first.text)}{behind}"


def _cut(text: str) -> str:
    return repr(text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}...")


def hold_out_records(records: Records, share: float = HELD_OUT_SHARE) -> tuple[Records, Records]:
    """Splits records into those to train on and those to evaluate on, by the digest of each.

    Whether a record is held out depends on it alone, wherever it stands: one that is there twice is never
    in both parts, and new records leave the old ones where they are. Only if fewer than two would be held
    out, the two different ones of the least digests are.

    Args:
      records: At least three different ones.
      share: Of the records to hold out, about; between 0 and 1.

    Returns:
      The records to train on, and those held out.

    Raises:
      InputError: If there are fewer, or the share is out of its range.

    Example:
      >>> items = tuple(Record(f"number {n}", "", n) for n in range(1000))
      >>> trained, held_out = hold_out_records(Records("numbers", items, False))
      >>> len(trained.items) + len(held_out.items), 30 < len(held_out.items) < 70
      (1000, True)
    """
    if not 0 < share < 1:
        raise InputError(f"held-out share {share}; pass a number between 0 and 1")
    places = [(int.from_bytes(record.digest[:8], "big") >> 11) * 2.0**-53 for record in records.items]
    different = sorted(set(places))
    if len(different) < 3:
        raise InputError(
            f"{records.name}: {so_many(len(different), 'different record')}, of which two cannot be held "
            "out; pass three or more"
        )
    limit = min(max(share, different[2]), different[-1])
    trained, held_out = (
        dataclasses.replace(
            records,
            items=tuple(r for r, p in zip(records.items, places, strict=True) if (p < limit) == is_out),
        )
        for is_out in (False, True)
    )
    return trained, held_out
