"""Sequences of any number and lengths, sampled in batches."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mdmot.cli.rows import Row
from mdmot.cli.samplers import Rule, Run, make_run
from mdmot.cli.words import Given
from mdmot.denoisers import Guided, GuidedDenoiser
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.models.named import ENTRIES
from mdmot.samplers import sample, sample_trajectory
from mdmot.samplers.planned import masked_numbers


class Sample(NamedTuple):
    """One sequence.

    Attributes:
      tokens: Its tokens.
      network_calls: Network calls that it needed.
    """

    tokens: list[int]
    network_calls: int


Show = Callable[[Sequence[int], np.ndarray], None]
"""`show(numbers, points)`: the numbers of some sequences, and their tokens at all points in time."""


class Batch(NamedTuple):
    """Sequences of one length.

    Attributes:
      numbers: Which ones.
      size: Sequences that are sampled at once; the last one is repeated if there are fewer, since every
        size is compiled apart.
    """

    numbers: list[int]
    size: int


def batches(rows: Sequence[Row], entries: int) -> list[Batch]:
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


def make_the_run(
    starts: Sequence[Row],
    mask_id: int,
    rule: Rule,
    given: Given,
    block_length: int | None = None,
    steps_only: bool = False,
) -> Run:
    """The rule and its steps, the same for all sequences.

    Args:
      starts: The sequences before they are sampled.
      mask_id: The token of a masked position.
      rule: The sampler of the command line.
      given: The options given for it.
      block_length: Positions of a block; None for no blocks.
      steps_only: Whether a plan may be for another rule.

    Returns:
      The run.

    Raises:
      InputError: If the options make no run.
    """
    most = max(1, *(row.count(mask_id) for row in starts))
    return make_run(rule, min(most, block_length or most), given, block_length, steps_only)


def stretched_to(run: Run, starts: Sequence[Row], mask_id: int) -> list[int]:
    """The numbers of masked tokens that its plan is stretched to; none if it is for them."""
    if run.plan is None:
        return []
    numbers = set().union(*(masked_numbers(np.array([row]), run.rule, mask_id) for row in starts))
    return sorted(numbers) if numbers - {run.plan.length} else []


def draw(
    seed: int,
    run: Run,
    model: Model,
    rows: Sequence[Row],
    batch: Batch,
    guidance: float | None,
    show: Show | None,
) -> dict[int, Sample]:
    """Samples one batch; each sequence from its own number alone, whatever the batch.

    Args:
      seed: Seed of all sequences.
      run: The rule and its steps.
      model: What is sampled.
      rows: All sequences.
      batch: Those that are sampled.
      guidance: Scale of the guidance; None for none.
      show: What to do with the sequences at all points in time.

    Returns:
      The samples by their numbers.

    Raises:
      InputError: If there was nothing to draw from.
    """
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
    if show is None:
        result = sample(keys, run.rule, model, run.grid, tokens)
    else:
        result, path = sample_trajectory(keys, run.rule, model, run.grid, tokens)
        show(numbers, np.asarray(path)[:, : len(numbers)])
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
