"""What `mdmot.compare` returns: every decoder with its loss and its calls, and the one to take."""

import dataclasses
import math
import os
import pathlib
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from mdmot.errors import InputError
from mdmot.provenance import jsonable, versions

if TYPE_CHECKING:
    from mdmot.decoders import Decoder, Mean, Measured, Run
    from mdmot.plans import Plan

Unit: TypeAlias = Literal["nats", "bits"]
"""Of a target: nats a sequence, or bits a token."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Row:
    """A decoder at a number of steps, measured.

    Attributes:
      asked: The decoder as it was asked for; its name is that of the row.
      decoder: What was run: an adaptive one has its knob.
      steps: Number of steps, or of calls that the knob was calibrated to; None for a knob that was given.
      run: The rule and its steps.
      measured: The likelihoods of the sequences.
      tokens: Tokens that count in a sequence: what is drawn, of records the text and its end in the mean.
      bytes_per_token: Bytes of the text by its tokens; None where there is no text.
      difference: Loss less that of random order in as many even steps, on the same sequences; None where
        that was not measured, and of random order itself.
    """

    asked: "Decoder"
    decoder: "Decoder"
    steps: int | None
    run: "Run"
    measured: "Measured"
    tokens: float
    bytes_per_token: float | None
    difference: "Mean | None" = None

    def __repr__(self) -> str:
        loss = self.loss
        value = f"{loss.value:.6g} +- {loss.standard_error:.2g}"
        return f"Row({self.name}, {self.network_calls:.4g} calls: {value} nats)"

    @property
    def name(self) -> str:
        """The decoder as it was asked for."""
        return self.asked.name

    @property
    def network_calls(self) -> float:
        """Mean network calls of a sequence."""
        return round(self.measured.calls, 9)

    @property
    def loss(self) -> "Mean":
        """E[-log q(x|u)] in nats a sequence, of a law less its entropy; of what the decoder can draw."""
        return self._not_negative(self.measured.loss)

    @property
    def impossible(self) -> float:
        """Share of the sequences that the decoder cannot draw, in the mean over its draws of u.

        The loss is infinite of a sequence that it cannot draw in one of them.
        """
        return self.measured.impossible

    @property
    def mixture(self) -> "Mean | None":
        """The loss of the mean over u of q(x|u), estimated; None where u was drawn only once."""
        is_known = not self.run.is_random or len(self.measured.log_q) > 1
        return self._not_negative(self.measured.mixture) if is_known else None

    @property
    def kl(self) -> "Mean | None":
        """KL(p || q) of a law, infinite where the decoder cannot draw some sequence in any draw of u.

        Over its whole support, or else an estimate from samples; of a decoder with randomness by the
        mixture, which is too large by what falls with the draws. None for a model, and for one draw.
        """
        if self.measured.sequences.log_prob is None:
            return None
        found = self.mixture if self.run.is_random else self.loss
        if found is None or found.infinite == 0:
            return found
        return found._replace(value=math.inf, standard_error=0.0)

    def _not_negative(self, found: "Mean") -> "Mean":
        """The mean; over all sequences of a law it is a divergence, below 0 by rounding and chance only."""
        is_kl = self.measured.sequences.is_exact and found.infinite == 0
        return found._replace(value=max(found.value, 0.0)) if is_kl else found

    @property
    def bits_per_token(self) -> float:
        """The loss in bits by the tokens that count."""
        return self.loss.value / self.tokens / math.log(2)

    @property
    def bits_per_byte(self) -> float | None:
        """The loss in bits by the bytes of what is drawn; None where there is no text."""
        return None if self.bytes_per_token is None else self.bits_per_token / self.bytes_per_token

    @property
    def plan(self) -> "Plan | None":
        """The plan of a decoder whose order and steps a plan file can hold; None of others."""
        from mdmot.decoders import InOrder
        from mdmot.plans import Plan

        is_plan = isinstance(self.decoder.kind, InOrder) and self.decoder.block is None
        return self.run.steps if is_plan and isinstance(self.run.steps, Plan) else None

    def to_json(self) -> dict[str, Any]:
        """Its object in `rows`."""
        loss, mixture, kl = self.loss, self.mixture, self.kl
        return {
            "decoder": self.name,
            "steps": self.steps,
            "counts": self.run.counts,
            "network_calls": self.network_calls,
            "loss": loss.value,
            "standard_error": loss.standard_error,
            "mixture_loss": mixture and mixture.value,
            "kl": kl and kl.value,
            "bits_per_token": self.bits_per_token,
            "bits_per_byte": self.bits_per_byte,
            "mixture_standard_error": mixture and mixture.standard_error,
            "impossible": self.impossible,
            "run_as": self.decoder.name,
            "difference_to_random": self.difference
            and {"nats": self.difference.value, "standard_error": self.difference.standard_error},
        }


class OneAtATime(NamedTuple):
    """What a ranking costs when it reveals one position a step: the model's own part of every loss.

    Attributes:
      decoder: The ranking.
      loss: Its mean; of a law at its own temperature 0, by the chain rule.
      difference: Loss less that of random order one at a time, on the same sequences; None where unknown.
      sequences: Number of sequences that it was measured on; 0 where it is known without any.
    """

    decoder: str
    loss: "Mean"
    difference: "Mean | None"
    sequences: int

    def to_json(self) -> dict[str, Any]:
        """Its object in `one_at_a_time`."""
        return {
            "decoder": self.decoder,
            "loss": self.loss.value,
            "standard_error": self.loss.standard_error,
            "difference_to_random": self.difference
            and {"nats": self.difference.value, "standard_error": self.difference.standard_error},
            "sequences": self.sequences,
        }


class Chosen(NamedTuple):
    """A row to take.

    Attributes:
      number: Which one.
      is_sure: Whether it reaches the target beyond its error; without a target, whether it is told to be
        better than all others.
    """

    number: int
    is_sure: bool


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Decoders of a model or a law, all measured on the same sequences with the same random numbers.

    Attributes:
      name: What was sampled from, as its user called it.
      rows: The decoders at their steps.
      pareto: Numbers of the rows that are worth their calls, by calls: each is told to be better than all
        with fewer.
      choice: The row to take: the cheapest that reaches the target; without one, of a single number of
        steps, that of least loss. None if there is none.
      plan_choice: The same among those that a plan file can hold.
      target: The loss to reach, in nats a sequence; None for none.
      entropy: Of the law, in nats; None of a model.
      one_at_a_time: What the rankings cost one position at a time.
      settings: What it depends on besides, in JSON's types.
    """

    name: str
    rows: tuple[Row, ...]
    pareto: tuple[int, ...]
    choice: Chosen | None
    plan_choice: Chosen | None
    target: float | None
    entropy: float | None
    one_at_a_time: tuple[OneAtATime, ...]
    settings: dict[str, Any]

    def __repr__(self) -> str:
        chosen = "" if self.choice is None else f"; take {self.rows[self.choice.number]!r}"
        missed = "" if self.target is None or self.choice is not None else "; none reaches the target"
        number = f"{'all ' if self.is_exact else ''}{self.sequences}"
        return f"Comparison({len(self.rows)} rows on {number} sequences of {self.name}{chosen}{missed})"

    @property
    def sequences(self) -> int:
        """Number of sequences that every decoder was measured on."""
        return len(self.rows[0].measured.sequences.tokens)

    @property
    def is_exact(self) -> bool:
        """Whether they are the whole support of a law."""
        return self.rows[0].measured.sequences.is_exact

    @property
    def is_of_law(self) -> bool:
        """Whether the loss is beyond the entropy of a law, and not the whole -log-likelihood."""
        return self.entropy is not None

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot compare --json` prints, but for the seed."""
        content = {
            "model": self.name,
            "unit": "nats",
            "sequences": self.sequences,
            "exact": self.is_exact,
            "entropy": self.entropy,
            "rows": [row.to_json() for row in self.rows],
            "pareto": self.pareto,
            "choice": self._chosen(self.choice),
            "plan_choice": self._chosen(self.plan_choice),
            "target": self.target,
            "one_at_a_time": [each.to_json() for each in self.one_at_a_time],
            **self.settings,
        }
        return {name: jsonable(value) for name, value in content.items()}

    def _chosen(self, chosen: Chosen | None) -> dict[str, Any] | None:
        if chosen is None:
            return None
        return {"row": chosen.number, "is_sure": chosen.is_sure, **self.rows[chosen.number].to_json()}

    def best_plan(self) -> "Plan":
        """The plan to take, with its order and where it comes from.

        Raises:
          InputError: If there is none.
        """
        row = None if self.plan_choice is None else self.rows[self.plan_choice.number]
        plan = None if row is None else row.plan
        if row is None or plan is None:
            raise InputError(
                "no order at its steps was chosen, so that there is no plan; give a target that one "
                "reaches, or a single number of steps"
            )
        provenance = {
            "command": "mdmot compare",
            "source": self.name,
            "versions": versions(),
            "decoder": row.name,
            "loss": {"nats": row.loss.value, "standard_error": row.loss.standard_error},
            **self.settings,
        }
        known = max(row.loss.value, 0.0) if self.is_of_law else None
        return dataclasses.replace(plan, path_kl=known, provenance=jsonable(provenance))

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the plan to take, for `mdmot sample --schedule`.

        Raises:
          InputError: If there is none, or it cannot be written.
        """
        from mdmot.plans import write_plan

        write_plan(pathlib.Path(path), self.best_plan())
