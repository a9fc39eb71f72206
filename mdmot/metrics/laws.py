"""Metrics of samples against a law whose probabilities are known."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Float, Integer

from mdmot.errors import InputError
from mdmot.metrics.estimate import Estimate, Share, exponential, mean_of, share_of

NUM_HALVINGS = 8
NUM_RESAMPLES = 200
MOST_AT_ONCE = 2**20
MOST_UNSEEN = 0.1

Rows = Integer[np.ndarray, "num length"] | Integer[Array, "num length"]
LogProb = Callable[[Any], Any]
"""`log_prob(tokens) -> log p` of each row in nats, -inf where it is illegal."""


class Distance(NamedTuple):
    """How far the law of samples is from another.

    Attributes:
      value: With the bias of the plug-in taken out; it may be a little below 0 when the laws are equal.
      standard_error: By the bootstrap; up to twice too large when the laws are equal. nan if the value is
        infinite.
      plug_in: The distance of the observed frequencies, too large by the noise in them.
      unseen: Estimated probability of all sequences that were not drawn, by Good and Turing. Neither value
        means much unless it is small, some hundredths.
    """

    value: float
    standard_error: float
    plug_in: float
    unseen: float

    @property
    def is_told(self) -> bool:
        """Whether samples tell it: a tenth at most is unseen, or it is infinite, as one sample tells."""
        return self.unseen <= MOST_UNSEEN or self.value == math.inf


def token_error_rate(log_prob: LogProb, tokens: Rows) -> Estimate:
    """The perplexity of sequences: exp of the mean of -log p(x) / |x|.

    With sequences drawn from a language and the law p of a sampler this is the token error rate of Feng et
    al., at least the language's own; `sampler_likelihood` estimates log p from below, so that the rate is
    then bounded from above. With samples of a sampler and the law of the language it is their perplexity
    under it, infinite if one is illegal.

    Args:
      log_prob: The law.
      tokens: At least 2 sequences.

    Returns:
      The rate, at least 1, its error to first order.

    Raises:
      InputError: If there are fewer than 2 sequences or `log_prob` does not fit them.

    Example:
      >>> tokens = np.zeros((4, 3), int)
      >>> round(token_error_rate(lambda tokens: np.full(4, -3 * np.log(2)), tokens).value, 6)
      2.0

    References:
      Feng et al., arXiv:2502.09622.
    """
    return exponential(mean_of(-_log_probs(log_prob, tokens) / tokens.shape[1]))


def sequence_error_rate(log_prob: LogProb, tokens: Rows) -> Share:
    """The share of sequences that are illegal under a law, those with p(x) = 0.

    Args:
      log_prob: The law.
      tokens: Samples of a sampler, at least 1.

    Returns:
      The share, with its interval of 95 %.

    Raises:
      InputError: If there is no sequence or `log_prob` does not fit them.

    Example:
      >>> share = sequence_error_rate(lambda tokens: np.log([1.0, 0.5]), np.zeros((2, 3), int))
      >>> share.value
      0.0

    References:
      Feng et al., arXiv:2502.09622.
    """
    return share_of(int((_log_probs(log_prob, tokens) == -math.inf).sum()), len(tokens))


def kl_to_sampler(
    log_prob: LogProb, tokens: Rows, log_likelihood: Float[np.ndarray, " likelihoods"]
) -> Estimate:
    """KL(law || sampler), in nats, as the mean of log p(x) - log q(x) over sequences of the law.

    Args:
      log_prob: The law p.
      tokens: Independent sequences drawn from it, at least 2.
      log_likelihood: log q of each under the sampler, -inf where it cannot make it. Where these are bounds
        from below, as those of `sampler_likelihood`, the divergence is bounded from above.

    Returns:
      The divergence, infinite if the sampler cannot make one of the sequences. Noise may take a small one
      below 0.

    Raises:
      InputError: If there are fewer than 2 sequences, a number is missing or one is illegal under the law.

    Example:
      >>> tokens = np.zeros((4, 3), int)
      >>> kl_to_sampler(lambda tokens: np.full(4, -1.0), tokens, np.full(4, -1.5)).value
      0.5
    """
    log_law = _log_probs(log_prob, tokens)
    if log_likelihood.shape != log_law.shape or not np.isfinite(log_law).all():
        raise InputError(
            f"{len(log_likelihood)} likelihoods for {len(log_law)} sequences; pass one for each, and "
            "sequences that are legal under the law"
        )
    return mean_of(log_law - log_likelihood)


def kl_to_law(seed: int, log_prob: LogProb, tokens: Rows) -> Distance:
    """KL(samples || law), in nats, from the frequencies of whole sequences.

    The plug-in is too large by (support - 1) / 2n, to first order; twice the plug-in less that of half the
    samples is not. It serves where each sequence is drawn some times. The other direction,
    KL(law || samples), is infinite as soon as one sequence is not drawn.

    Args:
      seed: Of the halvings and the bootstrap, at least 0.
      log_prob: The law.
      tokens: Independent samples, at least 4.

    Returns:
      The divergence, infinite if a sample is illegal.

    Raises:
      InputError: If there are too few sequences or `log_prob` does not fit them.

    Example:
      >>> tokens = np.arange(4000)[:, None] % 4
      >>> found = kl_to_law(0, lambda tokens: np.full(len(tokens), -np.log(8)), tokens)
      >>> bool(abs(found.value - np.log(2)) < 0.01)
      True
    """
    return _distance(_divergence, 2.0, seed, log_prob, tokens)


def total_variation_to_law(seed: int, log_prob: LogProb, tokens: Rows) -> Distance:
    r"""Total variation, in [0, 1], from the frequencies of whole sequences.

    It is the sum over the sequences drawn of max(frequency - p, 0). Where frequencies differ from p by
    noise alone the plug-in shrinks as n^(-1/2), and :math:`(\sqrt2\, T_n - T_{n/2}) / (\sqrt2 - 1)` is free
    of it; where they differ by more it leaves the plug-in as it is; in between it is too small. So the true
    distance lies between `value` and `plug_in`, but for their standard error.

    Args:
      seed: Of the halvings and the bootstrap, at least 0.
      log_prob: The law.
      tokens: Independent samples, at least 4.

    Returns:
      The distance.

    Raises:
      InputError: If there are too few sequences or `log_prob` does not fit them.

    Example:
      >>> tokens = np.arange(4000)[:, None] % 4
      >>> found = total_variation_to_law(0, lambda tokens: np.full(len(tokens), -np.log(8)), tokens)
      >>> abs(found.value - 0.5) < 0.01
      True
    """
    return _distance(_variation, math.sqrt(2), seed, log_prob, tokens)


Counts = Integer[np.ndarray, "*draws sequences"]
LogLaw = Float[np.ndarray, " sequences"]
Values = np.ndarray | np.float64
"""One a draw."""


def _distance(
    plug_in: Callable[[Counts, LogLaw], Values],
    growth: float,
    seed: int,
    log_prob: LogProb,
    tokens: Rows,
) -> Distance:
    """A distance whose bias is `growth` times as large for half the samples, and its bootstrap."""
    if len(tokens) < 4 or seed < 0:
        raise InputError(f"{len(tokens)} sequences, seed {seed}; pass at least 4 and a seed of at least 0")
    sequences, counts = np.unique(np.asarray(tokens), axis=0, return_counts=True)
    log_law = _log_probs(log_prob, sequences)
    num, half = len(tokens), len(tokens) // 2
    observed = float(plug_in(counts, log_law))
    unseen = float((counts == 1).sum() / num)
    if observed == math.inf:
        return Distance(math.inf, math.nan, math.inf, unseen)

    def corrected(first: Counts, second: Counts) -> Values:
        halves = (plug_in(first, log_law) + plug_in(second, log_law)) / 2
        return (growth * plug_in(first + second, log_law) - halves) / (growth - 1)

    generator = np.random.default_rng(seed)
    first = generator.multivariate_hypergeometric(counts, half, size=NUM_HALVINGS, method="marginals")
    value = float(corrected(first, counts - first).mean())
    resampled = []
    at_once = max(1, MOST_AT_ONCE // len(counts))
    for start in range(0, NUM_RESAMPLES, at_once):
        size = min(at_once, NUM_RESAMPLES - start)
        drawn = [generator.multinomial(n, counts / num, size) for n in (half, num - half)]
        resampled.append(corrected(*drawn))
    return Distance(value, float(np.concatenate(resampled).std(ddof=1)), observed, unseen)


def _divergence(counts: Counts, log_law: LogLaw) -> Values:
    share = counts / counts.sum(axis=-1, keepdims=True)
    is_drawn = share > 0
    log_share = np.log(np.where(is_drawn, share, 1.0))
    return np.sum(share * np.where(is_drawn, log_share - log_law, 0.0), axis=-1)


def _variation(counts: Counts, log_law: LogLaw) -> Values:
    share = counts / counts.sum(axis=-1, keepdims=True)
    return np.maximum(share - np.exp(log_law), 0.0).sum(axis=-1)


def _log_probs(log_prob: LogProb, tokens: Rows) -> Float[np.ndarray, " num"]:
    values = np.asarray(log_prob(tokens), np.float64)
    if values.shape != tokens.shape[:1] or np.isnan(values).any() or (values == math.inf).any():
        raise InputError(
            f"log_prob gave {values.dtype}{list(values.shape)} for {len(tokens)} sequences; it must give a "
            "log-probability for each, -inf where it is illegal"
        )
    return values
