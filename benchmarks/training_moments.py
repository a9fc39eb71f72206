"""Moments of the loss by level, sequence and pattern, and the variance of a batch that follows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

PAIRS = 2
"""Complementary pairs of patterns for each sequence and level: the fewest that have a variance."""


class Moments(NamedTuple):
    """What the loss per token is at numbers of masks m, [sequences, nodes].

    The numbers are the same for all sequences, so that effects of the level and of the sequence come apart.

    Attributes:
      nodes: The numbers of masks, from 1 to the length.
      mean: Mean loss.
      square: Mean loss squared, without bias.
      pattern: Variance over the patterns, of one pattern.
      mirror: Variance over the patterns, of the mean of a complementary pair.
    """

    nodes: np.ndarray
    mean: np.ndarray
    square: np.ndarray
    pattern: np.ndarray
    mirror: np.ndarray


class Curves(NamedTuple):
    """Means over the sequences for every m = 1, ..., length; and the decomposition.

    Attributes:
      mean: Mean loss.
      between: Variance of the mean loss between sequences.
      pattern: Mean variance over the patterns.
      mirror: Mean variance of a complementary pair.
      parts: A, B and C of one pattern.
    """

    mean: np.ndarray
    between: np.ndarray
    pattern: np.ndarray
    mirror: np.ndarray
    parts: tuple[float, float, float]


def nodes_of(length: int) -> np.ndarray:
    """Numbers of masks, close together where few or nearly all tokens are masked."""
    rest = np.unique(np.round(np.geomspace(1, length // 4, 8))).astype(int)
    middle = np.linspace(length // 4, length - length // 4, 8).round().astype(int)
    return np.unique(np.concatenate([rest, middle, length + 1 - rest]))


def measured_moments(key: Any, denoiser: Any, params: Any, windows: np.ndarray, mask_id: int) -> Moments:
    """Moments of these sequences by `PAIRS` independent pairs of complementary patterns."""
    import jax
    import jax.numpy as jnp

    from mdmot.training import Antithetic, CountedMasks
    from mdmot.training.cross_entropy import pattern_losses

    num, length = windows.shape
    nodes = nodes_of(length)
    tokens = jnp.asarray(windows, jnp.int32)

    @jax.jit
    def losses_of(params, keys, share):
        def pair(key):
            uniforms = Antithetic().draw(key, 2, tokens.shape)
            patterns = CountedMasks().patterns(uniforms, share, None, None)
            return pattern_losses(denoiser, params, tokens, mask_id, patterns) / length

        return jax.lax.map(pair, keys)

    losses = np.empty((nodes.size, PAIRS, 2, num))
    for i, level_key in enumerate(jax.random.split(key, nodes.size)):
        share = jnp.full(num, (nodes[i] - 0.5) / length, jnp.float32)
        losses[i] = losses_of(params, jax.random.split(level_key, PAIRS), share)
    losses = losses.transpose(3, 0, 1, 2)
    of_pairs = losses.mean(axis=3)
    mean = of_pairs.mean(axis=2)
    mirror = of_pairs.var(axis=2, ddof=1)
    # Patterns of different pairs are independent.
    pattern = 0.5 * ((losses[:, :, 0, :, None] - losses[:, :, 1, None, :]) ** 2).mean(axis=(2, 3))
    return Moments(nodes, mean, mean**2 - mirror / PAIRS, pattern, mirror)


def curves_of(moments: Moments) -> Curves:
    """Means over the sequences, with the levels between the nodes filled in."""
    length = int(moments.nodes[-1])
    places = np.arange(1, length + 1)
    at = np.stack([np.interp(places, moments.nodes, row) for row in np.eye(moments.nodes.size)])
    weights = at.mean(axis=1)
    mean = moments.mean.mean(axis=0) @ at
    # The variance over patterns falls as 1/m, so m times it is what is nearly a line between the nodes.
    pattern, mirror = (
        (moments.nodes * value.mean(axis=0)) @ at / places for value in (moments.pattern, moments.mirror)
    )
    of_sequence = moments.mean @ weights
    # Each sequence's mean over levels has an error of its own, whose square is taken off.
    square_of_sequence = (of_sequence**2 - (moments.mirror / PAIRS) @ weights**2).mean()
    # At the nodes; the product of two lines that are filled in is not the line of the products.
    between = (moments.square.mean(axis=0) - moments.mean.mean(axis=0) ** 2) @ at
    second = between.mean() + (mean**2).mean()
    parts = (pattern.mean(), second - square_of_sequence, square_of_sequence - of_sequence.mean() ** 2)
    return Curves(mean, between, pattern, mirror, parts)


class Rule(NamedTuple):
    """How a batch is spread over the levels, as the variance of its mean needs it.

    Attributes:
      weight: Mean over batches of the sum of the squared weights at each m, over the square of the rows.
      covariance: Of the batch's weight at each m: the sum over its rows, over their number.
      control: What is taken off the loss at each m.
      spread: "pattern", "mirror" or "pair": what a row's variance over its patterns is.
    """

    weight: np.ndarray
    covariance: np.ndarray
    control: np.ndarray
    spread: str


def rule_of(key: Any, objective: Any, state: Any, rows: int, length: int, draws: int = 2**13) -> Rule:
    """A rule by drawing the levels of many batches; no network is called."""
    import jax

    from mdmot.training import Antithetic
    from mdmot.training.bins import bin_of, smooth_mean

    drawn = jax.jit(jax.vmap(lambda key: objective.levels.draw(key, state.levels, rows)))(
        jax.random.split(key, draws)
    )
    weight = np.asarray(drawn.weight, np.float64) / rows
    index = np.floor(length * np.asarray(drawn.share)).astype(int)
    flat = (np.arange(draws)[:, None] * length + index).ravel()
    sums = np.bincount(flat, weight.ravel(), draws * length).reshape(draws, length)
    squares = np.bincount(index.ravel(), (weight**2).ravel(), length) / draws
    control = np.zeros(length)
    if state.control is not None:
        means = np.asarray(smooth_mean(state.control), np.float64)
        control = means[np.asarray(bin_of((np.arange(length) + 0.5) / length, means.size))]
    spread = "pattern"
    if objective.num_patterns == 2:
        spread = "mirror" if isinstance(objective.spread, Antithetic) else "pair"
    return Rule(squares, np.cov(sums, rowvar=False, ddof=0), control, spread)


def variance_of(rule: Rule, curves: Curves) -> float:
    """The variance of a batch's loss: what is left at given levels, and that of the mean over the levels.

    At given levels the rows are independent.
    """
    patterns = {"pattern": curves.pattern, "mirror": curves.mirror, "pair": curves.pattern / 2}
    mean = curves.mean - rule.control
    within = rule.weight @ (patterns[rule.spread] + curves.between)
    return float(within + mean @ rule.covariance @ mean)


def jackknife(
    statistic: Callable[[Moments], np.ndarray], moments: Moments
) -> tuple[np.ndarray, np.ndarray]:
    """A statistic without its first-order bias, and its standard error, by leaving out sequences."""
    num = len(moments.mean)
    whole = statistic(moments)
    left_out = np.stack(
        [
            statistic(Moments(moments.nodes, *(np.delete(value, i, axis=0) for value in moments[1:])))
            for i in range(num)
        ]
    )
    mean = left_out.mean(axis=0)
    error = np.sqrt((num - 1) / num * ((left_out - mean) ** 2).sum(axis=0))
    return num * whole - (num - 1) * mean, error
