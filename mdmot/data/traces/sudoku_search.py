"""Sudoku by a search that goes back: each row of tokens says all that the next step needs."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int

from mdmot.data.decidable import templates
from mdmot.data.sudoku_grids import BOX, SIZES, sudoku, units_of
from mdmot.data.traces.labels import Traces
from mdmot.data.traces.runs import num_steps, some_steps, states
from mdmot.errors import InputError
from mdmot.specs import spelled

ROWS, DIGITS = "abcdefghi", "123456789"

FEWEST = {4: 0, 6: 4, 9: 27}
"""Digits given at least in the puzzles that are learned from: with fewer, searches are long."""


@dataclasses.dataclass(frozen=True)
class SudokuSearch:
    """Solutions of Sudokus by a search that remasks what it takes back, as a task.

    A row has two tokens for each cell: its digit, and a note that `next_grid` explains.

    Attributes:
      size: Rows of a grid, 4, 6 or 9.
      givens: Digits given, at random places, which may leave several solutions; None for as many as leave
        one solution, the cells in random order.

    Raises:
      InputError: If the size is another, or a grid has not as many cells.

    Example:
      >>> task = SudokuSearch(size=4)
      >>> start = task.starts(np.random.default_rng(0), 1)[0]
      >>> " ".join([*task.signs, "M"][token] for token in start[:8])
      'M M 3 # 1 # M M'

    References:
      Yang et al., arXiv:2510.06190 (Sudoku by remasking, with another search).
    """

    size: int = 4
    givens: int | None = None

    def __post_init__(self) -> None:
        if self.size not in BOX:
            raise InputError(f"Sudoku of size {self.size}; pass {SIZES}")
        if self.givens is not None and not 0 <= self.givens <= self.size**2:
            raise InputError(f"{self.givens} digits given of {self.size**2}; pass 0 to {self.size**2}")

    @property
    def draws(self) -> bool:
        """No: each step has one outcome."""
        return False

    @property
    def spec(self) -> str:
        """The text that names it."""
        return spelled("sudoku-search", size=self.size, givens=self.givens)

    @property
    def signs(self) -> tuple[str, ...]:
        """The text of each clean token."""
        names = [row + column for row in ROWS[: self.size] for column in DIGITS[: self.size]]
        return (*names, *DIGITS[: self.size], "#", "*")

    @property
    def shape(self) -> tuple[int, ...]:
        """Bands, rows of a band, stacks, columns of a stack, and the two tokens of a cell."""
        high, wide = BOX[self.size]
        return (self.size // high, high, self.size // wide, wide, 2)

    def traces(self, generator: np.random.Generator, num: int) -> Traces:
        """Steps of searches in puzzles of at least `FEWEST` digits, whatever `givens` is.

        Guesses are seldom taken back, so every other puzzle is one in which that happens.
        """
        mask = len(self.signs)
        return some_steps(
            generator, num, self.learned(generator), self._next, mask_id=mask, pad_id=mask + 1
        )

    def learned(self, generator: np.random.Generator) -> Iterator[list[int]]:
        """The puzzles that are learned from, without end: every second one is one that goes back."""
        few, cells = FEWEST[self.size], self.size**2
        while True:
            yield self._with(generator, few, cells)
            while not self.goes_back(start := self._with(generator, few, few + cells // 4)):
                pass
            yield start

    def _with(self, generator: np.random.Generator, fewest: int, most: int) -> list[int]:
        givens = int(generator.integers(fewest, most, endpoint=True))
        return dataclasses.replace(self, givens=givens).starts(generator, 1)[0]

    def goes_back(self, start: Sequence[int]) -> bool:
        """Whether the search takes a guess back."""
        empty = (row[::2].count(len(self.signs)) for row in states(start, self._next))
        return any(later > sooner for sooner, later in itertools.pairwise(empty))

    def starts(self, generator: np.random.Generator, num: int) -> list[list[int]]:
        """Puzzles, each made of a solved grid."""
        language = sudoku(self.size)
        first, second = generator.integers(0, 2**31, 2).tolist()
        grids = language.draw(first, num)
        if self.givens is None:
            puzzles = language.questions(second, grids)
        else:
            puzzles = templates(second, grids, self.givens, self.size)
        return [grid_row(puzzle) for puzzle in puzzles]

    def is_right(self, start: Sequence[int], end: Sequence[int]) -> bool:
        """Whether the grid is solved and has what was given, and nothing in the row is masked."""
        cells = self.size**2
        if len(end) != 2 * cells or len(self.signs) in end:
            return False
        given, digits = (np.array(row[::2]) - cells for row in (start, end))
        is_given = given < self.size
        return bool(
            (given == digits)[is_given].all() and sudoku(self.size).is_correct(digits[None].astype(int))[0]
        )

    def room(self, start: Sequence[int]) -> int:
        """The row's own length, which no step changes."""
        return len(start)

    def max_steps(self, start: Sequence[int]) -> int:
        """The steps that the search takes."""
        return num_steps(start, self._next)

    def all_seen(self, reach: int) -> None:
        """None: a network has to see the whole grid."""

    def _next(self, row: Sequence[int]) -> list[int]:
        return next_grid(row, self.size)


def grid_row(puzzle: Int[np.ndarray, " cells"]) -> list[int]:
    """The row that the search for a puzzle's solution begins with.

    Args:
      puzzle: Digits from 0; any other number is an empty cell.

    Example:
      >>> grid_row(np.array([3, 9] + [9] * 14))[:4]
      [19, 20, 22, 22]
    """
    cells = puzzle.size
    size = math.isqrt(cells)
    given, mask = cells + size, cells + size + 2
    return [
        token
        for digit in puzzle.tolist()
        for token in ((cells + digit, given) if 0 <= digit < size else (mask, mask))
    ]


def next_grid(row: Sequence[int], size: int) -> list[int]:
    """What becomes of a grid in a step of the search.

    The note of a cell is "#" if its digit is given, and "*" if there was no choice of it; under a guess
    it is then the name of the cell where the last guess was made. The note of a guess is its own digit,
    and stays when the digit is taken back: of an empty cell it is the digit that failed there last. Other
    empty cells have masks. The first of these that applies is done:

    1. Where digits have masks for notes, they become their notes.
    2. If an empty cell has no digit left, or two equal ones are in a unit, the last guess is taken back:
       the one of the last cell, cells row by row, since guesses are made in that order. Its digit is
       masked, digits and notes of all cells that have its name are, and the notes of empty cells. If there
       is no guess, the puzzle has no solution, and the grid stays as it is.
    3. Empty cells with one digit left take it and its note, all at once. An empty cell has those digits
       left that its units do not have, and that are larger than the one that failed last.
    4. The first empty cell takes the smallest digit that it has left, and this as its note.
    5. The grid is full, and stays as it is.

    The note of a digit that failed cannot become another one in a step: it is masked instead, in 3 as in 4,
    and written by 1. Such a cell is a guess even if no other digit is left.

    Args:
      row: Digits and notes, cell by cell.
      size: Rows of the grid.

    Example:
      >>> row = grid_row(np.array([0, 9, 2, 3] + [9] * 12))
      >>> row[2:4], next_grid(row, size=4)[2:4]
      ([22, 22], [17, 21])
    """
    cells = size**2
    first, free, mask = cells, cells + size + 1, cells + size + 2
    digits, notes = list(row[::2]), list(row[1::2])
    is_empty = [digit == mask for digit in digits]
    near = [{digits[other] for other in units} - {mask} for units in _neighbours(size)]
    guesses = [cell for cell in range(cells) if first <= notes[cell] < first + size and not is_empty[cell]]
    unnoted = [cell for cell in range(cells) if notes[cell] == mask and not is_empty[cell]]
    left = {
        cell: [
            digit
            for digit in range(first, first + size)
            if digit not in near[cell] and (notes[cell] == mask or digit > notes[cell])
        ]
        for cell in range(cells)
        if is_empty[cell]
    }
    is_wrong = not all(left.values()) or any(
        digits[cell] in near[cell] for cell in range(cells) if not is_empty[cell]
    )
    if unnoted:
        for cell in unnoted:
            notes[cell] = digits[cell]
    elif is_wrong:
        if guesses:
            for cell in range(cells):
                if notes[cell] == guesses[-1]:
                    digits[cell] = notes[cell] = mask
                elif is_empty[cell]:
                    notes[cell] = mask
            digits[guesses[-1]] = mask
    else:
        sure = [cell for cell, some in left.items() if len(some) == 1]
        for cell in sure or list(left)[:1]:
            digits[cell] = left[cell][0]
            if notes[cell] != mask:
                notes[cell] = mask
            elif sure:
                notes[cell] = guesses[-1] if guesses else free
            else:
                notes[cell] = digits[cell]
    return [token for cell in zip(digits, notes, strict=True) for token in cell]


@functools.cache
def _neighbours(size: int) -> list[list[int]]:
    """The cells that share a row, a column or a square with each."""
    units = units_of(size)
    return [
        [other for other in range(size**2) if other != cell and set(units[other]) & set(units[cell])]
        for cell in range(size**2)
    ]
