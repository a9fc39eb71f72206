"""The law of a draw whose Gumbel noise is cut off: why `categorical` draws in another way."""

import numpy as np
from jaxtyping import Float

from mdmot.errors import InputError


def truncated_gumbel_law(
    prob: Float[np.ndarray, " vocab"], max_gumbel: float
) -> Float[np.ndarray, " vocab"]:
    r"""Exact law of argmax(log prob + G) for independent Gumbels G that cannot exceed `max_gumbel`.

    With the probabilities sorted, p_1 <= ... <= p_V, S_i = sum_{k>=i} p_k and e = exp(-max_gumbel),

    .. math::
        p'_j = p_j \sum_{i \le j} (E_i - E_{i-1}) / S_i, \qquad
        E_i = \exp\Bigl(-e \sum_{k \ge i} (p_k - p_i) / p_i\Bigr), \quad E_0 = 0.

    Every term is non-negative, so mass moves to the likely tokens, as at a lower temperature: float32
    uniforms on multiples of 2^-24 cut at 24 ln 2 = 16.6, JAX's default ones at 15.9.

    Args:
      prob: A probability vector; zeros allowed.
      max_gumbel: The cut, finite.

    Returns:
      The law of the draw, in float64. The sums run over positive terms only; no cancellation.

    Raises:
      InputError: If `prob` is no probability vector.

    Example:
      >>> import numpy as np
      >>> law = truncated_gumbel_law(np.array([0.02, 0.08, 0.2, 0.3, 0.4]), 2.0)
      >>> [round(float(p), 6) for p in law]
      [4.5e-05, 0.026724, 0.175446, 0.323004, 0.474781]

    References:
      The bias: Zheng et al., arXiv:2409.02908.
    """
    prob = np.asarray(prob, np.float64)
    if not ((prob >= 0).all() and abs(prob.sum() - 1.0) < 1e-6):
        raise InputError(f"prob sums to {prob.sum():g}; pass probabilities >= 0 that sum to 1")
    order = np.argsort(prob, kind="stable")
    order = order[prob[order] >= np.finfo(np.float64).tiny]  # below, quotients overflow; nothing is lost
    p = prob[order]
    cut = np.exp(-max_gumbel)
    tail = np.cumsum(p[::-1])[::-1]
    rise = np.diff(p)
    followers = np.arange(len(p) - 1, 0, -1)
    excess = np.append(np.cumsum((followers * rise)[::-1])[::-1], 0.0)  # sum_{k>=i} (p_k - p_i)
    bounded = np.exp(-cut * (excess / p))
    # E_i - E_{i-1}, from log E_i - log E_{i-1} = e S_i (p_i - p_{i-1}) / (p_i p_{i-1}).
    with np.errstate(over="ignore"):
        step = -np.expm1(-cut * (tail[1:] / p[1:]) * (rise / p[:-1]))
    gain = bounded * np.append(1.0, step) / tail
    law = np.zeros_like(prob)
    law[order] = p * np.cumsum(gain)
    return law
