"""The test beds, one function each: options in, `Bed` out."""

import math
import string
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mdmot._types import PRNGKey
from mdmot.distributions import automaton, random_laws
from mdmot.distributions.bed import Bed
from mdmot.distributions.estimated_entropy import estimated_entropy
from mdmot.distributions.exchangeable_profile import exchangeable_profile
from mdmot.distributions.hidden_markov import (
    HiddenMarkov,
    hidden_markov_denoiser,
    hidden_markov_log_prob,
    hidden_markov_sample,
    log_total_weight,
)
from mdmot.distributions.markov import (
    MarkovChain,
    markov_denoiser,
    markov_entropy,
    markov_log_prob,
    markov_profile,
    markov_sample,
    sticky_chain,
)
from mdmot.distributions.mixture import (
    MixtureOfProducts,
    mixture_denoiser,
    mixture_log_prob,
    mixture_sample,
    noisy_repeated_bit,
)
from mdmot.distributions.permutations import (
    UniformPermutations,
    permutation_denoiser,
    permutation_log_prob,
    permutation_profile,
    permutation_sample,
)
from mdmot.distributions.walk import (
    bernoulli_walk,
    walk_denoiser,
    walk_log_prob,
    walk_profile,
    walk_sample,
)
from mdmot.errors import InputError

ENTROPY_DRAWS = 4096
"""Sequences from which an entropy without a formula is estimated."""

MAX_HIDDEN_STATES = 1024
"""Hidden states of a bed: a position of a sequence takes their square in operations."""

MAX_PROBS = 2**24
"""Probabilities that a mixture is made of."""


def markov(spec: str, *, stay: float, states: int, length: int) -> Bed:
    """A stationary chain that keeps its token with one probability, else moves to any other alike."""
    return _chain(spec, sticky_chain(stay, states), length)


def ngram(spec: str, *, order: int, states: int, forbidden: float, length: int, seed: int) -> Bed:
    """A random language in which the last tokens forbid some next ones."""
    _assert_states(spec, states**order, "lower order or states")
    if length < order:
        raise InputError(f"{spec}: length {length} is below the order {order}; make it at least {order}")
    contexts = random_laws.random_contexts(seed, order, states, forbidden)
    if order == 1:
        return _chain(spec, contexts, length)
    # The first tokens are one context as a whole, and each later token is one step of the chain.
    language = random_laws.emit_last(contexts, states)
    return _hidden(
        spec, language, length, _names(states), lambda: markov_entropy(contexts, length - order + 1)
    )


def hmm(
    spec: str, *, states: int, symbols: int, stay: float, forbidden: float, length: int, seed: int
) -> Bed:
    """A random hidden Markov model with sticky states, some moves and tokens of which are forbidden."""
    law = random_laws.random_hidden_markov(seed, states, symbols, stay, forbidden)
    return _hidden(spec, law, length, _names(symbols))


def brackets(spec: str, *, length: int, depth: int, kinds: int) -> Bed:
    """All balanced bracket words of bounded depth alike."""
    if length % 2:
        raise InputError(f"{spec}: no balanced word has an odd length; make length even")
    stacks = sum(kinds**open_ones for open_ones in range(depth + 1))
    _assert_states(spec, 2 * stacks, "lower depth or kinds")
    law = automaton.uniform_words(automaton.bracket_moves(kinds, depth), (), [()], 2 * kinds)
    symbols = tuple("()[]{}<>"[: 2 * kinds])
    return _hidden(spec, law, length, symbols, lambda: float(log_total_weight(law, length)))


def parity(spec: str, *, length: int) -> Bed:
    """All bit strings with an even number of ones alike."""
    law = automaton.uniform_words(automaton.parity_moves(), 0, [0], 2)
    # Whichever token comes last is decided by the others, which are fair bits.
    profile = np.append(np.full(length - 1, math.log(2)), 0.0)
    entropy = math.log(2) * (length - 1)
    return _hidden(spec, law, length, ("0", "1"), lambda: entropy, lambda: jnp.asarray(profile))


def permutations(spec: str, *, length: int) -> Bed:
    """All orders of n tokens alike."""
    return Bed(
        spec,
        length,
        _numbers(length),
        permutation_denoiser,
        UniformPermutations(),
        sample=lambda key, num: permutation_sample(key, length, num),
        log_prob=permutation_log_prob,
        entropy=lambda: (math.lgamma(length + 1), 0.0),
        profile=lambda: jnp.asarray(permutation_profile(length)),
    )


def walk(spec: str, *, up: float, length: int) -> Bed:
    """The number of heads so far in throws of a coin."""
    law = bernoulli_walk(up)
    return Bed(
        spec,
        length,
        _numbers(length + 1),
        walk_denoiser,
        law,
        sample=lambda key, num: walk_sample(key, law, length, num),
        log_prob=lambda tokens: walk_log_prob(law, tokens),
        entropy=lambda: (-length * (up * math.log(up) + (1 - up) * math.log1p(-up)), 0.0),
        profile=lambda: jnp.asarray(walk_profile(up, length)),
    )


def repeated_bit(spec: str, *, flip: float, length: int) -> Bed:
    """Noisy copies of one fair bit."""
    return _mixture(spec, noisy_repeated_bit(flip, length), ("0", "1"), is_exchangeable=True)


def mixture(spec: str, *, components: int, symbols: int, length: int, seed: int) -> Bed:
    """Tokens that are independent and alike given a hidden component; random laws of tokens."""
    _assert_probs(spec, components, length, symbols)
    law = random_laws.random_mixture(seed, components, symbols, length)
    return _mixture(spec, law, _names(symbols), is_exchangeable=True)


def words(spec: str, *, components: int, symbols: int, flip: float, length: int, seed: int) -> Bed:
    """One of several random words, each token of it replaced with some probability."""
    _assert_probs(spec, components, length, symbols)
    law = random_laws.random_words(seed, components, symbols, flip, length)
    return _mixture(spec, law, _names(symbols), is_exchangeable=False)


def _chain(spec: str, law: MarkovChain, length: int) -> Bed:
    return Bed(
        spec,
        length,
        _names(law.initial.shape[0]),
        markov_denoiser,
        law,
        sample=lambda key, num: markov_sample(key, law, length, num),
        log_prob=lambda tokens: markov_log_prob(law, tokens),
        entropy=lambda: (markov_entropy(law, length), 0.0),
        profile=lambda: jnp.asarray(markov_profile(law, length)),
    )


def _hidden(
    spec: str,
    law: HiddenMarkov,
    length: int,
    symbols: tuple[str, ...],
    entropy: Callable[[], float] | None = None,
    profile: Callable[[], Array | None] = lambda: None,
) -> Bed:
    sample = lambda key, num: hidden_markov_sample(key, law, length, num)  # noqa: E731
    log_prob = lambda tokens: hidden_markov_log_prob(law, tokens)  # noqa: E731
    return Bed(
        spec,
        length,
        symbols,
        hidden_markov_denoiser,
        law,
        sample,
        log_prob,
        entropy=lambda: _estimate(sample, log_prob) if entropy is None else (entropy(), 0.0),
        profile=profile,
    )


def _mixture(spec: str, law: MixtureOfProducts, symbols: tuple[str, ...], *, is_exchangeable: bool) -> Bed:
    length = law.probs.shape[1]
    sample = lambda key, num: mixture_sample(key, law, num)  # noqa: E731
    log_prob = lambda tokens: mixture_log_prob(law, tokens)  # noqa: E731

    def exact() -> np.ndarray | None:
        if not is_exchangeable:
            return None
        weights, probs = (np.asarray(x, np.float64) for x in law)
        return exchangeable_profile(weights, probs[:, 0], length)

    def profile() -> Array | None:
        known = exact()
        return None if known is None else jnp.asarray(known)

    def entropy() -> tuple[float, float]:
        known = exact()
        return _estimate(sample, log_prob) if known is None else (float(known.sum()), 0.0)

    return Bed(spec, length, symbols, mixture_denoiser, law, sample, log_prob, entropy, profile)


def _estimate(
    sample: Callable[[PRNGKey, int], Array], log_prob: Callable[[Array], Array]
) -> tuple[float, float]:
    """The entropy of a law without a formula: the same draws every time, so that it is one number."""
    return estimated_entropy(jax.random.key(0), sample, log_prob, ENTROPY_DRAWS)


def _assert_states(spec: str, states: int, remedy: str) -> None:
    if states > MAX_HIDDEN_STATES:
        raise InputError(
            f"{spec}: {states} hidden states, more than the limit {MAX_HIDDEN_STATES}; {remedy}"
        )


def _assert_probs(spec: str, components: int, length: int, symbols: int) -> None:
    if (number := components * length * symbols) > MAX_PROBS:
        raise InputError(
            f"{spec}: {number} probabilities, more than the limit 2^24; lower components, symbols or length"
        )


def _names(size: int) -> tuple[str, ...]:
    """Letters as far as they go, else numbers."""
    return tuple(string.ascii_lowercase[:size]) if size <= 26 else _numbers(size)


def _numbers(size: int) -> tuple[str, ...]:
    return tuple(map(str, range(size)))
