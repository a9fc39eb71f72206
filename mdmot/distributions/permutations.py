"""The uniform law over permutations: every token once, in any order."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from mdmot._types import Logits, PRNGKey, Tokens
from mdmot.distributions._conditionals import exact_logits


class UniformPermutations(NamedTuple):
    """All permutations of the tokens 0, ..., n-1 alike. It has no parameters: n is the length."""


@functools.partial(jax.jit, static_argnames=("length", "num"))
def permutation_sample(key: PRNGKey, length: int, num: int) -> Int[Array, "num length"]:
    """Independent uniform permutations.

    Args:
      key: Typed random key.
      length: Number of tokens n; static.
      num: Number of sequences; static.

    Returns:
      The permutations.

    Example:
      >>> jnp.sort(permutation_sample(jax.random.key(0), 4, 1)).tolist()
      [[0, 1, 2, 3]]
    """
    return jax.vmap(lambda key: jax.random.permutation(key, length))(jax.random.split(key, num))


@jax.jit
def permutation_log_prob(tokens: Int[Array, "*batch length"]) -> Float[Array, "*batch"]:
    """Log-probability of clean sequences: -log n!, or -inf where a token repeats.

    Args:
      tokens: Sequences without masks.

    Returns:
      One log-probability a sequence.

    Example:
      >>> jnp.exp(permutation_log_prob(jnp.array([[1, 0], [1, 1]]))).round(6).tolist()
      [0.5, 0.0]
    """
    length = tokens.shape[-1]
    in_order = jnp.arange(length, dtype=tokens.dtype).reshape((1,) * (tokens.ndim - 1) + (length,))
    is_permutation = jnp.all(jnp.sort(tokens, axis=-1) == in_order, axis=-1)
    return jnp.where(is_permutation, -math.lgamma(length + 1), -jnp.inf).astype(float)


def permutation_profile(length: int) -> Float[np.ndarray, " {length}"]:
    """Information profile of a uniform permutation: h_j = log(n - j), in nats.

    Args:
      length: Number of tokens n, at least 1.

    Returns:
      The profile; it sums to log n!.

    Example:
      >>> bool(np.isclose(np.exp(permutation_profile(4).sum()), 24))
      True

    References:
      Wen et al. 2026, on the number of rounds that sampling takes.
    """
    return np.log(np.arange(length, 0.0, -1.0))


@jax.jit
def permutation_denoiser(params: UniformPermutations, tokens: Tokens) -> Logits:
    """The perfect denoiser of uniform permutations: any token that is not there yet, all alike.

    Args:
      params: Nothing; the mask is the length n.
      tokens: Partially masked sequences.

    Returns:
      Normalised logits: -inf where impossible, one-hot at unmasked positions, uniform where a given
      token repeats.

    Example:
      >>> permutation_denoiser(UniformPermutations(), jnp.array([[1, 2]])).tolist()
      [[[-inf, 0.0], [0.0, -inf]]]
    """
    del params
    length = tokens.shape[1]
    row = jnp.arange(tokens.shape[0])[:, None]
    # The last column counts the masks.
    times = jnp.zeros((tokens.shape[0], length + 1), int).at[row, tokens].add(1)[:, :length]
    log_weight = jnp.where(times == 0, 0.0, -jnp.inf).astype(float)
    everywhere = jnp.broadcast_to(log_weight[:, None], (*tokens.shape, length))
    return exact_logits(everywhere, tokens, jnp.all(times <= 1, axis=1))
