"""A network that inserts, by the name that a user gave it, ready to sample."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from mdmot.insertion import InsertionModel
from mdmot.models.insertion_transformer import InsertionConfig
from mdmot.models.named import fitting
from mdmot.models.trained_data import WantedRecords, held_out_in, records_in
from mdmot.names import INSERTION
from mdmot.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class NamedInserter:
    """A network whose rows grow, and what its tokens mean.

    Attributes:
      name: What the user called it.
      model: The network with its weights, its mask and its padding.
      vocabulary: What its clean tokens stand for; the mask is the token after them, padding the next.
      config: The size of the network.
      provenance: Where the network comes from, as it was saved.
      weights_sha256: Digest of its weights, where its files say it.
    """

    process: ClassVar[str] = INSERTION
    """What it is a model of, a name of `mdmot.names.PROCESSES`."""

    functions: ClassVar[str] = "mdmot.insertion.insert and mdmot.evaluate_inserter"
    """What samples and evaluates it in Python, in a sentence."""

    name: str
    model: InsertionModel
    vocabulary: Vocabulary
    config: InsertionConfig
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    weights_sha256: str | None = None

    def __repr__(self) -> str:
        return (
            f"NamedInserter({self.name!r}: rows of any length up to {self.length}, "
            f"{self.vocabulary.size} kinds of tokens)"
        )

    @property
    def length(self) -> int:
        """Tokens of the longest row that it has room for."""
        return self.config.length

    @property
    def trained_on_records(self) -> WantedRecords | None:
        """The records that it says it was trained on."""
        return records_in(self.provenance)

    @property
    def held_out(self) -> Mapping[str, Any]:
        """What it says of the records that its training held out, as their digest; empty for nothing."""
        return held_out_in(self.provenance)

    @property
    def about(self) -> str:
        """What it does, behind its name in a sentence."""
        records = self.trained_on_records
        return "makes rows of any length" + ("" if records is None else f" (trained on {records.path})")

    def rows_at_once(self, length: int, most: int) -> int:
        """Rows of a network call: as many as fit into memory, `most` at most, one at least.

        Args:
          length: Tokens of the buffer of a row.
          most: Rows at most.
        """
        config = self.config
        widest = max(
            *(config.vocab_size, config.width * config.expansion),
            # Of each gap the law of a number, and of a step the matrix that thins it.
            *(config.heads * (length + 2), 2 * (config.length + 1)),
        )
        return fitting(most, length * widest)
