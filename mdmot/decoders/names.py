"""Decoders by name, as the command line writes them: `bisection+own`, `threshold:.9@block:16`."""

import math
from collections.abc import Mapping

from mdmot.decoders.adaptive import FAMILIES, Family
from mdmot.decoders.decoder import Decoder
from mdmot.decoders.kinds import Adaptive, InOrder, Surest
from mdmot.errors import InputError
from mdmot.names import BLOCK, OWN, assert_decoder
from mdmot.orders import parse_order
from mdmot.samplers import LargestProbability, Margin, NegativeEntropy, ScoreRule

SUREST: Mapping[str, ScoreRule] = {
    "entropy": NegativeEntropy(),
    "max-probability": LargestProbability(),
    "margin": Margin(),
}
"""What "surest" means, by the name of the decoder."""


def parse_decoder(text: str) -> Decoder:
    """The decoder that `text` names.

    Args:
      text: An order as `mdmot.orders.parse_order` reads it, `+shift` included, with even counts, or behind
        it `+own` for the order's own optimal plan; `entropy`, `max-probability` or `margin`, surest first
        with even counts; `threshold:P`, `factor:F`, `entropy-bound:NATS`, `entropy-bound-random:NATS` or
        `klass:P[,NATS]`, without the number to be calibrated. `@block:N` at the end decodes blocks of N
        positions from left to right.

    Returns:
      The decoder.

    Raises:
      InputError: If there is no such decoder (those that exist are listed), or a number is out of range.

    Example:
      >>> parse_decoder("threshold:.9@block:16").name, parse_decoder("threshold").needs_knob
      ('threshold:0.9@block:16', True)
    """
    whole_name, at, size = text.partition(BLOCK) if BLOCK in text else (text, "", "")
    if at and not (size.isascii() and size.isdigit() and int(size) > 0):
        raise InputError(f"decoder {text!r}: expected @block:N with a whole number N, such as @block:16")
    block = int(size) if at else None
    name, colon, numbers = whole_name.partition(":")
    if name in FAMILIES:
        return Decoder(Adaptive(FAMILIES[name], _numbers(text, FAMILIES[name], colon, numbers)), block)
    if whole_name in SUREST:
        return Decoder(Surest(whole_name, SUREST[whole_name]), block)
    order = whole_name.removesuffix(OWN)
    assert_decoder(text)
    return Decoder(InOrder(parse_order(order), order != whole_name), block)


def _numbers(text: str, family: Family, colon: str, written: str) -> tuple[float, ...]:
    """The numbers behind the colon, the knob first; none without a colon."""
    if not colon:
        return ()
    parts = written.split(",")
    usual = ",".join(name for name, _, _ in family.numbers)
    if len(parts) > len(family.numbers):
        raise InputError(f"decoder {text!r} has {len(parts)} numbers; expected {family.name}:{usual}")
    found = []
    for part, (name, least, most) in zip(parts, family.numbers, strict=False):
        try:
            value = float(part)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            upper = "at least 0" if most == math.inf else f"from {least:g} to {most:g}"
            raise InputError(
                f"decoder {text!r}: {name} is {part!r}; expected a number {upper}, as in "
                f"{family.name}:{family.usual:g}"
            )
        found.append(value)
    return tuple(found)
