r"""The process: tokens are inserted as masks, and masks become tokens.

Token i of a row is inserted, as a mask, at a time T with P(T <= t) = a_t, and that mask becomes the token
at a time U with P(U > t | T = s) = (1 - b_t)/(1 - b_s). What is there keeps its order. Given tokens are
there and clean from the start. So at time t a free token is

  absent with probability 1 - a_t,
  a mask with probability m_t = int_0^t a'_s (1 - b_t)/(1 - b_s) ds,
  clean with probability a_t - m_t,

independently of the others. Given the row and which of its tokens are there, each absent one is inserted at
rate a'/(1 - a), and each mask unmasked at rate b'/(1 - b).

**What the time has to do with the row.** Of a visible row z with m masks and c clean tokens that were not
given, each row x of n free tokens and each embedding of z in x has probability

  p(x) (1 - a_t)^(n - m - c) m_t^m (a_t - m_t)^c .

m and c are read off z, so the last two factors are the same for all x and embeddings. Hence the posterior
of x is, up to a constant,

  p(x) x (embeddings of z in x with nothing in closed gaps) x (1 - a_t)^(number missing),

and the time enters through 1 - a_t alone, whatever a and b are. A network that is told 1 - a_t serves all
pairs of schedules. Masks that are there from the start, for single tokens that are not known, change
nothing: their factor too is that of z.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from mdmot._types import PRNGKey, Tokens
from mdmot.energies.quadrature import log_odds_nodes
from mdmot.insertion.rows import Rows
from mdmot.schedules import MaskSchedule, time
from mdmot.schedules.time import Instant

NODES = 241
"""Of the integral over the time of insertion; half as many leave 1e-8 of it where 1 - t is 1e-6."""


class Marginals(NamedTuple):
    """Probabilities of what a free token is at a time."""

    absent: Float[Array, "*times"]
    mask: Float[Array, "*times"]
    clean: Float[Array, "*times"]


class Visible(NamedTuple):
    """What is to be seen of rows, and what a network is to say of it.

    Attributes:
      tokens: Clean tokens and masks in their order, padding behind them.
      is_open: Gaps in which tokens may be missing.
      clean: The clean token at each position.
      missing: How many tokens are missing in each gap.
    """

    tokens: Tokens
    is_open: Bool[Array, "batch gaps"]
    clean: Tokens
    missing: Int[Array, "batch gaps"]


def marginals(t: Float[Array, "*times"], insertion: MaskSchedule, unmasking: MaskSchedule) -> Marginals:
    """Whether a free token is absent, a mask or clean.

    The mask's probability is an integral over the time of insertion, by a rule that resolves both ends of
    it; for a = b it is -(1 - a) log(1 - a).

    Args:
      t: Times in [0, 1].
      insertion: a.
      unmasking: b.

    Returns:
      The three probabilities.

    Example:
      >>> from mdmot.schedules import masks
      >>> found = marginals(jnp.asarray(0.5), masks.linear(), masks.linear())
      >>> round(float(found.mask), 4), round(float(found.clean), 4)  # .5 log 2, and the rest
      (0.3466, 0.1534)
    """
    return marginals_at(time.at(t), insertion, unmasking)


@jax.jit
def marginals_at(when: Instant, insertion: MaskSchedule, unmasking: MaskSchedule) -> Marginals:
    """The same at instants that are resolved at both ends."""
    dtype = when.log_t.dtype
    unit = log_odds_nodes(NODES, dtype)
    log_t, log_1mt = when.log_t[..., None], when.log_1mt[..., None]
    lead = (1,) * when.log_t.ndim
    part, rest = unit.when.log_t.reshape(*lead, -1), unit.when.log_1mt.reshape(*lead, -1)
    inner_log_t = log_t + part
    # 1 - s = (1 - t) + t (1 - s/t), both of them positive.
    inner_log_1mt = jnp.logaddexp(log_1mt + jnp.zeros_like(part), log_t + rest)
    # Rounding must not push a time past an end.
    inner = Instant(inner_log_t, jnp.minimum(inner_log_1mt, 0.0))
    left = unmasking.curve.log_complement(when)[..., None] - unmasking.curve.log_complement(inner)
    terms = unit.log_weight.reshape(*lead, -1) + log_t + insertion.curve.log_rate(inner)
    is_inside = (when.log_t > -jnp.inf) & (when.log_1mt > -jnp.inf)
    mask = jnp.where(is_inside, jnp.exp(terms + jnp.minimum(left, 0.0)).sum(axis=-1), 0.0)
    middle = jax.tree.map(lambda log: jnp.where(is_inside, log, jnp.log(jnp.asarray(0.5, dtype))), when)
    is_late = when.log_t > when.log_1mt
    absent = jnp.where(
        is_inside, jnp.exp(insertion.curve.log_complement(middle)), jnp.where(is_late, 0.0, 1.0)
    )
    there = jnp.where(is_inside, jnp.exp(insertion.curve.log_value(middle)), jnp.where(is_late, 1.0, 0.0))
    return Marginals(absent, mask, jnp.maximum(there - mask, 0.0))


def corrupted(
    key: PRNGKey,
    rows: Rows,
    t: Float[Array, " batch"],
    insertion: MaskSchedule,
    unmasking: MaskSchedule,
    *,
    mask_id: int,
    pad_id: int,
) -> Visible:
    """Rows as they are at a time of the process.

    Args:
      key: Randomness.
      rows: The rows.
      t: A time for each, in [0, 1].
      insertion: a.
      unmasking: b.
      mask_id: The token of a mask.
      pad_id: The token of the padding.

    Returns:
      What is visible, and what is not.

    Example:
      >>> from mdmot.insertion import free_rows
      >>> from mdmot.schedules import masks
      >>> rows = free_rows(jnp.asarray([[0, 1, 3]] * 2), pad_id=3)
      >>> linear, times = masks.linear(), jnp.asarray([0.0, 1.0])
      >>> found = corrupted(jax.random.key(0), rows, times, linear, linear, mask_id=2, pad_id=3)
      >>> found.tokens.tolist(), found.missing.tolist()
      ([[3, 3, 3], [0, 1, 3]], [[2, 0, 0, 0], [0, 0, 0, 0]])
    """
    times = draw_times(key, rows.tokens.shape, insertion, unmasking)
    now = t[:, None]
    is_absent = ~(times.inserted <= now)
    return visible(rows, is_absent, ~is_absent & ~(times.unmasked <= now), mask_id=mask_id, pad_id=pad_id)


class Times(NamedTuple):
    """When tokens are inserted, and when their masks become tokens."""

    inserted: Float[Array, "*tokens"]
    unmasked: Float[Array, "*tokens"]


def draw_times(
    key: PRNGKey, shape: tuple[int, ...], insertion: MaskSchedule, unmasking: MaskSchedule
) -> Times:
    """Independent times of tokens.

    Args:
      key: Randomness.
      shape: Of the result.
      insertion: a.
      unmasking: b.

    Returns:
      The times in (0, 1].
    """
    uniform = jax.random.uniform(key, (2, *shape), float)
    inserted = insertion.inverse(uniform[0])
    return Times(inserted, unmasking.inverse(1 - unmasking.complement(inserted) * (1 - uniform[1])))


@functools.partial(jax.jit, static_argnames=("mask_id", "pad_id"))
def visible(
    rows: Rows,
    is_absent: Bool[Array, "batch length"],
    is_mask: Bool[Array, "batch length"],
    *,
    mask_id: int,
    pad_id: int,
) -> Visible:
    """Rows without their absent tokens, with masks in place of others.

    Args:
      rows: The rows.
      is_absent: Tokens that are not there; given ones stay.
      is_mask: Tokens that are masks; given ones stay clean.
      mask_id: The token of a mask.
      pad_id: The token of the padding.

    Returns:
      What is visible, and what is not. A gap is open if one of those that it is made of is.

    Example:
      >>> from mdmot.insertion import free_rows
      >>> marks = lambda *places: jnp.zeros((1, 4), bool).at[0, jnp.asarray(places)].set(True)
      >>> rows = free_rows(jnp.asarray([[0, 1, 0, 3]]), pad_id=3)
      >>> found = visible(rows, marks(0), marks(2), mask_id=2, pad_id=3)
      >>> found.tokens.tolist(), found.missing.tolist()
      ([[1, 2, 3, 3]], [[1, 0, 0, 0, 0]])
    """
    tokens = rows.tokens
    length = tokens.shape[1]
    is_token = tokens != pad_id
    is_free = is_token & ~rows.is_given
    gone = is_free & is_absent
    stays = is_token & ~gone
    shown = jnp.where(is_free & is_mask, jnp.asarray(mask_id, tokens.dtype), tokens)
    # How many tokens that stay are before each position, which is also the gap that it is in if it is gone.
    before = jnp.cumsum(stays, axis=1, dtype=jnp.int32) - stays.astype(jnp.int32)
    place = jnp.where(stays, before, length)
    gap = jnp.where(gone, before, length + 1)
    behind = jnp.cumsum(jnp.pad(stays, ((0, 0), (1, 0))), axis=1, dtype=jnp.int32)

    def packed(place: Array, gap: Array, behind: Array, *row: Array) -> tuple[Array, ...]:
        shown, clean, gone, is_open = row
        empty = jnp.full(length, pad_id, tokens.dtype)
        return (
            empty.at[place].set(shown, mode="drop"),
            jnp.zeros(length + 1, jnp.int32).at[behind].max(is_open.astype(jnp.int32)) > 0,
            empty.at[place].set(clean, mode="drop"),
            jnp.zeros(length + 1, jnp.int32).at[gap].add(gone.astype(jnp.int32), mode="drop"),
        )

    return Visible(*jax.vmap(packed)(place, gap, behind, shown, tokens, gone, rows.is_open))
