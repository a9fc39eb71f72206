"""The optimum through a learned model: does a network's own flow have the schedule the theorem names?

For the exact conditionals it has. A network that reads the time has another optimum until training has made
it forget the time; how near it comes is bounded by the error of its conditionals (`distance_bound`). A
network that does not read the time has the theorem's optimum whatever its weights.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from mdmot._types import Params
from mdmot.checks import learned_flow, learned_networks
from mdmot.checks.check import PAPER, Check, Claim, at_least, at_most, equal, rounding
from mdmot.checks.learned_flow import Optimum
from mdmot.models import MaskedTransformer, from_nnx

SOURCE = f"{PAPER}, Thm 3.6, through a network"
SCOPE = (
    f"n=3, d=2, p = (1..8)/36; a Flax transformer that reads alpha, {learned_networks.NUM_SEEDS} seeds; "
    "sup distance of the two schedules"
)

UNTRAINED_DISTANCE = 0.05
LARGEST_ERROR = 1e-3
"""Of a log-conditional after training. It allows a distance of .0027 for certain, 6e-5 to first order."""

SAMPLE_STEPS = (25, 100, 400, 1600)
SLOWEST_DECAY = 0.25
"""Of the distance, as a power of the number of samples; errors of estimates fall with the power 1/2."""

STUDENT_T = 2.365
"""97.5 % point of Student's t with one degree of freedom less than there are seeds."""


class LearnedOptima(NamedTuple):
    """The own optima of networks, one a seed along the first axis.

    Attributes:
      before: As they start.
      after: Fitted to the law's conditionals at all states and levels.
      samples: Numbers of samples of the law that networks were trained on.
      sampled: After training by the NELBO on those numbers of samples.
      decay: -d log distance / d log samples of each seed, by least squares.
    """

    before: Optimum
    after: Optimum
    samples: tuple[int, ...]
    sampled: tuple[Optimum, ...]
    decay: np.ndarray


def check_learned_optimum() -> list[Check]:
    """Distance of the network's own optimum from sin^2(pi/2 gamma), before and after training."""
    optima = learned_optima()
    farthest = float(optima.after.distance.max())
    error = float(optima.after.error.max())
    decay, decay_error = optima.decay.mean(), optima.decay.std(ddof=1) / len(optima.decay) ** 0.5
    return [
        at_least(
            Claim(
                "learned optimum, before training",
                "an untrained network's own flow has another optimal schedule",
                SOURCE,
                f"{SCOPE}; the nearest seed. The level's features start far from 0, by choice",
            ),
            UNTRAINED_DISTANCE,
            float(optima.before.distance.min()),
        ),
        at_most(
            Claim(
                "learned conditionals, after training",
                "the network has learned the law: its log-conditionals are exact at all levels",
                SOURCE,
                f"{SCOPE}; largest error over seeds, 27 states and {learned_flow.NUM_NODES} levels, of "
                f"which {learned_networks.TRAINED_NODES} were trained",
            ),
            LARGEST_ERROR,
            error,
        ),
        equal(
            Claim(
                "learned optimum, after training",
                "the trained network's own flow is cheapest along sin^2(pi/2 gamma)",
                SOURCE,
                f"{SCOPE}; the farthest seed; tolerance = what errors within e = {LARGEST_ERROR:g} of the "
                "log-conditionals do at worst, to first order; pi/2 tanh((2n+1)e/4) = "
                f"{learned_flow.distance_bound(LARGEST_ERROR):.4f} bounds it for certain",
            ),
            0.0,
            farthest,
            learned_flow.distance_sensitivity() * LARGEST_ERROR,
        ),
        at_least(
            Claim(
                "learned optimum, from samples",
                "trained by the NELBO on N samples, networks come nearer to sin^2(pi/2 gamma) as N grows",
                SOURCE,
                f"{SCOPE}; N = {', '.join(f'{n:,}' for n in optima.samples)}; the power of 1/N with "
                f"which the distance falls is {decay:.2f} +- {decay_error:.2f}; its 97.5 % lower bound",
            ),
            SLOWEST_DECAY,
            float(decay - STUDENT_T * decay_error),
        ),
        equal(
            Claim(
                "learned optimum, network without time",
                "a network that does not read the time has the optimum sin^2(pi/2 gamma) whatever its "
                "weights: its flow is alpha^s (1-alpha)^m pi(z), so its energy is a constant times J",
                "mdmot.energies.model_energy",
                "an untrained network of the same size: training is not needed for the theorem",
            ),
            0.0,
            float(untimed_optimum().distance),
            rounding(100),  # the inverse of a cosine basis, and sums over 27 states that are equal
        ),
    ]


def learned_optima() -> LearnedOptima:
    """Trains the networks and finds their optima, once for each precision."""
    return _learned_optima(str(jnp.zeros(()).dtype))


@functools.cache
def _learned_optima(precision: str) -> LearnedOptima:
    del precision  # the one in use: only a key
    denoiser, params = learned_networks.initial_networks()
    before = _optima(denoiser, params)
    after = _optima(denoiser, learned_networks.fit_to_law(denoiser, params))
    keys = jax.random.split(jax.random.key(0), learned_networks.NUM_SEEDS)
    sampled = tuple(
        _optima(denoiser, learned_networks.train_on_samples(denoiser, params, keys, jnp.int32(steps)))
        for steps in SAMPLE_STEPS
    )
    samples = tuple(learned_networks.BATCH_SIZE * steps for steps in SAMPLE_STEPS)
    distance = np.log([np.asarray(optimum.distance, np.float64) for optimum in sampled])
    decay = -np.polyfit(np.log(samples), distance, 1)[0]
    return LearnedOptima(before, after, samples, sampled, decay)


def untimed_optimum() -> Optimum:
    """The own optimum of an untrained network that does not read the time."""
    from flax import nnx

    plain, params = from_nnx(MaskedTransformer(learned_networks.CONFIG, nnx.Rngs(0)))

    @jax.jit
    def optimum(params: Params) -> Optimum:
        return learned_flow.own_optimum(learned_flow.conditionals(_without_level(plain), params))

    return optimum(params)


@functools.partial(jax.jit, static_argnames="denoiser")
def _optima(denoiser: Any, params: Params) -> Optimum:
    return jax.vmap(lambda one: learned_flow.own_optimum(learned_flow.conditionals(denoiser, one)))(params)


def _without_level(denoiser: Any) -> Any:
    def ignoring(params: Params, tokens: Array, alpha: Float[Array, " batch"]) -> Array:
        del alpha
        return denoiser(params, tokens)

    return ignoring
