"""Exact laws of three-step samplers over 32 sentences (Chen et al., arXiv:2509.13866, Fig. 4)."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from mdmot import exact_law as exact
from mdmot import information
from mdmot.distributions import Tabular, uniform_over
from mdmot.schedules import masks, step_grid

LENGTH, VOCAB_SIZE, NUM_STEPS = 5, 2, 3
PAPER_GRID = tuple(round(0.1 * k, 1) for k in range(1, 11))
"""The values of a and of b that the paper searches."""

SENTENCES = tuple(itertools.product(range(VOCAB_SIZE), repeat=LENGTH))


class SampledLaw(NamedTuple):
    """What one schedule makes of a law in three steps.

    Attributes:
      schedule: Its name.
      alpha: The grid.
      prob: Probability of each of the 32 sentences.
      legal_mass: Probability of the law's own sentences.
      kl: KL(law || sampler), nats.
      path_kl: Its bound, the expected KL given the order of reveals.
    """

    schedule: str
    alpha: np.ndarray
    prob: np.ndarray
    legal_mass: float
    kl: float
    path_kl: float


class ToyLaw(NamedTuple):
    """A law over the 32 sentences and the samplers of it.

    Attributes:
      name: What its sentences have in common.
      target: Probability of each sentence.
      sampled: One sampled law a schedule.
    """

    name: str
    target: np.ndarray
    sampled: list[SampledLaw]


def toy_laws() -> list[ToyLaw]:
    """Two laws, each under the linear and the squared-sine schedule and the best of the paper's grid."""
    num_a = np.array([sentence.count(0) for sentence in SENTENCES])
    return [
        _toy_law("all letters alike (aaaaa, bbbbb)", (num_a == 0) | (num_a == LENGTH)),
        _toy_law("two or three a's", (num_a == 2) | (num_a == 3)),
    ]


def _toy_law(name: str, is_legal: np.ndarray) -> ToyLaw:
    law = uniform_over(np.asarray(SENTENCES)[is_legal], VOCAB_SIZE)
    shapes = list(itertools.product(PAPER_GRID, PAPER_GRID))
    alphas, probs, found = _laws_of_shapes(law, jnp.asarray(shapes, law.log_prob.dtype))
    best = int(found.legal_mass.argmax())
    chosen = {
        "linear": shapes.index((0.5, 0.5)),
        "squared-sine": shapes.index((1.0, 1.0)),
        f"beta:{shapes[best][0]},{shapes[best][1]}": best,
    }
    sampled = [
        SampledLaw(
            schedule,
            np.asarray(alphas[k]),
            np.asarray(probs[k]),
            float(found.legal_mass[k]),
            float(found.kl[k]),
            float(found.path_kl[k]),
        )
        for schedule, k in chosen.items()
    ]
    return ToyLaw(name, is_legal / is_legal.sum(), sampled)


@jax.jit
def _laws_of_shapes(
    law: Tabular, shapes: Float[Array, "shapes 2"]
) -> tuple[Float[Array, "shapes points"], Float[Array, "shapes sentences"], exact.SamplerLaw]:
    """Alphas, probability of each sentence and distance from the law, for each Beta shape."""
    profile = information.information_profile(law)

    def of_shape(shape: Array) -> tuple[Array, Array, exact.SamplerLaw]:
        grid = step_grid(masks.beta(*shape), NUM_STEPS)
        path_kl = information.bernoulli_path_kl(profile, grid.alpha)
        on_support = exact.bernoulli_law(law, VOCAB_SIZE, grid.reveal, law.sequences)
        prob = exact.bernoulli_law(law, VOCAB_SIZE, grid.reveal, jnp.asarray(SENTENCES))
        return grid.alpha, prob, exact.sampler_law(law, on_support, path_kl)

    return jax.vmap(of_shape)(shapes)
