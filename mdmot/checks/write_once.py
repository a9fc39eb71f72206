"""What a process that never rewrites cannot do in given cells, and one that edits can.

A process is here a rule that says for every row what becomes of it, and it stops where a row stands still.
One that writes once turns masks into tokens and leaves tokens as they are; one that edits also turns tokens
into masks. Neither inserts nor deletes: both have S cells and no more.

Time is space for the first. Every step that changes a row takes at least one mask away, so after at most S
steps it stands still, whatever the rule; and as it leaves given bits as they are, the only function of
bits that it can compute in their own place is the identity. The second may pass through all 3^S rows of
two letters: a chain of rows in which one cell at a time goes one step along "A, mask, B" visits each of
them once. A function that it computes in place must leave its own results alone, f(f(x)) = f(x), as where
it ends it stands still; of two bits all of these can be computed.

A network sees only so far. In "B, bits, masks" with a network that sees r positions to the left no mask
sees the first of more than r bits, nothing that is ever written depends on it, and half of the strings
come out wrong. With a mask behind each bit the parity can be handed on, at the price of a cell a bit.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from mdmot.checks.check import EDITS, Check, Claim, equal
from mdmot.data.traces import Labels, applied
from mdmot.data.traces.parity import BEGIN, MASK, ONE, PAD, ZERO

Row: TypeAlias = tuple[int, ...]
Cells: TypeAlias = Mapping[int, tuple[int, ...]]
"""What each token may become."""

BITS = (ZERO, ONE)
ONCE: Cells = {ZERO: (ZERO,), ONE: (ONE,), MASK: (ZERO, ONE, MASK)}
EDITING: Cells = {ZERO: (ZERO, MASK), ONE: (ONE, MASK), MASK: (ZERO, ONE, MASK)}
LONGEST = 8


def check_write_once() -> list[Check]:
    """How long rules run, what they compute in place, and what a mask can know of far bits."""
    source = f"{EDITS}: masked diffusion and any process, their time in a given space"
    rules = "every rule of three cells of two letters"
    in_place = "functions of two bits in two cells, of 256, that some rule computes: every rule"
    chain = reflected(3)
    follows = dict(itertools.pairwise(chain))
    strings = [bits for length in range(1, LONGEST + 1) for bits in itertools.product(BITS, repeat=length)]
    return [
        equal(
            Claim(
                "writing once, steps",
                "a process that never rewrites changes S cells at most S times",
                source,
                f"{rules}: the longest run",
            ),
            3,
            max(_longest_run(row) for row in itertools.product((*BITS, MASK), repeat=3)),
            0.0,
        ),
        equal(
            Claim(
                "editing, steps",
                "a process that edits may pass through all 3^S rows before it stands still",
                source,
                "three cells of two letters: the steps of one rule, and no rule can take more",
            ),
            3**3 - 1,
            len(_run(chain[0], lambda row: follows.get(row, row))) - 1,
            0.0,
        ),
        equal(
            Claim(
                "writing once, functions",
                "a process that never rewrites computes the identity of its bits in place, and no more",
                source,
                in_place,
            ),
            1,
            _num_functions(ONCE),
            0.0,
        ),
        equal(
            Claim(
                "editing, functions",
                "a process that edits computes in place just the functions that leave their results alone",
                source,
                f"{in_place}; f(f(x)) = f(x) holds for 4 + 6 * 4 + 4 * 3 + 1",
            ),
            41,
            _num_functions(EDITING),
            0.0,
        ),
        equal(
            Claim(
                "writing once, bits out of sight",
                "a mask behind the bits cannot tell their parity if some are beyond what the network sees",
                source,
                "three bits, a mask behind them that sees two positions before it and one after, where "
                "nothing stands: the most of 8 strings that any of the 81 rules gets right. The editing "
                "network of 'parity, every string' sees as far and is right on all of them",
            ),
            4,
            max(_num_right_behind(rule) for rule in itertools.product((*BITS, MASK), repeat=4)),
            0.0,
        ),
        equal(
            Claim(
                "writing once, a mask a bit",
                "with a mask behind each bit a process that never rewrites finds their parity",
                source,
                f"the same window; all {len(strings)} strings of up to {LONGEST} bits: how many come out. "
                "Cells, not the order of writing, are what it lacks",
            ),
            len(strings),
            sum(_handed_on(bits) == sum(bits) % 2 for bits in strings),
            0.0,
        ),
    ]


def moves(row: Row, cells: Cells) -> Iterator[Row]:
    """All rows that a step may make of one."""
    return itertools.product(*(cells[token] for token in row))


def reflected(length: int) -> list[Row]:
    """All rows of two letters and the mask, each one cell and one step along "A, mask, B" from the last."""
    if not length:
        return [()]
    ends = reflected(length - 1)
    return [
        (token, *end)
        for k, token in enumerate((ZERO, MASK, ONE))
        for end in (reversed(ends) if k % 2 else ends)
    ]


def computes(function: Mapping[Row, Row], cells: Cells) -> bool:
    """Whether a rule leads from every row of bits to its result and stops there.

    The rule is made up as its runs need it: every choice is tried, one row after the other. What a run
    ends at stands still, so each result does, and results are looked at first.
    """

    def leads_on(rule: dict[Row, Row], row: Row, now: Row, todo: list[Row]) -> bool:
        for after in [rule[now]] if now in rule else moves(now, cells):
            extended = rule | {now: after}
            if after == now:
                if now == function[row] and (not todo or leads_on(rule, todo[0], todo[0], todo[1:])):
                    return True
            # A run that comes back to where it was never stops.
            elif not _comes_back(extended, now) and leads_on(extended, row, after, todo):
                return True
        return False

    still = {result: result for result in function.values()}
    first, *others = sorted(function, key=lambda row: row not in still)
    return leads_on(still, first, first, others)


def _comes_back(rule: Mapping[Row, Row], row: Row) -> bool:
    now = rule.get(row)
    while now is not None and now != row and rule.get(now) != now:
        now = rule.get(now)
    return now == row


def _num_functions(cells: Cells) -> int:
    rows = list(itertools.product(BITS, repeat=2))
    images = itertools.product(rows, repeat=len(rows))
    return sum(computes(dict(zip(rows, image, strict=True)), cells) for image in images)


def _longest_run(row: Row) -> int:
    """The most changes that any rule that writes once makes to a row."""
    return max((1 + _longest_run(after) for after in moves(row, ONCE) if after != row), default=0)


def _run(row: Row, rule: Callable[[Row], Row]) -> list[Row]:
    """A row and what becomes of it, by the rule of any-process generation, until a row comes again."""
    rows: list[Row] = []
    while row not in rows:
        rows.append(row)
        after = rule(row)
        never = [False] * len(row)
        labels = Labels(list(after), [token == MASK for token in after], never, never)
        row = tuple(applied(row, labels, MASK))
    return rows


def _written_once(row: Row, table: Mapping[Row, int]) -> Row:
    """The end of a row whose masks read two tokens before them and one behind, padding where none is.

    A mask stays where the table has no token for it.
    """

    def rule(row: Row) -> Row:
        near = zip((BEGIN, BEGIN, *row), (BEGIN, *row), (*row[1:], PAD), strict=False)
        return tuple(
            table.get(seen, MASK) if token == MASK else token for token, seen in zip(row, near, strict=True)
        )

    return _run(row, rule)[-1]


def _num_right_behind(rule: tuple[int, ...]) -> int:
    """Of the strings of three bits, those whose parity the mask behind them becomes."""
    seen: Iterator[Row] = itertools.product(BITS, BITS, (PAD,))
    table = dict(zip(seen, rule, strict=True))
    strings = itertools.product(BITS, repeat=3)
    return sum(_written_once((*bits, MASK), table)[-1] == sum(bits) % 2 for bits in strings)


def _handed_on(bits: tuple[int, ...]) -> int:
    """What the last mask becomes if each adds its bit to what the mask before became."""
    table: dict[Row, int] = {
        (before, bit, behind): bit if before == BEGIN else before ^ bit
        for before, bit, behind in itertools.product((BEGIN, *BITS), BITS, (*BITS, PAD))
    }
    return _written_once(tuple(token for bit in bits for token in (bit, MASK)), table)[-1]
