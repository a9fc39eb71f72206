"""What a decoder was measured to lose, row by row, and what follows for the mean and the mixture."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mdmot.decoders.sequences import Sequences
from mdmot.errors import InputError


class Mean(NamedTuple):
    """A mean over sequences.

    Attributes:
      value: The mean over the rows where it is finite; nan if there is none.
      standard_error: Of the mean; 0 where it runs over all there is to average.
      infinite: Weight of the rows where it is not finite, which the mean leaves out.
    """

    value: float
    standard_error: float
    infinite: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Measured:
    """The likelihood that a decoder gives to sequences, for some draws of its randomness u.

    Measured on the same sequences from the same key, two decoders have the same random numbers: compare
    them by `paired_difference`.

    Attributes:
      sequences: The rows.
      log_q: log q(x|u) in nats, one row a draw of u; -inf where the decoder cannot draw the sequence.
      network_calls: Calls of each.
      is_random: Whether the decoder draws anything but tokens.
    """

    sequences: Sequences
    log_q: Float[np.ndarray, "draws rows"]
    network_calls: Int[np.ndarray, "draws rows"]
    is_random: bool

    @property
    def losses(self) -> Float[np.ndarray, "draws rows"]:
        """-log q(x|u) of each row; log p(x) - log q(x|u) where the law is known."""
        known = self.sequences.log_prob
        return -self.log_q if known is None else known - self.log_q

    @property
    def loss(self) -> Mean:
        """The mean of `losses`: E[-log q(x|u)] in nats a sequence, less the entropy of a law that is known.

        For a law it is the mean over u of the divergence KL(p || q(.|u)), and an upper bound of that of the
        mixture, KL(p || q). Its error is that of the sample of rows; where the rows are all of a law, that
        of the draws of u.
        """
        return _mean(self.losses, self.sequences, self.is_random)

    @property
    def impossible(self) -> float:
        """Weight of the rows that the decoder cannot draw, in the mean over the draws of u.

        `loss` leaves out the rows that cannot be drawn in some draw of u at least, `mixture` those that
        cannot in any.
        """
        return float((~np.isfinite(self.log_q)).mean(axis=0) @ self.sequences.weights)

    @property
    def mixture(self) -> Mean:
        """The same for the mean of q(x|u) over the draws of u, which tends to q(x) from below.

        -log of a mean of M draws is too large by what falls as 1/M: in expectation it falls with M to
        -log q(x).
        """
        if not self.is_random or len(self.log_q) == 1:
            return self.loss
        peak = self.log_q.max(axis=0)
        shift = np.where(np.isfinite(peak), peak, 0.0)
        share = np.exp(self.log_q - shift)
        mean = share.mean(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_q = np.log(mean) + shift
            # Delta method: the variance of the log of a mean.
            variance = share.var(axis=0, ddof=1) / len(share) / mean**2
        known = self.sequences.log_prob
        found = _mean((-log_q if known is None else known - log_q)[None], self.sequences, False)
        if not self.sequences.is_exact:
            return found
        weights = _finite_weights(log_q, self.sequences.weights)
        error = float(np.sqrt(np.sum(weights**2 * np.where(weights > 0, variance, 0.0))))
        return found._replace(standard_error=error)

    @property
    def kl(self) -> Mean | None:
        """KL(p || q) of a law from its whole support, infinite if q misses some of it; else None.

        Exact, the loss itself, of a decoder without randomness; else the estimate by the mixture.
        """
        if not self.sequences.is_exact:
            return None
        found = self.mixture
        return found if found.infinite == 0 else Mean(np.inf, 0.0, found.infinite)

    @property
    def calls(self) -> float:
        """Mean network calls of a row."""
        return float(self.network_calls.mean(axis=0) @ self.sequences.weights)


def paired_difference(first: Measured, second: Measured) -> Mean:
    """Loss of the first decoder less that of the second, on the rows that both can draw.

    Args:
      first: A decoder.
      second: Another one, measured on the same sequences from the same key.

    Returns:
      The mean difference; its error is much smaller than those of the losses where what makes a row hard
      is common to both.

    Raises:
      InputError: If the sequences are not the same.

    Example:
      >>> rows, calls = Sequences([[0, 1], [1, 0]]), np.ones((1, 2), int)
      >>> first, second = np.array([[-4.0, -2.0]]), np.array([[-3.0, -1.0]])
      >>> difference = paired_difference(*(Measured(rows, q, calls, False) for q in (first, second)))
      >>> difference.value, difference.standard_error
      (1.0, 0.0)
    """
    ours, others = _beside(first, second)
    with np.errstate(invalid="ignore"):
        difference = ours - others
    is_infinite = np.isinf(ours) | np.isinf(others)
    difference = np.where(is_infinite, np.inf, difference)
    return _mean(difference, first.sequences, first.is_random or second.is_random)


def impossible_difference(first: Measured, second: Measured) -> Mean:
    """Weight of the rows that the first decoder cannot draw less that of the second, draw by draw.

    Args:
      first: A decoder.
      second: Another one, measured on the same sequences from the same key.

    Returns:
      The difference, with the binomial error of the rows that one of them cannot draw and the other can; 0
        where the rows are all of a law and nothing but tokens is drawn.

    Raises:
      InputError: If the sequences are not the same.

    Example:
      >>> rows, calls = Sequences([[0, 0], [0, 1], [1, 0]]), np.ones((1, 3), int)
      >>> log_q = np.array([[-np.inf, -np.inf, -2.0]]), np.array([[-np.inf, -3.0, -1.0]])
      >>> found = impossible_difference(*(Measured(rows, q, calls, False) for q in log_q))
      >>> round(found.value, 4), round(found.standard_error, 4)  # one of three, and sqrt((1/3) (2/3) / 2)
      (0.3333, 0.3333)
    """
    ours, others = (np.isinf(losses).astype(float) for losses in _beside(first, second))
    return _mean(ours - others, first.sequences, first.is_random or second.is_random)


def _beside(
    first: Measured, second: Measured
) -> tuple[Float[np.ndarray, "_ rows"], Float[np.ndarray, "_ rows"]]:
    """The losses of both, in as many draws or in one.

    Raises:
      InputError: If the sequences are not the same.
    """
    if first.sequences is not second.sequences:
        raise InputError("the decoders were measured on different sequences; measure both on the same ones")
    if len(first.losses) == len(second.losses):
        return first.losses, second.losses
    # A decoder without randomness is the same in every draw; of others, the draws that both have.
    num = min(len(each.losses) for each in (first, second) if each.is_random)
    ours, others = (each.losses[:num] if each.is_random else each.losses[:1] for each in (first, second))
    return ours, others


def _mean(values: Float[np.ndarray, "draws rows"], sequences: Sequences, is_random: bool) -> Mean:
    """The mean over draws and rows, with the error of whatever was sampled."""
    of_rows = values.mean(axis=0)
    weights = _finite_weights(of_rows, sequences.weights)
    infinite = float(sequences.weights[~np.isfinite(of_rows)].sum())
    if not weights.any():
        return Mean(np.nan, np.nan, infinite)
    finite = np.where(weights > 0, of_rows, 0.0)
    mean = float(weights @ finite)
    if sequences.is_exact:
        if not is_random:
            return Mean(mean, 0.0, infinite)
        if len(values) == 1:
            return Mean(mean, np.nan, infinite)
        spread = np.where(weights > 0, values, 0.0).var(axis=0, ddof=1) / len(values)
        return Mean(mean, float(np.sqrt(weights**2 @ spread)), infinite)
    num = int((weights > 0).sum())
    if num == 1:
        return Mean(mean, np.nan, infinite)
    # Of rows that weigh alike: the standard deviation over the root of their number.
    variance = weights**2 @ (finite - mean) ** 2 * num / (num - 1)
    return Mean(mean, float(np.sqrt(variance)), infinite)


def _finite_weights(
    values: Float[np.ndarray, " rows"], weights: Float[np.ndarray, " rows"]
) -> Float[np.ndarray, " rows"]:
    """The weights of the rows with a finite value, scaled to sum to 1; all 0 if there is none."""
    kept = np.where(np.isfinite(values), weights, 0.0)
    return kept / kept.sum() if kept.any() else kept
