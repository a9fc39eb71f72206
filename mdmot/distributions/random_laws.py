"""Random laws: n-gram languages and hidden Markov models with forbidden steps, mixtures of words."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mdmot.distributions.hidden_chains import HiddenMarkov, hidden_markov
from mdmot.distributions.markov import MarkovChain, markov_chain
from mdmot.distributions.mixture import MixtureOfProducts, mixture_of_products
from mdmot.errors import InputError


def random_contexts(seed: int, order: int, states: int, forbidden: float) -> MarkovChain:
    """A random n-gram language as a chain of contexts: the last `order` tokens decide on the next.

    Each context forbids the same share of next tokens and draws the probabilities of the others uniformly
    from the simplex. One random cycle through all tokens is always allowed, so that no context is a dead
    end and every token keeps coming back. The chain is stationary.

    Args:
      seed: Of the random numbers.
      order: Tokens of a context, at least 1.
      states: Number of tokens, at least 2.
      forbidden: Share of next tokens that a context forbids, in [0, 1); one always stays allowed.

    Returns:
      The chain; context c ends in token c mod states. With order 1 it is the language itself.

    Example:
      >>> int((random_contexts(0, 1, 4, 0.5).transition == 0).sum())
      8

    References:
      Feng et al., arXiv:2502.09622, who test masked diffusion on such languages.
    """
    rng = np.random.default_rng(seed)
    number = np.arange(states**order)
    cycle = rng.permutation(states)
    follower = np.empty(states, int)
    follower[cycle] = np.roll(cycle, -1)
    is_kept = np.arange(states)[None] == follower[number % states][:, None]
    following = (number[:, None] * states + np.arange(states)[None]) % number.size
    transition = np.zeros((number.size, number.size))
    np.put_along_axis(transition, following, _random_rows(rng, is_kept, forbidden), axis=1)
    return markov_chain(stationary(transition), transition)


def emit_last(contexts: MarkovChain, states: int) -> HiddenMarkov:
    """The language of a chain of contexts: each emits its last token.

    Args:
      contexts: The chain, as `random_contexts` makes it.
      states: Number of tokens.

    Returns:
      The law over tokens.
    """
    last = np.eye(states)[np.arange(contexts.initial.shape[0]) % states]
    return HiddenMarkov(*contexts, jnp.asarray(last, contexts.initial.dtype))


def random_hidden_markov(
    seed: int, states: int, symbols: int, stay: float, forbidden: float
) -> HiddenMarkov:
    """A random hidden Markov model with sticky states, some of whose moves and tokens are forbidden.

    A state keeps itself with probability `stay` and else moves to one of its allowed others; it emits
    one of its allowed tokens. Both laws are drawn uniformly from the simplex. A cycle through all states
    is always allowed and every token belongs to a state. The chain is stationary.

    Args:
      seed: Of the random numbers.
      states: Number of hidden states, at least 1.
      symbols: Number of tokens, at least 2.
      stay: Probability of keeping the state, in [0, 1).
      forbidden: Share of the other states, and of the tokens, that a state forbids, in [0, 1).

    Returns:
      The model.

    Raises:
      InputError: If `stay` is 1: the states would never mix.

    Example:
      >>> law = random_hidden_markov(0, 3, 4, 0.9, 0.5)
      >>> law.emission.shape, int((law.emission == 0).sum())
      ((3, 4), 6)
    """
    if not 0 <= stay < 1:
        raise InputError(f"stay is {stay}; expected a probability below 1, so that states change")
    rng = np.random.default_rng(seed)
    transition = np.ones((1, 1))
    if states > 1:
        # Column m is the move to the state m + 1 places on.
        is_next = np.broadcast_to(np.arange(states - 1) == 0, (states, states - 1))
        target = (np.arange(states)[:, None] + 1 + np.arange(states - 1)[None]) % states
        transition = stay * np.eye(states)
        np.put_along_axis(transition, target, (1 - stay) * _random_rows(rng, is_next, forbidden), axis=1)
    is_own = np.arange(symbols)[None] % states == np.arange(states)[:, None] % symbols
    emission = _random_rows(rng, is_own, forbidden)
    return hidden_markov(stationary(transition), transition, emission)


def random_mixture(seed: int, components: int, symbols: int, length: int) -> MixtureOfProducts:
    """A mixture of products of identical tokens, whose laws are drawn uniformly from the simplex.

    Args:
      seed: Of the random numbers.
      components: Number of components, all alike in weight.
      symbols: Number of tokens.
      length: Tokens in a sequence.

    Returns:
      The mixture; it is exchangeable.
    """
    rows = np.random.default_rng(seed).dirichlet(np.ones(symbols), components)
    return mixture_of_products(
        np.full(components, 1 / components), np.repeat(rows[:, None], length, axis=1)
    )


def random_words(seed: int, words: int, symbols: int, flip: float, length: int) -> MixtureOfProducts:
    """Random words with noise: one of them is drawn, and each token replaced with some probability.

    Args:
      seed: Of the random numbers.
      words: Number of words, all alike in weight; they are drawn uniformly.
      symbols: Number of tokens, at least 2.
      flip: Probability that a token is replaced, by any other alike.
      length: Tokens in a sequence.

    Returns:
      The mixture.
    """
    templates = np.random.default_rng(seed).integers(symbols, size=(words, length))
    is_own = templates[..., None] == np.arange(symbols)
    return mixture_of_products(np.full(words, 1 / words), np.where(is_own, 1 - flip, flip / (symbols - 1)))


def stationary(transition: Float[np.ndarray, "states states"]) -> Float[np.ndarray, " states"]:
    """The stationary law of a chain with one recurrent class, exactly 0 outside it.

    Args:
      transition: Square, rows sum to 1.

    Returns:
      The law, in float64.

    Raises:
      InputError: If the chain has several recurrent classes, so that it has many such laws.

    Example:
      >>> stationary(np.array([[0.5, 0.5], [0.0, 1.0]])).tolist()
      [0.0, 1.0]
    """
    states = len(transition)
    reach = np.eye(states) + transition > 0
    for _ in range(states.bit_length()):
        reach = reach.astype(np.float32) @ reach.astype(np.float32) > 0
    is_recurrent = np.all(~reach | reach.T, axis=1)
    kept = np.flatnonzero(is_recurrent)
    if not reach[np.ix_(kept, kept)].all():
        raise InputError("the chain has parts that never meet again; its stationary law is not unique")
    balance = transition[np.ix_(kept, kept)].T - np.eye(kept.size)
    balance[-1] = 1
    law = np.zeros(states)
    law[kept] = np.maximum(np.linalg.solve(balance, np.eye(kept.size)[-1]), 0)
    return law / law.sum()


def _random_rows(rng: np.random.Generator, is_kept: np.ndarray, forbidden: float) -> np.ndarray:
    """Rows drawn uniformly from the simplex, a share of their entries forbidden, but never a kept one."""
    size = is_kept.shape[1]
    count = np.minimum(round(forbidden * size), size - is_kept.sum(axis=1, keepdims=True))
    # Kept entries come last in a random order of each row.
    order = np.argsort(rng.random(is_kept.shape) + is_kept, axis=1)
    is_forbidden = np.empty_like(is_kept)
    np.put_along_axis(is_forbidden, order, np.arange(size)[None] < count, axis=1)
    weight = np.where(is_forbidden, 0.0, rng.exponential(size=is_kept.shape))
    return weight / weight.sum(axis=1, keepdims=True)
