"""Which tokens a pattern masks at a level, and the weights that make each pattern's loss a bound."""

import dataclasses
from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from mdmot.errors import InputError

Uniforms = Float[Array, "draws batch length"]
PerToken = Float[Array, "batch length"]


class Patterns(NamedTuple):
    """Mask patterns, several for each sequence.

    Attributes:
      is_masked: Which tokens the network does not see.
      weight: What the loss of each token is multiplied by; 0 where it is not masked.
    """

    is_masked: Bool[Array, "draws batch length"]
    weight: Float[Array, "draws batch length"]


@runtime_checkable
class MaskLaw(Protocol):
    """Patterns from uniform draws; hashable.

    With log weights log w_l the tokens are revealed in an order of the Plackett-Luce law: the next one is
    l with probability w_l / (sum of w over the masked ones). Of a larger weight a token is revealed
    earlier, so that it is masked at fewer levels. The mean loss is the NELBO of that law of orders, which
    bounds -log p whatever the weights; equal weights, or none, give the usual one.
    """

    def patterns(
        self,
        uniforms: Uniforms,
        share: Float[Array, " batch"],
        log_weights: PerToken | None,
        is_given: Bool[Array, "batch length"] | None,
    ) -> Patterns:
        """Masks the tokens of which the draws are small.

        Args:
          uniforms: In [0, 1), independent of token to token.
          share: The masked share, in [0, 1), of each row.
          log_weights: log w of each token; None for equal ones.
          is_given: Tokens that are never masked, as of a prompt or of padding; None for no such token. A
            row of which all tokens are given has no masks and no loss.
        """
        ...


@dataclasses.dataclass(frozen=True)
class CountedMasks:
    r"""Exactly m = 1 + floor(n share) of the n tokens that are not given, so that no level is empty.

    The loss of a pattern M is :math:`n \sum_{l \in M} w_l c_l / \sum_{k \in M} w_k`: the mean cost of the
    token that is revealed next, times n. Its weights are at most n.

    Example:
      >>> import jax.numpy as jnp
      >>> u = jnp.array([[[0.9, 0.2, 0.4, 0.6]]])
      >>> found = CountedMasks().patterns(u, jnp.array([0.3]), None, None)
      >>> found.weight[0].tolist()
      [[0.0, 2.0, 2.0, 0.0]]

    References:
      Ou et al., arXiv:2406.03736 (the form in m, equal weights).
    """

    def patterns(
        self,
        uniforms: Uniforms,
        share: Float[Array, " batch"],
        log_weights: PerToken | None,
        is_given: Bool[Array, "batch length"] | None,
    ) -> Patterns:
        """See `MaskLaw.patterns`."""
        free = free_tokens(uniforms, is_given)
        count = free.sum(axis=1).astype(share.dtype)
        num_masked = 1 + jnp.floor(count * share).astype(jnp.int32)
        time = jnp.where(free[None], _log_reveal_time(uniforms, log_weights), -jnp.inf)
        # Of equal times, as with draws of few bits, the earlier token counts as later.
        place = jnp.argsort(jnp.argsort(-time, axis=2), axis=2).astype(jnp.int32)
        is_masked = (place < num_masked[None, :, None]) & free[None]
        if log_weights is None:
            exact = jnp.result_type(float)  # the draws are float32 whatever the network is
            weight = (count.astype(exact) / num_masked.astype(exact))[None, :, None]
            return Patterns(is_masked, jnp.where(is_masked, weight, 0.0))
        shifted = jnp.where(is_masked, log_weights[None], -jnp.inf)
        top = shifted.max(axis=2, keepdims=True)
        odds = jnp.where(
            is_masked, jnp.exp(log_weights[None] - jnp.where(jnp.isfinite(top), top, 0.0)), 0.0
        )
        total = odds.sum(axis=2, keepdims=True)
        scale = count.astype(odds.dtype)[None, :, None] / jnp.where(total > 0, total, 1.0)
        return Patterns(is_masked, scale * odds)


@dataclasses.dataclass(frozen=True)
class IndependentMasks:
    r"""Each token by itself with probability s^w; the loss is :math:`\sum_l (w_l/s) c_l` over the masked.

    Here s is the share. With equal weights this is the masking of the paper and of LLaDA. Over all levels
    the variance of the loss is infinite, since a lone mask weighs 1/s: prefer `CountedMasks`, and take
    this law at a given level.

    Example:
      >>> import jax.numpy as jnp
      >>> u = jnp.array([[[0.9, 0.2, 0.4, 0.6]]])
      >>> found = IndependentMasks().patterns(u, jnp.array([0.5]), None, None)
      >>> found.weight[0].tolist()
      [[0.0, 2.0, 2.0, 0.0]]

    References:
      arXiv:2511.18159; Garg et al., arXiv:2511.19152, Eq. 8 (weights).
    """

    def patterns(
        self,
        uniforms: Uniforms,
        share: Float[Array, " batch"],
        log_weights: PerToken | None,
        is_given: Bool[Array, "batch length"] | None,
    ) -> Patterns:
        """See `MaskLaw.patterns`."""
        weights = jnp.ones_like(uniforms[0]) if log_weights is None else jnp.exp(log_weights)
        level = jnp.broadcast_to(share[:, None], weights.shape).astype(weights.dtype)
        is_masked = uniforms.astype(weights.dtype) < (level**weights)[None]
        is_masked &= free_tokens(uniforms, is_given)[None]
        rate = weights / jnp.where(level > 0, level, 1.0)
        return Patterns(is_masked, jnp.where(is_masked, rate[None], 0.0))


@dataclasses.dataclass(frozen=True)
class ReweightedMasks:
    r"""Each token by itself with a probability q of its own, and a loss that weighs 1/q (ISAD, SyRM).

    At the share s token l is masked with probability
    :math:`q_l(s) = (\epsilon + (1 - \epsilon)\, s)^{w_l}`, with w = 1 where no weights are given: of a
    weight below 1 it is masked more often at every level. The loss :math:`\sum_{l \in M} c_l / q_l` over
    the masked is an unbiased estimate of

    .. math::
        \sum_l \mathbb{E}_{M \ni l}\, c_l(M),

    where l is masked and each other token k is with probability :math:`q_k(s)`: every token counts once,
    whatever its q. Over all levels and with equal weights that is the NELBO but for the levels below
    epsilon, which are left out; with unequal weights it is no bound of -log p, since the tokens that are
    masked more often are seen less by the others.

    Attributes:
      least: epsilon, the least masked share of a token of weight 1, above 0 and below 1: no weight 1/q of
        such a token exceeds 1 / epsilon.

    Raises:
      InputError: If it is out of its range.

    Example:
      >>> import jax.numpy as jnp
      >>> u = jnp.array([[[0.6, 0.2, 0.4, 0.6]]])
      >>> log_weights = jnp.log(jnp.array([[0.5, 1.0, 1.0, 1.0]]))  # of the first, q is the root
      >>> found = ReweightedMasks(1e-6).patterns(u, jnp.array([0.49]), log_weights, None)
      >>> [round(w, 2) for w in found.weight[0, 0].tolist()]
      [1.43, 2.04, 2.04, 0.0]

    References:
      arXiv:2511.18159 (masked probabilities of their own with weights 1/q; epsilon as in LLaDA). That q is
      a power of the share is a choice made here.
    """

    least: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.least < 1:
            raise InputError(f"least = {self.least}; pass a share above 0 and below 1")

    def patterns(
        self,
        uniforms: Uniforms,
        share: Float[Array, " batch"],
        log_weights: PerToken | None,
        is_given: Bool[Array, "batch length"] | None,
    ) -> Patterns:
        """See `MaskLaw.patterns`."""
        powers = jnp.ones_like(uniforms[0]) if log_weights is None else jnp.exp(log_weights)
        level = jnp.broadcast_to((self.least + (1.0 - self.least) * share)[:, None], powers.shape)
        chance = level.astype(powers.dtype) ** powers
        is_masked = uniforms.astype(powers.dtype) < chance[None]
        is_masked &= free_tokens(uniforms, is_given)[None]
        return Patterns(is_masked, jnp.where(is_masked, 1.0 / chance[None], 0.0))


def free_tokens(
    uniforms: Uniforms, is_given: Bool[Array, "batch length"] | None
) -> Bool[Array, "batch length"]:
    """The tokens that may be masked."""
    return jnp.ones(uniforms.shape[1:], bool) if is_given is None else ~is_given


def _log_reveal_time(uniforms: Uniforms, log_weights: PerToken | None) -> Uniforms:
    """Falls with the draw: log of -log(u)/w, exponential of rate w; or -u if the weights are equal."""
    if log_weights is None:
        return -uniforms
    time = jnp.log(-jnp.log(uniforms)).astype(log_weights.dtype)
    return time - log_weights[None]
