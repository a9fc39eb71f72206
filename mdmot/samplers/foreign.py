"""A rule as others see it: a function of prompts and a seed."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from mdmot.model import Model
from mdmot.plans import Plan
from mdmot.samplers.blocks import SemiAutoregressive
from mdmot.samplers.rule import Rule
from mdmot.samplers.sampling import raise_if_failed, sample
from mdmot.schedules.grids import StepGrid


def callable_sampler(
    rule: Rule | SemiAutoregressive, model: Model, grid: StepGrid | Plan | ArrayLike | None
) -> Callable[[np.ndarray, int], np.ndarray]:
    """A rule on a model as a function `sampler(prompts, seed) -> tokens`, which `mdmot.audit` takes.

    Args:
      rule: Which positions are revealed when, and how tokens are chosen.
      model: The network, its weights and its mask; prompts have that mask where tokens are to be drawn.
      grid: The steps or a plan; None for a rule that finds its own.

    Returns:
      The function, of NumPy arrays [batch, length]; each batch size is compiled once. It raises what
      `sample` raises, and InputError for logits that are not finite.

    Example:
      >>> from mdmot.distributions import read_law
      >>> from mdmot.samplers import FixedUnmasking
      >>> from mdmot.schedules import masks, step_grid
      >>> law = read_law("parity:length=4")
      >>> sampler = callable_sampler(FixedUnmasking(), law.model(), step_grid(masks.linear(), 4))
      >>> (sampler(np.full((3, 4), 2), 0).sum(axis=1) % 2).tolist()
      [0, 0, 0]
    """

    def sampler(prompts: np.ndarray, seed: int) -> np.ndarray:
        result = sample(jax.random.key(seed), rule, model, grid, jnp.asarray(prompts, jnp.int32))
        raise_if_failed(result)
        return np.asarray(result.tokens)

    return sampler
