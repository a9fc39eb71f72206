"""The negative evidence lower bound of a masked diffusion model: sampled, exact, under any schedule."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from mdmot._types import Denoiser, Params, PRNGKey, Tokens
from mdmot.errors import InputError
from mdmot.training.cross_entropy import masked_cross_entropy, pattern_losses
from mdmot.training.masks import CountedMasks
from mdmot.training.spread import Independent, Shifted

MAX_PATTERNS = 2**16


def nelbo(
    key: PRNGKey,
    denoiser: Denoiser,
    params: Params,
    tokens: Tokens,
    mask_id: int,
    is_given: Bool[Array, "batch length"] | None = None,
    log_weights: Float[Array, "batch length"] | None = None,
) -> Float[Array, " batch"]:
    r"""Unbiased estimate of each sequence's NELBO, in nats, from one mask pattern a row.

    The bound is the same under every mask schedule; integrated over alpha = P(unmasked), it makes all
    numbers m of masked positions equally likely, and all patterns M of m positions:

    .. math::
        -\log p(x) \le \int_0^1 \frac{1}{1 - \alpha}\,
        \mathbb{E}\Bigl[\sum_{i \text{ masked}} -\log \mu_i(x_i)\Bigr]\, d\alpha
        = \mathbb{E}_{m, M}\, \frac{n}{m} \sum_{i \in M} -\log \mu_i(x_i) .

    So m is drawn, not alpha: a drawn alpha has the same mean but infinite variance, since a lone mask
    would weigh 1/(1 - alpha). The numbers of a batch come from one uniform draw shifted by even steps:
    each row's is uniform, and together they cover 1, ..., n evenly.

    Args:
      key: Randomness of the numbers and the patterns.
      denoiser: The network.
      params: Its weights.
      tokens: Clean sequences.
      mask_id: The token of a masked position.
      is_given: Tokens that are never masked and not counted, for the bound of the others given these; None
        for no such.
      log_weights: log w of each token in the order of revealing, for the bound of those orders; None for
        uniformly random ones.

    Returns:
      One estimate a row; its mean over keys is the row's NELBO.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> def denoiser(params, tokens):
      ...     return jnp.zeros((*tokens.shape, 4))
      >>> value = nelbo(jax.random.key(0), denoiser, None, jnp.zeros((2, 6), int), 4)
      >>> bool(jnp.allclose(value, 6 * jnp.log(4.0)))
      True

    References:
      Chen et al., arXiv:2509.13866, App. C.2; Ou et al., arXiv:2406.03736 (the form in m).
    """
    share_key, order_key = jax.random.split(key)
    share = Shifted().draw(share_key, tokens.shape[0], ())
    uniforms = Independent().draw(order_key, 1, tokens.shape)
    patterns = CountedMasks().patterns(uniforms, share, log_weights, is_given)
    return pattern_losses(denoiser, params, tokens, mask_id, patterns)[0]


def exact_nelbo(denoiser: Denoiser, params: Params, tokens: Tokens, mask_id: int) -> Float[Array, " batch"]:
    r"""Each sequence's NELBO in nats, by all 2^n - 1 mask patterns.

    A pattern with s of n positions unmasked has weight
    :math:`\int \alpha^s (1 - \alpha)^{n-s-1} d\alpha = s!\,(n-s-1)!/n!`. With exact conditionals the
    NELBO is -log p(x).

    Args:
      denoiser: The network.
      params: Its weights.
      tokens: Clean sequences, of at most 16 tokens.
      mask_id: The token of a masked position.

    Returns:
      The NELBO of each row; weigh it by a law's probabilities for the law's NELBO.

    Raises:
      InputError: If there are more than 2^16 patterns.

    Example:
      >>> import jax.numpy as jnp
      >>> def denoiser(params, tokens):
      ...     return jnp.zeros((*tokens.shape, 4))
      >>> value = exact_nelbo(denoiser, None, jnp.zeros((1, 6), int), 4)
      >>> bool(abs(value[0] - 6 * jnp.log(4.0)) < 1e-5)
      True
    """
    totals = _loss_by_unmasked(denoiser, params, tokens, mask_id)
    length = tokens.shape[1]
    weight = np.array([_beta_weight(s, length) for s in range(length)])
    return totals @ jnp.asarray(weight, totals.dtype)


def nelbo_under_schedule(
    denoiser: Denoiser,
    params: Params,
    tokens: Tokens,
    mask_id: int,
    alpha: Float[Array, " nodes"],
    alpha_dot: Float[Array, " nodes"],
    weights: Float[Array, " nodes"],
) -> Float[Array, " batch"]:
    r"""Each sequence's NELBO in nats, integrated in time under a mask schedule.

    .. math::
        \int_0^1 \frac{\dot\alpha}{1 - \alpha}\,
        \mathbb{E}\Bigl[\sum_{i \text{ masked}} -\log \mu_i(x_i)\Bigr]\, dt
        \approx \sum_q w_q\, \dot\alpha_q \sum_{S \ne [n]} \alpha_q^{|S|} (1 - \alpha_q)^{n-|S|-1} L_S ,

    with L_S the loss at the masked positions when S is unmasked. It depends on the schedule through
    its end values alone, so with enough nodes it equals `exact_nelbo`.

    Args:
      denoiser: The network.
      params: Its weights.
      tokens: Clean sequences, of at most 16 tokens.
      mask_id: The token of a masked position.
      alpha: P(unmasked) at the nodes of a quadrature rule on [0, 1]; the ends 0 and 1 are no trouble.
      alpha_dot: Its time derivative at the nodes.
      weights: Weights of the rule.

    Returns:
      The integral for each row.

    Raises:
      InputError: If there are more than 2^16 patterns.

    Example:
      >>> import jax.numpy as jnp
      >>> import numpy as np
      >>> def denoiser(params, tokens):
      ...     return jnp.zeros((*tokens.shape, 4))
      >>> nodes, weights = map(jnp.asarray, np.polynomial.legendre.leggauss(8))
      >>> t, weights = (nodes + 1) / 2, weights / 2
      >>> value = nelbo_under_schedule(
      ...     denoiser, None, jnp.zeros((1, 6), int), 4, t**2, 2 * t, weights)
      >>> bool(abs(value[0] - 6 * jnp.log(4.0)) < 1e-4)
      True

    References:
      Chen et al., arXiv:2509.13866, App. C.2.
    """
    totals = _loss_by_unmasked(denoiser, params, tokens, mask_id)
    length = tokens.shape[1]
    rest = length - 1
    powers = jnp.stack([alpha**s * (1.0 - alpha) ** (rest - s) for s in range(length)], axis=1)
    return totals @ ((weights * alpha_dot) @ powers).astype(totals.dtype)


@functools.partial(jax.jit, static_argnames=("denoiser", "mask_id"))
def _loss_by_unmasked(
    denoiser: Denoiser, params: Params, tokens: Tokens, mask_id: int
) -> Float[Array, "batch length"]:
    """Loss at the masked positions, summed over the patterns with s = 0, ..., n-1 unmasked."""
    length = tokens.shape[1]
    if 2**length > MAX_PATTERNS:
        raise InputError(
            f"sequences of {length} tokens have 2^{length} mask patterns; "
            f"pass at most {MAX_PATTERNS.bit_length() - 1} tokens, or use mdmot.training.nelbo"
        )
    codes = np.arange(2**length - 1)[:, None]
    unmasked = (codes >> np.arange(length)) & 1 == 1
    sizes = unmasked.sum(axis=1)

    def row(clean: Array) -> Array:
        patterns = jnp.broadcast_to(clean, unmasked.shape)
        losses = masked_cross_entropy(denoiser, params, patterns, mask_id, jnp.asarray(~unmasked))
        return jax.ops.segment_sum(losses.sum(axis=1), jnp.asarray(sizes), num_segments=length)

    return jax.lax.map(row, tokens)


def _beta_weight(s: int, length: int) -> float:
    """s! (length - s - 1)! / length!, the integral of alpha^s (1 - alpha)^(length - s - 1)."""
    return 1.0 / (length * math.comb(length - 1, s))
