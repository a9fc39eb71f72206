"""The laws that have names, one function each: options in, `Law` out."""

import string

from mdmot.data.bracket_words import BracketWords
from mdmot.distributions import automaton, families, random_laws
from mdmot.distributions.law import Law
from mdmot.distributions.markov import MarkovChain, markov_entropy, sticky_chain
from mdmot.distributions.mixture import MixtureOfProducts, noisy_repeated_bit
from mdmot.distributions.permutations import UniformPermutations
from mdmot.distributions.walk import bernoulli_walk
from mdmot.errors import InputError
from mdmot.specs import spelled

MAX_HIDDEN_STATES = 1024
"""Hidden states of a law: a position of a sequence takes their square in operations."""

MAX_PROBS = 2**24
"""Probabilities that a mixture is made of."""


def markov(*, stay: float = 0.99, states: int = 4, length: int = 256) -> Law:
    """A stationary chain that keeps its token with one probability, else moves to any other alike."""
    spec = spelled("markov", stay=stay, states=states, length=length)
    return _chain(spec, sticky_chain(stay, states), length)


def ngram(
    *, order: int = 2, states: int = 8, forbidden: float = 0.5, length: int = 128, seed: int = 0
) -> Law:
    """A random language in which the last tokens forbid some next ones."""
    _assert_states(states**order, "lower order or states")
    if length < order:
        raise InputError(f"length {length} is below the order {order}; make it at least {order}")
    spec = spelled("ngram", order=order, states=states, forbidden=forbidden, length=length, seed=seed)
    contexts = random_laws.random_contexts(seed, order, states, forbidden)
    if order == 1:
        return _chain(spec, contexts, length)
    # The first tokens are one context as a whole, and each later token is one step of the chain.
    family = families.HIDDEN._replace(
        entropy=lambda law, length: markov_entropy(contexts, length - order + 1)
    )
    language = random_laws.emit_last(contexts, states)
    return Law(spec, length, _names(states), family, language)


def hmm(
    *,
    states: int = 4,
    symbols: int = 4,
    stay: float = 0.9,
    forbidden: float = 0.0,
    length: int = 256,
    seed: int = 0,
) -> Law:
    """A random hidden Markov model with sticky states, some moves and tokens of which are forbidden."""
    spec = spelled(
        "hmm", states=states, symbols=symbols, stay=stay, forbidden=forbidden, length=length, seed=seed
    )
    law = random_laws.random_hidden_markov(seed, states, symbols, stay, forbidden)
    return Law(spec, length, _names(symbols), families.HIDDEN, law)


def brackets(*, length: int, kinds: int, shortest: int | None, depth: int | None) -> Law:
    """All balanced bracket words alike: the law of the language of the same options."""
    words = BracketWords(length, kinds, shortest, depth)
    deepest = length // 2 if depth is None else min(depth, length // 2)
    # A bracket opened a stack or closed one, after so many brackets up to the shortest word; or padding.
    stacks = sum(kinds**open_ones for open_ones in range(deepest + 1))
    hidden = 2 * stacks if shortest is None else 2 * stacks * (shortest + 1) + 1
    _assert_states(hidden, "lower depth, kinds or length")
    moves = automaton.bracket_moves(kinds, deepest)
    if shortest is None:
        law = automaton.uniform_words(moves, (), [()], 2 * kinds)
    else:
        padded = automaton.padded_moves(moves, (), shortest, 2 * kinds)
        law = automaton.uniform_words(padded, ((), 0), [((), shortest), "padding"], 2 * kinds + 1)
    return Law(words.spec, length, words.symbols, families.WORDS, law)


def parity(*, length: int = 64) -> Law:
    """All bit strings with an even number of ones alike."""
    law = automaton.uniform_words(automaton.parity_moves(), 0, [0], 2)
    return Law(spelled("parity", length=length), length, ("0", "1"), families.PARITY, law)


def permutations(*, length: int = 8) -> Law:
    """All orders of n tokens alike."""
    spec = spelled("permutations", length=length)
    return Law(spec, length, _numbers(length), families.PERMUTATIONS, UniformPermutations())


def walk(*, up: float = 0.5, length: int = 64) -> Law:
    """The number of heads so far in throws of a coin."""
    spec = spelled("walk", up=up, length=length)
    return Law(spec, length, _numbers(length + 1), families.WALKS, bernoulli_walk(up))


def repeated_bit(*, flip: float = 0.05, length: int = 64) -> Law:
    """Noisy copies of one fair bit."""
    spec = spelled("repeated-bit", flip=flip, length=length)
    return _mixture(spec, noisy_repeated_bit(flip, length), ("0", "1"))


def mixture(*, components: int = 4, symbols: int = 2, length: int = 64, seed: int = 0) -> Law:
    """Tokens that are independent and alike given a hidden component; random laws of tokens."""
    _assert_probs(components, length, symbols)
    spec = spelled("mixture", components=components, symbols=symbols, length=length, seed=seed)
    law = random_laws.random_mixture(seed, components, symbols, length)
    return _mixture(spec, law, _names(symbols))


def words(
    *, components: int = 16, symbols: int = 2, flip: float = 0.05, length: int = 64, seed: int = 0
) -> Law:
    """One of several random words, each token of it replaced with some probability."""
    _assert_probs(components, length, symbols)
    spec = spelled("words", components=components, symbols=symbols, flip=flip, length=length, seed=seed)
    law = random_laws.random_words(seed, components, symbols, flip, length)
    return _mixture(spec, law, _names(symbols))


def _chain(spec: str, law: MarkovChain, length: int) -> Law:
    return Law(spec, length, _names(law.initial.shape[0]), families.MARKOV, law)


def _mixture(spec: str, law: MixtureOfProducts, symbols: tuple[str, ...]) -> Law:
    return Law(spec, law.probs.shape[1], symbols, families.MIXTURES, law)


def _assert_states(states: int, remedy: str) -> None:
    if states > MAX_HIDDEN_STATES:
        raise InputError(f"{states} hidden states, more than the limit {MAX_HIDDEN_STATES}; {remedy}")


def _assert_probs(components: int, length: int, symbols: int) -> None:
    if (number := components * length * symbols) > MAX_PROBS:
        raise InputError(
            f"{number} probabilities, more than the limit 2^24; lower components, symbols or length"
        )


def _names(size: int) -> tuple[str, ...]:
    """Letters as far as they go, else numbers."""
    return tuple(string.ascii_lowercase[:size]) if size <= 26 else _numbers(size)


def _numbers(size: int) -> tuple[str, ...]:
    return tuple(map(str, range(size)))
