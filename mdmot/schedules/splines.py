"""A monotone spline through increasing values, with one free parameter a bin."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from mdmot.schedules.time import Instant


class SplineCurve(NamedTuple):
    """A monotone rational-quadratic spline from (0, 0) to (1, 1).

    Any logits give a strictly increasing curve, so a search over them needs no constraint; equal logits
    on even knots give c(t) = t. In each bin the curve is the rational quadratic of Gregory and Delbourgo
    (IMA J. Numer. Anal. 2, 1982); its slopes at the knots are interpolated, in logarithms, from the mean
    slopes of the bins. It is once continuously differentiable with a rate that is positive and finite
    everywhere, hence end exponents (1, 1).

    Attributes:
      knots: Increasing times from 0 to 1.
      logits: The increments of the curve over the bins are softmax(logits).
    """

    knots: Float[Array, " knots"]
    logits: Float[Array, " bins"]

    def log_value(self, when: Instant) -> Array:
        """log c(t)."""
        piece = _piece_at(self, when)
        numerator = piece.slope * piece.x + piece.left_rate * piece.y
        gain = piece.rise * numerator / piece.denominator
        inner = jnp.log(jnp.where(piece.is_first, 1.0, piece.below) + piece.x * gain)
        return jnp.where(piece.is_first, piece.log_x + jnp.log(gain), inner)

    def log_complement(self, when: Instant) -> Array:
        """log(1 - c(t))."""
        piece = _piece_at(self, when)
        numerator = piece.slope * piece.y + piece.right_rate * piece.x
        gain = piece.rise * numerator / piece.denominator
        inner = jnp.log(jnp.where(piece.is_last, 1.0, piece.above) + piece.y * gain)
        return jnp.where(piece.is_last, piece.log_y + jnp.log(gain), inner)

    def log_rate(self, when: Instant) -> Array:
        """log c'(t)."""
        piece = _piece_at(self, when)
        x, y = piece.x, piece.y
        mixed = piece.right_rate * x**2 + 2 * piece.slope * x * y + piece.left_rate * y**2
        return 2 * jnp.log(piece.slope / piece.denominator) + jnp.log(mixed)

    def inverse(self, value: Array) -> Array:
        """The t with c(t) = value: one root of a quadratic in the value's bin."""
        bins = _bins(self)
        k = _locate(bins.values, value)
        rest = (value - bins.values[k]) / bins.rises[k]
        slope, left, right = bins.slopes[k], bins.rates[k], bins.rates[k + 1]
        curvature = rest * (left + right - 2 * slope)
        quadratic, linear, constant = slope - left + curvature, left - curvature, -slope * rest
        root = 2 * constant / (-linear - jnp.sqrt(linear**2 - 4 * quadratic * constant))
        return self.knots[k] + bins.widths[k] * root

    def exponents(self) -> tuple[Array, Array]:
        """End exponents (1, 1)."""
        return jnp.ones(()), jnp.ones(())

    def breakpoints(self) -> tuple[Array, ...]:
        """The interior knots, where the second derivative jumps."""
        return (self.knots[1:-1],)


class _Bins(NamedTuple):
    """What the parameters mean, bin by bin."""

    widths: Float[Array, " bins"]
    rises: Float[Array, " bins"]
    slopes: Float[Array, " bins"]
    values: Float[Array, " knots"]
    above: Float[Array, " bins"]
    rates: Float[Array, " knots"]


class _Piece(NamedTuple):
    """The bin that holds each time, and the time's place x = 1 - y in it."""

    x: Array
    y: Array
    log_x: Array
    log_y: Array
    below: Array
    above: Array
    rise: Array
    slope: Array
    left_rate: Array
    right_rate: Array
    denominator: Array
    is_first: Array
    is_last: Array


def _bins(curve: SplineCurve) -> _Bins:
    widths = jnp.diff(curve.knots)
    # Far below every float's precision, and far enough above its underflow for slopes to be quotients.
    floor = jnp.log(jnp.finfo(curve.logits.dtype).tiny) / 2
    log_rises = jnp.maximum(jax.nn.log_softmax(curve.logits), floor)
    rises = jnp.exp(log_rises)
    log_slopes = log_rises - jnp.log(widths)
    values = jnp.concatenate([jnp.zeros_like(rises[:1]), jnp.cumsum(rises)]).at[-1].set(1.0)
    above = jnp.concatenate([jnp.cumsum(rises[:0:-1])[::-1], jnp.zeros_like(rises[:1])])
    return _Bins(widths, rises, jnp.exp(log_slopes), values, above, _knot_rates(widths, log_slopes))


def _knot_rates(widths: Array, log_slopes: Array) -> Array:
    """Log-linear between the middles of neighbouring bins, and on to the two ends."""
    if widths.size == 1:
        return jnp.exp(jnp.repeat(log_slopes, 2))
    left, right = widths[:-1], widths[1:]
    share = left / (left + right)
    inner = log_slopes[:-1] + share * jnp.diff(log_slopes)
    first = log_slopes[:1] - (share * jnp.diff(log_slopes))[:1]
    last = log_slopes[-1:] + ((1 - share) * jnp.diff(log_slopes))[-1:]
    return jnp.exp(jnp.concatenate([first, inner, last]))


def _locate(edges: Array, point: Array) -> Array:
    """The index of the bin of `edges` that holds each point."""
    return jnp.clip(jnp.searchsorted(edges, point, side="right") - 1, 0, edges.size - 2)


def _piece_at(curve: SplineCurve, when: Instant) -> _Piece:
    bins = _bins(curve)
    t = jnp.exp(when.log_t)
    k = _locate(curve.knots, t)
    width = bins.widths[k]
    is_first, is_last = k == 0, k == bins.widths.size - 1
    # The end bins read their place off the logarithms, the others off t itself.
    x = jnp.where(is_first, t, t - curve.knots[k]) / width
    y = jnp.where(is_last, jnp.exp(when.log_1mt), curve.knots[k + 1] - t) / width
    slope, left_rate, right_rate = bins.slopes[k], bins.rates[k], bins.rates[k + 1]
    return _Piece(
        x=x,
        y=y,
        log_x=when.log_t - jnp.log(width),
        log_y=when.log_1mt - jnp.log(width),
        below=bins.values[k],
        above=bins.above[k],
        rise=bins.rises[k],
        slope=slope,
        left_rate=left_rate,
        right_rate=right_rate,
        denominator=slope * (x**2 + y**2) + (left_rate + right_rate) * x * y,
        is_first=is_first,
        is_last=is_last,
    )
