"""At which level of masking each row of a batch is trained: the law of the masked share."""

import dataclasses
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mdmot._types import PRNGKey
from mdmot.errors import InputError
from mdmot.training.bins import Bins, add_to_bins, bin_of, empty_bins, smooth_mean
from mdmot.training.spread import LARGEST, Shifted, Spread

SHIFTED = Shifted()


class LevelDraw(NamedTuple):
    """Where each row is between clean and all masked.

    Attributes:
      share: The masked share 1 - alpha, in [0, 1).
      weight: One over the density of the share: what the row's loss is multiplied by.
    """

    share: Float[Array, " batch"]
    weight: Float[Array, " batch"]


@runtime_checkable
class Levels(Protocol):
    """A law of the masked share, with what it has learned in a state; hashable."""

    def init(self) -> Any:
        """The state before training, a pytree of arrays."""
        ...

    def draw(self, key: PRNGKey, state: Any, batch: int) -> LevelDraw:
        """Shares and weights of a batch, in float32: for any f, E[weight f(share)] = int_0^1 f."""
        ...

    def update(self, state: Any, share: Float[Array, " batch"], losses: Float[Array, " batch"]) -> Any:
        """The state after the losses at these shares, before their weights, were seen."""
        ...


@dataclasses.dataclass(frozen=True)
class EvenLevels:
    """All shares alike.

    Attributes:
      spread: How the rows of a batch share the levels out.

    Example:
      >>> import jax
      >>> from mdmot.training.spread import Stratified
      >>> drawn = EvenLevels(Stratified()).draw(jax.random.key(0), (), 8)
      >>> drawn.weight.tolist() == [1.0] * 8
      True
    """

    spread: Spread = SHIFTED

    def init(self) -> tuple[()]:
        """Nothing."""
        return ()

    def draw(self, key: PRNGKey, state: tuple[()], batch: int) -> LevelDraw:
        """See `Levels.draw`."""
        share = self.spread.draw(key, batch, ())
        return LevelDraw(share, jnp.ones_like(share))

    def update(
        self, state: tuple[()], share: Float[Array, " batch"], losses: Float[Array, " batch"]
    ) -> tuple[()]:
        """Nothing."""
        return ()


@dataclasses.dataclass(frozen=True)
class FittedLevels:
    r"""Levels where the loss is large or varies are drawn more often, and weigh less (P-POTS).

    Of one draw with density p and weight 1/p, the variance is
    :math:`\int \mathbb{E}[l^2 | s] / p(s)\, ds - (\int \mathbb{E}[l | s]\, ds)^2`, least for p
    proportional to :math:`\sqrt{\mathbb{E}[l^2|s]} = \sqrt{g^2 + v}`. The second moment is a running mean
    over what training has seen, in equal bins, smoothed; it includes the variance between sequences. The
    density is mixed with the uniform one, which bounds the weights by 1 / `uniform_part`.

    Attributes:
      spread: How the rows of a batch share the levels out.
      num_bins: Of [0, 1), at least 1.
      uniform_part: Weight of the uniform density, in (0, 1].
      decay: What an update leaves of the older losses, in (0, 1].

    Raises:
      InputError: If a number is out of its range.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> levels = FittedLevels(num_bins=2, uniform_part=0.2)
      >>> state = levels.init()
      >>> for _ in range(200):
      ...     state = levels.update(state, jnp.array([0.2, 0.7]), jnp.array([1.0, 3.0]))
      >>> bool(jnp.allclose(levels.density(state), jnp.array([0.84, 1.16]), atol=0.01))
      True

    References:
      arXiv:2511.18159 (P-POTS), with the second moment of the loss over sequences and patterns together.
    """

    spread: Spread = SHIFTED
    num_bins: int = 32
    uniform_part: float = 0.1
    decay: float = 0.99

    def __post_init__(self) -> None:
        if self.num_bins < 1 or not 0 < self.uniform_part <= 1 or not 0 < self.decay <= 1:
            raise InputError(
                f"{self}: pass at least 1 bin, and a uniform part and a decay above 0 and at most 1"
            )

    def init(self) -> Bins:
        """No loss seen: the density is uniform."""
        return empty_bins(self.num_bins)

    def density(self, state: Bins) -> Float[Array, " bins"]:
        """The density of the share in each bin; its mean is 1."""
        root = jnp.sqrt(smooth_mean(state))
        mean = root.mean()
        fitted = jnp.where(mean > 0, root / jnp.where(mean > 0, mean, 1.0), 1.0)
        return self.uniform_part + (1.0 - self.uniform_part) * fitted

    def place(self, state: Bins, u: Float[Array, " batch"]) -> LevelDraw:
        """The shares below which a part u of the law lies, and their weights."""
        return placed(self.density(state), u)

    def draw(self, key: PRNGKey, state: Bins, batch: int) -> LevelDraw:
        """See `Levels.draw`."""
        return self.place(state, self.spread.draw(key, batch, ()))

    def update(self, state: Bins, share: Float[Array, " batch"], losses: Float[Array, " batch"]) -> Bins:
        """See `Levels.update`."""
        return add_to_bins(state, share, losses**2, self.decay)


def placed(density: Float[Array, " bins"], u: Float[Array, " batch"]) -> LevelDraw:
    """The shares below which a part u of a law lies, and one over its density there.

    Args:
      density: In each of equal bins of [0, 1); above 0, of mean 1.
      u: In [0, 1).

    Example:
      >>> placed(jnp.array([0.5, 1.5]), jnp.array([0.125, 0.625])).share.tolist()
      [0.25, 0.75]
    """
    num_bins = density.shape[0]
    upper = jnp.cumsum(density) / density.sum()
    index = jnp.minimum(jnp.searchsorted(upper, u, side="right"), num_bins - 1).astype(jnp.int32)
    lower = jnp.concatenate([jnp.zeros(1, upper.dtype), upper[:-1]])
    within = (u - lower[index]) * num_bins / density[index]
    share = (index.astype(u.dtype) + jnp.clip(within, 0.0, LARGEST)) / num_bins
    share = jnp.minimum(share, LARGEST)
    return LevelDraw(share, 1.0 / density[bin_of(share, num_bins)])
