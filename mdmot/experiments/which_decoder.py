"""Which decoder: the same law or model, the same network calls, and what each order and plan loses."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax

from mdmot.data import TokenizedCorpus
from mdmot.decoders import (
    Decoder,
    InOrder,
    Mean,
    Measured,
    Sequences,
    law_sequences,
    measure,
    paired_difference,
    pareto_front,
    parse_decoder,
)
from mdmot.distributions import Law, read_law
from mdmot.experiments.text_model import some_windows
from mdmot.information import OrderTable, exact_order_table
from mdmot.models import Named
from mdmot.plans import Plan

CHAIN = "markov:stay=.97,states=4,length=64"
CHAIN_STEPS = (4, 8, 16, 32)
CHAIN_DECODERS = (
    *("random", "random+own", "left-to-right", "bisection", "bisection+own", "low-discrepancy"),
    *("low-discrepancy+own", "entropy"),
)
CHAIN_DRAWS = 128
"""Sequences for the decoder that looks at the tokens, whose loss on a chain has no formula."""

TEXT_LENGTH, TEXT_WINDOWS = 128, 32
TEXT_DECODERS: Mapping[str, tuple[int, ...]] = {
    "random": (4, 8, 16, 32),
    "bisection": (4, 8, 16),
    "low-discrepancy": (4, 8, 16),
    "left-to-right": (8,),
    "entropy": (8,),
}
"""Numbers of steps of each decoder; random order is what the others are compared with."""

REFERENCE = "random"
PICTURED, PICTURED_STEPS = ("random+own", "bisection", "bisection+own", "left-to-right"), 8


class DecoderPoint(NamedTuple):
    """What a decoder loses at one number of steps.

    Attributes:
      decoder: Its name.
      steps: Its steps.
      network_calls: Mean network calls of a sequence.
      loss: E[-log q(x|u)] in nats a sequence, less the entropy of a law that is known.
      standard_error: Of the loss; 0 where it is exact.
      difference: Of the loss to that of random order in even steps of the same number, row by row.
      difference_error: Standard error of the difference.
      above: The difference to random order in the most steps that were tried.
      above_error: Standard error of that.
      counts: Tokens revealed a step.
    """

    decoder: str
    steps: int
    network_calls: float
    loss: float
    standard_error: float
    difference: float
    difference_error: float
    above: float
    above_error: float
    counts: tuple[int, ...]


class DecoderStudy(NamedTuple):
    """What decoders lose on the same sequences.

    Attributes:
      name: The law or the text.
      length: Tokens of a sequence.
      sequences: How many it was measured on; None where what could be computed was.
      points: One for each decoder and number of steps.
      front: Numbers of those that are worth their network calls.
    """

    name: str
    length: int
    sequences: int | None
    points: list[DecoderPoint]
    front: tuple[int, ...]

    def point(self, decoder: str, steps: int) -> DecoderPoint:
        """What one decoder loses."""
        return next(each for each in self.points if (each.decoder, each.steps) == (decoder, steps))

    def worth(self, decoder: str, steps: int) -> int | None:
        """Least number of random even steps here that lose no more; None if more than were tried."""
        loss = self.point(decoder, steps).loss
        enough = [each.steps for each in self.points if each.decoder == REFERENCE and each.loss <= loss]
        return min(enough, default=None)


class WhichDecoder(NamedTuple):
    """What orders and plans are worth.

    Attributes:
      chain: On a chain, computed exactly but for the decoder that looks at the tokens.
      text: On text as a model sees it, measured.
      plans: Some of the chain's plans, by decoder, to look at: which positions open in which step.
    """

    chain: DecoderStudy
    text: DecoderStudy
    plans: dict[str, Plan]


def which_decoder(
    seed: int, named: Named, text: TokenizedCorpus, advance: Callable[[str], None] = lambda _: None
) -> WhichDecoder:
    """What orders and plans are worth on a chain known exactly and on a text.

    Args:
      seed: Of all that is drawn.
      named: The model of the text.
      text: What it has not seen.
      advance: Called with the name of each decoder that is done.

    Raises:
      InputError: If the text is shorter than two windows.
    """
    law = read_law(CHAIN)
    chain = _chain_study(law, seed)
    advance("chain")
    plans = {name: _plan(law, parse_decoder(name), PICTURED_STEPS) for name in PICTURED}
    return WhichDecoder(chain, _text_study(seed, named, text, advance), plans)


def _plan(law: Law, decoder: Decoder, steps: int) -> Plan:
    """A decoder's steps, of an exact table where it follows its own plan."""
    assert isinstance(decoder.kind, InOrder), "only orders have plans"
    table = exact_order_table(law, decoder.kind.order) if decoder.needs_table else None
    plan = decoder.at(steps, law.length, table=table).steps
    assert isinstance(plan, Plan), "all positions are masked"
    return plan


def _chain_study(law: Law, seed: int) -> DecoderStudy:
    drawn = law_sequences(law, CHAIN_DRAWS, seed)
    found: list[tuple[str, int, float, Mean, tuple[int, ...]]] = []
    for name in CHAIN_DECODERS:
        decoder = parse_decoder(name)
        table = exact_order_table(law, decoder.kind.order) if isinstance(decoder.kind, InOrder) else None
        for steps in CHAIN_STEPS:
            run = decoder.at(steps, law.length, table=table)
            assert run.counts is not None, "all rows have the same masked number"
            if table is None:
                measured = measure(
                    jax.random.key(seed), run, law.model(), drawn, max_steps=max(CHAIN_STEPS)
                )
                loss, calls = measured.loss, measured.calls
            else:
                loss, calls = (
                    Mean(_exact_loss(table, run.counts), 0.0, 0.0),
                    float(sum(count > 0 for count in run.counts)),
                )
            found.append((name, steps, calls, loss, run.counts))
    random = {steps: loss.value for name, steps, _, loss, _ in found if name == REFERENCE}
    points = []
    for name, steps, calls, mean, counts in found:
        # The loss of random order is exact: a difference has the error of the decoder's own loss.
        value, error = mean.value, mean.standard_error
        above = (value - random[steps], error, value - random[max(random)], error)
        points.append(DecoderPoint(name, steps, calls, value, error, *above, counts))
    return DecoderStudy(law.spec, law.length, None, points, _front(points))


def _exact_loss(table: OrderTable, counts: tuple[int, ...]) -> float:
    """What a plan costs less the entropy; rounding may take that of an exact plan a little below 0."""
    assert table.log_prob is not None, "an exact table knows the entropy"
    return max(float((table.costs_of(counts) + table.log_prob)[0]), 0.0)


def _front(points: list[DecoderPoint]) -> tuple[int, ...]:
    """The points than which none with as few calls loses less: exact losses are told apart."""
    best = [
        all(point.loss <= other.loss for other in points if other.network_calls <= point.network_calls)
        and all(point.loss < other.loss for other in points if other.network_calls < point.network_calls)
        for point in points
    ]
    return tuple(number for number, is_best in enumerate(best) if is_best)


def _text_study(
    seed: int, named: Named, text: TokenizedCorpus, advance: Callable[[str], None]
) -> DecoderStudy:
    length = min(TEXT_LENGTH, named.length)
    sequences = Sequences(some_windows(text, length, TEXT_WINDOWS))
    most = min(max(map(max, TEXT_DECODERS.values())), length)
    found: dict[tuple[str, int], tuple[Measured, tuple[int, ...]]] = {}
    for name, numbers in TEXT_DECODERS.items():
        for steps in (min(number, length) for number in numbers):
            run = parse_decoder(name).at(steps, length)
            assert run.counts is not None, "all rows have the same masked number"
            key = jax.random.key(seed)
            measured = measure(key, run, named.model, sequences, max_steps=most)
            found[name, steps] = measured, run.counts
        advance(name)
    points = []
    for (name, steps), (measured, counts) in found.items():
        to_same, to_most = (paired_difference(measured, found[REFERENCE, k][0]) for k in (steps, most))
        points.append(
            DecoderPoint(
                name, steps, measured.calls, *measured.loss[:2], *to_same[:2], *to_most[:2], counts
            )
        )
    front = pareto_front([measured for measured, _ in found.values()])
    return DecoderStudy("text", length, len(sequences.tokens), points, front)
