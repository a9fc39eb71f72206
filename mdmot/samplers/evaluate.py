"""Evaluating a denoiser at the positions that a step needs, in chunks of static width."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

from mdmot._types import Denoiser, Params, Tokens
from mdmot.samplers.choice import Choice, Chosen, choose
from mdmot.samplers.contract import StepInfo
from mdmot.samplers.denoisers import LogitsAt, bind, calls_of, take

Values = TypeVar("Values")
"""A pytree of arrays [batch, positions]."""

Summary = Callable[[Int[Array, "batch width"], Float[Array, "batch width vocab"]], Values]
"""What is kept of the logits at some positions of each row."""

CHUNKS, NARROWEST, WIDEST = 8, 8, 64
"""A chunk is an eighth of the length, within these widths: few of them, and little in the last."""


def fill(
    uniform: Float[Array, "batch length 2"],
    denoiser: Denoiser,
    params: Params,
    tokens: Tokens,
    unmask: Bool[Array, "batch length"],
    choice: Choice,
) -> tuple[Tokens, StepInfo]:
    """Fills positions that were chosen without the network: the head and the draw run there only.

    Args:
      uniform: Two uniforms a position.
      denoiser: The network.
      params: Its weights.
      tokens: The sequences before the step.
      unmask: The positions to fill.
      choice: How tokens are chosen.

    Returns:
      The sequences after the step, and the report: no network call if no row fills a position; a row
      is charged if it fills one.

    Example:
      >>> import jax.numpy as jnp
      >>> from mdmot.samplers.choice import Likeliest
      >>> def denoiser(params, tokens):
      ...     return jnp.broadcast_to(params, (*tokens.shape, 2))
      >>> tokens, unmask = jnp.full((1, 3), 2), jnp.asarray([[True, False, True]])
      >>> uniform, params = jnp.zeros((1, 3, 2)), jnp.asarray([0.0, 1.0])
      >>> tokens, info = fill(uniform, denoiser, params, tokens, unmask, Likeliest())
      >>> [int(token) for token in tokens[0]], int(info.network_calls[0])
      ([1, 2, 1], 1)
    """

    def draw(positions: Array, logits: Array) -> Chosen:
        drawn = choose(choice, take(uniform, positions), logits)
        return drawn._replace(tokens=drawn.tokens.astype(tokens.dtype))

    def call_network(tokens: Tokens) -> Chosen:
        return in_chunks(bind(denoiser, params, tokens), unmask, draw, stay(tokens))

    def stay(tokens: Tokens) -> Chosen:
        return Chosen(tokens, jnp.ones(tokens.shape, bool))

    after = lax.cond(unmask.any(), call_network, stay, tokens)
    return after.tokens, info_of(denoiser, unmask.any(axis=1), after.is_law.all(axis=1))


def survey(
    denoiser: Denoiser,
    params: Params,
    tokens: Tokens,
    where: Bool[Array, "batch length"],
    summary: Summary[Values],
    unseen: Values,
) -> Values:
    """Summarises the logits wherever they are needed, to choose positions by what the network says.

    A denoiser with its head apart is evaluated chunk by chunk, at the needed positions only, so that no
    array [batch, length, vocabulary] exists; a plain one has made that array already.

    Args:
      denoiser: The network.
      params: Its weights.
      tokens: The sequences.
      where: The positions that are needed.
      summary: What to keep: `summary(positions, logits)`, a pytree of arrays [batch, positions].
      unseen: The value where the denoiser is not needed, arrays [batch, length].

    Returns:
      The summaries, and `unseen` elsewhere.
    """
    if hasattr(denoiser, "bind") or hasattr(denoiser, "logits_at"):
        return in_chunks(bind(denoiser, params, tokens), where, summary, unseen)
    every = jnp.broadcast_to(jnp.arange(tokens.shape[1], dtype=jnp.int32), tokens.shape)
    seen = summary(every, denoiser(params, tokens))
    return jax.tree.map(lambda new, old: jnp.where(where, new, old), seen, unseen)


def in_chunks(
    logits_at: LogitsAt, where: Bool[Array, "batch length"], summary: Summary[Values], unseen: Values
) -> Values:
    """Summaries at some positions, a static number of positions of each row at a time.

    The chunks go on until the row with the most positions is done; a row's values do not depend on how
    many there are.
    """
    length = where.shape[1]
    width = min(length, max(NARROWEST, min(WIDEST, -(-length // CHUNKS))))
    place = jnp.cumsum(where, axis=1, dtype=jnp.int32)
    most = place[:, -1].max()

    def chunk(carry: tuple[Array, Values]) -> tuple[Array, Values]:
        start, values = carry
        wanted = start + 1 + jnp.arange(width, dtype=jnp.int32)
        # The position of the k-th True; `length`, which is dropped below, if there are fewer.
        positions = (place[:, None, :] < wanted[None, :, None]).sum(axis=2, dtype=jnp.int32)
        inside = jnp.minimum(positions, length - 1)
        new = summary(inside, logits_at(inside))
        # Row by row: a scatter over all rows would gather them on every device of a sharded batch.
        put = jax.vmap(lambda old, new, place: old.at[place].set(new, mode="drop"))
        return start + width, jax.tree.map(lambda old, new: put(old, new, positions), values, new)

    _, values = lax.while_loop(lambda carry: carry[0] < most, chunk, (jnp.int32(0), unseen))
    return values


def info_of(
    denoiser: Denoiser, is_called: Bool[Array, " batch"], finite: Bool[Array, " batch"]
) -> StepInfo:
    """The report of a step with at most one call of the denoiser: rows that need none are not charged."""
    return StepInfo(calls_of(denoiser) * is_called.astype(jnp.int32), finite | ~is_called)
