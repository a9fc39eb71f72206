"""What a pretrained network is trained on: a text or records, in its own vocabulary."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mdmot.data import (
    EncodedRecords,
    encode_records,
    hold_out_records,
    read_records,
    row_shape,
)
from mdmot.data.encoded_records import LONGER, SHORTER
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.models import Named, TransformerConfig
from mdmot.models.pretrained import PlainDenoiser, load_plain, weights_digest
from mdmot.models.pretrained.byte_level import ABOUT_FILE
from mdmot.models.pretrained.settings import CONFIG_FILE
from mdmot.training.data_source import DataSource, cut_text
from mdmot.training.presets import FINE_TUNING, TrainConfig
from mdmot.training.pretrained_export import FOLDER
from mdmot.training.record_source import kept_path
from mdmot.training.run_data import TrainData
from mdmot.vocabulary import Ended, Symbols, Vocabulary, of_clean_texts

FIXED = (
    dict.fromkeys(("width", "depth", "heads", "expansion", "kv_heads", "preset"), "whose size is its own")
    | dict.fromkeys(("tokenizer", "pieces"), "whose tokens are its own")
    | dict.fromkeys(("store", "dtype"), "which is trained in float32 and stored as its files are")
    | {"language": "which is trained on text or records", "order": "whose folder has no place for an order"}
)
"""What may not be asked for, and why."""

BEGUN = "from"
"""What the description of a run's data calls the network that it began with."""


@dataclasses.dataclass(frozen=True, eq=False)
class PretrainedSource:
    """A pretrained network and what it is trained on: a text, or else records.

    Attributes:
      folder: The Hugging Face folder.
      named: The network on plain sequences.
      vocabulary: What the tokens of the data stand for.
      text: File or folder.
      records: Those to train on, and those held out.
      described: How to find the network and the records again.
    """

    folder: pathlib.Path
    named: Named
    vocabulary: Vocabulary
    text: pathlib.Path | None
    records: tuple[EncodedRecords, EncodedRecords] | None
    described: dict[str, Any]

    @property
    def model(self) -> Model:
        """The network as it is trained; rows of records have the end of their frame in them."""
        denoiser = self.named.model.denoiser
        if self._after and isinstance(denoiser, PlainDenoiser):
            return dataclasses.replace(self.named.model, denoiser=dataclasses.replace(denoiser, after=()))
        return self.named.model

    @property
    def encoded(self) -> tuple[EncodedRecords, ...]:
        """The records in tokens, if there are any: those to train on, and those held out."""
        return self.records or ()

    def settings(self) -> TrainConfig:
        """Settings to begin with, in which the size is about the network's; `run` reads none of it."""
        size, heads = self.named.config, self.named.config.heads
        width = max(1, size.width // (2 * heads)) * 2 * heads
        length = min(FINE_TUNING.model.length, self.longest)
        model = TransformerConfig(self.vocabulary.size, length, width, size.depth, heads)
        return dataclasses.replace(FINE_TUNING, model=model)

    @property
    def longest(self) -> int:
        """Tokens of the longest row; more only where positions are rotary."""
        return self.named.length + len(self._after)

    def length(self) -> int | None:
        """Tokens of a row that the longest record needs, if there are records."""
        if self.records is None:
            return None
        # Without an end to learn a text needs no room for one.
        room = len(self._after) - (0 if isinstance(self.vocabulary, Ended) else 1)
        return min(self.longest, row_shape(self.records).length + room)

    def read(self, length: int, out: pathlib.Path, cache: pathlib.Path, seed: int) -> TrainData:
        """Rows to train on and held-out ones.

        Args:
          length: Tokens of a row, of records with what closes them.
          out: Folder of the run, which is no text even if it lies in that of the text.
          cache: Where the tokens of a text are kept.
          seed: Of nothing here.

        Raises:
          InputError: If a row is longer than the network can read, or there is too little to train on.
        """
        if length > self.longest and not self.named.stretches:
            raise InputError(
                f"length {length}: {self.named.name} reads {self.longest} tokens; pass no more than these"
            )
        data = self._of_text(length, out, cache) if self.records is None else self._of_records(length)
        return data._replace(description=data.description | self.described)

    @property
    def _after(self) -> tuple[int, ...]:
        """What closes the text of a record in its row."""
        denoiser = self.named.model.denoiser
        is_closed = self.records is not None and not isinstance(self.vocabulary, Ended)
        return denoiser.after if is_closed and isinstance(denoiser, PlainDenoiser) else ()

    def _of_text(self, length: int, out: pathlib.Path, cache: pathlib.Path) -> TrainData:
        data = cut_text(DataSource(self.text, None, self.vocabulary), length, out, cache)
        windows, left_out = self._drawable(data.windows)
        held_out, _ = self._drawable(data.held_out)
        return data._replace(windows=windows, held_out=held_out, left_out=left_out)

    def _drawable(self, rows: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """The rows without a token that the network never writes, such as one for what it does not know."""
        is_kept = ~np.isin(rows, self.named.never).any(axis=1)
        num = int((~is_kept).sum())
        lost = f"of {len(rows):,} windows {num:,} have a token that {self.named.name} never writes"
        return (rows, ()) if num == 0 else (rows[is_kept], (lost,))

    def _of_records(self, length: int) -> TrainData:
        assert self.records is not None, "only records are rows by themselves"
        remedy = LONGER if length < self.longest or self.named.stretches else SHORTER
        if isinstance(self.vocabulary, Ended):
            shape = row_shape(self.records, length)
            fitting = [part.ended(shape, remedy) for part in self.records]
            room = {"room": shape.room}
        else:
            pad = self.named.config.pad_id
            fitting = [part.closed(length, self._after, pad, remedy) for part in self.records]
            room = {}
        (trained,), (held_out,) = (part.rows for part in fitting)
        parts = [part.records.provenance for part in self.records]
        return TrainData(
            trained.tokens,
            held_out.tokens,
            {"train": parts[0], "held_out": parts[1], **room},
            trained.parts,
            held_out.parts,
            tuple(part.left_out for part in fitting if part.left_out is not None),
        )


def pretrained_source(
    folder: pathlib.Path,
    text: pathlib.Path | None,
    records: str | None,
    prompt_column: str | None,
    begun: Mapping[str, Any],
) -> PretrainedSource:
    """A pretrained network and its data: as the options say, where they are silent as the run was begun.

    Where the network writes ends of text, as LLaDA does, a record is its text and ends, which are learned;
    else, as for BERT, its text in the frame of the network, and padding, which nothing attends to.

    Args:
      folder: The Hugging Face folder.
      text: File or folder; None for what the run was begun with.
      records: FILE or FILE:COLUMN with one example a record; None for what the run was begun with.
      prompt_column: Column of what is given in each record; None for the run's, or none.
      begun: Description of the data in the settings of the run; empty for a new one.

    Raises:
      InputError: If the folder or the records cannot be read, or there are no data for the network.
    """
    if text is not None and records is not None:
        raise InputError("text and records are both given; train on one of them")
    if text is None and records is None:
        saved = begun.get("text")
        text, records = pathlib.Path(saved) if isinstance(saved, str) else None, kept_path(begun)
    if text is None and records is None:
        raise InputError(f"{folder} is to be trained on nothing; pass text or records")
    if not begun and (folder / FOLDER / CONFIG_FILE).exists():
        folder = folder / FOLDER  # of a run that has trained one
    named = load_plain(folder)
    vocabulary = of_clean_texts(named.vocabulary)
    described: dict[str, Any] = {BEGUN: {"name": str(folder.absolute()), "sha256": weights_digest(folder)}}
    if records is None:
        if prompt_column is not None:
            raise InputError("prompt_column is of records, and there are none; pass records too")
        if isinstance(vocabulary, Symbols):
            raise InputError(
                f"{folder} has sequences of symbols, and no windows of a text; pass records, one a line"
            )
        return PretrainedSource(folder, named, vocabulary, text, None, described)
    drawn = [token for token in named.ends if token not in named.never]
    if drawn:
        vocabulary = Ended(vocabulary, drawn[0])  # type: ignore[arg-type]
    elif named.config.pad_id is None:
        raise InputError(
            f"{folder} tells neither a token that ends a text nor padding, and records need one; write "
            f'the number of an end as "eos_token_id" into {CONFIG_FILE}, or the text of padding as '
            f'"pad_token" into {ABOUT_FILE}'
        )
    column = begun.get("prompt_column") if prompt_column is None else prompt_column
    found = read_records(records, column)
    if found.path is None:
        raise InputError("records of standard input cannot be read again; train on a file")
    trained, held_out = (encode_records(part, vocabulary, named.never) for part in hold_out_records(found))
    described |= {"records": found.path, "prompt_column": column}
    return PretrainedSource(folder, named, vocabulary, None, (trained, held_out), described)


def assert_for_pretrained(given: Mapping[str, Any], begun: Mapping[str, Any]) -> None:
    """Refuses what makes no sense for a network with a size, a vocabulary and files of its own.

    Args:
      given: What is asked for by name; None for nothing.
      begun: Description of the data in the settings of the run; empty for a new one.

    Raises:
      InputError: If something is, or the run was begun with a network of mdmot's.
    """
    if begun and begun_with(begun) is None:
        raise InputError("the run was begun without a pretrained network; begin in another folder")
    wrong = [name for name in FIXED if given.get(name) is not None]
    if wrong:
        raise InputError(f"{wrong[0]} is not for a pretrained network, {FIXED[wrong[0]]}; leave it out")


def begun_with(begun: Mapping[str, Any]) -> pathlib.Path | None:
    """The folder of the pretrained network that a run was begun with; None if it began with none."""
    found = begun.get(BEGUN)
    name = found.get("name") if isinstance(found, dict) else None
    return pathlib.Path(name) if isinstance(name, str) else None
