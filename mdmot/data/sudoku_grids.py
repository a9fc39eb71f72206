"""Grids of Sudoku, 4x4, 6x6 and 9x9, and their puzzles."""

import functools
import itertools
import math
import random
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int

from mdmot.data.decidable import Language
from mdmot.errors import InputError
from mdmot.specs import spelled
from mdmot.vocabulary import Symbols

BOX = {4: (2, 2), 6: (2, 3), 9: (3, 3)}
"""Rows and columns of a box, by the rows of a grid."""

SIZES = "4, 6 or 9"
NUM_BASES = 64
EMPTY = -1


def sudoku(size: int = 4) -> Language:
    """Solved grids, row by row.

    Each of the 288 grids of 4x4 is equally likely. A grid of 6x6, whose boxes have two rows, or of 9x9 is
    one of 64 that a randomised search filled, turned by a symmetry: the digits renamed, bands, stacks and
    the rows and columns within them permuted, and of 9x9 rows and columns exchanged, all 2.5e6 or 1.2e12
    ways equally likely. So no more than 7.8e13 of the 6.7e21 grids of 9x9 occur, in each class of symmetric
    ones all alike.

    Args:
      size: Rows, 4, 6 or 9.

    Returns:
      The language.

    Raises:
      InputError: If the size is another.

    Example:
      >>> language = sudoku(size=4)
      >>> grid = language.draw(0, 1)
      >>> sorted(grid[0, :4].tolist()), bool(language.is_correct(grid)[0])
      ([0, 1, 2, 3], True)
    """
    if size not in BOX:
        raise InputError(f"Sudoku of size {size}; pass {SIZES}")

    def small(generator: np.random.Generator, num: int) -> np.ndarray:
        grids = _all_small()
        return grids[generator.integers(0, len(grids), num)]

    def decider(tokens: np.ndarray) -> np.ndarray:
        (high, wide), rows = BOX[size], 1 << tokens.reshape(-1, size, size)
        boxes = rows.reshape(-1, size // high, high, size // wide, wide).swapaxes(2, 3).reshape(rows.shape)
        units = np.concatenate([rows, rows.swapaxes(1, 2), boxes], axis=1)
        return (np.bitwise_or.reduce(units, axis=2) == (1 << size) - 1).all(axis=1)

    return Language(
        name=spelled("sudoku", size=size),
        length=size**2,
        vocabulary=Symbols(tuple("123456789"[:size])),
        entropy=math.log(len(_all_small())) if size == 4 else None,
        sampler=small if size == 4 else functools.partial(_symmetric, size),
        decider=decider,
        asker=_determined,
    )


@functools.cache
def units_of(size: int) -> tuple[tuple[int, int, int], ...]:
    """The row, the column and the box of each cell, numbered one after the other.

    Args:
      size: Rows, 4, 6 or 9.

    Example:
      >>> units_of(4)[:3]
      ((0, 4, 8), (0, 5, 8), (0, 6, 9))
    """
    high, wide = BOX[size]
    return tuple(
        (row, size + column, 2 * size + row // high * (size // wide) + column // wide)
        for row in range(size)
        for column in range(size)
    )


def count_solutions(puzzle: Int[np.ndarray, " length"], limit: int) -> int:
    """The number of solutions of a puzzle, counted up to a limit.

    Args:
      puzzle: Tokens of a grid; any that is no digit's is empty.
      limit: Where to stop, >= 1; 2 tells whether a solution is the only one.

    Returns:
      At most `limit`.

    Raises:
      InputError: If the puzzle has another size.

    Example:
      >>> grid = sudoku(size=4).draw(0, 1)[0]
      >>> count_solutions(grid, 2), count_solutions(np.full(16, 4), 1000)
      (1, 288)
    """
    size = math.isqrt(puzzle.size)
    if size not in BOX or size**2 != puzzle.size:
        raise InputError(f"a puzzle of {puzzle.size} cells; pass one of 16, 36 or 81")
    cells = [int(token) if 0 <= token < size else EMPTY for token in puzzle]
    return sum(1 for _ in itertools.islice(_solutions(cells, None), limit))


def _determined(generator: np.random.Generator, tokens: np.ndarray) -> np.ndarray:
    """The cells that are left over when cells in random order have left one solution."""
    orders = generator.permuted(np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape), axis=1)
    given = np.array([_fewest(grid, order) for grid, order in zip(tokens, orders, strict=True)])
    is_first = np.arange(tokens.shape[1]) < given[:, None]
    is_asked = np.ones(tokens.shape, bool)
    np.put_along_axis(is_asked, orders, ~is_first, axis=1)
    return is_asked


def _fewest(grid: np.ndarray, order: np.ndarray) -> int:
    """How many cells of an order have to be given for the solution to be the only one."""
    too_few, enough = 0, len(grid)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        puzzle = np.full(len(grid), EMPTY)
        puzzle[order[:middle]] = grid[order[:middle]]
        if count_solutions(puzzle, 2) == 1:
            enough = middle
        else:
            too_few = middle
    return enough


def _solutions(cells: Sequence[int], chance: random.Random | None) -> Iterator[list[int]]:
    """The solutions of a puzzle, by the empty cell with fewest digits left; its digits in random order."""
    size = math.isqrt(len(cells))
    units = units_of(size)
    left = [(1 << size) - 1] * (3 * size)
    grid = [EMPTY] * len(cells)

    def place(cell: int, digit: int) -> None:
        """Writes a digit, or takes it back from the units that had it."""
        grid[cell] = digit
        for unit in units[cell]:
            left[unit] ^= 1 << digit

    def complete() -> Iterator[list[int]]:
        choices = {
            cell: left[row] & left[column] & left[square]
            for cell, (row, column, square) in enumerate(units)
            if grid[cell] == EMPTY
        }
        if not choices:
            yield grid.copy()
            return
        cell = min(choices, key=lambda cell: choices[cell].bit_count())
        digits = [digit for digit in range(size) if choices[cell] >> digit & 1]
        if chance is not None:
            digits.sort(key=lambda _: chance.random())
        for digit in digits:
            place(cell, digit)
            yield from complete()
            place(cell, digit)
            grid[cell] = EMPTY

    for cell, digit in enumerate(cells):
        if digit != EMPTY:
            if not all(left[unit] >> digit & 1 for unit in units[cell]):
                return
            place(cell, digit)
    yield from complete()


@functools.cache
def _all_small() -> np.ndarray:
    return np.array(list(_solutions([EMPTY] * 16, None)))


@functools.cache
def _bases(size: int) -> np.ndarray:
    chance = random.Random(0)
    grids = [next(_solutions([EMPTY] * size**2, chance)) for _ in range(NUM_BASES)]
    return np.array(grids).reshape(-1, size, size)


def _symmetric(size: int, generator: np.random.Generator, num: int) -> np.ndarray:
    """Base grids turned by uniform symmetries."""
    high, wide = BOX[size]
    grids = _bases(size)[generator.integers(0, NUM_BASES, num)]
    for block in (high, wide):
        lines = _lines(generator, num, size, block)
        grids = np.take_along_axis(grids, lines[:, :, None], axis=1).swapaxes(1, 2)
    if high == wide:
        is_turned = generator.integers(0, 2, num).astype(bool)
        grids = np.where(is_turned[:, None, None], grids.swapaxes(1, 2), grids)
    names = generator.permuted(np.broadcast_to(np.arange(size), (num, size)), axis=1)
    return np.take_along_axis(names, grids.reshape(num, size**2), axis=1)


def _lines(generator: np.random.Generator, num: int, size: int, block: int) -> np.ndarray:
    """Orders of lines that keep those of each block together."""
    blocks = size // block
    bands = generator.permuted(np.broadcast_to(np.arange(blocks), (num, blocks)), axis=1)
    within = generator.permuted(np.broadcast_to(np.arange(block), (num, blocks, block)), axis=2)
    return (block * bands[:, :, None] + within).reshape(num, size)
