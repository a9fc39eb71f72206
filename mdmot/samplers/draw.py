"""Draws of clean tokens: two uniforms a token, exact in the tails in float32."""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int, Key

from mdmot.samplers.selection import block_sums, places, root


def uniforms(keys: Key[Array, " batch"], length: int, count: int) -> Float[Array, "batch {length} {count}"]:
    """Uniform numbers in [0, 1] whose small values have all their digits, each row from its own key.

    Multiples of 2^-64 rounded to float32: a value near 2^-40 still has 24 bits, where JAX's own
    uniforms are multiples of 2^-23.

    Args:
      keys: One key a row.
      length: Positions a row.
      count: Numbers a position.

    Returns:
      The numbers, in float32.

    Example:
      >>> import jax
      >>> keys = jax.random.split(jax.random.key(0), 2)
      >>> u = uniforms(keys, 3, 2)
      >>> u.shape, bool(((u >= 0) & (u <= 1)).all())
      ((2, 3, 2), True)
    """
    words = jax.vmap(lambda key: jax.random.bits(key, (2, length, count), jnp.uint32))(keys)
    return _uniform(words[:, 0], words[:, 1])


def uniforms_by_position(
    keys: Key[Array, " batch"], length: int, count: int
) -> Float[Array, "batch {length} {count}"]:
    """Uniform numbers as of `uniforms`, each position from a key of its own.

    So a row has the same numbers in a longer buffer, whatever the generator of the keys.

    Args:
      keys: One key a row.
      length: Positions a row.
      count: Numbers a position.

    Returns:
      The numbers, in float32.

    Example:
      >>> import jax
      >>> keys = jax.random.split(jax.random.key(0), 2)
      >>> short, long = uniforms_by_position(keys, 3, 2), uniforms_by_position(keys, 5, 2)
      >>> bool((short == long[:, :3]).all())
      True
    """
    positions = jnp.arange(length)
    own = jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (0, None))(keys, positions)
    words = jax.vmap(jax.vmap(lambda key: jax.random.bits(key, (2, count), jnp.uint32)))(own)
    return _uniform(words[..., 0, :], words[..., 1, :])


def _uniform(high: Array, low: Array) -> Array:
    return (high.astype(jnp.float32) + low.astype(jnp.float32) * 2.0**-32) * 2.0**-32


def bernoulli(
    keys: Key[Array, " batch"], prob: Float[Array, ""], length: int
) -> Bool[Array, "batch {length}"]:
    """Independent trials at every position, each row from its own key.

    Args:
      keys: One key a row.
      prob: Probability of True, in [0, 1], met to within a relative 2^-24 plus 2^-64; 0 and 1 exactly.
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
    return happens(uniforms(keys, length, 1)[..., 0], prob.astype(jnp.float32))


def happens(
    uniform: Float[Array, "batch length"], prob: Float[Array, ""] | Float[Array, "batch length"]
) -> Bool[Array, "batch length"]:
    """Whether what has this probability happens: a uniform that was rounded to 1 is below 1 too."""
    return (uniform < prob) | (prob >= 1)


def categorical(
    uniform: Float[Array, "*shape 2"], logits: Float[Array, "*shape vocab"]
) -> Int[Array, "*shape"]:
    """One token from each row of logits, by two inverse distribution functions in turn.

    The vocabulary is split into about sqrt(V) blocks; the first uniform chooses the block, the second
    the token in it, so that one pass over the vocabulary does, and no noise is drawn for every entry. In
    both choices the weights are summed from the smallest: the digits of the sum are then never coarser
    than the weight that is added, and every probability, however small, is met to a relative 1e-4, most
    to 1e-5.

    Args:
      uniform: Two uniforms a row, as `uniforms` makes them.
      logits: Unnormalised log-probabilities; -inf is an impossible token.

    Returns:
      The tokens. Where the logits are no distribution (nan, +inf, or all -inf), an arbitrary token.

    Example:
      >>> import jax.numpy as jnp
      >>> logits = jnp.log(jnp.asarray([[0.25, 0.0, 0.75], [1.0, 0.0, 0.0]]))
      >>> [int(token) for token in categorical(jnp.asarray([[0.3, 0.9], [0.3, 0.9]]), logits)]
      [2, 0]
    """
    vocab = logits.shape[-1]
    # float32 whatever the precision of the logits: switching on x64 changes no sample.
    logits = logits.astype(jnp.float32)
    num_blocks = root(vocab)
    peak = logits.max(axis=-1, keepdims=True)
    block = _choose(uniform[..., 0], block_sums(logits, num_blocks, of=lambda x: jnp.exp(x - peak)))
    members = block[..., None] + num_blocks * places((*block.shape, -(-vocab // num_blocks)))
    inner = jnp.take_along_axis(logits, jnp.minimum(members, vocab - 1), axis=-1)
    weights = jnp.where(members < vocab, jnp.exp(inner - peak), 0.0)
    return block + num_blocks * _choose(uniform[..., 1], weights)


def _choose(uniform: Float[Array, "*shape"], weights: Float[Array, "*shape entries"]) -> Array:
    """The entry of weight w with probability w / sum(weights)."""
    entries = weights.shape[-1]
    ascending, order = lax.sort((weights, places(weights.shape)), dimension=weights.ndim - 1, num_keys=1)
    below = jnp.cumsum(ascending, axis=-1)
    rank = (below <= uniform[..., None] * below[..., -1:]).sum(axis=-1, dtype=jnp.int32)
    # A uniform that was rounded to 1 belongs to the last entry.
    return jnp.take_along_axis(order, jnp.minimum(rank, entries - 1)[..., None], axis=-1)[..., 0]
