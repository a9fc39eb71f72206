"""Lemma 3.5 and Theorem 3.6: alpha = sin^2(pi/2 gamma) has the least energy, pi^2 per token."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import polygamma

from mdmot import energies
from mdmot.checks.check import PAPER, Check, Claim, equal, rounding
from mdmot.schedules import interpolations, masks
from mdmot.schedules.time import Instant

SOURCE = f"{PAPER}, Lemma 3.5, Thm 3.6"
SHAPES = ((1.0, 1.0), (0.5, 0.5), (2.0, 2.0), (0.6, 1.7), (3.0, 0.8))
NUM_BINS = 8
NUM_STARTS = 4


def check_value() -> list[Check]:
    """J = pi^2 at the optimum for Beta and spline gammas."""
    logits = jnp.asarray(np.random.default_rng(0).normal(size=NUM_BINS), float)
    gammas = [(f"beta:{a},{b}", interpolations.beta(a, b)) for a, b in SHAPES]
    gammas.append(("a random spline", interpolations.spline(logits)))
    return [
        equal(
            Claim(
                f"minimum, gamma = {name}", "J = pi^2 at alpha = sin^2(pi/2 gamma)", SOURCE, "by quadrature"
            ),
            energies.MINIMUM,
            float(energies.quadrature_energy(masks.optimal(gamma), gamma)),
            # As in mdmot.checks.proportionality: a term's rounding, where it carries weight.
            rounding(100),
        )
        for name, gamma in gammas
    ]


def check_gradient() -> list[Check]:
    """The first variation vanishes in the Beta plane and over splines."""
    at_optimum = jax.jit(jax.vmap(jax.grad(energies.beta_energy, argnums=(0, 1))))
    shapes = jnp.asarray(SHAPES, float)
    in_plane = jnp.stack(at_optimum(shapes[:, 0], shapes[:, 1], shapes[:, 0], shapes[:, 1]))
    logits = jnp.asarray(np.random.default_rng(0).normal(size=NUM_BINS), float)
    in_spline = _spline_value_and_grad(logits, logits)[1]
    statement = "the first variation of J at alpha = sin^2(pi/2 gamma) is zero"
    return [
        equal(
            Claim("zero gradient, Beta plane", statement, SOURCE, f"5 gammas: beta:{SHAPES}"),
            0.0,
            float(jnp.abs(in_plane).max()),
            rounding(100),  # differences of digammas of size up to 10, times pi^2
        ),
        equal(
            Claim("zero gradient, spline", statement, SOURCE, f"a random spline of {NUM_BINS} bins"),
            0.0,
            float(jnp.abs(in_spline).max()),
            rounding(500),  # terms of size up to 10 that cancel, over 8 bins
        ),
    ]


def check_second_variation() -> list[Check]:
    """The second variation is positive: twice the Fisher information of the Beta family."""
    checks = []
    found = zip(*_least_eigenvalues(jnp.asarray(SHAPES, float)), strict=True)
    for (a, b), (expected, measured) in zip(SHAPES, found, strict=True):
        checks.append(
            equal(
                Claim(
                    f"second variation, gamma = beta:{a},{b}",
                    "J/pi^2 - 1 is the chi-square divergence of u from gamma, so its Hessian is twice the "
                    "Fisher information of the family",
                    SOURCE,
                    "Beta plane; smallest eigenvalue against that of the trigamma matrix",
                ),
                2 * float(expected),
                float(measured),
                rounding(200),  # second derivatives of log-gammas, which cancel to a tenth of their size
            )
        )
    logits = jnp.asarray(np.random.default_rng(0).normal(size=NUM_BINS), float)
    eigenvalues = jnp.linalg.eigvalsh(jax.jit(jax.hessian(_spline_excess))(logits, logits))
    statement = (
        "over splines the second variation is positive but for the shift of all logits, which moves nothing"
    )
    scope = f"a random spline of {NUM_BINS} bins"
    checks += [
        equal(
            Claim("second variation, spline, shift", statement, SOURCE, scope),
            0.0,
            float(eigenvalues[0]),
            rounding(20),  # of a matrix of 8 rows and norm .5
        ),
        equal(
            Claim(
                "second variation, spline, others",
                statement,
                SOURCE,
                f"{scope}; least other eigenvalue against that of twice the spline's Fisher information",
            ),
            float(np.linalg.eigvalsh(2 * _spline_information(logits))[1]),
            float(eigenvalues[1]),
            rounding(100),  # sums over 8 bins x 20 nodes of squares
        ),
    ]
    return checks


def check_descent() -> list[Check]:
    """Descent from random starts in the finite region ends at pi^2, in the Beta plane and over splines."""
    random = np.random.default_rng(0)
    in_plane, in_spline = [], []
    plane = jax.jit(jax.value_and_grad(_plane_energy))
    for _ in range(NUM_STARTS):
        gamma = jnp.asarray(random.uniform(0.4, 3.0, size=2), float)
        # a = a2/2 + e^x: every x is in the region of finite energy.
        in_plane.append(_descend(plane, random.normal(size=2), gamma))
        gamma_logits = jnp.asarray(random.normal(size=NUM_BINS), float)
        in_spline.append(_descend(_spline_value_and_grad, random.normal(size=NUM_BINS), gamma_logits))
    # L-BFGS stops where a step lowers J by less than a rounding; what is left of J is then as small.
    tolerance = rounding(500)
    scope = f"{NUM_STARTS} random starts and gammas; the end farthest from pi^2"
    statement = "every descent over the family of gamma ends at J = pi^2"
    return [
        equal(
            Claim(f"descent, {name}", statement, SOURCE, scope),
            energies.MINIMUM,
            _farthest(ends),
            tolerance,
        )
        for name, ends in (("Beta plane", in_plane), ("spline", in_spline))
    ]


@jax.jit
@jax.vmap
def _least_eigenvalues(shape: Array) -> tuple[Array, Array]:
    """Of the trigamma matrix of a Beta law, and of the Hessian of J/pi^2 at its optimum."""
    a, b = shape
    both = polygamma(1, a + b)
    information = jnp.array([[polygamma(1, a) - both, -both], [-both, polygamma(1, b) - both]])
    measured = jax.hessian(lambda other: energies.beta_energy(*other, *shape))(shape) / energies.MINIMUM
    return jnp.linalg.eigvalsh(information)[0], jnp.linalg.eigvalsh(measured)[0]


def _farthest(ends: list[float]) -> float:
    """The value farthest from the minimum, above or below; nan is farther than any."""
    return max(ends, key=lambda end: np.inf if np.isnan(end) else abs(end - energies.MINIMUM))


@jax.jit
@jax.value_and_grad
def _spline_value_and_grad(logits: Array, gamma_logits: Array) -> Array:
    schedule = masks.optimal(interpolations.spline(logits))
    return energies.quadrature_energy(schedule, interpolations.spline(gamma_logits), 101)


def _spline_excess(logits: Array, gamma_logits: Array) -> Array:
    schedule = masks.optimal(interpolations.spline(logits))
    return energies.excess_energy(schedule, interpolations.spline(gamma_logits), 101)


@jax.jit
def _spline_information(logits: Array) -> Array:
    """int s s^T gamma' dt, s the derivative of log gamma' by the logits: Gauss-Legendre, bin by bin."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(0.0, 1.0, NUM_BINS + 1)
    t = (edges[:-1, None] + (nodes + 1) / 2 / NUM_BINS).ravel()
    when = Instant(jnp.asarray(np.log(t), float), jnp.asarray(np.log1p(-t), float))

    def log_rate(logits: Array) -> Array:
        return interpolations.spline(logits).curve.log_rate(when)

    scores = jax.jacfwd(log_rate)(logits)
    weight = jnp.exp(log_rate(logits)) * jnp.asarray(np.tile(weights, NUM_BINS) / 2 / NUM_BINS, float)
    return (scores * weight[:, None]).T @ scores


def _plane_energy(x: Array, gamma: Array) -> Array:
    return energies.beta_energy(*(gamma / 2 + jnp.exp(x)), *gamma)


def _descend(
    value_and_grad: Callable[[Array, Array], tuple[Array, Array]], start: np.ndarray, gamma: Array
) -> float:
    from scipy.optimize import minimize

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = value_and_grad(jnp.asarray(x, float), gamma)
        return float(value), np.asarray(gradient, np.float64)

    options = {"maxiter": 500, "ftol": rounding(1), "gtol": 0.0}
    return float(minimize(objective, start, jac=True, method="L-BFGS-B", options=options).fun)
