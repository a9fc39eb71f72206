"""The parity of any number of bits, by a network of a few fixed weights that edits.

Behind the begin token the first two bits are looked at: equal ones are masked, of two different ones the 0,
and masks are deleted. So two steps make two equal bits none and two different ones a 1, which keeps the
number of ones even or odd, and what is left of a string are no bits or one.

Why that holds at every length if it holds in frames: in a row "B, two tokens, bits" a network that sees two
positions to the left and one to the right sees, at the first four positions behind B, at most four of the
bits; further on it sees bits alone, and any four of them, or the last ones, stand somewhere behind two
tokens and at most four bits. So what it asks for anywhere it asks for in a row with at most four bits
behind the two.
"""

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from mdmot._types import Tokens
from mdmot.checks.check import EDITS, Check, Claim, equal
from mdmot.data.traces import parity_traces
from mdmot.data.traces.parity import BEGIN, MASK, ONE, PAD, SIGNS, ZERO
from mdmot.editing import Controls, EditModel, Written, editor_model, write

LONGEST, FRAME = 12, 4
NUM_ROWS = 2 ** (LONGEST + 1) - 2
"""Strings of 1 to 12 bits."""

OFFSETS = (-2, -1, 0, 1)
PAPER_STEPS = {
    "B01": "BM1",
    "BM1": "B1",
    "B10": "B1M",
    "B1M": "B1",
    "B00": "BMM",
    "B11": "BMM",
    "BMM": "B",
}
Weights = dict[tuple[int, int], float]
"""The weights of a filter that are not 0, by offset and token."""


class Window(NamedTuple):
    """The weights: two filters of what stands near, of which the larger is the log-odds of a remask.

    Attributes:
      filters: One number for each of four offsets, each token and both filters.
      bias: Of the filters.
      insert: Log-odds of an insertion, everywhere.
      delete: Log-odds of a deletion, everywhere: a token that is clean cannot be deleted.
      tokens: Logits of the tokens, everywhere; no mask is left to become one.
    """

    filters: np.ndarray
    bias: np.ndarray
    insert: np.ndarray
    delete: np.ndarray
    tokens: np.ndarray


def check_parity() -> list[Check]:
    """All strings of up to 12 bits, all that the network sees in longer ones, and other weights."""
    right, blind = parity_weights(), blind_weights()
    strings = [bits for length in range(1, LONGEST + 1) for bits in itertools.product("01", repeat=length)]
    rows = ["B" + "".join(bits) for bits in strings]
    found = _written(right, rows)
    traces = parity_traces(FRAME)
    before = [_text(row) for row in traces.before]
    after = _after_a_step(right, before)
    size = sum(leaf.size for leaf in jax.tree.leaves(right))
    short = rows[: 2 + 4 + 8]
    blind_ends = _ends(_written(blind, short))
    by_hand = f"a window of {len(OFFSETS)} positions, {size} fixed weights"
    fits = "the seven steps of two bits: how many come out"
    return [
        equal(
            Claim("parity, the seven steps", "a network makes the seven steps of the paper", EDITS, fits),
            len(PAPER_STEPS),
            _steps_right(right),
            0.0,
        ),
        equal(
            Claim(
                "parity, every string",
                "a network of constant size that edits finds the parity of any number of bits",
                EDITS,
                f"{by_hand}; all {len(rows):,} strings of up to {LONGEST} bits: how many come out; an even "
                "one ends as no bit or a 0, an odd one as a 1",
            ),
            len(rows),
            sum(map(_is_right, rows, _ends(found))),
            0.0,
        ),
        equal(
            Claim(
                "parity, every length",
                "it makes the right step in all that it can see in strings of any length",
                "mdmot.checks.parity",
                f"all {len(before)} rows of two tokens and at most {FRAME} bits: how many come out",
            ),
            len(before),
            sum(map(str.__eq__, after, _by_the_labels(before))),
            0.0,
        ),
        equal(
            Claim(
                "parity, network calls",
                "n bits take at most 2n - 1 calls, the one that finds the end among them",
                "mdmot.checks.parity",
                f"all {len(rows):,} strings of 1 to {LONGEST} bits: how many stand still by then, each "
                "by its own n",
            ),
            len(rows),
            sum(
                calls <= 2 * len(bits) - 1
                for calls, bits in zip(found.network_calls.tolist(), strings, strict=True)
            ),
            0.0,
        ),
        equal(
            Claim(
                "counterexample, the seven steps with other weights",
                "the seven steps do not determine parity: other weights of the same network make them too",
                "mdmot.data.traces",
                f"{fits}; the weights never look at the begin token",
            ),
            len(PAPER_STEPS),
            _steps_right(blind),
            0.0,
        ),
        equal(
            Claim(
                "counterexample, three ones are even",
                "weights that make the seven steps can be wrong on three bits",
                "mdmot.data.traces",
                f"the {len(short)} strings of up to three bits: how many do as said, which is that 111 "
                "comes out wrong and all others right",
            ),
            len(short),
            sum(_is_right(row, end) == (row != "B111") for row, end in zip(short, blind_ends, strict=True)),
            0.0,
        ),
    ]


def parity_weights() -> Window:
    """One filter for the first bit and one for the second, alike but for where B and the other bit are.

    4 for B, 2 or 1 for the bit itself, 1 or 2 for the other, less 6: above 0 if B is there and the two are
    "0, 0", "0, 1" or "1, 1", seen from the bit, and not for "1, 0", nor with a mask or nothing beside it.
    """

    def of_a_bit(begin: int, other: int) -> Weights:
        return {
            (begin, BEGIN): 4,
            (0, ZERO): 2,
            (0, ONE): 1,
            (other, ZERO): 1,
            (other, ONE): 2,
        }

    return _window([of_a_bit(-1, 1), of_a_bit(-2, -1)], [-6, -6])


def blind_weights() -> Window:
    """A 0 is masked wherever it stands, and a 1 beside another 1; masks are deleted."""
    return _window([{(0, ZERO): 1}, {(0, ONE): 2, (-1, ONE): 1, (1, ONE): 1}], [0, -2])


def network(weights: Window) -> EditModel:
    """A network of such weights, for the tokens of parity's traces."""
    return editor_model(_controls, weights, mask_id=MASK, pad_id=PAD)


def _window(filters: list[Weights], bias: list[float]) -> Window:
    table = np.zeros((len(OFFSETS), PAD, len(filters)))
    for k, weights in enumerate(filters):
        for (offset, token), weight in weights.items():
            table[OFFSETS.index(offset), token, k] = weight
    number = functools.partial(np.asarray, dtype=np.float32)
    return Window(number(table), number(bias), number(-1.0), number(1.0), number([0.0] * MASK))


def _controls(params: Window, tokens: Tokens) -> Controls:
    is_near = jax.nn.one_hot(
        jnp.stack([_shifted(tokens, offset) for offset in OFFSETS], axis=-1), PAD, dtype=jnp.float32
    )
    odds = jnp.einsum("blot,otk->blk", is_near, params.filters) + params.bias[None, None]

    def everywhere(odds: ArrayLike) -> Array:
        odds = jnp.asarray(odds)
        return jnp.broadcast_to(odds, (*tokens.shape, *odds.shape))

    return Controls(
        everywhere(params.tokens), odds.max(axis=-1), everywhere(params.insert), everywhere(params.delete)
    )


def _shifted(tokens: Tokens, offset: int) -> Tokens:
    """The token that many positions to the right of each; padding beyond the ends."""
    reach = max(map(abs, OFFSETS))
    padded = jnp.pad(tokens, ((0, 0), (reach, reach)), constant_values=PAD)
    return jax.lax.dynamic_slice_in_dim(padded, reach + offset, tokens.shape[1], axis=1)


def _written(params: Window, rows: list[str], max_steps: int = 2 * LONGEST) -> Written:
    tokens = [[SIGNS.index(sign) for sign in row] + [PAD] * (LONGEST + 1 - len(row)) for row in rows]
    # As many rows each time, so that one program does all.
    start = jnp.asarray(np.resize(tokens, (NUM_ROWS, LONGEST + 1)))
    found = jax.device_get(write(jax.random.key(0), network(params), start, max_steps=max_steps))
    return Written(*(leaf[: len(rows)] for leaf in found))


def _ends(written: Written) -> list[str]:
    return [_text(row) for row in written.tokens]


def _after_a_step(params: Window, rows: list[str]) -> list[str]:
    return _ends(_written(params, rows, max_steps=1))


def _steps_right(params: Window) -> int:
    return sum(map(str.__eq__, _after_a_step(params, list(PAPER_STEPS)), PAPER_STEPS.values()))


def _by_the_labels(rows: list[str]) -> list[str]:
    """What becomes of two tokens behind B is the paper's, and what is behind them stays."""
    return [PAPER_STEPS.get(row[:3], row[:3]) + row[3:] for row in rows]


def _is_right(row: str, end: str) -> bool:
    return end in (("B1",) if row.count("1") % 2 else ("B", "B0"))


def _text(row: np.ndarray) -> str:
    return "".join(SIGNS[token] for token in row if token != PAD)
