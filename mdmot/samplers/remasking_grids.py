"""Grids made for remasking: one that stands still on its way, one with short steps."""

import jax.numpy as jnp
import numpy as np

from mdmot.arguments import whole
from mdmot.errors import InputError
from mdmot.samplers.remasking_rules import DFMCorrector
from mdmot.schedules.grids import StepGrid


def loop_grid(num_steps: int, start: float = 0.45, stop: float = 0.95, alpha: float = 0.9) -> StepGrid:
    """The grid of `Loop`: a line up to a level, a stretch at that level, and a line to the end.

    Args:
      num_steps: K >= 1.
      start: Share of the steps after which the grid stands still, in (0, 1).
      stop: Share of the steps after which it goes on, in [start, 1).
      alpha: P(unmasked) on the stretch, in (0, 1).

    Returns:
      The grid of K steps.

    Raises:
      InputError: If a value is out of range.

    Example:
      >>> [round(float(a), 6) for a in loop_grid(10, start=0.4, stop=0.8).alpha[3:]]
      [0.675, 0.9, 0.9, 0.9, 0.9, 0.9, 0.95, 1.0]
    """
    num_steps = whole("num_steps", num_steps)
    if not 0 < start <= stop < 1 or not 0 < alpha < 1:
        raise InputError(
            f"start = {start}, stop = {stop}, alpha = {alpha}; pass 0 < start <= stop < 1, 0 < alpha < 1"
        )
    done = np.arange(num_steps + 1) / num_steps
    masked = np.where(done < start, 1 - done * alpha / start, 1 - alpha)
    end = np.arange(num_steps, -1, -1) / num_steps * ((1 - alpha) / (1 - stop))
    return _grid_from_masked(np.where(done > stop, end, masked))


def dfm_grid(num_steps: int, corrector: DFMCorrector | None = None) -> StepGrid:
    """The grid of `DFMCorrector`: the largest steps up to 1/N in which no probability exceeds 1.

    A step rises by h = min(1/N, 1/((1 + b)/(1 - alpha) + b/alpha)), which takes more than N steps; when
    at most 1/N is masked, one step reveals the rest. At alpha = 0 the term b/alpha, which grows
    without bound, does not count, for nothing is unmasked that could be remasked.

    Args:
      num_steps: N >= 1.
      corrector: The rule; the published one by default.

    Returns:
      The grid.

    Raises:
      InputError: If a value is out of range.

    Example:
      >>> grid = dfm_grid(4)
      >>> grid.reveal.shape[0], [round(float(a), 6) for a in grid.alpha[:3]]
      (19, [0.0, 0.25, 0.277451])
    """
    num_steps = whole("num_steps", num_steps)
    rule = DFMCorrector() if corrector is None else corrector
    rule.assert_values()
    scale, power = float(rule.scale), float(rule.power)
    masked = [1.0]
    while masked[-1] > 1 / num_steps:
        alpha = 1 - masked[-1]
        b = scale * (alpha * masked[-1]) ** power
        rate = (1 + b) / masked[-1] + (b / alpha if alpha > 0 else 0.0)
        masked.append(masked[-1] - min(1 / num_steps, 1 / rate))
    return _grid_from_masked(np.array([*masked, 0.0]))


def _grid_from_masked(masked: np.ndarray) -> StepGrid:
    """The grid on which these shares are masked; reveals are computed in float64 whatever JAX's."""
    return StepGrid(jnp.asarray(1 - masked), jnp.asarray(-np.diff(masked) / masked[:-1]))
