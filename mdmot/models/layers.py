"""What networks are built from, as functions of arrays: attention, rotary positions, norms."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

Features = Float[Array, "batch length width"]


def inverse_frequencies(size: int, base: float) -> np.ndarray:
    """Angle a position by which rotary positions turn each pair of a head's features, in float32.

    Args:
      size: Features of a head; even.
      base: The slowest pair turns by nearly its inverse; 10000 in the paper.

    Example:
      >>> inverse_frequencies(4, 100.0)
      array([1. , 0.1], dtype=float32)
    """
    return (base ** (-np.arange(0, size, 2) / size)).astype(np.float32)


def turns(length: int, frequencies: np.ndarray | Float[Array, " half"]) -> tuple[Array, Array]:
    """Cosines and sines of the angles at every position, each of shape [length, 1, half].

    Args:
      length: Number of positions.
      frequencies: Angles a position, as `inverse_frequencies` gives them. NumPy's become constants of
        the program: a sampler calls a network under a condition, out of which XLA moves nothing that
        it could compute once.
    """
    if isinstance(frequencies, np.ndarray):
        angles = np.outer(np.arange(length), frequencies.astype(np.float64))[:, None]
        cos, sin = np.cos(angles), np.sin(angles)
        return jnp.asarray(cos, frequencies.dtype), jnp.asarray(sin, frequencies.dtype)
    angle = jnp.outer(jnp.arange(length, dtype=frequencies.dtype), frequencies)[:, None]
    return jnp.cos(angle), jnp.sin(angle)


def turned(
    x: Float[Array, "batch length heads features"], turn: tuple[Array, Array]
) -> Float[Array, "batch length heads features"]:
    """Rotary positions: turns feature i with feature i + features / 2 by an angle for each position.

    Inner products of turned vectors depend on positions through their difference alone.

    Args:
      x: Queries or keys; an even number of features.
      turn: Cosines and sines, as `turns` gives them.

    Example:
      >>> turn = turns(4, inverse_frequencies(2, 10.0))
      >>> x = turned(jnp.ones((1, 4, 1, 2)), turn)
      >>> bool(jnp.allclose((x[:, 0] * x[:, 1]).sum(), (x[:, 2] * x[:, 3]).sum()))
      True

    References:
      Su et al., arXiv:2104.09864.
    """
    half = x.shape[-1] // 2
    cos, sin = (jnp.broadcast_to(part.astype(x.dtype), (*x.shape[:-1], half)) for part in turn)
    first, second = x[..., :half], x[..., half:]
    return jnp.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


def attend(
    query: Float[Array, "batch length heads features"],
    key: Float[Array, "batch length kv_heads features"],
    value: Float[Array, "batch length kv_heads features"],
    is_seen: Bool[Array, "batch *queries length"] | None = None,
) -> Float[Array, "batch length joined"]:
    """What every position reads from all: a mean of the values, weighted by softmax of the products.

    Args:
      query: Heads in groups that share a key and value; `heads` is a multiple of `kv_heads`.
      key: What queries are compared to.
      value: What is read.
      is_seen: The positions that are read, by all or by each position its own; the result of positions
        that none reads means nothing. None for all.

    Returns:
      The heads side by side; of a row that is seen whole, those of None up to rounding.
    """
    mask = None
    if is_seen is not None:
        mask = is_seen[:, None, None, :] if is_seen.ndim == 2 else is_seen[:, None]
    # JAX's function sums bfloat16 in float32, which its own strict mode refuses.
    with jax.numpy_dtype_promotion("standard"):
        mixed = jax.nn.dot_product_attention(query, key, value, mask=mask)
    return mixed.reshape(*mixed.shape[:2], -1)


def attend_near(
    query: Float[Array, "batch length heads features"],
    key: Float[Array, "batch length kv_heads features"],
    value: Float[Array, "batch length kv_heads features"],
    window: int,
    is_seen: Bool[Array, "batch length"] | None = None,
) -> Float[Array, "batch length joined"]:
    """What every position reads from its neighbours, as `attend` with all others unseen.

    Only these are compared: time and memory grow as length x window, not as its square.

    Args:
      query: Heads in groups that share a key and value.
      key: What queries are compared to.
      value: What is read.
      window: How far to both sides positions are read, at least 0.
      is_seen: The positions that are read; the result of one that sees none means nothing. None for all.

    Returns:
      The heads side by side.
    """
    batch, length, groups, size = key.shape

    def near(x: Array) -> Array:
        """[batch, length, ...] as [batch, length, 2 window + 1, ...]."""
        padded = jnp.pad(x, ((0, 0), (window, window), *[(0, 0)] * (x.ndim - 2)))
        return jnp.stack([padded[:, by : by + length] for by in range(2 * window + 1)], axis=2)

    there = near(jnp.ones((batch, length), bool) if is_seen is None else is_seen)
    grouped = query.reshape(batch, length, groups, -1, size)
    scores = jnp.einsum("blgqd,blwgd->blgqw", grouped, near(key), preferred_element_type=_wide(query))
    scores = scores / np.sqrt(size).astype(scores.dtype)
    lowest = jnp.finfo(scores.dtype).min  # not -inf, which makes nan of a position that sees none
    weights = jax.nn.softmax(jnp.where(there[:, :, None, None], scores, lowest))
    mixed = jnp.einsum("blgqw,blwgd->blgqd", weights.astype(value.dtype), near(value))
    return mixed.reshape(batch, length, -1)


def linear(layer: dict[str, Array], x: Features) -> Float[Array, "batch length outputs"]:
    """Features times the kernel, plus the bias if there is one."""
    y = x @ layer["kernel"]
    return y + layer["bias"][None, None] if "bias" in layer else y


def self_attention(
    layer: dict[str, dict[str, Array]],
    x: Features,
    heads: int,
    is_seen: Bool[Array, "batch *queries length"] | None = None,
    turn: tuple[Array, Array] | None = None,
    epsilon: float = 0.0,
) -> Features:
    """What every position of a sequence reads from all, with linear maps before and after.

    Args:
      layer: Linear maps: query, key, value, attention_out; where every head of the queries and keys has
        mean square 1, its scales too: query_norm, key_norm.
      x: Features.
      heads: Heads of the query; those of key and value follow from their width.
      is_seen: As `attend` takes it.
      turn: Rotary positions, as `turns` gives them; None for none.
      epsilon: Added to the mean square of a head.
    """
    size = layer["query"]["kernel"].shape[1] // heads
    query, key, value = (
        linear(layer[name], x).reshape(*x.shape[:2], -1, size) for name in ("query", "key", "value")
    )
    if "query_norm" in layer:
        query = rms_norm(layer["query_norm"], query, epsilon)
        key = rms_norm(layer["key_norm"], key, epsilon)
    if turn is not None:
        query, key = turned(query, turn), turned(key, turn)
    return linear(layer["attention_out"], attend(query, key, value, is_seen))


def layer_norm(layer: dict[str, Array], x: Features, epsilon: float) -> Features:
    """Features with mean 0 and variance 1, scaled, and shifted if there is a bias; in float32 at least."""
    wide = x.astype(_wide(x))
    centred = wide - wide.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    unit = (centred * jax.lax.rsqrt(variance + epsilon)).astype(x.dtype)
    scaled = unit * layer["scale"][None, None]
    return scaled + layer["bias"][None, None] if "bias" in layer else scaled


def rms_norm(
    layer: dict[str, Array], x: Float[Array, "*positions width"], epsilon: float
) -> Float[Array, "*positions width"]:
    """Features with mean square 1, scaled; in float32 at least."""
    wide = x.astype(_wide(x))
    unit = wide * jax.lax.rsqrt((wide * wide).mean(axis=-1, keepdims=True) + epsilon)
    return unit.astype(x.dtype) * jnp.broadcast_to(layer["scale"], x.shape)


def logits_of(
    x: Float[Array, "batch positions width"], kernel: Float[Array, "width vocab"]
) -> Float[Array, "batch positions vocab"]:
    """Features times the kernel, summed and returned in float32 at least."""
    return jnp.matmul(x, kernel, preferred_element_type=_wide(x))


def through(block: Callable[[Any, Features], Features], layers: Any, x: Features) -> Features:
    """Features after all blocks, which are compiled once.

    Gradients keep the results of the linear maps and compute the rest again: that is less to write to
    memory, which on a CPU costs more than the arithmetic.

    Args:
      block: `block(layer, x)`.
      layers: The weights of all blocks, stacked along the first axis of each leaf.
      x: Features before the first.
    """
    kept = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
    # Inside a loop nothing can be merged with the second computation, so no barrier is needed.
    again = jax.checkpoint(block, policy=kept, prevent_cse=False)
    return jax.lax.scan(lambda x, layer: (again(layer, x), None), x, layers)[0]


def _wide(x: Array) -> jnp.dtype:
    """Float32, or the type of the array if it is wider."""
    return jnp.dtype(jnp.float32) if x.dtype.itemsize < 4 else x.dtype
