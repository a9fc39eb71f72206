"""Plans of geometric steps: for laws of small correlation, whatever the profile."""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from mdmot.arguments import whole
from mdmot.plans.steps import whole_steps


def dual_total_correlation_alpha(length: int, num_steps: int) -> Float[Array, " points"]:
    """The grid for laws of small dual total correlation: alpha grows geometrically from 1/n.

    alpha_k = n^-((K-k)/(K-1)), so one token first and steps that grow by a factor 1 + d = n^(1/(K-1)). The
    error is at most d DTC + (TC + DTC)/n, whatever the profile (`bounds.dual_total_correlation_bound`).

    Args:
      length: n >= 1, tokens in a sequence.
      num_steps: K >= 1.

    Returns:
      K+1 alphas from 0 to 1.

    Raises:
      InputError: If the length or K is not whole and positive.

    Example:
      >>> [round(float(a), 4) for a in dual_total_correlation_alpha(64, 4)]
      [0.0, 0.0156, 0.0625, 0.25, 1.0]

    References:
      Chen, Cong and Li, arXiv:2511.04647.
    """
    return jnp.asarray(_growing(length, num_steps), float)


def total_correlation_alpha(length: int, num_steps: int) -> Float[Array, " points"]:
    """The grid for laws of small total correlation: 1 - alpha shrinks geometrically to 1/n.

    The mirror image of `dual_total_correlation_alpha`: steps that shrink by a factor 1 + d = n^(1/(K-1)),
    one token last. The error is at most d/(1+d) TC + (TC + DTC)/n, whatever the profile
    (`bounds.total_correlation_bound`).

    Args:
      length: n >= 1, tokens in a sequence.
      num_steps: K >= 1.

    Returns:
      K+1 alphas from 0 to 1.

    Raises:
      InputError: If the length or K is not whole and positive.

    Example:
      >>> [round(float(a), 4) for a in total_correlation_alpha(64, 4)]
      [0.0, 0.75, 0.9375, 0.9844, 1.0]

    References:
      Chen, Cong and Li, arXiv:2511.04647.
    """
    return jnp.asarray(1 - _growing(length, num_steps)[::-1], float)


def log_odds_alpha(length: int, num_steps: int) -> Float[Array, " points"]:
    """The grid of even steps in log-odds from 1/n to 1 - 1/n, with one token first and one last.

    It serves laws of small correlation of either kind: the error is at most a multiple of the growth mass
    that falls as log(n)/K, and (TC + DTC)/n for each of the first and the last step
    (`bounds.log_odds_bound`).

    Args:
      length: n >= 1, tokens in a sequence.
      num_steps: K >= 1; two steps are halves.

    Returns:
      K+1 alphas from 0 to 1.

    Raises:
      InputError: If the length or K is not whole and positive.

    Example:
      >>> [round(float(a), 4) for a in log_odds_alpha(64, 4)]
      [0.0, 0.0156, 0.5, 0.9844, 1.0]

    References:
      Wainwright 2026, the single geometric block.
    """
    length, num_steps = whole("length", length), whole_steps(num_steps)
    ends = np.log(max(length, 2) - 1.0)
    place = np.linspace(-1, 1, num_steps - 1) if num_steps > 2 else np.zeros(num_steps - 1)
    return jnp.asarray(np.concatenate([[0], 1 / (1 + np.exp(-ends * place)), [1]]), float)


def _growing(length: int, num_steps: int) -> np.ndarray:
    length, num_steps = whole("length", length), whole_steps(num_steps)
    exponent = np.arange(1 - num_steps, 1) / max(num_steps - 1, 1)
    return np.concatenate([[0], float(length) ** exponent])
