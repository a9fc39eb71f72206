"""The kinetic optimum on a restricted set of jumps: a convex quadratic program, on the host."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float

from mdmot.errors import InputError

# Tighter than the solver always reaches: what counts is the residual of its potentials.
_SOLVER_TOLERANCE = 1e-13
_ACCEPTED_RESIDUAL = 1e-8


class RestrictedOptimum(NamedTuple):
    """The flux of least kinetic energy on a set of allowed jumps, with its proof of optimality.

    Attributes:
      flux: Flux of each jump z -> x; zero where not allowed.
      potentials: Multiplier phi of each state's balance: on allowed jumps
        flux[z, x] = p(z) p(x) [phi(x) - phi(z)]_+. Its mean under `prob` is 0 on every set of
        states that the jumps connect; 0 on states of probability zero.
      energy_density: Kinetic energy density of the flux, equal to sum phi p_dot.
    """

    flux: Float[np.ndarray, "states states"]
    potentials: Float[np.ndarray, " states"]
    energy_density: float


def restricted_optimal_flux(
    prob: Float[ArrayLike, " states"],
    prob_dot: Float[ArrayLike, " states"],
    allowed: Bool[ArrayLike, "states states"],
) -> RestrictedOptimum:
    """Of the fluxes on allowed jumps that move a path as it moves, the one of least kinetic energy.

    Minimises sum flux[z, x]^2 / (p(z) p(x)) over flux >= 0 whose net inflow is p_dot, in float64.
    The flux returned is that of the potentials, so that it is the exact optimum for what it moves,
    and that is checked to be p_dot to 1e-8, relative to the Fisher-Rao speed.

    Args:
      prob: Probability of each state; sums to 1. States of probability zero are left out.
      prob_dot: Its time derivative; sums to 0, and is 0 on states of probability zero.
      allowed: `allowed[z, x]` lets the flux use the jump z -> x; the diagonal is ignored.

    Returns:
      The optimal flux, its potentials and its energy density, in NumPy's float64.

    Raises:
      InputError: Sizes differ, no flux on the allowed jumps moves the path so, or the solver fails.

    Example:
      >>> import numpy as np
      >>> chain = np.eye(3, k=1, dtype=bool)
      >>> optimum = restricted_optimal_flux(
      ...     np.array([0.25, 0.25, 0.5]), np.array([-1.0, 0.0, 1.0]), chain
      ... )
      >>> round(optimum.energy_density, 6)
      24.0

    References:
      Chen et al., arXiv:2509.13866, Theorem 3.6, whose scope it tests; Shaul et al.,
      arXiv:2412.03487, for the case that all jumps are allowed.
    """
    imbalance = float(jnp.finfo(jnp.asarray(prob_dot).dtype).eps) ** 0.5
    prob, prob_dot = np.asarray(prob, np.float64), np.asarray(prob_dot, np.float64)
    allowed = np.asarray(allowed)
    _require_moving(prob, prob_dot, allowed)

    z, x = np.nonzero(allowed & (prob[:, None] > 0) & (prob > 0) & ~np.eye(prob.size, dtype=bool))
    # Compact numbering of the states that carry probability.
    visited = prob > 0
    number = np.cumsum(visited) - 1
    potentials = np.zeros_like(prob)
    potentials[visited] = _optimal_potentials(
        prob[visited], prob_dot[visited], number[z], number[x], imbalance
    )
    rise = np.maximum(potentials[x] - potentials[z], 0.0)
    flux = np.zeros(allowed.shape)
    flux[z, x] = prob[z] * prob[x] * rise
    return RestrictedOptimum(flux, potentials, float((flux[z, x] * rise).sum()))


def _require_moving(prob: np.ndarray, prob_dot: np.ndarray, allowed: np.ndarray) -> None:
    if prob_dot.shape != prob.shape or allowed.shape != prob.shape * 2:
        raise InputError(
            f"prob has the shape {prob.shape}, prob_dot {prob_dot.shape} and allowed "
            f"{allowed.shape}: expected one entry per state and a square matrix over the states"
        )
    if not ((prob >= 0).all() and np.isfinite(prob).all() and np.isfinite(prob_dot).all()):
        raise InputError(
            "prob has a negative entry, or prob or prob_dot one that is not finite: expected a "
            "distribution and its time derivative, so choose a time inside the path"
        )
    appearing = np.flatnonzero((prob == 0) & (prob_dot != 0)).tolist()
    if appearing:
        raise InputError(
            f"states {appearing} have probability 0 but a prob_dot that is not, which takes "
            "infinite energy: choose a time inside the path"
        )


def _optimal_potentials(
    prob: np.ndarray, prob_dot: np.ndarray, source: np.ndarray, target: np.ndarray, imbalance: float
) -> np.ndarray:
    """Multipliers of the balances, for positive probabilities and jumps given by their two ends."""
    from scipy import sparse
    from scipy.sparse import csgraph

    size, jumps = prob.size, np.arange(source.size)
    graph = sparse.csr_array((np.ones(jumps.size), (source, target)), shape=(size, size))
    _, component = csgraph.connected_components(graph, connection="weak")
    mass, gain = np.bincount(component, prob), np.bincount(component, prob_dot)
    if (abs(gain) > imbalance * abs(prob_dot).sum()).any():
        raise InputError(
            f"prob_dot moves {abs(gain).max():.3g} of probability per unit time in or out of states "
            "that no allowed jump joins to the rest: allow more jumps, or make prob_dot sum to 0"
        )
    prob_dot = prob_dot - prob * (gain / mass)[component]
    if not prob_dot.any():
        return np.zeros(size)

    # For a well-scaled program: flux = sqrt(p(z) p(x)) f has unit weights, and the balance of x
    # divided by sqrt(p(x)) has coefficients of at most 1.
    root = np.sqrt(prob)
    demand = prob_dot / root
    speed = np.linalg.norm(demand)
    rows, columns = np.concatenate([target, source]), np.concatenate([jumps, jumps])
    balance = sparse.csr_array(
        (np.concatenate([root[source], -root[target]]), (rows, columns)), shape=(size, jumps.size)
    )
    # The balances of a component are dependent: leave out that of its likeliest state.
    by_component = np.lexsort((-prob, component))
    kept = np.ones(size, bool)
    kept[by_component[np.unique(component[by_component], return_index=True)[1]]] = False

    phi = np.zeros(size)
    phi[kept] = _multipliers(balance[kept], demand[kept] / speed) * speed / root[kept]
    phi -= (np.bincount(component, prob * phi) / mass)[component]

    flux = prob[source] * prob[target] * np.maximum(phi[target] - phi[source], 0.0)
    moved = np.bincount(target, flux, size) - np.bincount(source, flux, size)
    residual = np.linalg.norm(moved / root - demand) / speed
    if not residual <= _ACCEPTED_RESIDUAL:
        raise InputError(
            f"the solver's flux misses prob_dot by {residual:.1g}, more than {_ACCEPTED_RESIDUAL:g}: "
            "the probabilities differ too much in size, so choose a time further from the ends"
        )
    return phi


def _multipliers(balance: Any, demand: np.ndarray) -> np.ndarray:  # a SciPy sparse matrix
    """Multipliers of min |f|^2 / 2 subject to balance @ f = demand and f >= 0."""
    import clarabel
    from scipy import sparse

    rows, columns = balance.shape
    identity = sparse.eye_array(columns, format="csc")
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = _SOLVER_TOLERANCE
    solution = clarabel.DefaultSolver(
        identity,
        np.zeros(columns),
        sparse.vstack([balance, -identity], format="csc"),
        np.concatenate([demand, np.zeros(columns)]),
        [clarabel.ZeroConeT(rows), clarabel.NonnegativeConeT(columns)],
        settings,
    ).solve()
    infeasible = clarabel.SolverStatus.PrimalInfeasible, clarabel.SolverStatus.AlmostPrimalInfeasible
    if solution.status in infeasible:
        raise InputError(
            "the solver finds no flux on the allowed jumps that moves prob as prob_dot says: probability "
            "would have to flow against their direction, so allow more jumps; or, if it need not, the "
            "probabilities differ too much in size, so choose a time further from the ends"
        )
    return -np.array(solution.z[:rows])
