"""Draws of clean tokens, and the law of a draw whose Gumbel noise is cut off."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int, Key

from mdmot._types import Denoiser, Logits, Params, Tokens
from mdmot.errors import InputError
from mdmot.samplers.contract import StepInfo


def categorical(keys: Key[Array, " batch"], logits: Logits) -> Int[Array, "batch length"]:
    """One token a position, each row from its own key.

    The noise is drawn in float32 with Gumbels that reach 32. JAX's default ones stop at 16, which
    starves the tail of a large vocabulary (`truncated_gumbel_law` says by how much).

    Args:
      keys: One key a row.
      logits: Unnormalised log-probabilities; -inf is an impossible token.

    Returns:
      The tokens. Where a position's logits are no distribution (nan, +inf, or all -inf), an arbitrary
      token.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> keys = jax.random.split(jax.random.key(0), 2)
      >>> logits = jnp.log(jnp.asarray([[[0.0, 1.0]], [[1.0, 0.0]]]))
      >>> [int(token) for token in categorical(keys, logits)[:, 0]]
      [1, 0]
    """
    # A float32 draw whatever the precision of the logits: switching on x64 changes no sample.
    logits = logits.astype(jnp.float32)
    return jax.vmap(lambda key, row: jax.random.categorical(key, row, mode="high"))(keys, logits)


def bernoulli(
    keys: Key[Array, " batch"], prob: Float[Array, ""], length: int
) -> Bool[Array, "batch {length}"]:
    """Independent trials at every position, each row from its own key.

    Args:
      keys: One key a row.
      prob: Probability of True, in [0, 1], met to within a relative 2^-24 plus 2^-46; 0 and 1 exactly.
      length: Positions a row.

    Returns:
      The trials.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> keys = jax.random.split(jax.random.key(0), 2)
      >>> bool(bernoulli(keys, jnp.asarray(1.0), 3).all())
      True
    """
    prob = prob.astype(jnp.float32)
    return jax.vmap(lambda key: jax.random.bernoulli(key, prob, (length,), mode="high"))(keys)


def reveal_tokens(
    keys: Key[Array, " batch"],
    denoiser: Denoiser,
    params: Params,
    tokens: Tokens,
    unmask: Bool[Array, "batch length"],
) -> tuple[Tokens, StepInfo]:
    """Fills the chosen positions from the denoiser, without a network call when there are none.

    Args:
      keys: One key a row.
      denoiser: The network.
      params: Its weights.
      tokens: The sequences before the step.
      unmask: The positions to fill; masked ones.

    Returns:
      The sequences after the step, and the report: a row counts a call if it reveals a position.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> keys, tokens = jax.random.split(jax.random.key(0), 1), jnp.full((1, 3), 2)
      >>> unmask = jnp.asarray([[True, False, True]])
      >>> params = jnp.asarray([0.0, -jnp.inf])
      >>> tokens, info = reveal_tokens(keys, denoiser, params, tokens, unmask)
      >>> [int(token) for token in tokens[0]], int(info.network_calls[0])
      ([0, 2, 0], 1)
    """

    def call_network(tokens: Tokens) -> tuple[Tokens, Bool[Array, " batch"]]:
        logits = denoiser(params, tokens)
        drawn = categorical(keys, logits).astype(tokens.dtype)
        # The largest logit is nan if any is, +inf if any is, and -inf only if all are.
        is_law = jnp.isfinite(logits.max(axis=-1))
        return jnp.where(unmask, drawn, tokens), (is_law | ~unmask).all(axis=1)

    def stay(tokens: Tokens) -> tuple[Tokens, Bool[Array, " batch"]]:
        return tokens, jnp.ones(tokens.shape[0], bool)

    tokens, finite = jax.lax.cond(unmask.any(), call_network, stay, tokens)
    return tokens, StepInfo(unmask.any(axis=1).astype(jnp.int32), finite)


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
