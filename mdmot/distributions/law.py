"""A law known exactly, in the one form that commands, benchmarks and notebooks use."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from mdmot._types import Denoiser, Params, PRNGKey
from mdmot.distributions.given_entropies import GivenEntropies, table_given_entropies
from mdmot.distributions.sampled_entropy import estimated_entropy
from mdmot.distributions.tables import MAX_STATES, Tabular, tabular
from mdmot.errors import InputError
from mdmot.model import Model

ENTROPY_DRAWS = 4096
"""Sequences from which an entropy without a formula is estimated."""

SEQUENCES_AT_ONCE = 2**16
"""Sequences whose probability is looked up at once."""

MOST_LISTED, MOST_TRIED, MOST_COUNTED = 2**16, 2**20, 2**28
"""Sequences of a law that is listed for its own sake, those that are tried to find them, and the tokens of
them all times the sets of positions that are counted."""


class Family(NamedTuple):
    """What laws of one kind have in common: pure functions of their arrays.

    Attributes:
      denoiser: `denoiser(params, tokens)`, the exact log-conditionals given any tokens.
      sample: `sample(key, params, length, num)` draws sequences, one a row.
      log_prob: `log_prob(params, tokens)` of clean sequences, one a row; -inf for illegal ones.
      entropy: `entropy(params, length)` of a sequence in nats, or None if it has no formula.
      profile: `profile(params, length)`, the information profile in nats, or None if it has no formula.
      given_entropies: `given_entropies(params, length)`, H(X_i | X_S) as a function of sets S of known
        positions, or None if it has no formula.
    """

    denoiser: Denoiser
    sample: Callable[[PRNGKey, Params, int, int], Array]
    log_prob: Callable[[Params, Array], Array]
    entropy: Callable[[Params, int], float | None]
    profile: Callable[[Params, int], np.ndarray | Array | None]
    given_entropies: Callable[[Params, int], GivenEntropies | None]


class Entropy(NamedTuple):
    """Entropy of a sequence.

    Attributes:
      value: In nats.
      standard_error: Of the value; 0 if it is exact.
    """

    value: float
    standard_error: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Law:
    """A law over sequences of one length whose conditionals are known exactly.

    `read_law` makes one of a text or a file.

    Attributes:
      spec: The text that `read_law` makes it from, every option spelled out, or the path of its file.
      length: Tokens in a sequence, n.
      symbols: The text of each token; the mask is the number of them.
      family: The functions of its kind.
      params: Its arrays, the first argument of these functions.

    Example:
      >>> from mdmot.distributions import read_law
      >>> law = read_law("parity:length=3")
      >>> law
      Law('parity:length=3', 3 tokens of 2 symbols)
      >>> (law.sample(jax.random.key(0), 5).sum(axis=1) % 2).tolist()
      [0, 0, 0, 0, 0]
    """

    spec: str
    length: int
    symbols: tuple[str, ...]
    family: Family
    params: Params

    def __repr__(self) -> str:
        return f"Law({self.spec!r}, {self.length} tokens of {self.vocab_size} symbols)"

    @property
    def vocab_size(self) -> int:
        """Number of clean tokens d, which is also the mask."""
        return len(self.symbols)

    @property
    def denoiser(self) -> Denoiser:
        """`denoiser(params, tokens)`, the exact log-conditionals given any tokens."""
        return self.family.denoiser

    def model(self) -> Model:
        """What a sampler asks: the exact conditionals as a network would give them.

        Example:
          >>> from mdmot.distributions import read_law
          >>> read_law("parity:length=3").model()(jnp.array([[0, 1, 2]]))[0, 2].tolist()
          [-inf, 0.0]
        """
        return Model(self.denoiser, self.params, self.vocab_size)

    def sample(self, key: PRNGKey, num: int) -> Int[Array, "num length"]:
        """Independent sequences.

        Args:
          key: Typed random key.
          num: Number of sequences.

        Returns:
          The sequences, one a row.
        """
        return self.family.sample(key, self.params, self.length, num)

    def log_prob(self, tokens: Int[Array, "num length"]) -> Float[Array, " num"]:
        """Log-probability of clean sequences.

        Args:
          tokens: Sequences, one a row.

        Returns:
          Nats, one a sequence; -inf for one that is illegal or has a mask.

        Raises:
          InputError: If the sequences have another length.

        Example:
          >>> from mdmot.distributions import read_law
          >>> law = read_law("parity:length=3")
          >>> jnp.exp(law.log_prob(jnp.array([[0, 1, 1], [0, 0, 1]]))).round(6).tolist()
          [0.25, 0.0]
        """
        if tokens.shape[-1] != self.length:
            raise InputError(
                f"the sequences have {tokens.shape[-1]} tokens and those of {self.spec} {self.length}; "
                "pass sequences of that length"
            )
        return self.family.log_prob(self.params, tokens)

    def entropy(self) -> Entropy:
        """The entropy of a sequence: by its formula, or else from the same draws every time.

        Example:
          >>> from mdmot.distributions import read_law
          >>> entropy = read_law("permutations:length=3").entropy()
          >>> round(entropy.value, 4), entropy.standard_error
          (1.7918, 0.0)
        """
        known = self.family.entropy(self.params, self.length)
        if known is not None:
            return Entropy(float(known), 0.0)
        return Entropy(*estimated_entropy(jax.random.key(0), self.sample, self.log_prob, ENTROPY_DRAWS))

    def profile(self) -> Float[Array, " length"] | None:
        """The exact information profile h_0, ..., h_{n-1} in nats; None if it can only be estimated.

        Example:
          >>> from mdmot.distributions import read_law
          >>> [round(float(h), 4) for h in read_law("parity:length=3").profile()]
          [0.6931, 0.6931, 0.0]
        """
        known = self.family.profile(self.params, self.length)
        return None if known is None else jnp.asarray(known)

    def given_entropies(self, sets: int = 1) -> GivenEntropies | None:
        """H(X_i | X_S) in nats, exact, as a function of sets S of known positions.

        Args:
          sets: How many sets will be asked for.

        Returns:
          The function, by the law's formula, else from its support; None if that is too large for so many.

        Example:
          >>> from mdmot.distributions import read_law
          >>> entropies = read_law("parity:length=3").given_entropies()
          >>> entropies(np.array([[True, False, False], [True, True, False]])).round(4).tolist()
          [[0.0, 0.6931, 0.6931], [0.0, 0.0, 0.0]]
        """
        known = self.family.given_entropies(self.params, self.length)
        if known is not None:
            return known
        if not isinstance(self.params, Tabular) and self.vocab_size**self.length > MOST_TRIED:
            return None
        table = self.table()
        is_short = len(table.sequences) <= MOST_LISTED and table.sequences.size * sets <= MOST_COUNTED
        return table_given_entropies(table) if is_short else None

    def table(self) -> Tabular:
        """The law as a list of its sequences, for the computations that need one.

        Raises:
          InputError: If there are more than 2^24 sequences of its tokens.

        Example:
          >>> from mdmot.distributions import read_law
          >>> read_law("parity:length=2").table().sequences.tolist()
          [[0, 0], [1, 1]]
        """
        if isinstance(self.params, Tabular):
            return self.params
        num = self.vocab_size**self.length
        if num > MAX_STATES:
            raise InputError(
                f"{self.spec}: {self.vocab_size}^{self.length} sequences are more than the limit "
                f"{MAX_STATES} of the exact law; take fewer tokens, or use `mdmot profile`"
            )
        sequences, log_prob = [], []
        for first in range(0, num, SEQUENCES_AT_ONCE):
            numbers = np.arange(first, min(num, first + SEQUENCES_AT_ONCE))
            every = np.unravel_index(numbers, self.length * (self.vocab_size,))
            tokens = np.stack(every, axis=1).astype(np.int32)
            found = np.asarray(self.log_prob(jnp.asarray(tokens)), np.float64)
            sequences.append(tokens[found > -np.inf])
            log_prob.append(found[found > -np.inf])
        return tabular(np.concatenate(sequences), np.exp(np.concatenate(log_prob)), self.vocab_size)
