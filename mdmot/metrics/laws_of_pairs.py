"""The exact law of tokens and of pairs of them at a distance."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from mdmot.distributions import Law

MOST_PROBS = 2**27
"""Conditional probabilities that are asked for: fewer positions are looked at, spread evenly."""

PROBS_AT_ONCE = 2**22


@dataclasses.dataclass(frozen=True, eq=False)
class PairLaw:
    """The exact probabilities of a law for tokens, and for pairs of them at a distance.

    Attributes:
      distance: Between the two positions; 0 for single tokens.
      positions: The first position of each pair.
      prob: P(x_i = a, x_{i + distance} = b) of each; for distance 0 on the diagonal.
    """

    distance: int
    positions: Int[np.ndarray, " places"]
    prob: Float[np.ndarray, "places tokens tokens"]

    @property
    def name(self) -> str:
        """What it is of, in words."""
        return "tokens" if self.distance == 0 else f"pairs at distance {self.distance}"


def distances_of(length: int) -> tuple[int, ...]:
    """0, 1, 2, 4, ... below the length.

    Example:
      >>> distances_of(6)
      (0, 1, 2, 4)
    """
    return (0, *(2**k for k in range((length - 1).bit_length())))


def pair_laws(law: Law, prompt: Int[np.ndarray, " length"]) -> tuple[PairLaw, ...]:
    """The exact laws of tokens and pairs, by the law's own conditionals, some tokens given.

    p(x_i = a, x_j = b) is p(x_i = a) times the conditional of x_j where x_i = a is known too: one question
    for each position and token. Where that is more than 2^27 numbers, positions spread evenly are asked.

    Args:
      law: The law.
      prompt: Given tokens that the law can have; elsewhere the mask, `law.vocab_size`.

    Returns:
      One for each of the distances 0, 1, 2, 4, ...

    Example:
      >>> from mdmot.distributions import read_law
      >>> law = read_law("parity:length=2")
      >>> tokens, neighbours = pair_laws(law, np.full(2, 2))
      >>> tokens.prob[0].round(6).tolist(), neighbours.prob[0].round(6).tolist()
      ([[0.5, 0.0], [0.0, 0.5]], [[0.5, 0.0], [0.0, 0.5]])
    """
    length, vocab_size = law.length, law.vocab_size
    most = max(1, MOST_PROBS // (length * vocab_size**2))
    positions = np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(int))
    single = _conditionals(law, prompt[None], 1)[0]
    states = np.repeat(np.tile(prompt, (len(positions), 1)), vocab_size, axis=0)
    states[np.arange(len(states)), np.repeat(positions, vocab_size)] = np.tile(
        np.arange(vocab_size), len(positions)
    )
    given_first = single[positions].reshape(-1)
    # What is impossible is not asked for: it has no conditionals.
    asked = np.flatnonzero(given_first > 0)
    at_once = min(len(asked), max(1, PROBS_AT_ONCE // (length * vocab_size)))
    found = np.zeros((len(states), len(distances_of(length)), vocab_size))
    place = np.repeat(positions, vocab_size)
    for start in range(0, len(asked), at_once):
        rows = asked[start : start + at_once]
        answers = _conditionals(law, states[rows], at_once)
        for number, distance in enumerate(distances_of(length)):
            fits = place[rows] + distance < length
            found[rows[fits], number] = answers[fits, place[rows[fits]] + distance]
    joint = (found * given_first[:, None, None]).reshape(len(positions), vocab_size, -1, vocab_size)
    return tuple(
        PairLaw(
            distance, positions[positions + distance < length], joint[positions + distance < length, :, k]
        )
        for k, distance in enumerate(distances_of(length))
    )


def _conditionals(law: Law, states: np.ndarray, size: int) -> np.ndarray:
    """P of each token at each position given the tokens of a state; states are filled up to `size`."""
    filled = np.resize(states, (size, states.shape[1]))
    logits = jax.jit(law.denoiser)(law.params, jnp.asarray(filled, jnp.int32))
    probs = np.asarray(jax.nn.softmax(logits, axis=-1), np.float64)[: len(states)]
    is_given = states != law.vocab_size
    given = np.eye(law.vocab_size + 1)[states][..., :-1]
    return np.where(is_given[..., None], given, probs)
