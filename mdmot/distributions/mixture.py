"""Mixtures of products: tokens that are independent given a hidden component."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int

from mdmot._types import Logits, PRNGKey, Tokens
from mdmot.distributions._conditionals import exact_logits, is_clean, stochastic
from mdmot.errors import InputError

BLOCK = 2**24
"""Entries of the largest temporary array; more rows of tokens take turns."""


class MixtureOfProducts(NamedTuple):
    """A component is drawn, then every token on its own: a hidden Markov model that never moves.

    Attributes:
      weights: Law of the component.
      probs: Law of each token given the component.
    """

    weights: Float[Array, " components"]
    probs: Float[Array, "components length symbols"]


def mixture_of_products(weights: object, probs: object) -> MixtureOfProducts:
    """The mixture with these probabilities, normalised in float64 on the host.

    Args:
      weights: Law of the component.
      probs: Law of each token given the component; axes component, position, symbol.

    Returns:
      The mixture.

    Raises:
      InputError: If the shapes do not fit or a row is no distribution.

    Example:
      >>> mixture_of_products([0.5, 0.5], [[[1, 0]] * 3, [[0, 1]] * 3]).probs.shape
      (2, 3, 2)
    """
    component = stochastic("weights", weights, (None,))
    tokens = stochastic("probs", probs, (component.size, None, None))
    return MixtureOfProducts(jnp.asarray(component), jnp.asarray(tokens))


def noisy_repeated_bit(flip: float, length: int) -> MixtureOfProducts:
    """One fair bit, repeated; each copy is flipped on its own.

    Args:
      flip: Probability of a flip, in [0, 1]; 0 is the repeated bit.
      length: Copies, at least 1.

    Returns:
      The mixture of its two constant words with noise.

    Raises:
      InputError: If `flip` is no probability or there are no copies.

    Example:
      >>> noisy_repeated_bit(0.25, 2).probs.tolist()[0]
      [[0.75, 0.25], [0.75, 0.25]]
    """
    if not 0 <= flip <= 1:
        raise InputError(f"flip is {flip}; expected a probability from 0 to 1")
    rows = np.array([[1 - flip, flip], [flip, 1 - flip]])
    return mixture_of_products([0.5, 0.5], np.repeat(rows[:, None], length, axis=1))


@functools.partial(jax.jit, static_argnames="num")
def mixture_sample(key: PRNGKey, law: MixtureOfProducts, num: int) -> Int[Array, "num length"]:
    """Independent sequences of the mixture.

    Args:
      key: Typed random key.
      law: The mixture.
      num: Number of sequences; static.

    Returns:
      The sequences. Probabilities far below 1e-7 are realised in single precision too.

    Example:
      >>> tokens = mixture_sample(jax.random.key(0), noisy_repeated_bit(0.0, 5), 10)
      >>> tokens.shape, bool((tokens == tokens[:, :1]).all())
      ((10, 5), True)
    """
    component_key, token_key = jax.random.split(key)
    component = jax.random.categorical(component_key, jnp.log(law.weights), shape=(num,), mode="high")
    return jax.random.categorical(token_key, jnp.log(law.probs)[component], mode="high")


@jax.jit
def mixture_log_prob(law: MixtureOfProducts, tokens: Int[Array, "*batch length"]) -> Float[Array, "*batch"]:
    """Log-probability of clean sequences; -inf where no component gives them, or a token is none.

    Args:
      law: The mixture.
      tokens: Sequences without masks.

    Returns:
      One log-probability a sequence.

    Raises:
      InputError: If the sequences do not have the law's length.

    Example:
      >>> law = noisy_repeated_bit(0.0, 2)
      >>> jnp.exp(mixture_log_prob(law, jnp.array([[1, 1], [0, 1]]))).tolist()
      [0.5, 0.0]
    """
    rows = tokens.reshape(-1, tokens.shape[-1])
    found = jax.nn.logsumexp(_log_joint(law, rows), axis=-1).reshape(tokens.shape[:-1])
    return jnp.where(is_clean(tokens, law.probs.shape[2]), found, -jnp.inf)


@jax.jit
def mixture_denoiser(params: MixtureOfProducts, tokens: Tokens) -> Logits:
    """The perfect denoiser of a mixture of products: exact log-conditionals given any tokens.

    Args:
      params: The mixture; the mask is its number of symbols.
      tokens: Partially masked sequences of its length.

    Returns:
      Normalised logits: -inf where impossible, one-hot at unmasked positions, uniform where the given
      tokens have probability 0.

    Raises:
      InputError: If the sequences do not have the law's length.

    Example:
      >>> law = noisy_repeated_bit(0.0, 2)
      >>> mixture_denoiser(law, jnp.array([[1, 2]])).tolist()
      [[[-inf, 0.0], [-inf, 0.0]]]
    """
    # In logarithms: a component that the given tokens all but exclude may alone explain the rest.
    component = _log_joint(params, tokens)
    log_probs = jnp.log(params.probs)
    log_weight = lax.map(
        lambda joint: jax.nn.logsumexp(joint[:, None, None] + log_probs, axis=0),
        component,
        batch_size=max(1, BLOCK // log_probs.size),
    )
    return exact_logits(log_weight, tokens, jnp.any(component > -jnp.inf, axis=1))


def _log_joint(law: MixtureOfProducts, tokens: Tokens) -> Float[Array, "batch components"]:
    """Log-probability of each component and the given tokens."""
    length = law.probs.shape[1]
    if tokens.shape[1] != length:
        raise InputError(
            f"the sequences have {tokens.shape[1]} tokens and the law {length};"
            " pass sequences of the law's length"
        )
    # A masked token says nothing.
    log_prob = jnp.pad(jnp.log(law.probs), ((0, 0), (0, 0), (0, 1)))
    place = jnp.arange(length)
    rows = max(1, BLOCK // (law.weights.shape[0] * length))
    said = lax.map(lambda row: jnp.sum(log_prob[:, place, row], axis=-1), tokens, batch_size=rows)
    return jnp.log(law.weights)[None] + said
