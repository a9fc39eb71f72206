"""The law of the masked share in the seven-parameter form of P-POTS."""

import dataclasses
import functools
import math

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from mdmot._types import PRNGKey
from mdmot.errors import InputError
from mdmot.training.levels import SHIFTED, LevelDraw, placed
from mdmot.training.spread import Spread

NUM_CELLS, NODES = 512, 8
STEEPEST = 100.0


@dataclasses.dataclass(frozen=True)
class EprLevels:
    r"""Levels in proportion to a fixed curve of seven parameters, which weigh one over it (P-POTS).

    The density of the masked share s is a `uniform_part` of the uniform one and else in proportion to

    .. math::
        \sqrt{a s^r + b (1-s)^q + A^2 \exp(2 \kappa s^m)} ,

    the root of a curve that is to be the mean squared loss: see `fit_epr`. It is replaced by its mean in
    each of 512 cells, and the weight is exactly one over what is drawn from, so that means are without
    bias. Where `FittedLevels` learns in training, this law is fixed before it.

    Attributes:
      a: Of what rises with the share, at least 0.
      r: Its power, above 0.
      b: Of what falls with the share, at least 0.
      q: Its power, above 0.
      amplitude: A, of what grows or falls exponentially.
      kappa: Its rate, from -100 to 100.
      m: Its power, above 0.
      spread: How the rows of a batch share the levels out.
      uniform_part: Weight of the uniform density, from 0 to 1; if it is above 0, no weight exceeds one over
        it.

    Raises:
      InputError: If a number is out of its range, or the curve is 0.

    Example:
      >>> levels = EprLevels(a=0.0, r=1.0, b=0.0, q=1.0, amplitude=2.0, kappa=1.0, m=1.0, uniform_part=0.0)
      >>> levels.density(np.array([0.0, 1.0])).round(3).tolist()  # exp(s) / (e - 1)
      [0.582, 1.582]

    References:
      arXiv:2511.18159 (the form, there fitted once before training).
    """

    a: float
    r: float
    b: float
    q: float
    amplitude: float
    kappa: float
    m: float
    spread: Spread = SHIFTED
    uniform_part: float = 0.1

    def __post_init__(self) -> None:
        numbers = (self.a, self.r, self.b, self.q, self.amplitude, self.kappa, self.m)
        if (
            not all(math.isfinite(number) for number in numbers)
            or min(self.a, self.b) < 0
            or min(self.r, self.q, self.m) <= 0
            or abs(self.kappa) > STEEPEST
            or not 0 <= self.uniform_part <= 1
        ):
            raise InputError(
                f"{self}: pass finite numbers, a and b of at least 0, r, q and m above 0, kappa from "
                f"-{STEEPEST:g} to {STEEPEST:g}, and a uniform part from 0 to 1"
            )
        if self.a == self.b == self.amplitude == 0:
            raise InputError(f"{self}: the curve is 0; pass an a, b or amplitude that is not")

    def second_moment(self, share: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """The curve under the root, in float64.

        Args:
          share: In [0, 1].
        """
        s = np.asarray(share, np.float64)
        grown = self.amplitude**2 * np.exp(2 * self.kappa * s**self.m)
        return self.a * s**self.r + self.b * (1 - s) ** self.q + grown

    def density(self, share: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """The density of the share before it is made constant in cells; its integral is 1.

        Args:
          share: In [0, 1].
        """
        fitted = np.sqrt(self.second_moment(share)) / _cells(self).mean()
        return self.uniform_part + (1 - self.uniform_part) * fitted

    def init(self) -> tuple[()]:
        """Nothing."""
        return ()

    def draw(self, key: PRNGKey, state: tuple[()], batch: int) -> LevelDraw:
        """See `Levels.draw`."""
        root = _cells(self)
        density = self.uniform_part + (1 - self.uniform_part) * root / root.mean()
        return placed(jnp.asarray(density, jnp.float32), self.spread.draw(key, batch, ()))

    def update(
        self, state: tuple[()], share: Float[Array, " batch"], losses: Float[Array, " batch"]
    ) -> tuple[()]:
        """Nothing."""
        return ()


@functools.lru_cache(maxsize=16)
def _cells(levels: EprLevels) -> Float[np.ndarray, " cells"]:
    """Mean of the root in each cell, by Gauss and Legendre; their mean is its integral."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    inside = (np.arange(NUM_CELLS)[:, None] + (nodes + 1) / 2) / NUM_CELLS
    return np.sqrt(levels.second_moment(inside.ravel())).reshape(inside.shape) @ (weights / 2)
