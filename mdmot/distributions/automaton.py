"""Languages of automata: the uniform law over the words of one length that an automaton accepts."""

import itertools
from collections.abc import Collection, Hashable, Iterable

import numpy as np

from mdmot.distributions.hidden_chains import HiddenMarkov, hidden_markov
from mdmot.errors import InputError

Move = tuple[Hashable, int, Hashable]
"""State before, token read, state after."""


def uniform_words(
    moves: Iterable[Move], start: Hashable, accepting: Collection[Hashable], vocab_size: int
) -> HiddenMarkov:
    """The uniform law over accepted words, of whatever length it is asked for.

    A hidden state is a token and the state of the automaton after it, all weights are 0 or 1, and the
    final weight is 1 where the automaton accepts; `log_total_weight` is the logarithm of the number of
    words.

    Args:
      moves: What the automaton can do; at most one move for each state and token, so that a word has one
        path.
      start: Its state before the first token.
      accepting: The states in which a word may end.
      vocab_size: Number of tokens d.

    Returns:
      The law.

    Raises:
      InputError: If two moves start alike, or none leads away from the start.

    Example:
      >>> import jax.numpy as jnp
      >>> from mdmot.distributions import hidden_markov_log_prob
      >>> even = uniform_words([(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)], 0, [0], 2)
      >>> jnp.exp(hidden_markov_log_prob(even, jnp.array([[1, 1, 0], [1, 0, 0]]))).round(6).tolist()
      [0.25, 0.0]
    """
    after: dict[tuple[Hashable, int], Hashable] = {}
    for source, token, target in moves:
        if after.setdefault((source, token), target) != target:
            raise InputError(f"two moves read token {token} in state {source!r}; give one of them")
    states = sorted({(token, target) for (_, token), target in after.items()}, key=repr)
    initial = [float(after.get((start, token)) == target) for token, target in states]
    if not any(initial):
        raise InputError(f"no move starts in state {start!r}; give at least one")
    transition = [
        [float((state, token) in after and after[state, token] == target) for token, target in states]
        for _, state in states
    ]
    emission = [np.eye(vocab_size)[token] for token, _ in states]
    return hidden_markov(initial, transition, emission, [float(s in accepting) for _, s in states])


def bracket_moves(kinds: int, depth: int) -> list[Move]:
    """The automaton of balanced brackets of bounded depth; its states are stacks of open kinds.

    Args:
      kinds: Kinds of brackets; token k opens kind k and kinds + k closes it.
      depth: Brackets that may be open at once.

    Returns:
      The moves; () is the state to start and to end in.

    Example:
      >>> bracket_moves(1, 1)
      [((), 0, (0,)), ((0,), 1, ())]
    """
    stacks = itertools.chain.from_iterable(
        itertools.product(range(kinds), repeat=open_ones) for open_ones in range(depth)
    )
    return [
        move
        for stack in stacks
        for kind in range(kinds)
        for move in ((stack, kind, (*stack, kind)), ((*stack, kind), kinds + kind, stack))
    ]


def padded_moves(moves: Iterable[Move], end: Hashable, shortest: int, padding: int) -> list[Move]:
    """An automaton whose words may end early and are then padded: it also counts up to the shortest.

    Args:
      moves: The automaton of the words.
      end: The state in which they end.
      shortest: Tokens of the shortest word, at least 0.
      padding: The token that follows a word, none of the automaton's.

    Returns:
      The moves; the start has the count 0, and words end in `(end, shortest)` or, padded, in "padding".

    Example:
      >>> padded_moves([("odd", 0, "even"), ("even", 0, "odd")], "even", 0, 1)[2:]
      [(('even', 0), 1, 'padding'), ('padding', 1, 'padding')]
    """
    counted = [
        ((source, count), token, (target, min(count + 1, shortest)))
        for source, token, target in moves
        for count in range(shortest + 1)
    ]
    return [*counted, ((end, shortest), padding, "padding"), ("padding", padding, "padding")]


def parity_moves() -> list[Move]:
    """The automaton of bits whose state is the parity of the ones so far.

    Returns:
      The moves; 0 is the state to start in, and that of words with an even number of ones.
    """
    return [(parity, bit, parity ^ bit) for parity in range(2) for bit in range(2)]
