"""The parity of bits, two at a time: equal ones go, of two different ones the 1 stays."""

import itertools

import numpy as np
from jaxtyping import Int

from mdmot.arguments import whole
from mdmot.data.traces.labels import Traces, traces_of

ZERO, ONE, BEGIN = range(3)
MASK, PAD = 3, 4
SIGNS = "01BM"

PAIRS = {
    "01": "M1",
    "M1": "1",
    "10": "1M",
    "1M": "1",
    "00": "MM",
    "11": "MM",
    "MM": "",
}
"""What becomes of the two tokens behind the begin token, and of nothing else."""


def parity_traces(frame: int = 2) -> Traces:
    """The steps of all strings of two bits, with up to `frame` bits behind them that stay as they are.

    The seven steps of Yang et al. alone do not say that the begin token matters: "a 0 is remasked and a
    mask deleted wherever it is, a 1 remasked beside another" fits all of them and has 111 as even. Frames
    tell a network that looks at most `frame` positions far all that it can see.

    The strings that are left, none or one 1 or one 0, stay too.

    Args:
      frame: Bits behind the two, at most; 0 for the seven steps and the ends alone.

    Returns:
      The steps.

    Raises:
      InputError: If `frame` is no whole number of at least 0.

    Example:
      >>> len(parity_traces(frame=0).before), len(parity_traces(frame=2).before)
      (10, 52)

    References:
      Yang et al., arXiv:2510.06190.
    """
    whole("frame", frame, 0)
    rests = [rest for k in range(frame + 1) for rest in itertools.product("01", repeat=k)]
    steps = [
        ("B" + pair + "".join(rest), "B" + left + "".join(rest))
        for pair, left in PAIRS.items()
        for rest in rests
    ]
    steps += [(end, end) for end in ("B", "B0", "B1")]
    return traces_of(((_tokens(before), _tokens(after)) for before, after in steps), MASK, PAD)


def parity_rows(generator: np.random.Generator, num: int, length: int) -> Int[np.ndarray, "num room"]:
    """Random strings of bits behind the begin token.

    Args:
      generator: Randomness.
      num: Strings.
      length: Bits of each.

    Example:
      >>> parity_rows(np.random.default_rng(0), 2, 3).shape
      (2, 4)
    """
    bits = generator.integers(0, 2, (num, length))
    return np.concatenate([np.full((num, 1), BEGIN), bits], axis=1).astype(np.int32)


def _tokens(text: str) -> list[int]:
    return [SIGNS.index(sign) for sign in text]
