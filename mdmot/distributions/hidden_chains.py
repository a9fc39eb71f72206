"""Hidden Markov models: exact conditionals given any tokens, by forward and backward messages."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

from mdmot._types import Logits, PRNGKey, Tokens
from mdmot.distributions._conditionals import exact_logits, is_clean, stochastic, weights
from mdmot.distributions._messages import messages, scale, scaled, through


class HiddenMarkov(NamedTuple):
    """A chain of hidden states, each of which emits one token. Of any length.

    With `final`, the arrays are weights rather than probabilities, and the law of states and tokens is
    proportional to the product of all that they pass through: the chain conditioned on its end.

    Attributes:
      initial: Law of the first state.
      transition: Row s is the law of the state that follows state s.
      emission: Row s is the law of the token of state s.
      final: Weight of the last state; None for 1.
    """

    initial: Float[Array, " states"]
    transition: Float[Array, "states states"]
    emission: Float[Array, "states symbols"]
    final: Float[Array, " states"] | None = None


def hidden_markov(
    initial: object, transition: object, emission: object, final: object | None = None
) -> HiddenMarkov:
    """The model with these probabilities, or weights if `final` is given, checked on the host.

    Args:
      initial: Law of the first state.
      transition: Square; row s is the law of the state that follows state s. Zeros are forbidden pairs.
      emission: Row s is the law of the token of state s.
      final: Weight of the last state. With it all four are any non-negative weights.

    Returns:
      The model; without `final`, rows are divided by their sums in float64.

    Raises:
      InputError: If the shapes do not fit, a row is no distribution or a number is negative.

    Example:
      >>> hidden_markov([1, 0], [[0, 1], [1, 0]], [[0.5, 0.5], [1, 0]]).emission.shape
      (2, 2)
    """
    check = stochastic if final is None else weights
    start = check("initial", initial, (None,))
    square = check("transition", transition, (start.size, start.size))
    tokens = check("emission", emission, (start.size, None))
    end = None if final is None else jnp.asarray(weights("final", final, (start.size,)))
    return HiddenMarkov(jnp.asarray(start), jnp.asarray(square), jnp.asarray(tokens), end)


@functools.partial(jax.jit, static_argnames=("length", "num"))
def hidden_markov_sample(
    key: PRNGKey, law: HiddenMarkov, length: int, num: int
) -> Int[Array, "num length"]:
    """Independent sequences of tokens; exact with final weights too, which are looked at ahead.

    Args:
      key: Typed random key.
      law: The model.
      length: Tokens in a sequence; static.
      num: Number of sequences; static.

    Returns:
      The sequences. Probabilities far below 1e-7 are realised in single precision too.

    Example:
      >>> law = hidden_markov([1, 0], [[0, 1], [1, 0]], [[1, 0], [0, 1]])
      >>> hidden_markov_sample(jax.random.key(0), law, 4, 1).tolist()
      [[0, 1, 0, 1]]
    """
    log_initial, log_transition, log_emission, _ = _logs(law)
    state_key, token_key = jax.random.split(key)
    keys = jax.random.split(state_key, length)
    ahead = _completions(law, length)
    first = jax.random.categorical(keys[0], log_initial + ahead[0], shape=(num,), mode="high")

    def step(state: Array, given: tuple[PRNGKey, Array]) -> tuple[Array, Array]:
        step_key, completion = given
        state = jax.random.categorical(step_key, log_transition[state] + completion[None], mode="high")
        return state, state

    _, others = lax.scan(step, first, (keys[1:], ahead[1:]))
    states = jnp.concatenate([first[None], others]).T
    return jax.random.categorical(token_key, log_emission[states], mode="high")


@jax.jit
def hidden_markov_log_prob(
    law: HiddenMarkov, tokens: Int[Array, "*batch length"]
) -> Float[Array, "*batch"]:
    """Log-probability of clean sequences, summed over the states; -inf where no states emit them.

    Args:
      law: The model.
      tokens: Sequences without masks, of any length.

    Returns:
      One log-probability a sequence; -inf too for one with a mask or any other token that is none.

    Example:
      >>> law = hidden_markov([0.5, 0.5], [[0, 1], [1, 0]], [[1, 0], [0, 1]])
      >>> jnp.exp(hidden_markov_log_prob(law, jnp.array([[0, 1, 0], [0, 0, 1]]))).tolist()
      [0.5, 0.0]
    """
    log_initial, log_transition, log_emission, log_final = _logs(law)
    rows = tokens.reshape(-1, tokens.shape[-1]).T
    # Column v: what token v says about the state.
    of_token = log_emission.T

    def step(carry: tuple[Array, Array], token: Array) -> tuple[tuple[Array, Array], None]:
        message, total = carry
        message = through(message, log_transition) + of_token[token]
        return (scaled(message), total + scale(message)[:, 0]), None

    first = log_initial[None] + of_token[rows[0]]
    (message, total), _ = lax.scan(step, (scaled(first), scale(first)[:, 0]), rows[1:])
    evidence = total + jax.nn.logsumexp(message + log_final[None], axis=-1)
    if law.final is not None:
        evidence -= log_total_weight(law, tokens.shape[-1])
    is_known = is_clean(tokens, law.emission.shape[1])
    return jnp.where(is_known, evidence.reshape(tokens.shape[:-1]), -jnp.inf)


@functools.partial(jax.jit, static_argnames="length")
def log_total_weight(law: HiddenMarkov, length: int) -> Float[Array, ""]:
    """Logarithm of the sum of all weights, which is 0 without final ones.

    For an automaton with weights 0 and 1 this is the logarithm of the number of its words.

    Args:
      law: The model.
      length: Tokens in a sequence; static.

    Returns:
      The logarithm; -inf if no sequence has positive weight.

    Example:
      >>> law = hidden_markov([1, 1], [[1, 1], [1, 1]], [[1, 0], [0, 1]], final=[1, 0])
      >>> round(float(jnp.exp(log_total_weight(law, 5))))
      16
    """
    log_initial, log_transition, log_emission, log_final = _logs(law)
    token_weight = jax.nn.logsumexp(log_emission, axis=1)

    def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        message, total = carry
        message = through(message, log_transition) + token_weight
        return (scaled(message), total + scale(message)[0]), None

    first = log_initial + token_weight
    carry, _ = lax.scan(step, (scaled(first), scale(first)[0]), length=length - 1)
    return carry[1] + jax.nn.logsumexp(carry[0] + log_final)


@jax.jit
def hidden_markov_denoiser(params: HiddenMarkov, tokens: Tokens) -> Logits:
    """The perfect denoiser of a hidden Markov model: exact log-conditionals given any tokens.

    Args:
      params: The model; the mask is its number of symbols.
      tokens: Partially masked sequences, of any length.

    Returns:
      Normalised logits: -inf where impossible, one-hot at unmasked positions, uniform where the given
      tokens have probability 0.

    Example:
      >>> law = hidden_markov([0.5, 0.5], [[0, 1], [1, 0]], [[1, 0], [0, 1]])
      >>> hidden_markov_denoiser(law, jnp.array([[0, 2]])).tolist()
      [[[0.0, -inf], [-inf, 0.0]]]

    References:
      Rabiner, Proceedings of the IEEE 77 (1989), for the messages.
    """
    log_initial, log_transition, log_emission, log_final = _logs(params)
    token_weight = jax.nn.logsumexp(log_emission, axis=1)
    likelihood = jnp.concatenate([log_emission.T, token_weight[None]])[tokens.T]
    forward, backward = messages(log_transition, likelihood.at[0].add(log_initial[None]), log_final)
    # At a masked position the forward message has the weight of any token in it: take that off.
    state = forward + backward - jnp.where(token_weight == -jnp.inf, 0.0, token_weight)[None, None]
    is_possible = jnp.any(forward[-1] + log_final[None] > -jnp.inf, axis=-1)
    log_weight = jax.nn.logsumexp(state[..., None] + log_emission[None, None], axis=-2)
    return exact_logits(jnp.swapaxes(log_weight, 0, 1), tokens, is_possible)


def _completions(law: HiddenMarkov, length: int) -> Float[Array, "{length} states"]:
    """Log-weight, up to a constant a position, of all that may come after a state and of its token."""
    _, log_transition, log_emission, log_final = _logs(law)
    token_weight = jax.nn.logsumexp(log_emission, axis=1)

    def step(message: Array, _: None) -> tuple[Array, Array]:
        message = scaled(through(message, log_transition.T) + token_weight)
        return message, message

    last = log_final + token_weight
    _, earlier = lax.scan(step, last, length=length - 1, reverse=True)
    return jnp.concatenate([earlier, last[None]])


def _logs(law: HiddenMarkov) -> tuple[Array, Array, Array, Array]:
    """Logarithms of the four arrays."""
    log_final = jnp.zeros_like(law.initial) if law.final is None else jnp.log(law.final)
    return jnp.log(law.initial), jnp.log(law.transition), jnp.log(law.emission), log_final
