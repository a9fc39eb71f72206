"""What a sampler of K steps is worth, and on how much it is judged unless others are asked for."""

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdmot.metrics import Distance, Estimate, Share

HELD_OUT_SEQUENCES, MOST_LAW_TOKENS = 2**12, 2**20
"""Sequences of a language or a law unless others are asked for, and tokens of a law's at most."""

MOST_STEPS, LEAST_SAMPLES, SAMPLES, TEXT_SAMPLES = 32, 4, 256, 32
LEAST_ORDERS, MOST_ORDERS, TEXT_ORDERS = 8, 32, 1


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What a sampler of K steps is worth; None for measures that make no sense where it was judged.

    Attributes:
      reveal: How its steps reveal tokens, "fixed" or "bernoulli".
      steps: K.
      num: Samples, and sequences whose likelihood was measured.
      orders: Orders that the likelihood of a sequence was averaged over.
      token_error_rate: Perplexity of right sequences under it, at most.
      one_order: The same by one order a sequence.
      least_token_error_rate: The law's own.
      kl_to_sampler: KL(law || sampler), at most, in nats.
      legal_share: Share of samples that are legal.
      kl_to_law: KL(sampler || law), in nats, by frequencies; None if too much was not drawn.
      total_variation: The same distance in total variation.
      unseen: Probability of what was not drawn.
      exact_match: Share of questions answered right.
      questions: How many were asked.
      parse_rate: Share of samples that Python parses.
      parse_rate_of_text: The same of windows of the text.
    """

    reveal: str
    steps: int
    num: int
    orders: int
    token_error_rate: "Estimate"
    one_order: float
    least_token_error_rate: float | None
    kl_to_sampler: "Estimate | None"
    legal_share: "Share | None"
    kl_to_law: "Distance | None"
    total_variation: "Distance | None"
    unseen: float | None
    exact_match: "Share | None"
    questions: int
    parse_rate: "Share | None"
    parse_rate_of_text: "Share | None"

    def measures(self) -> dict[str, Any]:
        """The field `sampler` of `mdmot evaluate --json` but for the schedule, infinities as they are."""
        match, kl, legal = _fields(self.exact_match), _fields(self.kl_to_sampler), self.legal_share
        return {
            "reveal": self.reveal,
            "steps": self.steps,
            "num": self.num,
            "orders": self.orders,
            "token_error_rate": self.token_error_rate._asdict()
            | {"bound": "upper", "one_order": self.one_order},
            "least_token_error_rate": self.least_token_error_rate,
            "kl_to_sampler": kl and kl | {"bound": "upper"},
            "legal_share": _fields(legal),
            "sequence_error_rate": _fields(legal and legal.complement),
            "kl_to_law": _fields(self.kl_to_law),
            "total_variation": _fields(self.total_variation),
            "unseen": self.unseen,
            "exact_match": match and match | {"questions": self.questions},
            "parse_rate": _fields(self.parse_rate),
            "parse_rate_of_text": _fields(self.parse_rate_of_text),
        }


def _fields(found: Any) -> dict[str, Any] | None:
    return None if found is None else dict(found._asdict())
