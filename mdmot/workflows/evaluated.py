"""What `mdmot.evaluate` finds: bits of right sequences under a model, and what its sampler is worth."""

import dataclasses
from typing import TYPE_CHECKING, Any

from mdmot.provenance import jsonable
from mdmot.workflows.judgement import Judgement

if TYPE_CHECKING:
    from mdmot.metrics import Estimate

MOST_ROWS_AT_ONCE = 64

WINDOWS, RECORDS = 512, 512
"""Windows of a text, and records, that are evaluated on unless others are asked for."""


@dataclasses.dataclass(frozen=True, repr=False)
class Evaluation:
    """How many bits right sequences cost under a model, at most, and what its sampler is worth.

    Attributes:
      bits_per_token: The model's bound on the information of a token (NELBO), its error over sequences.
      bits_per_byte: The same by bytes of the text; None for symbols.
      tokens: Tokens that were evaluated on.
      documents: How many documents, or sequences of a language or a law, they come from.
      source: What they are of, in a word: "text", "records", "language" or "law".
      least_bits_per_token: The entropy of the law or the language, where known; no model needs fewer.
      sampler: What its samples are worth, if any were drawn.
      nats_per_record: The bound of a whole record, its error over records; None if there are none.
    """

    bits_per_token: "Estimate"
    bits_per_byte: "Estimate | None"
    tokens: int
    documents: int
    source: str
    least_bits_per_token: float | None
    sampler: Judgement | None
    nats_per_record: "Estimate | None" = None

    @property
    def of(self) -> str:
        """What was counted, in a word."""
        return {"text": "documents", "records": "records"}.get(self.source, "sequences")

    def __repr__(self) -> str:
        bits, sampler = self.bits_per_token, self.sampler
        judged = ""
        if sampler is not None:
            rate = sampler.token_error_rate.value
            judged = f"; {sampler.steps} steps: token error rate {rate:.4g} at most"
        return (
            f"Evaluation({bits.value:.4f} +- {bits.standard_error:.2g} bits a token, "
            f"{self.tokens:,} tokens of {self.documents:,} {self.of}{judged})"
        )

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot evaluate --json` prints, but for the seed and the name of a schedule."""
        content = {
            "bits_per_token": self.bits_per_token.value,
            "bits_per_byte": self.bits_per_byte and self.bits_per_byte.value,
            "standard_error": self.bits_per_token.standard_error,
            "tokens": self.tokens,
            "documents": self.documents,
            "sampler": self.sampler and self.sampler.measures(),
        }
        if self.nats_per_record is not None:
            value, error = self.nats_per_record
            content |= {"nats_per_record": value, "nats_per_record_standard_error": error}
        return {name: jsonable(value) for name, value in content.items()}
