"""Adaptive rules brought to a mean number of network calls, by counting the calls."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mdmot.arguments import whole
from mdmot.decoders.decoder import Decoder
from mdmot.decoders.kinds import Adaptive
from mdmot.errors import InputError

CLOSE = 0.01
"""Of the wanted calls: nearer than this is near enough."""

COARSE = 8
"""Knobs over the whole scale that are tried before the search goes into detail."""

EDGE = 0.05
"""Of an interval: the search looks no nearer to one of its ends, so that it goes on where calls jump."""


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
    most_tries: int = 12,
    tried: Sequence[tuple[float, float]] = (),
) -> Calibrated:
    """Finds the knob of an adaptive rule with which it takes a mean number of network calls.

    The calls are counted, never predicted. They need not change steadily with the knob, nor in one
    direction: a low threshold can lead into states that the network has never met, in which nothing is
    sure and it goes on one position at a time. So knobs over the whole scale are tried from the slow end
    on, until one is too fast: of all knobs that take as many calls the most careful one is looked for. Then
    the interval between it and the next slower one is divided again and again, where a straight line of the
    logarithm of the calls would have it or, if that has missed to the same side twice, in the middle. The
    better of its two ends is the answer. Where calls jump, as with conditionals that take few values, it
    may be far from what is wanted: look at `calls`.

    Args:
      decoder: An adaptive decoder; a number that it has already is not looked at.
      calls: The wanted mean number, at least 1.
      calls_of: Counts the mean calls of a decoder with a knob: on rows of data by `measure`, along the
        paths of these rows, or of samples by `decode`. Of a knob that is far too slow it may return
        infinity, to count no further.
      most_tries: Calls of that function, at most, besides the eight or fewer over the whole scale.
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
      ('threshold:0.500713', 4.01, 7)
    """
    if not isinstance(decoder.kind, Adaptive):
        raise InputError(f"{decoder.name} takes as many steps as it is told; calibrate an adaptive one")
    if not calls >= 1:
        raise InputError(f"calls = {calls}: a decoder takes one at least; pass a number >= 1")
    whole("most_tries", most_tries)
    scale = decoder.kind.family.scale
    known = dict(tried)

    def count(place: float) -> float:
        knob = scale.knob(place)
        if knob not in known:
            known[knob] = float(calls_of(decoder.with_knob(knob)))
        return known[knob]

    def answer(place: float) -> Calibrated:
        return Calibrated(decoder.with_knob(scale.knob(place)), count(place), tuple(known.items()))

    places = scale.places(COARSE)
    number = next((i for i, place in enumerate(places) if count(place) < calls), None)
    if number is None:
        return answer(min(places, key=count))
    if number == 0:
        return answer(places[0])
    slow, fast = places[number - 1], places[number]

    def nearest() -> float:
        # Of two as near, the one that takes fewer calls.
        return min((fast, slow), key=lambda place: abs(count(place) - calls))

    most, went_slower, is_middle = len(known) + most_tries, None, False
    while abs(count(nearest()) - calls) > CLOSE * calls and len(known) < most:
        share = 0.5 if is_middle else _share(count(fast), calls, count(slow))
        place = fast + share * (slow - fast)
        if scale.knob(place) in (scale.knob(fast), scale.knob(slow)):
            break
        is_slower = count(place) < calls
        fast, slow = (place, slow) if is_slower else (fast, place)
        went_slower, is_middle = is_slower, is_slower == went_slower
    return answer(nearest())


def _share(fast: float, calls: float, slow: float) -> float:
    """The part of the way from fewer calls to more where a straight line of logarithms has those wanted."""
    if math.isinf(slow):
        return 0.5
    low, wanted, high = (math.log1p(number) for number in (fast, calls, slow))
    return min(max((wanted - low) / (high - low), EDGE), 1 - EDGE)
