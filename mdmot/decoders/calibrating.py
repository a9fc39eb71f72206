"""Adaptive rules brought to a mean number of network calls, by counting the calls."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mdmot.arguments import whole
from mdmot.decoders.decoder import Decoder
from mdmot.decoders.kinds import Adaptive
from mdmot.errors import InputError

CLOSE = 0.01
"""Of the wanted calls: nearer than this is near enough."""

COARSE = 12
"""Knobs over the whole scale that are tried before the search goes into detail."""


class Calibrated(NamedTuple):
    """An adaptive decoder with the knob that comes near a number of calls.

    Attributes:
      decoder: The decoder with its knob.
      calls: Mean network calls that were counted with it.
      tried: Every knob that was tried, and the calls that were counted, in that order.
    """

    decoder: Decoder
    calls: float
    tried: tuple[tuple[float, float], ...]


def calibrate(
    decoder: Decoder,
    calls: float,
    calls_of: Callable[[Decoder], float],
    *,
    most_tries: int = 24,
    tried: Sequence[tuple[float, float]] = (),
) -> Calibrated:
    """Finds the knob of an adaptive rule with which it takes a mean number of network calls.

    The calls are counted, never predicted. They need not change steadily with the knob, nor in one
    direction: a low threshold can lead into states that the network has never met, in which nothing is
    sure and it goes on one position at a time. So knobs over the whole scale are tried from the slow end
    on, until one is too fast: of all knobs that take as many calls the most careful one is looked for. Then
    the interval between it and the next slower one is halved again and again, and the better of its two
    ends is the answer. Where calls jump, as with conditionals that take few values, it may be far from what
    is wanted: look at `calls`.

    Args:
      decoder: An adaptive decoder; a number that it has already is not looked at.
      calls: The wanted mean number, at least 1.
      calls_of: Counts the mean calls of a decoder with a knob: on rows of data by `measure`, along the
        paths of these rows, or of samples by `decode`.
      most_tries: Calls of that function, at most, at least 13.
      tried: Of an earlier calibration on the same rows, to another number of calls: these knobs need not
        be tried again.

    Returns:
      The decoder, and the tries, the earlier ones first.

    Raises:
      InputError: If the decoder has no knob, or a number is too small.

    Example:
      >>> from mdmot.decoders import parse_decoder
      >>> found = calibrate(parse_decoder("threshold"), 4, lambda decoder: 8 * decoder.kind.numbers[0])
      >>> found.decoder.name, round(found.calls, 2), len(found.tried)
      ('threshold:0.49858', 3.99, 11)
    """
    if not isinstance(decoder.kind, Adaptive):
        raise InputError(f"{decoder.name} takes as many steps as it is told; calibrate an adaptive one")
    if not calls >= 1:
        raise InputError(f"calls = {calls}: a decoder takes one at least; pass a number >= 1")
    whole("most_tries", most_tries, COARSE + 1)
    scale = decoder.kind.family.scale
    known = dict(tried)
    most = len(known) + most_tries

    def count(place: float) -> float:
        knob = scale.knob(place)
        if knob not in known:
            known[knob] = float(calls_of(decoder.with_knob(knob)))
        return known[knob]

    def answer(place: float) -> Calibrated:
        return Calibrated(decoder.with_knob(scale.knob(place)), count(place), tuple(known.items()))

    places = [float(place) for place in np.linspace(scale.slowest, scale.fastest, COARSE)]
    number = next((i for i, place in enumerate(places) if count(place) < calls), None)
    if number is None:
        return answer(min(places, key=count))
    if number == 0:
        return answer(places[0])
    slow, fast = places[number - 1], places[number]

    def nearest() -> float:
        # Of two as near, the one that takes fewer calls.
        return min((fast, slow), key=lambda place: abs(count(place) - calls))

    while abs(count(nearest()) - calls) > CLOSE * calls and len(known) < most:
        middle = (fast + slow) / 2
        if scale.knob(middle) in (scale.knob(fast), scale.knob(slow)):
            break
        fast, slow = (middle, slow) if count(middle) < calls else (fast, middle)
    return answer(nearest())
