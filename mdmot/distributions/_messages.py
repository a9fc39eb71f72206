"""Forward and backward messages of hidden Markov models, in logarithms and scaled at every position."""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

FEW_STATES = 8
"""Up to here accelerators multiply matrices in parallel; beyond, their states^3 operations cost more than
the states^2 of a scan over the positions."""


def messages(
    log_transition: Float[Array, "states states"],
    log_likelihood: Float[Array, "length batch states"],
    log_final: Float[Array, " states"],
) -> tuple[Float[Array, "length batch states"], Float[Array, "length batch states"]]:
    """What the tokens up to a position, and those after it, say about its state.

    The messages stay in logarithms: after long evidence one way and as long the other way, the states in
    question had weights that no floating-point number holds, and yet are even. Each is scaled to a
    largest entry of 0 (or is -inf throughout), so that float32 keeps its digits at any length.

    The processor runs a scan over the positions. Accelerators, where the depth of a scan is what costs,
    take products of matrices in a tree of depth log(length) if there are few states.

    Args:
      log_transition: Entry [s, r] is log p(next state r | state s).
      log_likelihood: log p(token | state) with the law of the first state added at the first position;
        0 where the token is unknown.
      log_final: Logarithm of the weight of the last state.

    Returns:
      Forward messages, with the token of the position, and backward ones, without; up to a constant a
      position and row.
    """
    args = log_transition, log_likelihood, log_final
    if log_transition.shape[0] > FEW_STATES:
        return messages_by_scan(*args)
    return lax.platform_dependent(*args, cpu=messages_by_scan, default=messages_by_tree)


def messages_by_scan(
    log_transition: Float[Array, "states states"],
    log_likelihood: Float[Array, "length batch states"],
    log_final: Float[Array, " states"],
) -> tuple[Float[Array, "length batch states"], Float[Array, "length batch states"]]:
    """The messages in length * states^2 operations a row, one position after the other."""

    def forward(message: Array, likelihood: Array) -> tuple[Array, Array]:
        message = scaled(through(message, log_transition) + likelihood)
        return message, message

    def backward(message: Array, likelihood: Array) -> tuple[Array, Array]:
        message = scaled(through(message + likelihood, log_transition.T))
        return message, message

    first = scaled(log_likelihood[0])
    last = jnp.broadcast_to(scaled(log_final), first.shape)
    _, ahead = lax.scan(forward, first, log_likelihood[1:])
    _, behind = lax.scan(backward, last, log_likelihood[1:], reverse=True)
    return jnp.concatenate([first[None], ahead]), jnp.concatenate([behind, last[None]])


def messages_by_tree(
    log_transition: Float[Array, "states states"],
    log_likelihood: Float[Array, "length batch states"],
    log_final: Float[Array, " states"],
) -> tuple[Float[Array, "length batch states"], Float[Array, "length batch states"]]:
    """The messages by associative scans, in memory length * batch * states^2."""
    first = scaled(log_likelihood[0])
    last = jnp.broadcast_to(scaled(log_final), first.shape)
    # Step i leads from any state at i to any state at i + 1 with the token there.
    steps = log_transition[None, None] + log_likelihood[1:, :, None, :]
    before = lax.associative_scan(_product, steps)
    after = lax.associative_scan(lambda later, earlier: _product(earlier, later), steps, reverse=True)
    ahead = scaled(jax.nn.logsumexp(first[None, :, :, None] + before, axis=2))
    behind = scaled(jax.nn.logsumexp(last[None, :, None, :] + after, axis=3))
    return jnp.concatenate([first[None], ahead]), jnp.concatenate([behind, last[None]])


def through(
    message: Float[Array, "*batch states"], log_matrix: Float[Array, "states states"]
) -> Float[Array, "*batch states"]:
    """The row vector times the matrix, both in logarithms."""
    matrix = log_matrix.reshape((1,) * (message.ndim - 1) + log_matrix.shape)
    return jax.nn.logsumexp(message[..., :, None] + matrix, axis=-2)


def scaled(message: Float[Array, "*batch states"]) -> Float[Array, "*batch states"]:
    """The message with a largest entry of 0; unchanged if it is -inf throughout."""
    return message - scale(message)


def scale(message: Float[Array, "*batch states"]) -> Float[Array, "*batch 1"]:
    """The largest entry, 0 for -inf: what `scaled` takes off."""
    peak = jnp.max(message, axis=-1, keepdims=True)
    return jnp.where(peak == -jnp.inf, 0.0, peak)


def _product(first: Array, second: Array) -> Array:
    product = jax.nn.logsumexp(first[..., :, :, None] + second[..., None, :, :], axis=-2)
    peak = jnp.max(product, axis=(-2, -1), keepdims=True)
    return product - jnp.where(peak == -jnp.inf, 0.0, peak)
