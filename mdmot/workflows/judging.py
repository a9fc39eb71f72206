"""What a sampler of K steps makes of a model or a law: the part of `mdmot.evaluate` that samples."""

import math
from typing import NamedTuple

import numpy as np

from mdmot.errors import InputError
from mdmot.information import jax_scorer
from mdmot.metrics import (
    SamplerLikelihood,
    Share,
    exact_match,
    kl_to_law,
    kl_to_sampler,
    legal_share,
    parse_rate,
    sampler_likelihood,
    sequence_error_rate,
    token_error_rate,
    total_variation_to_law,
)
from mdmot.models import Named
from mdmot.orders import Order, Permutation, RandomOrder
from mdmot.plans import Fixed, Plan, RevealKind
from mdmot.samplers import rule_for
from mdmot.schedules import MaskSchedule, StepGrid, masks, step_grid
from mdmot.workflows.judgement import (
    LEAST_ORDERS,
    LEAST_SAMPLES,
    MOST_ORDERS,
    MOST_STEPS,
    SAMPLES,
    TEXT_ORDERS,
    TEXT_SAMPLES,
    Judgement,
)
from mdmot.workflows.progress import Progress, Show, Tell
from mdmot.workflows.right import Right
from mdmot.workflows.sequences import sampled
from mdmot.workflows.tasks import MASK_SIGN

MOST_PARSED = 2**10
"""Windows of text that are parsed, for comparison."""

MOST_ROWS_AT_ONCE = 256

TOKENS = 2**20
"""Tokens of all states of all orders, beyond which there are no more orders than the least."""


class Sampling(NamedTuple):
    """The sampler that is judged, and on how much.

    Attributes:
      grid: Its steps.
      kind: How they reveal tokens.
      num: Samples, and sequences whose likelihood is measured.
      orders: Orders that the likelihood of a sequence is averaged over.
      order: The order of the positions.
    """

    grid: StepGrid
    kind: RevealKind
    num: int
    orders: int
    order: Order

    def plan(self, length: int) -> Plan:
        """Its steps for sequences of one length."""
        return Plan(length, self.kind.from_alpha(self.grid.alpha, length), order=self.order)


def settled(
    right: Right,
    num: int | None,
    steps: int | None,
    schedule: MaskSchedule | Plan | None,
    reveal: RevealKind | None,
    orders: int | None,
    tell: Tell,
) -> Sampling | None:
    """The sampler with its defaults, refused before any long work if they do not fit together.

    Args:
      right: What is known of right sequences.
      num: Samples, and sequences whose likelihood is measured; 0 for none.
      steps: K.
      schedule: Mask schedule or plan.
      reveal: How the steps reveal tokens.
      orders: Orders that the likelihood of a sequence is averaged over.
      tell: Called with a line where a plan is stretched to the length of the sequences.

    Returns:
      The sampler; None if no sample is to be drawn.

    Raises:
      InputError: If they do not.
    """
    length, is_text = right.tokens.shape[1], right.source == "text"
    is_asked = any(value is not None for value in (steps, schedule, reveal, orders))
    if isinstance(schedule, Plan):
        kind, steps = reveal or type(schedule.reveal), steps or schedule.steps
        if schedule.steps != steps:
            raise InputError(
                f"the plan has {schedule.steps} steps, and {steps} are asked for; leave them out"
            )
        if (note := schedule.stretched_note(length)) is not None:
            tell(f"note: {note}")  # the counts of any length are read from its alphas
    else:
        kind, steps = reveal or Fixed, steps or min(length, MOST_STEPS)
    if num is None:
        num = SAMPLES
        if is_text:
            num = TEXT_SAMPLES if right.is_python or is_asked else 0
    if num == 0:
        return None
    if num < LEAST_SAMPLES:
        raise InputError(f"--num {num}: errors take at least {LEAST_SAMPLES} samples; pass 0 for none")
    usual = min(max(LEAST_ORDERS, TOKENS // (num * length * steps)), MOST_ORDERS)
    orders = orders or (TEXT_ORDERS if is_text else usual)
    if isinstance(schedule, Plan):
        order = schedule.order
        sampling = Sampling(schedule.grid(), kind, num, orders if order.is_random else 1, order)
        sampling.plan(length)  # refuses reveals that the order does not go with
        return sampling
    grid = step_grid(masks.linear() if schedule is None else schedule, steps)
    return Sampling(grid, kind, num, orders, RandomOrder())


def judged(named: Named, right: Right, sampling: Sampling, seed: int, show: Show | None) -> Judgement:
    """Measures what a sampler makes of a model or of a law.

    Args:
      named: The model or the law.
      right: What is known of right sequences.
      sampling: The sampler, and how much is measured.
      seed: Of the samples and the orders.
      show: Called as batches end.

    Returns:
      The measures.

    Raises:
      InputError: If there is but one sequence.
    """
    length, num = right.tokens.shape[1], sampling.num
    masked = np.full((num, length), named.model.mask_id, np.int32)
    tokens = _sampled(named, masked, sampling, seed, show)
    rows = right.spread(num)
    likelihood = _likelihood(named, rows, sampling, seed, show)
    of_sampler, kl, variation, match = None, None, None, None
    if right.log_prob is not None:
        of_sampler = kl_to_sampler(right.log_prob, rows, likelihood.log_likelihood)
        kl = kl_to_law(seed, right.log_prob, tokens)
        variation = total_variation_to_law(seed, right.log_prob, tokens)
    # A permutation of all positions is none of those that a question leaves open.
    has_order = not isinstance(sampling.order, Permutation)
    if has_order and right.language is not None and right.language.asker is not None:
        questions = right.language.questions(seed, rows)
        match = exact_match(_sampled(named, questions, sampling, seed, show), rows)
    return Judgement(
        reveal=sampling.kind.name,
        steps=len(sampling.grid.reveal),
        num=num,
        orders=sampling.orders,
        token_error_rate=token_error_rate(lambda _: likelihood.log_likelihood, rows),
        one_order=token_error_rate(lambda _: likelihood.path_log_likelihood, rows).value,
        least_token_error_rate=None if right.entropy is None else math.exp(right.entropy / length),
        kl_to_sampler=of_sampler,
        legal_share=_legal(right, tokens),
        kl_to_law=kl if kl is not None and kl.is_told else None,
        total_variation=variation if variation is not None and variation.is_told else None,
        unseen=None if kl is None else kl.unseen,
        exact_match=match,
        questions=0 if match is None else len(rows),
        parse_rate=_parsed(named, tokens) if right.is_python else None,
        parse_rate_of_text=_parsed(named, right.spread(MOST_PARSED)) if right.is_python else None,
    )


def _sampled(
    named: Named, rows: np.ndarray, sampling: Sampling, seed: int, show: Show | None
) -> np.ndarray:
    """The masks of rows filled in."""
    length = rows.shape[1]
    found = sampled(
        seed,
        rule_for(sampling.plan(length)),
        named,
        sampling.grid,
        rows.tolist(),
        work="samples",
        show=show,
    )
    return np.array([one.tokens for one in found], np.int32)


def _likelihood(
    named: Named, rows: np.ndarray, sampling: Sampling, seed: int, show: Show | None
) -> SamplerLikelihood:
    """How likely right sequences are under the sampler."""
    if len(rows) < 2:
        raise InputError("one sequence has no standard error; pass a longer text, or --num 0")

    def report(done: int, total: int) -> None:
        if show is not None:
            show(Progress("likelihood", done, total, f"{done:,} of {total:,} states"))

    return sampler_likelihood(
        seed,
        jax_scorer(named.model),
        rows,
        sampling.plan(rows.shape[1]).reveal,
        orders=sampling.orders,
        order=sampling.order,
        batch_size=named.rows_at_once(min(MOST_ROWS_AT_ONCE, len(rows) * sampling.orders)),
        progress=report,
    )


def _legal(right: Right, tokens: np.ndarray) -> Share | None:
    """Share of samples that are in the language, or that the law can make."""
    if right.language is not None:
        return legal_share(right.language, tokens)
    return None if right.log_prob is None else sequence_error_rate(right.log_prob, tokens).complement


def _parsed(named: Named, rows: np.ndarray) -> Share:
    """Share of rows that Python parses."""
    return parse_rate([named.vocabulary.decode(row, MASK_SIGN) for row in rows.tolist()])
