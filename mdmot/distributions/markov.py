"""Markov chains: exact conditionals given any tokens, from a table of powers of the transition matrix."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int

from mdmot._types import Logits, PRNGKey, Tokens
from mdmot.distributions._conditionals import (
    entropy_of,
    exact_logits,
    is_clean,
    nearest_given,
    stochastic,
)
from mdmot.distributions.given_entropies import GivenEntropies, chain_given_entropies
from mdmot.distributions.profile_of_chains import chain_profile
from mdmot.errors import InputError

BLOCK = 2**21
"""Entries of the largest temporary array of a product of matrices."""


class MarkovChain(NamedTuple):
    """A chain of tokens, each drawn given the one before; the token is the state. Of any length.

    Attributes:
      initial: Law of the first token.
      transition: Row s is the law of the token that follows token s.
    """

    initial: Float[Array, " states"]
    transition: Float[Array, "states states"]


def markov_chain(initial: object, transition: object) -> MarkovChain:
    """The chain with these probabilities, normalised in float64 on the host.

    Args:
      initial: Law of the first token; zeros are allowed.
      transition: Square; row s is the law of the token that follows token s; zeros are forbidden pairs.

    Returns:
      The chain.

    Raises:
      InputError: If the shapes do not fit or a row is no distribution.

    Example:
      >>> markov_chain([1, 0], [[0, 1], [1, 0]]).transition.tolist()
      [[0.0, 1.0], [1.0, 0.0]]
    """
    start = stochastic("initial", initial, (None,))
    rows = stochastic("transition", transition, (start.size, start.size))
    return MarkovChain(jnp.asarray(start), jnp.asarray(rows))


def sticky_chain(stay: float, states: int) -> MarkovChain:
    """The stationary chain that keeps its token with one probability, else moves to any other alike.

    Args:
      stay: Probability of keeping the token, in [0, 1].
      states: Number of tokens, at least 2.

    Returns:
      The chain; its first token is uniform, and so is every other.

    Raises:
      InputError: If `stay` or `states` is out of its range.

    Example:
      >>> sticky_chain(0.5, 3).transition.tolist()[0]
      [0.5, 0.25, 0.25]
    """
    if not states >= 2:
        raise InputError(f"states is {states}; a chain needs at least 2 to move between")
    if not 0 <= stay <= 1:
        raise InputError(f"stay is {stay}; expected a probability from 0 to 1")
    transition = np.full((states, states), (1 - stay) / (states - 1))
    np.fill_diagonal(transition, stay)
    return markov_chain(np.full(states, 1 / states), transition)


@functools.partial(jax.jit, static_argnames=("length", "num"))
def markov_sample(key: PRNGKey, law: MarkovChain, length: int, num: int) -> Int[Array, "num length"]:
    """Independent sequences of the chain.

    Args:
      key: Typed random key.
      law: The chain.
      length: Tokens in a sequence; static.
      num: Number of sequences; static.

    Returns:
      The sequences. Probabilities far below 1e-7 are realised in single precision too.

    Example:
      >>> markov_sample(jax.random.key(0), markov_chain([1, 0], [[0, 1], [1, 0]]), 4, 1).tolist()
      [[0, 1, 0, 1]]
    """
    log_transition = jnp.log(law.transition)
    keys = jax.random.split(key, length)
    first = jax.random.categorical(keys[0], jnp.log(law.initial), shape=(num,), mode="high")

    def step(token: Array, step_key: PRNGKey) -> tuple[Array, Array]:
        token = jax.random.categorical(step_key, log_transition[token], mode="high")
        return token, token

    _, others = lax.scan(step, first, keys[1:])
    return jnp.concatenate([first[None], others]).T


@jax.jit
def markov_log_prob(law: MarkovChain, tokens: Int[Array, "*batch length"]) -> Float[Array, "*batch"]:
    """Log-probability of clean sequences; -inf where a step is forbidden, or a token is none.

    Args:
      law: The chain.
      tokens: Sequences without masks, of any length.

    Returns:
      One log-probability a sequence.

    Example:
      >>> law = markov_chain([0.5, 0.5], [[0, 1], [1, 0]])
      >>> jnp.exp(markov_log_prob(law, jnp.array([[0, 1, 0], [0, 0, 1]]))).tolist()
      [0.5, 0.0]
    """
    steps = jnp.log(law.transition)[tokens[..., :-1], tokens[..., 1:]]
    found = jnp.log(law.initial)[tokens[..., 0]] + jnp.sum(steps, axis=-1)
    return jnp.where(is_clean(tokens, law.initial.shape[0]), found, -jnp.inf)


def markov_entropy(law: MarkovChain, length: int) -> float:
    """Entropy of a sequence, H(X_1) + sum_i H(X_{i+1} | X_i), in float64 on the host.

    Args:
      law: The chain.
      length: Tokens in a sequence, at least 1.

    Returns:
      H(X), in nats.

    Example:
      >>> round(markov_entropy(sticky_chain(0.5, 2), 3), 4)
      2.0794
    """
    initial, transition = (np.asarray(x, np.float64) for x in law)
    rate, total = entropy_of(transition), float(entropy_of(initial))
    for _ in range(length - 1):
        total += float(initial @ rate)
        initial = initial @ transition
    return total


def markov_profile(law: MarkovChain, length: int) -> Float[np.ndarray, " {length}"]:
    """Information profile of a chain, stationary or not, exact in O(n^2 states) operations.

    Args:
      law: The chain.
      length: Tokens in a sequence, n >= 1.

    Returns:
      h_0, ..., h_{n-1} in nats, in float64: see `chain_profile`.

    Example:
      >>> profile = markov_profile(sticky_chain(0.9, 4), 8)
      >>> bool(np.isclose(profile.sum(), markov_entropy(sticky_chain(0.9, 4), 8)))
      True
    """
    return chain_profile(*_pair_entropies(law, length))


def markov_given_entropies(law: MarkovChain, length: int) -> GivenEntropies:
    """Entropy of every token given any others, exact: see `chain_given_entropies`.

    Args:
      law: The chain.
      length: Tokens in a sequence, n >= 1.

    Returns:
      The entropies as a function of the known positions.

    Example:
      >>> entropies = markov_given_entropies(sticky_chain(0.5, 2), 3)
      >>> entropies(np.array([[True, False, False]])).round(4).tolist()
      [[0.0, 0.6931, 0.6931]]
    """
    return chain_given_entropies(*_pair_entropies(law, length))


def _pair_entropies(
    law: MarkovChain, length: int
) -> tuple[Float[np.ndarray, " length"], Float[np.ndarray, "length length"]]:
    """H(X_i) and H(X_{l+k} | X_l) of all positions, in float64 on the host."""
    initial, transition = (np.asarray(x, np.float64) for x in law)
    marginal = np.empty((length, initial.size))
    after = np.empty((length, initial.size))
    power = np.eye(initial.size)
    for k in range(length):
        marginal[k], after[k] = initial @ power, entropy_of(power)
        power = power @ transition
    return entropy_of(marginal), marginal @ after.T


@jax.jit
def markov_denoiser(params: MarkovChain, tokens: Tokens) -> Logits:
    """The perfect denoiser of a Markov chain: exact log-conditionals given any tokens.

    A masked token depends on the nearest given ones alone: p(v | left, right) is proportional to
    (T^a)[left, v] (T^b)[v, right], with T^1, ..., T^n in logarithms so that no probability underflows.
    The table costs n states^3 operations a call and n states^2 numbers, whatever the batch; a position
    then costs no more than its logits, and nothing runs along the sequence.

    Args:
      params: The chain; the mask is its number of states.
      tokens: Partially masked sequences, of any length.

    Returns:
      Normalised logits: -inf where impossible, one-hot at unmasked positions, uniform where the given
      tokens have probability 0.

    Example:
      >>> law = markov_chain([1, 0], [[0, 1], [1, 0]])
      >>> markov_denoiser(law, jnp.array([[2, 2]])).tolist()
      [[[0.0, -inf], [-inf, 0.0]]]
    """
    states, length = params.initial.shape[0], tokens.shape[1]
    log_initial = jnp.log(params.initial)
    power = _log_powers(jnp.log(params.transition), length)
    later = jax.nn.logsumexp(log_initial[None, :, None] + power[: length - 1], axis=1)
    marginal = jnp.concatenate([log_initial[None], later])

    is_given = tokens != states
    left, right = nearest_given(is_given)
    place = jnp.arange(length, dtype=left.dtype)[None]

    def token_at(where: Array) -> Array:
        there = jnp.take_along_axis(tokens, jnp.clip(where, 0, length - 1), axis=1)
        return jnp.minimum(there, states - 1)

    from_left = power[jnp.clip(place - left - 1, 0, length - 1), token_at(left)]
    from_left = jnp.where((left >= 0)[..., None], from_left, marginal[None])
    to_right = power[jnp.clip(right - place - 1, 0, length - 1), :, token_at(right)]
    to_right = jnp.where((right < length)[..., None], to_right, 0.0)
    own = jnp.minimum(tokens, states - 1)[..., None]
    is_reached = jnp.take_along_axis(from_left, own, axis=2)[..., 0] > -jnp.inf
    return exact_logits(from_left + to_right, tokens, jnp.all(~is_given | is_reached, axis=1))


def _log_powers(
    log_transition: Float[Array, "states states"], count: int
) -> Float[Array, "{count} states states"]:
    """Logarithms of the powers 1..count of a matrix, by doubling: rounding grows with log(count) only."""
    states = log_transition.shape[0]

    def times(last: Array, powers: Array) -> Array:
        def product(power: Array) -> Array:
            return jax.nn.logsumexp(power[:, :, None] + last[None], axis=1)

        return lax.map(product, powers, batch_size=max(1, BLOCK // states**3))

    powers = log_transition[None]
    while powers.shape[0] < count:
        missing = count - powers.shape[0]
        powers = jnp.concatenate([powers, times(powers[-1], powers[:missing])])
    return powers
