"""How a few uniform draws are spread over (0, 1): alone, in complementary pairs, one a stratum, or evenly.

Each draw by itself is uniform whatever the spread, so that means are unbiased; draws that keep apart give
means of less variance. Levels of masking are spread over the rows of a batch, and mask patterns over the
draws for one row.
"""

import dataclasses
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mdmot._types import PRNGKey

LARGEST = 1.0 - 2.0**-23
"""The largest number that `jax.random.uniform` returns in float32."""


@runtime_checkable
class Spread(Protocol):
    """Draws of which each is uniform on [0, 1); hashable."""

    def draw(self, key: PRNGKey, num: int, shape: tuple[int, ...]) -> Float[Array, "num ..."]:
        """Uniform draws in float32; those of different entries of `shape` are independent.

        Args:
          key: Randomness.
          num: Draws to spread for each entry, >= 1.
          shape: Shape of the entries.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Independent:
    """Independent draws.

    Example:
      >>> import jax
      >>> Independent().draw(jax.random.key(0), 3, (2,)).shape
      (3, 2)
    """

    def draw(self, key: PRNGKey, num: int, shape: tuple[int, ...]) -> Float[Array, "num ..."]:
        """See `Spread.draw`."""
        return jax.random.uniform(key, (num, *shape), jnp.float32)


@dataclasses.dataclass(frozen=True)
class Antithetic:
    """Pairs u and 1 - u; of an odd number, one draw has no partner.

    Two mask patterns of complementary draws are MIRROR masking: the first masks the tokens with u below
    the level, the second those with u above one minus the level.

    Example:
      >>> import jax
      >>> first, second = Antithetic().draw(jax.random.key(0), 2, ())
      >>> round(float(first + second), 6)
      1.0

    References:
      arXiv:2511.18159 (MIRROR, two patterns of the same draws).
    """

    def draw(self, key: PRNGKey, num: int, shape: tuple[int, ...]) -> Float[Array, "num ..."]:
        """See `Spread.draw`."""
        u = jax.random.uniform(key, ((num + 1) // 2, *shape), jnp.float32)
        return jnp.concatenate([u, LARGEST - u])[:num]


@dataclasses.dataclass(frozen=True)
class Stratified:
    """One independent draw in each of `num` equal strata, which are dealt out at random.

    Of a mean over the draws, the variance between strata is gone (StraTS).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> draws = Stratified().draw(jax.random.key(0), 4, ())
      >>> jnp.floor(4 * jnp.sort(draws)).tolist()
      [0.0, 1.0, 2.0, 3.0]

    References:
      arXiv:2511.18159 (stratified sampling of the masking rate).
    """

    def draw(self, key: PRNGKey, num: int, shape: tuple[int, ...]) -> Float[Array, "num ..."]:
        """See `Spread.draw`."""
        stratum_key, place_key = jax.random.split(key)
        strata = jnp.arange(num, dtype=jnp.float32).reshape(num, *(1 for _ in shape))
        strata = jnp.broadcast_to(strata, (num, *shape))
        strata = jax.random.permutation(stratum_key, strata, axis=0, independent=True)
        u = jax.random.uniform(place_key, (num, *shape), jnp.float32)
        return jnp.minimum((strata + u) / num, LARGEST)


@dataclasses.dataclass(frozen=True)
class Shifted:
    """One draw shifted by even steps around the circle: the draws cover [0, 1) evenly.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> draws = jnp.sort(Shifted().draw(jax.random.key(0), 4, ()))
      >>> bool(jnp.allclose(jnp.diff(draws), 0.25, atol=1e-6))
      True

    References:
      Kingma et al., arXiv:2107.00630, App. I.1 (low-discrepancy sampler of times).
    """

    def draw(self, key: PRNGKey, num: int, shape: tuple[int, ...]) -> Float[Array, "num ..."]:
        """See `Spread.draw`."""
        shift = (jnp.arange(num, dtype=jnp.float32) / num).reshape(num, *(1 for _ in shape))
        u = jax.random.uniform(key, (1, *shape), jnp.float32)
        u, shift = jnp.broadcast_to(u, (num, *shape)), jnp.broadcast_to(shift, (num, *shape))
        return (u + shift) % 1.0
