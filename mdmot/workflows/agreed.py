"""What `mdmot.compare` returns at temperature 0: how much each decoder writes as one position at a time."""

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from mdmot.provenance import jsonable

if TYPE_CHECKING:
    from mdmot.decoders import Agreement, Decoder


class AgreementRow(NamedTuple):
    """A decoder at a number of steps, beside what it writes one position at a time.

    Attributes:
      asked: The decoder as it was asked for; its name is that of the row.
      decoder: What was run: an adaptive one has its knob.
      steps: Number of steps, or of calls that the knob was calibrated to; None for a knob that was given.
      counts: Positions revealed a step; None where the network decides.
      found: The shares.
    """

    asked: "Decoder"
    decoder: "Decoder"
    steps: int | None
    counts: tuple[int, ...] | None
    found: "Agreement"

    def __repr__(self) -> str:
        found = self.found
        return (
            f"AgreementRow({self.asked.name}, {found.network_calls:.4g} calls: {found.sequences.value:.0%})"
        )

    def to_json(self) -> dict[str, Any]:
        """Its object in `rows`."""
        found = self.found
        return {
            "decoder": self.asked.name,
            "steps": self.steps,
            "counts": self.counts,
            "network_calls": found.network_calls,
            "same_tokens": found.tokens,
            "same_sequences": found.sequences.value,
            "standard_error": found.sequences.standard_error,
            "right": found.right and found.right.value,
            "right_standard_error": found.right and found.right.standard_error,
            "right_one_at_a_time": found.reference_right and found.reference_right.value,
            "no_law": found.no_law.value,
            "run_as": self.decoder.name,
        }


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Agreements:
    """Decoders at temperature 0, all from the same beginnings.

    Attributes:
      name: What was decoded, as its user called it.
      sequences: Number of sequences.
      rows: The decoders at their steps.
      right: What counts as right, in words; None where it cannot be decided.
      settings: What it depends on besides, in JSON's types. Where there are fewer `beginnings` than
        sequences, sequences are not independent, and errors larger than `standard_error`.
    """

    name: str
    sequences: int
    rows: tuple[AgreementRow, ...]
    right: str | None
    settings: dict[str, Any]

    def __repr__(self) -> str:
        best = max(self.rows, key=lambda row: row.found.sequences.value)
        calls, same = f"{best.found.network_calls:.4g} calls", f"{best.found.sequences.value:.0%}"
        return (
            f"Agreements({len(self.rows)} rows on {self.sequences} sequences of {self.name}; "
            f"{best.asked.name} in {calls} writes {same} as one at a time)"
        )

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot compare --temperature 0 --json` prints, but for the seed."""
        content = {
            "model": self.name,
            "sequences": self.sequences,
            "right": self.right,
            "rows": [row.to_json() for row in self.rows],
            **self.settings,
        }
        return {name: jsonable(value) for name, value in content.items()}
