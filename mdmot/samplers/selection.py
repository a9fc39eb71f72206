"""The largest entries of a row, by bisection: no sort, and their number or mass may be traced."""

import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

LANES = 1024
"""Entries that are summed side by side."""


def largest(
    scores: Float[Array, "*rows entries"],
    count: Int[Array, "*rows"],
    eligible: Bool[Array, "*rows entries"],
) -> Bool[Array, "*rows entries"]:
    """Marks the `count` largest eligible scores of each row, ties in favour of the lowest index.

    The cut is found bit by bit in 32 passes over the row, where a sort would take several times as
    long on every device.

    Args:
      scores: Scores in float32 (others are cast); nan counts as the lowest, -0 as 0.
      count: How many to mark; all eligible ones if there are fewer.
      eligible: The entries that may be marked.

    Returns:
      The marks: min(count, number eligible) in each row.

    Example:
      >>> import jax.numpy as jnp
      >>> scores, everywhere = jnp.asarray([0.1, 0.7, 0.7, -1.0]), jnp.ones(4, bool)
      >>> [int(i) for i in jnp.flatnonzero(largest(scores, jnp.asarray(1), everywhere))]
      [1]
    """
    code = jnp.where(eligible, ordered_bits(scores), 0)
    count = jnp.minimum(count, eligible.sum(axis=-1, dtype=count.dtype))
    # The highest cut that at least `count` codes reach; the code of an eligible entry is positive.
    reached = lambda cut: (code >= cut).sum(axis=-1, dtype=count.dtype) >= count  # noqa: E731
    cut = _highest(reached, count.shape)[..., None]
    above = code > cut
    missing = count - above.sum(axis=-1, dtype=count.dtype)
    tied = (code == cut) & eligible
    return above | (tied & (jnp.cumsum(tied, axis=-1, dtype=count.dtype) <= missing[..., None]))


def in_order(
    values: Float[Array, "batch length"],
    scores: Float[Array, "batch length"],
    eligible: Bool[Array, "batch length"],
) -> Float[Array, "batch length"]:
    """Values from the largest eligible score to the smallest, then those that are not eligible.

    The first n values are those of the n entries that `largest` marks.

    Args:
      values: What to sort.
      scores: Scores in float32; equal ones keep their order, nan counts as the lowest, -0 as 0.
      eligible: The entries that come first.

    Returns:
      The sorted values.

    Example:
      >>> import jax.numpy as jnp
      >>> values, scores = jnp.asarray([[1.0, 2.0, 3.0, 4.0]]), jnp.asarray([[0.2, 0.9, 0.9, 1.0]])
      >>> [float(x) for x in in_order(values, scores, jnp.asarray([[True, True, True, False]]))[0]]
      [2.0, 3.0, 1.0, 4.0]
    """
    code = jnp.where(eligible, ordered_bits(scores), 0)
    # Of the complement the smallest comes first, and a stable sort keeps the order of ties.
    return lax.sort((~code, values), dimension=1, is_stable=True, num_keys=1)[1]


def nucleus(
    weights: Float[Array, "*rows entries"], mass: Float[Array, "*rows"]
) -> Bool[Array, "*rows entries"]:
    """Marks the heaviest entries of each row, up to and with the first one that reaches a mass.

    Args:
      weights: Non-negative weights, in float32.
      mass: The mass to reach; below 0 one entry is still marked, above the sum all.

    Returns:
      The marks: an entry is marked if the entries before it, heavier or equal with a lower index, weigh
      less than `mass`.

    Example:
      >>> import jax.numpy as jnp
      >>> weights = jnp.asarray([0.1, 0.4, 0.4, 0.1])
      >>> [int(i) for i in jnp.flatnonzero(nucleus(weights, jnp.asarray(0.5)))]
      [1, 2]
    """
    code = ordered_bits(weights)
    mass = jnp.maximum(mass, jnp.finfo(jnp.float32).tiny)

    def above(cut: Array) -> Array:
        """Weight above the cut."""
        return block_sums(weights, of=lambda x: jnp.where(ordered_bits(x) > cut, x, 0.0)).sum(axis=-1)

    # One more than the highest cut above which there is enough: the weight that crosses the mass.
    highest = _highest(lambda cut: above(cut) >= mass, mass.shape)
    cut = (highest + 1)[..., None]
    tied = code == cut
    earlier = jnp.cumsum(tied, axis=-1, dtype=jnp.float32) - 1
    before = above(cut)[..., None] + weights * earlier
    return (code > cut) | (tied & (before < mass[..., None]))


def _highest(holds: Callable[[Array], Array], shape: tuple[int, ...]) -> Array:
    """The highest 32-bit number for which a condition holds that holds up to some number; else 0.

    `holds` takes numbers of shape [*shape, 1] and returns [*shape].
    """

    def refine(bit: Array, cut: Array) -> Array:
        higher = cut | (jnp.uint32(1) << (31 - bit).astype(jnp.uint32))
        return jnp.where(holds(higher[..., None]), higher, cut)

    return lax.fori_loop(0, 32, refine, jnp.zeros(shape, jnp.uint32))


def block_sums(
    x: Float[Array, "*shape entries"], num_blocks: int = 0, of: Callable[[Array], Array] = lambda x: x
) -> Float[Array, "*shape blocks"]:
    """Sums of every `num_blocks`-th entry: block b has the entries b, b + num_blocks, ...

    Interleaved blocks are summed lane by lane, which compilers vectorise; a sum along the last axis
    they may not reorder.

    Args:
      x: Numbers.
      num_blocks: Number of blocks, at most the number of entries; about its square root by default.
      of: A function to sum, of each entry alone.

    Returns:
      The sums.

    Example:
      >>> import jax.numpy as jnp
      >>> [float(s) for s in block_sums(jnp.arange(5.0), 2)]
      [6.0, 4.0]
    """
    entries = x.shape[-1]
    num_blocks = num_blocks or root(entries)
    if entries < 2 * LANES or num_blocks > LANES:
        return _sums_at_once(of(x), num_blocks)

    def in_slices(x: Array) -> Array:
        """On CPU: XLA's own loop over so many entries does not vectorise, and takes five times as long."""
        width = LANES // num_blocks * num_blocks
        whole = entries // width

        def add(index: Array, sums: Array) -> Array:
            return sums + of(lax.dynamic_slice_in_dim(x, index * width, width, axis=x.ndim - 1))

        sums = lax.fori_loop(1, whole, add, of(x[..., :width]))
        rest = _sums_at_once(
            jnp.pad(of(x[..., whole * width :]), [(0, 0)] * (x.ndim - 1) + [(0, num_blocks)]), num_blocks
        )
        return _sums_at_once(sums, num_blocks) + rest

    # Elsewhere one fused pass is best, and leaves entries that are split between devices where they are.
    return lax.platform_dependent(x, cpu=in_slices, default=lambda x: _sums_at_once(of(x), num_blocks))


def _sums_at_once(x: Float[Array, "*shape entries"], num_blocks: int) -> Float[Array, "*shape blocks"]:
    whole = x.shape[-1] // num_blocks * num_blocks
    sums = x[..., :whole].reshape(*x.shape[:-1], -1, num_blocks).sum(axis=-2)
    rest = x.shape[-1] - whole
    return sums.at[..., :rest].add(x[..., whole:]) if rest else sums


def root(entries: int) -> int:
    """The square root, rounded up: as many blocks as entries in each."""
    return math.isqrt(entries - 1) + 1


def places(shape: tuple[int, ...]) -> Array:
    """The index of each entry along the last axis."""
    return lax.broadcasted_iota(jnp.int32, shape, len(shape) - 1)


def ordered_bits(x: Float[Array, "*shape"]) -> Array:
    """Positive integers in the order of the float32 numbers; nan first, -0 with 0."""
    x = x.astype(jnp.float32)
    x = jnp.where(jnp.isnan(x), -jnp.inf, jnp.where(x == 0, 0.0, x))
    bits = lax.bitcast_convert_type(x, jnp.uint32)
    sign = jnp.uint32(1 << 31)
    # Negative numbers come in reverse; -inf becomes 0x007fffff, so nothing becomes 0.
    return jnp.where(bits >= sign, ~bits, bits | sign)
