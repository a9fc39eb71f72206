"""Networks that read the time: as they start, fitted to a law, and trained on samples of it."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, Key

from mdmot import energies
from mdmot._types import Logits, Params, Tokens
from mdmot.checks.check import LONG
from mdmot.checks.gauss_newton import least_squares
from mdmot.checks.learned_flow import LAW, LENGTH, MASK, VOCAB_SIZE, states
from mdmot.distributions import posterior_marginals, tabular
from mdmot.models import TimeConditionedTransformer, TransformerConfig, from_nnx_timed
from mdmot.training import nelbo

NUM_SEEDS = 8
CONFIG = TransformerConfig(vocab_size=VOCAB_SIZE, length=LENGTH, width=16, depth=1, heads=2)
LEAN = 3.0
"""Of the initial features of the level, where those of tokens and positions have length about 1.4."""

TRAINED_NODES = 33
NUM_ITERATIONS = 24
LARGEST_RESIDUAL = 5e-4
"""Of the log-odds, at which a fit ends: an error of a log-conditional is at most that of its log-odds."""

BATCH_SIZE = 64
LEARNING_RATE = 3e-3


def initial_networks() -> tuple[Any, Params]:
    """A time-conditioned transformer and `NUM_SEEDS` random weights of it, stacked; none ignores the time.

    The map from the level to features starts as cos(pi alpha) times the direction in which the head tells
    the two letters apart: the network leans to one letter while all is masked and to the other at the end,
    smoothly, so that the energy of its flow depends on when it moves. With Flax's own start the features of
    the level cancel one another, and some seeds are near the theorem's optimum by luck.
    """
    from flax import nnx

    def network(seed: Array) -> Any:
        return TimeConditionedTransformer(CONFIG, nnx.Rngs(jax.random.key(seed)))

    @jax.jit
    @jax.vmap
    def weights(seed: Array) -> Params:
        return _leaning(from_nnx_timed(network(seed))[1])

    denoiser, _ = from_nnx_timed(nnx.eval_shape(lambda: network(jnp.int32(0))))
    return denoiser, weights(jnp.arange(NUM_SEEDS))


def _leaning(params: Params) -> Params:
    head = params["head"]["kernel"]
    direction = head[:, 0] - head[:, 1]
    direction = direction / jnp.linalg.norm(direction)
    level_in = params["level_in"]["kernel"]
    sign = jnp.where(jnp.arange(level_in.shape[1]) % 2 == 0, 1.0, -1.0).astype(level_in.dtype)
    # silu(x) - silu(-x) = x: pairs of features of opposite sign pass cos(pi alpha), the first wave, on.
    return params | {
        "level_in": {
            "kernel": jnp.zeros_like(level_in).at[0].set(sign),
            "bias": jnp.zeros_like(params["level_in"]["bias"]),
        },
        "level_out": {"kernel": LEAN * 2 / sign.size * jnp.outer(sign, direction)},
    }


def target_log_odds() -> Float[Array, "states length"]:
    """log p(0 | z) - log p(1 | z) of every site of every state; nan or infinite at unmasked sites."""
    sequences = np.indices(LAW.shape).reshape(LENGTH, -1).T
    law = tabular(sequences, LAW.ravel(), VOCAB_SIZE)
    log_p = jnp.log(posterior_marginals(law, states(), VOCAB_SIZE))
    return log_p[..., 0] - log_p[..., 1]


def fit_to_law(denoiser: Any, params: Params, num_iterations: int = NUM_ITERATIONS) -> Params:
    """Fits stacked weights to the log-odds of the law, at all 27 states and `TRAINED_NODES` levels at once.

    Args:
      denoiser: `(params, tokens, alpha) -> logits`.
      params: Weights with an axis of networks in front.
      num_iterations: Of the least-squares solver, at most.
    """
    state, site = np.nonzero(np.asarray(states()) == MASK)
    target = jnp.tile(target_log_odds()[state, site].astype(jnp.float32), TRAINED_NODES)
    tokens = jnp.tile(states()[state], (TRAINED_NODES, 1))
    sites = jnp.tile(jnp.asarray(site), TRAINED_NODES)
    levels = jnp.asarray(energies.alpha_nodes(TRAINED_NODES), jnp.float32)
    alpha = jnp.repeat(levels, site.size)

    def log_odds(params: Params, tokens: Array, alpha: Array, site: Array) -> Array:
        logits = denoiser(params, tokens[None], alpha[None])[0, site]
        return logits[0] - logits[1]

    def residuals(params: Params) -> Array:
        return jax.vmap(log_odds, (None, 0, 0, 0))(params, tokens, alpha, sites) - target

    def jacobian(params: Params) -> Params:
        return jax.vmap(jax.grad(log_odds), (None, 0, 0, 0))(params, tokens, alpha, sites)

    @functools.partial(jax.jit, compiler_options=LONG)
    def run(params: Params) -> Params:
        return jax.lax.map(
            lambda one: least_squares(residuals, jacobian, one, num_iterations, LARGEST_RESIDUAL), params
        )

    return run(params)


@dataclasses.dataclass(frozen=True)
class AtRandomLevel:
    """A time-reading denoiser as a plain one, whose params carry the randomness of the level.

    Given that m of n positions are masked, the level at which they are has the law Beta(n - m + 1, m)
    under the NELBO's weight of levels, (1 - alpha)^(m-1) alpha^(n-m) d alpha: with it drawn so,
    `mdmot.training.nelbo` is unbiased for a network that reads the time.

    Attributes:
      denoiser: `(params, tokens, alpha) -> logits`.
      mask_id: The token of a masked position.
    """

    denoiser: Any
    mask_id: int

    def __call__(self, params: tuple[Params, Key[Array, ""]], tokens: Tokens) -> Logits:
        """The logits, each row's at a level of its own."""
        weights, key = params
        masked = (tokens == self.mask_id).sum(axis=1).astype(jnp.float32)
        alpha = jax.random.beta(
            key, tokens.shape[1] - masked + 1, jnp.maximum(masked, 1.0), dtype=jnp.float32
        )
        return self.denoiser(weights, tokens, alpha)


@functools.partial(jax.jit, static_argnames="denoiser", compiler_options=LONG)
def train_on_samples(
    denoiser: Any, params: Params, keys: Key[Array, " networks"], num_steps: Int[Array, ""]
) -> Params:
    """Trains stacked weights by the NELBO on samples of the law, each of them seen once, as a user would.

    Args:
      denoiser: `(params, tokens, alpha) -> logits`.
      params: Weights with an axis of networks in front.
      keys: One a network: its samples, levels and masks.
      num_steps: Updates, of `BATCH_SIZE` samples each; Adam, its rate falling to 0 along a cosine.
    """
    import optax

    sequences = jnp.asarray(np.indices(LAW.shape).reshape(LENGTH, -1).T, jnp.int32)
    log_law = jnp.log(jnp.asarray(LAW.ravel(), jnp.float32))
    reads_level = AtRandomLevel(denoiser, MASK)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam())

    def train(params: Params, key: Array) -> Params:
        def step(number: Array, carry: Any) -> Any:
            params, state = carry
            sample_key, mask_key, level_key = jax.random.split(jax.random.fold_in(key, number), 3)
            drawn = jax.random.categorical(sample_key, log_law, shape=(BATCH_SIZE,))

            def loss(params: Params) -> Array:
                return nelbo(mask_key, reads_level, (params, level_key), sequences[drawn], MASK).mean()

            updates, state = optimizer.update(jax.grad(loss)(params), state)
            share = number.astype(jnp.float32) / num_steps.astype(jnp.float32)
            rate = LEARNING_RATE * (1 + jnp.cos(jnp.pi * share)) / 2
            return jax.tree.map(lambda w, u: (w - rate * u).astype(w.dtype), params, updates), state

        return jax.lax.fori_loop(0, num_steps, step, (params, optimizer.init(params)))[0]

    return jax.vmap(train)(params, keys)
