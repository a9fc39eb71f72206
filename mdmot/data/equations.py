"""Equations of two numbers, as 12+34=046."""

import math

import numpy as np

from mdmot.data.decidable import Language
from mdmot.errors import InputError
from mdmot.specs import spelled
from mdmot.vocabulary import Symbols

RULES = {"+": np.add, "*": np.multiply, "-": np.subtract}
MOST_DIGITS = 9
"""Products of longer numbers leave int64."""


def arithmetic(digits: int = 2, operations: str = "+") -> Language:
    """Equations a+b=c, a*b=c or a-b=c, all numbers padded with zeros, each equation equally likely.

    A difference may be taken of the larger number alone. The result has room for the largest one that
    the operations allow: digits + 1 after +, 2 digits after *, and digits after -.

    Args:
      digits: Of a and b, 1 to 9.
      operations: Some of + * -, each once.

    Returns:
      The language.

    Raises:
      InputError: If a number or an operation is none of these.

    Example:
      >>> language = arithmetic(digits=2)
      >>> equations = [language.vocabulary.encode(text) for text in ("12+34=046", "12+34=047")]
      >>> language.is_correct(np.array(equations)).tolist(), round(language.entropy, 3)
      ([True, False], 9.21)
    """
    if not 1 <= digits <= MOST_DIGITS:
        raise InputError(f"arithmetic of {digits} digits; pass 1 to {MOST_DIGITS}")
    if not operations or len(set(operations)) < len(operations) or not set(operations) <= RULES.keys():
        raise InputError(f"arithmetic operations {operations!r}; pass some of {''.join(RULES)}, each once")
    width = max({"+": digits + 1, "*": 2 * digits, "-": digits}[sign] for sign in operations)
    bound = 10**digits
    pairs = [bound * (bound + 1) // 2 if sign == "-" else bound**2 for sign in operations]
    first_sign = 10
    equals = first_sign + len(operations)

    def sampler(generator: np.random.Generator, num: int) -> np.ndarray:
        sign = generator.choice(len(operations), num, p=np.array(pairs) / sum(pairs))
        a, b = generator.integers(0, bound, (2, num))
        if "-" in operations:
            a, b = _ordered(generator, a, b, sign == operations.index("-"), bound)
        result = _apply(operations, sign, a, b)
        return np.concatenate(
            [
                _digits_of(a, digits),
                first_sign + sign[:, None],
                _digits_of(b, digits),
                np.full((num, 1), equals),
                _digits_of(result, width),
            ],
            axis=1,
        )

    def decider(tokens: np.ndarray) -> np.ndarray:
        a, sign, b, equality, result = np.split(tokens, np.cumsum([digits, 1, digits, 1]), axis=1)
        numbers = np.concatenate([a, b, result], axis=1)
        is_formed = (
            (numbers < first_sign).all(axis=1)
            & (first_sign <= sign[:, 0])
            & (sign[:, 0] < equals)
            & (equality[:, 0] == equals)
        )
        which = np.where(is_formed, sign[:, 0] - first_sign, 0)
        return is_formed & (_apply(operations, which, _number_of(a), _number_of(b)) == _number_of(result))

    return Language(
        name=spelled("arithmetic", digits=digits, operations=operations),
        length=2 * digits + 2 + width,
        vocabulary=Symbols((*"0123456789", *operations, "=")),
        entropy=math.log(sum(pairs)),
        sampler=sampler,
        decider=decider,
        asker=lambda generator, tokens: np.broadcast_to(
            np.arange(tokens.shape[1]) >= 2 * digits + 2, tokens.shape
        ),
    )


def _ordered(
    generator: np.random.Generator, a: np.ndarray, b: np.ndarray, is_difference: np.ndarray, bound: int
) -> tuple[np.ndarray, np.ndarray]:
    """Uniform pairs; where a difference is to be taken, uniform among those with a >= b.

    A pair with b in 0, ..., bound, of which those with a < b are turned round as (bound - 1 - a,
    bound - b), meets each allowed pair twice.
    """
    extended = generator.integers(0, bound + 1, a.shape)
    is_larger = extended > a
    larger = np.where(is_larger, bound - 1 - a, a)
    smaller = np.where(is_larger, bound - extended, extended)
    return np.where(is_difference, larger, a), np.where(is_difference, smaller, b)


def _apply(operations: str, which: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.choose(which, [RULES[sign](a, b) for sign in operations])


def _digits_of(numbers: np.ndarray, width: int) -> np.ndarray:
    return numbers[:, None] // 10 ** np.arange(width - 1, -1, -1) % 10


def _number_of(digits: np.ndarray) -> np.ndarray:
    return digits @ 10 ** np.arange(digits.shape[1] - 1, -1, -1)
