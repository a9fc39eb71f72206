"""How many of the tokens that are missing in a gap are inserted in a step."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln, xlog1py, xlogy
from jaxtyping import Float


@runtime_checkable
class Numbers(Protocol):
    """The law of the number that is inserted in a gap."""

    def log_law(
        self, missing: Float[Array, "batch gaps numbers"], prob: Float[Array, ""]
    ) -> Float[Array, "batch gaps numbers"]:
        """Log-probabilities of 0, 1, ..., most insertions.

        Args:
          missing: Those of the number missing.
          prob: The probability that a missing token is inserted in the step.
        """
        ...


class Thinned(NamedTuple):
    """Each of the missing tokens, their number drawn from its law, comes now with the step's probability.

    A single gap so gets the number that the process gives it, whatever the step. With several gaps the
    numbers are drawn as if they were independent.

    Example:
      >>> two = jnp.log(jnp.asarray([[[0.0, 0.0, 1.0]]]))
      >>> jnp.exp(Thinned().log_law(two, jnp.asarray(0.5))).round(6).tolist()
      [[[0.25, 0.5, 0.25]]]
    """

    def log_law(
        self, missing: Float[Array, "batch gaps numbers"], prob: Float[Array, ""]
    ) -> Float[Array, "batch gaps numbers"]:
        """The law of the number missing, thinned."""
        number = jnp.arange(missing.shape[-1], dtype=missing.dtype)
        prob = prob.astype(missing.dtype)
        of, come = number[:, None], number[None]
        stay = jnp.maximum(of - come, 0.0)
        ways = gammaln(of + 1) - gammaln(come + 1) - gammaln(stay + 1)
        binomial = jnp.exp(ways + xlogy(come, prob) + xlog1py(stay, -prob))
        return jnp.log(jnp.exp(missing) @ jnp.where(come <= of, binomial, 0.0))


class Poisson(NamedTuple):
    """As many as a Poisson variable whose mean is the mean number missing times the step's probability.

    What a network that knows the mean alone can do. Its tail is cut at the largest number that the network
    knows; numbers may be inserted of which the law knows nothing.

    Example:
      >>> one = jnp.log(jnp.asarray([[[0.0, 1.0, 0.0]]]))
      >>> law = jnp.exp(Poisson().log_law(one, jnp.asarray(1.0)))
      >>> [round(float(p), 3) for p in law[0, 0]]  # 1, 1 and 1/2 over their sum
      [0.4, 0.4, 0.2]
    """

    def log_law(
        self, missing: Float[Array, "batch gaps numbers"], prob: Float[Array, ""]
    ) -> Float[Array, "batch gaps numbers"]:
        """Poisson's law, cut."""
        number = jnp.arange(missing.shape[-1], dtype=missing.dtype)
        mean = (jnp.exp(missing) @ number)[..., None] * prob.astype(missing.dtype)
        weights = xlogy(number[None, None], mean) - gammaln(number + 1)[None, None]
        return weights - jnp.log(jnp.exp(weights).sum(axis=-1, keepdims=True))
