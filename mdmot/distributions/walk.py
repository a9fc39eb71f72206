"""Bernoulli walks: counts of the heads so far, whose gaps are hypergeometric."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Float, Int

from mdmot._types import Logits, PRNGKey, Tokens
from mdmot.distributions._conditionals import (
    entropy_of,
    exact_logits,
    log_factorials,
    nearest_given,
)
from mdmot.distributions.given_entropies import GivenEntropies, chain_given_entropies
from mdmot.distributions.profile_of_chains import chain_profile
from mdmot.errors import InputError


class BernoulliWalk(NamedTuple):
    """x_i = number of heads in i throws of a coin, i = 1..n. A Markov chain on the tokens 0, ..., n.

    Attributes:
      up: Probability of heads, in (0, 1).
    """

    up: Float[Array, ""]


def bernoulli_walk(up: float) -> BernoulliWalk:
    """The walk of a coin.

    Args:
      up: Probability of heads, in (0, 1).

    Returns:
      The walk.

    Raises:
      InputError: If `up` is not between 0 and 1.

    Example:
      >>> float(bernoulli_walk(0.5).up)
      0.5
    """
    if not 0 < up < 1:
        raise InputError(f"up is {up}; expected a probability between 0 and 1")
    return BernoulliWalk(jnp.asarray(float(up)))


@functools.partial(jax.jit, static_argnames=("length", "num"))
def walk_sample(key: PRNGKey, law: BernoulliWalk, length: int, num: int) -> Int[Array, "num length"]:
    """Independent walks.

    Args:
      key: Typed random key.
      law: The walk.
      length: Number of throws; static.
      num: Number of sequences; static.

    Returns:
      The walks.

    Example:
      >>> tokens = walk_sample(jax.random.key(0), bernoulli_walk(0.5), 8, 1)
      >>> bool(jnp.isin(jnp.diff(tokens), jnp.arange(2)).all())
      True
    """
    heads = jax.random.bernoulli(key, law.up, (num, length))
    return jnp.cumsum(heads, axis=1, dtype=int)


@jax.jit
def walk_log_prob(law: BernoulliWalk, tokens: Int[Array, "*batch length"]) -> Float[Array, "*batch"]:
    """Log-probability of clean sequences; -inf where a step is neither 0 nor 1.

    Args:
      law: The walk.
      tokens: Sequences without masks.

    Returns:
      One log-probability a sequence.

    Example:
      >>> jnp.exp(walk_log_prob(bernoulli_walk(0.5), jnp.array([[0, 1], [0, 2]]))).tolist()
      [0.25, 0.0]
    """
    step = jnp.diff(tokens, axis=-1, prepend=jnp.zeros_like(tokens[..., :1]))
    log_up, log_down = _log_coin(law)
    by_step = jnp.where(step == 1, log_up, jnp.where(step == 0, log_down, -jnp.inf))
    return jnp.sum(by_step, axis=-1)


def walk_profile(up: float, length: int) -> Float[np.ndarray, " {length}"]:
    """Information profile of the walk, exact: a chain whose pairs have binomial differences.

    Args:
      up: Probability of heads.
      length: Number of throws n, at least 1.

    Returns:
      h_0, ..., h_{n-1} in nats, in float64 on the host; see `chain_profile`.

    Example:
      >>> profile = walk_profile(0.5, 6)
      >>> bool(np.isclose(profile.sum(), 6 * np.log(2)))
      True
    """
    return chain_profile(*_pair_entropies(up, length))


def walk_given_entropies(up: float, length: int) -> GivenEntropies:
    """Entropy of every token given any others, exact: see `chain_given_entropies`.

    Args:
      up: Probability of heads.
      length: Number of throws n, at least 1.

    Returns:
      The entropies as a function of the known positions.

    Example:
      >>> entropies = walk_given_entropies(0.5, 3)
      >>> entropies(np.array([[False, True, False]])).round(4).tolist()
      [[0.3466, 0.0, 0.6931]]
    """
    return chain_given_entropies(*_pair_entropies(up, length))


def _pair_entropies(
    up: float, length: int
) -> tuple[Float[np.ndarray, " length"], Float[np.ndarray, "length length"]]:
    """H(X_i) and H(X_{l+k} | X_l) of all positions, in float64 on the host."""
    log_factorial = log_factorials(length)
    spread = np.zeros(length + 1)
    for throws in range(1, length + 1):
        heads = np.arange(throws + 1)
        log_ways = log_factorial[throws] - log_factorial[heads] - log_factorial[throws - heads]
        spread[throws] = entropy_of(
            np.exp(log_ways + heads * np.log(up) + (throws - heads) * np.log1p(-up))
        )
    return spread[1:], np.broadcast_to(spread[:-1], (length, length))


@jax.jit
def walk_denoiser(params: BernoulliWalk, tokens: Tokens) -> Logits:
    """The perfect denoiser of a Bernoulli walk: exact log-conditionals given any tokens.

    Between the nearest given tokens x_l and x_r the heads are hypergeometric: the weight of
    x_i = x_l + k is C(i - l, k) C(r - i, x_r - x_l - k); after the last given token they are binomial.

    Args:
      params: The walk; the mask is n + 1.
      tokens: Partially masked sequences.

    Returns:
      Normalised logits: -inf where impossible, one-hot at unmasked positions, uniform where the given
      tokens have probability 0.

    Example:
      >>> walk_denoiser(bernoulli_walk(0.5), jnp.array([[3, 2]])).tolist()
      [[[-inf, 0.0, -inf], [-inf, -inf, 0.0]]]
    """
    length = tokens.shape[1]
    is_given = tokens != length + 1
    left, right = nearest_given(is_given)
    place = jnp.arange(length, dtype=left.dtype)[None]
    # The walk starts from 0 at place -1.
    around = jnp.pad(tokens.astype(left.dtype), ((0, 0), (1, 1)))
    before = jnp.take_along_axis(around, left + 1, axis=1)
    after = jnp.take_along_axis(around, right + 1, axis=1)

    value = jnp.arange(length + 1, dtype=left.dtype)[None, None]
    gained = value - before[..., None]
    is_closed = (right < length)[..., None]
    steps_left, steps_right = (place - left)[..., None], jnp.where(is_closed, (right - place)[..., None], 0)
    missing = jnp.where(is_closed, after[..., None] - value, 0)
    is_possible = (gained >= 0) & (gained <= steps_left) & (missing >= 0) & (missing <= steps_right)
    coarse, fine = (
        _log_choose(table, steps_left, gained) + _log_choose(table, steps_right, missing)
        for table in _log_factorial_tables(length, params.up.dtype)
    )
    log_up, log_down = _log_coin(params)
    # In a closed gap the coin cancels: every way through it has the same number of heads.
    per_head = jnp.where(is_closed, 0.0, log_up - log_down)
    rough = coarse + value.astype(per_head.dtype) * per_head
    top = jnp.argmax(jnp.where(is_possible, rough, -jnp.inf), axis=-1, keepdims=True)
    # Less the most probable token before they are added: what remains is small where it matters.
    coarse, fine = (part - jnp.take_along_axis(part, top, axis=-1) for part in (coarse, fine))
    heads = value - top.astype(value.dtype)
    log_weight = coarse + fine + heads.astype(per_head.dtype) * per_head
    log_weight = jnp.where(is_possible, log_weight, -jnp.inf)

    own = jnp.minimum(tokens, length).astype(left.dtype) - before
    is_reached = (own >= 0) & (own <= place - left)
    return exact_logits(log_weight, tokens, jnp.all(~is_given | is_reached, axis=1))


def _log_coin(law: BernoulliWalk) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Log-probabilities of heads and tails."""
    return jnp.log(law.up), jnp.log1p(-law.up)


def _log_factorial_tables(largest: int, dtype: DTypeLike) -> list[Float[Array, " entries"]]:
    """log m! for m = 0..largest as a multiple of 2^-9, whose sums float32 holds exactly, and the rest.

    The logarithms reach 3e4 at 4096, of which float32 on its own keeps two decimals.
    """
    table = log_factorials(largest)
    coarse = np.round(table * 512) / 512
    return [jnp.asarray(part, dtype) for part in (coarse, table - coarse)]


def _log_choose(log_factorial: Array, total: Array, chosen: Array) -> Array:
    """Logarithm of the binomial coefficient; at the nearest end where there is none."""
    chosen = jnp.clip(chosen, 0, total)
    return log_factorial[total] - log_factorial[chosen] - log_factorial[total - chosen]
