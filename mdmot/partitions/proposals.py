"""Small changes of an ordered partition, those first that are cheap to judge and have much to gain."""

import numpy as np
from jaxtyping import Float, Int

FLOOR = 0.05
"""Weight of a position without loss, as a share of the mean: it may be what the others should know."""


def proposal(
    generator: np.random.Generator,
    step: Int[np.ndarray, " length"],
    num_steps: int,
    loss: Float[np.ndarray, " length"],
) -> Int[np.ndarray, " length"]:
    """A position moved to another step, or two of different steps exchanged.

    A position is drawn by its loss, as that is what a change can lower. Moving it from step k to step l
    changes what |k - l| steps know, and each takes a network call: steps and partners are drawn by one over
    that distance. No step is left empty.

    Args:
      generator: The randomness.
      step: The step of each position, from 0; every step has one.
      num_steps: K, at least 2.
      loss: Mean loss of each position at its step.

    Returns:
      The steps after the change.

    Example:
      >>> step = np.array([0, 0, 1, 1])
      >>> proposal(np.random.default_rng(0), step, 2, np.ones(4))
      array([0, 0, 0, 1])
    """
    changed = step.copy()
    weight = loss + FLOOR * max(loss.mean(), np.finfo(float).tiny)
    i = generator.choice(step.size, p=weight / weight.sum())
    is_alone = (step == step[i]).sum() == 1
    if not is_alone and generator.random() < 0.5:
        changed[i] = _near(generator, np.abs(np.arange(num_steps) - step[i]))
    else:
        j = _near(generator, np.abs(step - step[i]))
        changed[[i, j]] = step[[j, i]]
    return changed


def kicked(
    generator: np.random.Generator, step: Int[np.ndarray, " length"], num_steps: int, changes: int
) -> Int[np.ndarray, " length"]:
    """The steps after some changes in a row, whatever they cost: a way out where no one change helps."""
    for _ in range(changes):
        step = proposal(generator, step, num_steps, np.ones(step.size))
    return step


def neighbours(length: int, num_steps: int) -> int:
    """At most how many different proposals a partition has."""
    return length * (num_steps - 1) + length * (length - 1) // 2


def _near(generator: np.random.Generator, distance: Int[np.ndarray, " choices"]) -> int:
    """A choice drawn by one over its distance; those of distance 0 never."""
    weight = np.where(distance > 0, 1 / np.maximum(distance, 1), 0.0)
    return int(generator.choice(distance.size, p=weight / weight.sum()))
