"""The three energies by their definitions: every state, every jump, every time node.

Independent of the closed forms: the kinetic sum runs over every state and every jump. For the conditional
and the geodesic energy one clean sequence and one token stand for the others, whose terms are the same.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mdmot.energies.quadrature import Nodes
from mdmot.energies.schedule import assert_curves, energy_nodes, is_finite_energy
from mdmot.schedules.interpolations import Interpolation
from mdmot.schedules.masks import MaskSchedule


class Energies(NamedTuple):
    """The three energies of a masked diffusion model."""

    kinetic: Float[Array, ""]
    conditional: Float[Array, ""]
    geodesic: Float[Array, ""]


def enumerated_energies(
    partial_marginals: Float[Array, "..."],
    schedule: MaskSchedule,
    interpolation: Interpolation,
    num_nodes: int = 201,
) -> Energies:
    """Kinetic, conditional kinetic and geodesic energy, summed over all (d+1)^n states.

    Kinetic: int 1/gamma' sum_{z, x} p_t(z)/p_t(x) Q_t(z, x)^2 dt over the jumps z -> x that unmask one
    token. Conditional: the same for p_t(.|x1), averaged over clean x1; the path of every x1 visits the
    2^n patterns of its masks with the same probabilities, so one cube of patterns is enumerated.
    Geodesic: int 1/gamma' E sum_i 4 |d/dt sqrt p_t(z_i|x1)|^2 dt.

    Args:
      partial_marginals: p(z's unmasked tokens) for every z, shape (d+1,)*n with the mask last on each
        axis, as `flows.partial_marginals` makes it.
      schedule: alpha.
      interpolation: gamma.
      num_nodes: Time nodes (a smooth panel); static.

    Returns:
      The energies, inf where the end exponents say so.

    Raises:
      InputError: If alpha or gamma is something else.

    Example:
      >>> import jax.numpy as jnp
      >>> from mdmot.flows import partial_marginals
      >>> from mdmot.schedules import interpolations, masks
      >>> table = partial_marginals(jnp.array([[0.1, 0.2], [0.3, 0.4]]))
      >>> e = enumerated_energies(table, masks.squared_sine(), interpolations.linear())
      >>> [round(float(x / e.geodesic), 3) for x in e]  # C_k, C_c, C_g = 6, 4, 2, over C_g
      [3.0, 2.0, 1.0]

    References:
      Chen et al., arXiv:2509.13866, Sec. 3.
    """
    assert_curves(schedule, interpolation)
    return _enumerated(partial_marginals, schedule, interpolation, num_nodes)


@partial(jax.jit, static_argnames="num_nodes")
def _enumerated(
    partial_marginals: Float[Array, "..."],
    schedule: MaskSchedule,
    interpolation: Interpolation,
    num_nodes: int,
) -> Energies:
    length = partial_marginals.ndim
    dtype = partial_marginals.dtype
    nodes = jax.tree.map(lambda leaf: leaf.astype(dtype), energy_nodes(schedule, interpolation, num_nodes))
    is_reached = partial_marginals > 0
    log_table = jnp.where(is_reached, jnp.log(jnp.where(is_reached, partial_marginals, 1.0)), -jnp.inf)
    log_cube = jnp.zeros((2,) * length, dtype)

    def add_node(total: Energies, node: Nodes) -> tuple[Energies, None]:
        flow = _masked_flow_at(schedule, node)
        log_weight = node.log_weight - interpolation.curve.log_rate(node.when)
        density = Energies(
            kinetic=_jump_energy(log_table, flow, log_weight),
            conditional=_jump_energy(log_cube, flow, log_weight),
            geodesic=length * _token_energy(flow, log_weight),
        )
        return jax.tree.map(jnp.add, total, density), None

    zero = jnp.zeros((), dtype)
    total, _ = jax.lax.scan(add_node, Energies(zero, zero, zero), nodes)
    is_finite = is_finite_energy(schedule, interpolation)
    return jax.tree.map(lambda energy: jnp.where(is_finite, energy, jnp.inf), total)


class _MaskedFlow(NamedTuple):
    """A mask schedule at one time, in logarithms."""

    log_alpha: Array
    log_masked: Array
    log_alpha_dot: Array


def _masked_flow_at(schedule: MaskSchedule, node: Nodes) -> _MaskedFlow:
    curve = schedule.curve
    return _MaskedFlow(
        curve.log_value(node.when), curve.log_complement(node.when), curve.log_rate(node.when)
    )


def _jump_energy(log_table: Array, flow: _MaskedFlow, log_weight: Array) -> Array:
    """exp(log_weight) * sum over states z and unmasking jumps z -> x of p(z)/p(x) Q(z, x)^2."""
    length, mask = log_table.ndim, log_table.shape[0] - 1
    log_prob = log_table
    for site in range(length):  # p_t(z) = p(z_UM) * product over sites of alpha or 1 - alpha
        is_mask = jnp.arange(mask + 1) == mask
        factor = jnp.where(is_mask, flow.log_masked, flow.log_alpha)
        log_prob = log_prob + factor.reshape([-1 if axis == site else 1 for axis in range(length)])
    total = jnp.zeros_like(log_weight)
    for site in range(length):
        before = jax.lax.slice_in_dim(log_prob, mask, mask + 1, axis=site)
        after = jax.lax.slice_in_dim(log_prob, 0, mask, axis=site)
        known = jax.lax.slice_in_dim(log_table, mask, mask + 1, axis=site)
        revealed = jax.lax.slice_in_dim(log_table, 0, mask, axis=site)
        is_reached = revealed > -jnp.inf
        log_rate = flow.log_alpha_dot - flow.log_masked + jnp.where(is_reached, revealed - known, 0.0)
        log_term = jnp.where(is_reached, before - after, -jnp.inf) + 2 * log_rate + log_weight
        total = total + jnp.exp(log_term).sum()
    return total


def _token_energy(flow: _MaskedFlow, log_weight: Array) -> Array:
    """exp(log_weight) * 4 |d/dt sqrt p|^2 of one token, p = alpha on the token, 1 - alpha on the mask."""
    to_token = 2 * flow.log_alpha_dot - flow.log_alpha + log_weight
    from_mask = 2 * flow.log_alpha_dot - flow.log_masked + log_weight
    return jnp.exp(to_token) + jnp.exp(from_mask)
