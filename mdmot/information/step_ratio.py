"""How many linear steps one of the best plan's replaces under a profile, with an interval."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int

from mdmot.errors import InputError
from mdmot.information.fit import fit_quietly
from mdmot.special import binomial_pmf

NODES = 256


@jax.jit
def fixed_step_ratio(profile: Float[Array, " length"]) -> Float[Array, ""]:
    r"""Steps that even counts need for one of the best plan's, where both reveal many tokens a step.

    Even steps cost n (h_0 - h_{n-1}) / (2K), the best plan (sum_j sqrt(h_j - h_{j+1}))^2 / (2K), for K
    large and n/K large; the ratio of steps at equal cost is

    .. math:: R = \frac{n (h_0 - h_{n-1})}{\bigl(\sum_j \sqrt{h_j - h_{j+1}}\bigr)^2} .

    It is at least n/(n-1), for a straight profile, where nothing can be gained, and at most n, for a single
    jump. A limit and no bound: near n steps the best plan gains more.

    Args:
      profile: h_0, ..., h_{n-1}; rises are taken as level.

    Returns:
      R; 1 for a level profile.

    Example:
      >>> round(float(fixed_step_ratio(jnp.array([1.0, 0.0, 0.0, 0.0]))), 4)
      4.0

    References:
      Lavenant and Zanella, arXiv:2510.25544 (the limit of the best plan).
    """
    falls = jnp.maximum(-jnp.diff(profile), 0.0)
    roots = jnp.sum(jnp.sqrt(falls))
    ratio = profile.shape[0] * jnp.sum(falls) / jnp.where(roots > 0, roots, 1.0) ** 2
    return jnp.where(roots > 0, ratio, 1.0)


@jax.jit
def bernoulli_step_ratio(profile: Float[Array, " length"]) -> Float[Array, ""]:
    r"""Steps of independent reveals that the linear schedule needs for one of the best grid's, K large.

    .. math:: R = \frac{f(0) - f(1)}{\bigl(\int_0^1 \sqrt{-f'(\alpha)}\, d\alpha\bigr)^2} ,

    with f the curve of the profile. The exact limit at any length, where `fixed_step_ratio` also needs
    many tokens a step; it is the smaller, as f spreads a fall of the profile over neighbouring alphas,
    and both agree for smooth profiles of many tokens.

    Args:
      profile: h_0, ..., h_{n-1}, of n >= 2; rises are taken as level.

    Returns:
      R; 1 for a level or a straight profile.

    Example:
      >>> round(float(bernoulli_step_ratio(jnp.array([3.0, 2.0, 1.0]))), 4)
      1.0

    References:
      Lavenant and Zanella, arXiv:2510.25544.
    """
    length = profile.shape[0]
    falls = jnp.maximum(-jnp.diff(profile), 0.0)
    # In theta, alpha = sin^2 theta, the integrand is smooth up to the ends.
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    theta = np.pi / 4 * (nodes + 1)
    weights = np.pi / 4 * weights * np.sin(2 * theta)
    alpha = jnp.asarray(np.sin(theta) ** 2, profile.dtype)
    speed = jnp.matmul(binomial_pmf(length - 2, alpha), falls, precision=lax.Precision.HIGHEST)
    speed = (length - 1) * speed
    # Underflow of a jump's far tail may take the speed to 0, where the square root has no derivative.
    root = jnp.where(speed > 0, jnp.sqrt(jnp.where(speed > 0, speed, 1.0)), 0.0)
    integral = jnp.sum(jnp.asarray(weights, profile.dtype) * root)
    return jnp.where(integral > 0, jnp.sum(falls) / jnp.where(integral > 0, integral, 1.0) ** 2, 1.0)


def bootstrap_interval(
    seed: int,
    statistic: Callable[[Float[np.ndarray, " length"]], float],
    fitted: Float[np.ndarray, " length"],
    levels: Int[np.ndarray, " levels"],
    covariance: Float[np.ndarray, "levels levels"],
    *,
    resamples: int = 200,
    coverage: float = 0.95,
) -> tuple[float, float]:
    """Interval of any number that is computed from a fitted profile, by the parametric bootstrap.

    The means at the levels are drawn again, normally about the fit, and every draw is fitted as the
    estimate was, the choice of the curve included.

    Args:
      seed: Of the draws.
      statistic: From a profile h_0, ..., h_{n-1} to the number, as `fixed_step_ratio` or the steps that
        even reveals need for the cost of the best plan of K steps.
      fitted: The fitted profile.
      levels: Where it was measured.
      covariance: Of the means there; diagonal if only standard errors are known.
      resamples: Number of draws.
      coverage: Share of the draws inside, in (0, 1).

    Returns:
      The quantiles that leave half of the rest on either side, widened to hold the statistic of the fit.

    Raises:
      InputError: If the numbers are no such.

    Example:
      >>> fitted = np.linspace(1.0, 0.5, 8)
      >>> low, high = bootstrap_interval(0, lambda h: h[0], fitted, np.arange(8), 1e-4 * np.eye(8))
      >>> bool(0.96 < low < 1.0 < high < 1.04)
      True
    """
    if resamples < 2 or not 0 < coverage < 1:
        raise InputError(
            f"resamples = {resamples}, coverage = {coverage}; pass at least 2 and a share within (0, 1)"
        )
    generator = np.random.default_rng([seed, 2])
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[None]
    error = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    found = []
    for _ in range(resamples):
        # Below 0 no entropy lies.
        mean = np.maximum(fitted[levels] + root @ generator.standard_normal(levels.size), 0.0)
        found.append(float(statistic(fit_quietly(fitted.size, levels, mean, error).profile)))
    low, high = np.quantile(found, [(1 - coverage) / 2, (1 + coverage) / 2])
    own = float(statistic(fitted))
    return min(float(low), own), max(float(high), own)
