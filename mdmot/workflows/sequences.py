"""Sequences of any number and lengths, sampled in batches that fit into memory."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mdmot.denoisers import Guided, GuidedDenoiser
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.models import Named
from mdmot.models.named import ENTRIES
from mdmot.plans import Plan
from mdmot.samplers import Rule, SemiAutoregressive, sample, sample_trajectory
from mdmot.samplers.planned import masked_numbers
from mdmot.schedules import StepGrid
from mdmot.workflows.progress import Show, counted


class Sample(NamedTuple):
    """One sequence.

    Attributes:
      tokens: Its tokens.
      network_calls: Network calls that it needed.
    """

    tokens: list[int]
    network_calls: int


Film = Callable[[Sequence[int], np.ndarray], None]
"""`film(numbers, points)`: the numbers of some sequences, and their tokens at all points in time."""


class Batch(NamedTuple):
    """Sequences of one length.

    Attributes:
      numbers: Which ones.
      size: Sequences that are sampled at once; the last one is repeated if there are fewer, since every
        size is compiled apart.
    """

    numbers: list[int]
    size: int


def sampled(
    seed: int,
    rule: Rule | SemiAutoregressive,
    named: Named,
    grid: StepGrid | None,
    rows: Sequence[Sequence[int]],
    *,
    guidance: float | None = None,
    work: str = "sample",
    show: Show | None = None,
    film: Film | None = None,
) -> list[Sample]:
    """The masks of sequences filled in; each from the seed and its own number alone, whatever the batch.

    Args:
      seed: Seed of all sequences.
      rule: The unmasking rule.
      named: What is sampled.
      grid: Its steps; None if the rule finds them itself.
      rows: The sequences, of any lengths that it has.
      guidance: Scale of the guidance away from what is likely without what is given; None for none.
      work: What the work is called in progress.
      show: Called as batches end.
      film: What to do with the sequences at all points in time.

    Returns:
      The samples, in the order of the rows.

    Raises:
      InputError: If there was nothing to draw from.
    """
    parts = batches(rows, named.entries)
    advance = counted(show, work, len(parts))
    found: dict[int, Sample] = {}
    for batch in parts:
        found |= _drawn(seed, rule, named.model, grid, rows, batch, guidance, film)
        advance(f"{len(found)} of {len(rows)} sequences")
    return [found[number] for number in range(len(rows))]


def stretched_to(
    plan: Plan, rule: Rule | SemiAutoregressive, rows: Sequence[Sequence[int]], mask_id: int
) -> list[int]:
    """The numbers of masked tokens that a plan is stretched to; none if it is for them."""
    numbers = set().union(*(masked_numbers(np.array([row]), rule, mask_id) for row in rows))
    return sorted(numbers) if numbers - {plan.length} else []


def batches(rows: Sequence[Sequence[int]], entries: int) -> list[Batch]:
    """All sequences in batches as even as can be, the shortest first.

    Args:
      rows: The sequences.
      entries: Numbers that each needs in memory at once.

    Returns:
      The batches.

    Example:
      >>> batches([(0, 1), (0,), (1, 1), (2, 2)], entries=ENTRIES // 2)
      [Batch(numbers=[1], size=1), Batch(numbers=[0, 2], size=2), Batch(numbers=[3], size=2)]
    """
    most = max(1, ENTRIES // entries)
    found = []
    for length in sorted({len(row) for row in rows}):
        same = [number for number, row in enumerate(rows) if len(row) == length]
        size = -(-len(same) // -(-len(same) // most))
        found += [Batch(same[first : first + size], size) for first in range(0, len(same), size)]
    return found


def _drawn(
    seed: int,
    rule: Rule | SemiAutoregressive,
    model: Model,
    grid: StepGrid | None,
    rows: Sequence[Sequence[int]],
    batch: Batch,
    guidance: float | None,
    film: Film | None,
) -> dict[int, Sample]:
    """The samples of one batch by their numbers."""
    numbers, mask_id = batch.numbers, model.mask_id
    if not any(mask_id in rows[number] for number in numbers):
        return {number: Sample(list(rows[number]), 0) for number in numbers}
    padded = [*numbers, *[numbers[-1]] * (batch.size - len(numbers))]
    tokens = jnp.asarray([rows[number] for number in padded], jnp.int32)
    key = jax.random.key(seed)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(padded, jnp.uint32))
    if guidance is not None:
        guided = Guided(model.params, guidance, tokens != mask_id)
        model = Model(GuidedDenoiser(model.denoiser, mask_id), guided, mask_id)
    if film is None:
        result = sample(keys, rule, model, grid, tokens)
    else:
        result, path = sample_trajectory(keys, rule, model, grid, tokens)
        film(numbers, np.asarray(path)[:, : len(numbers)])
    # The lists may be longer than the numbers.
    finite, calls = result.finite.tolist(), result.network_calls.tolist()
    bad = [number for number, is_fine in zip(numbers, finite, strict=False) if not is_fine]
    if bad:
        raise InputError(
            f"nothing to draw from in {len(bad)} sequences, the first number {bad[0]}: logits were nan or "
            "infinite, or all tokens impossible; check the model's weights, and --forbid"
        )
    samples = map(Sample, result.tokens.tolist(), calls)
    return dict(zip(numbers, samples, strict=False))
