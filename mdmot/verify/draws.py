"""The truncated Gumbel: what a float32 argmax over the vocabulary does to small probabilities."""

import jax
import jax.numpy as jnp
import numpy as np

from mdmot.samplers import draw
from mdmot.verify.check import Check, Claim, at_least, equal

SOURCE = "Zheng et al., arXiv:2409.02908"
VOCAB_SIZE = 50_257
REVEAL = 1e-3
NUM_DRAWS = 2**22


def check_unmask_rate() -> list[Check]:
    """P(unmask) at p = 1e-3 over 50,257 flat tokens: one default draw over token and mask, and ours."""
    scope = f"p = {REVEAL:g}, V = {VOCAB_SIZE:,}, flat"
    keys = jax.random.split(jax.random.key(0), 1)
    prob = jnp.full((), REVEAL, jnp.float32)
    rate = float(draw.bernoulli(keys, prob, NUM_DRAWS).mean()) / REVEAL
    standard_error = np.sqrt((1 - REVEAL) / (REVEAL * NUM_DRAWS))
    return [
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
                "mdmot.samplers.draw",
                f"{scope}; {NUM_DRAWS:,} draws in float32; ratio to p",
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
    num = 2**23
    grid = np.arange(num, dtype=np.float32) / np.float32(num)
    uniform = jnp.asarray(np.maximum(grid, np.finfo(np.float32).tiny))
    gumbel = np.asarray(-jnp.log(-jnp.log(uniform)))
    of_token = np.float32(np.log(reveal / vocab_size)) + gumbel
    of_mask = np.float32(np.log1p(-reveal)) + gumbel
    share_below = np.searchsorted(of_token, of_mask, side="right") / num
    with np.errstate(divide="ignore"):
        return float(-np.expm1(vocab_size * np.log(share_below)).mean())
