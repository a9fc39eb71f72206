"""The truncated Gumbel: what a float32 argmax over the vocabulary does to small probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from mdmot._types import Params, Tokens
from mdmot.checks.check import LONG, Check, Claim, at_least, equal
from mdmot.denoisers import SplitDenoiser
from mdmot.model import Model
from mdmot.samplers import BernoulliUnmasking, Network, StepInput

SOURCE = "Zheng et al., arXiv:2409.02908"
VOCAB_SIZE = 50_257
REVEAL = 1e-3
NUM_ROWS, LENGTH = 80, 2**17
"""Ten million masks, of which ten thousand are revealed: five standard errors are 5 %."""

NUM_GUMBELS, TAIL = 2**20, 6.0


def check_unmask_rate() -> list[Check]:
    """P(unmask) at p = 1e-3 over 50,257 flat tokens: one default draw over token and mask, and ours."""
    scope = f"p = {REVEAL:g}, V = {VOCAB_SIZE:,}, flat"
    rate = _two_stage_rate() / REVEAL
    standard_error = np.sqrt((1 - REVEAL) / (REVEAL * NUM_ROWS * LENGTH))
    return [
        equal(
            Claim(
                "the default Gumbel's values",
                "jax.random.gumbel in float32 takes the values -log(-log(k 2^-23)), k whole, and no other",
                "mdmot.checks.draws",
                f"largest distance of k from a whole number in draws above {TAIL:g}, where float32 tells "
                f"neighbours apart; {NUM_GUMBELS:,} draws",
            ),
            0.0,
            _distance_from_grid(),
            0.1,  # 3 ulp of the draw move k by at most 2^23 e^-6 * 1.4e-6 = .03; any law else, by 1/2
        ),
        at_least(
            Claim(
                "one default draw loses the tail",
                "jax.random.categorical over tokens and mask realises less than 2% of the unmask rate",
                SOURCE,
                f"{scope}; exact law of the default float32 Gumbel; the number is the share that is lost",
            ),
            0.98,
            1 - default_draw_rate(REVEAL, VOCAB_SIZE) / REVEAL,
        ),
        equal(
            Claim(
                "two-stage draw keeps the rate",
                "drawing whether to unmask before drawing the token realises the whole unmask rate",
                "mdmot.samplers",
                f"{scope}; one step of BernoulliUnmasking on {NUM_ROWS * LENGTH:,} masks; ratio to p; "
                "tolerance = 5 standard errors",
            ),
            1.0,
            rate,
            5 * float(standard_error),
        ),
    ]


def default_draw_rate(reveal: float, vocab_size: int) -> float:
    """P(a token beats the mask) when one default float32 Gumbel draw decides between all of them.

    Exact: JAX's uniform takes 2^23 values, so a Gumbel does, and so does the largest of V.

    Args:
      reveal: The probability p that should be realised, spread evenly over the tokens.
      vocab_size: V.

    Returns:
      The probability that is realised.
    """
    gumbel = _default_gumbels()
    of_token = np.float32(np.log(reveal / vocab_size)) + gumbel
    of_mask = np.float32(np.log1p(-reveal)) + gumbel
    share_below = np.searchsorted(of_token, of_mask, side="right") / gumbel.size
    with np.errstate(divide="ignore"):
        return float(-np.expm1(vocab_size * np.log(share_below)).mean())


def _distance_from_grid() -> float:
    """How far the default Gumbel's largest draws are from those of a uniform on multiples of 2^-23."""
    drawn = np.asarray(jax.random.gumbel(jax.random.key(0), (NUM_GUMBELS,), jnp.float32), np.float64)
    k = np.exp(-np.exp(-drawn[drawn > TAIL])) * 2**23
    return float(np.abs(k - k.round()).max())


def _default_gumbels() -> np.ndarray:
    """Every value of the default float32 Gumbel, in rising order."""
    grid = np.arange(2**23, dtype=np.float32) / np.float32(2**23)
    uniform = jnp.asarray(np.maximum(grid, np.finfo(np.float32).tiny))
    return np.asarray(-jnp.log(-jnp.log(uniform)))


def _two_stage_rate() -> float:
    """Share of masks that one step of the sampler reveals; logits exist where it reveals alone."""
    rule = BernoulliUnmasking()
    network = Network(Model(SplitDenoiser(_no_features, _flat_head), None, VOCAB_SIZE))
    start, prob = jnp.asarray([0.0, REVEAL], jnp.float32)
    step = StepInput(start, prob, prob, jnp.int32(0), jnp.int32(2))
    tokens = jnp.full((1, LENGTH), VOCAB_SIZE, jnp.int32)

    def revealed(key: Array) -> Array:
        state, _ = rule.step(key[None], network, rule.init(key[None], network, tokens), step)
        return (state.tokens != VOCAB_SIZE).sum()

    run = jax.jit(lambda keys: lax.map(revealed, keys), compiler_options=LONG)
    counts = run(jax.random.split(jax.random.key(0), NUM_ROWS))
    return float(counts.sum()) / (NUM_ROWS * LENGTH)


def _no_features(params: Params, tokens: Tokens) -> Array:
    return jnp.zeros((*tokens.shape, 1))


def _flat_head(params: Params, features: Array) -> Array:
    return jnp.broadcast_to(features, (*features.shape[:-1], VOCAB_SIZE))
