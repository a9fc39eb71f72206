"""A law known exactly, in the one form that commands and benchmarks use."""

import dataclasses
from collections.abc import Callable

from jax import Array

from mdmot._types import Denoiser, Params, PRNGKey


@dataclasses.dataclass(frozen=True, eq=False)
class Bed:
    """A test bed: a law over sequences of one length whose conditionals are known exactly.

    Attributes:
      spec: The text that `read_bed` makes it from, every option spelled out.
      length: Tokens in a sequence, n.
      symbols: The text of each token; the mask is the number of them.
      denoiser: `denoiser(params, tokens)`, the exact log-conditionals given any tokens.
      params: The law, as arrays.
      sample: `sample(key, num)` draws sequences, one a row.
      log_prob: `log_prob(tokens)` of clean sequences, one a row; -inf for illegal ones.
      entropy: `entropy()`, the entropy of a sequence in nats and its standard error, 0 if it is exact.
      profile: `profile()`, the exact information profile h_0, ..., h_{n-1} in nats, or None if it can
        only be estimated.
    """

    spec: str
    length: int
    symbols: tuple[str, ...]
    denoiser: Denoiser
    params: Params
    sample: Callable[[PRNGKey, int], Array]
    log_prob: Callable[[Array], Array]
    entropy: Callable[[], tuple[float, float]]
    profile: Callable[[], Array | None]

    @property
    def vocab_size(self) -> int:
        """Number of clean tokens d, which is also the mask."""
        return len(self.symbols)
