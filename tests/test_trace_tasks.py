"""Tasks of traces: each rule against a plain statement of what it computes, and what all promise."""

import collections
import itertools
import pathlib
import re

import jax.numpy as jnp
import numpy as np
import pytest

from mdmot.data import count_solutions, sudoku
from mdmot.data.traces import KEEP, Labels, applied, task_named, traces_of
from mdmot.data.traces.addition import SIGNS as SUM_SIGNS
from mdmot.data.traces.addition import columns, next_columns
from mdmot.data.traces.patch import SIGNS, next_text
from mdmot.data.traces.runs import num_steps, some_steps, states
from mdmot.data.traces.sudoku_search import grid_row, next_grid
from mdmot.data.traces.two_sided import MOST_TOKENS, cancels, lengths, next_laws
from mdmot.editing import Edits, edited
from mdmot.errors import InputError

NAMES = (
    "addition:digits=5",
    "patch:length=30",
    "sudoku-search:size=4,givens=5",
    "two-sided-brackets:kinds=2",
)


def rule_of(task, generator):
    """The rule of a task, as a function of the row alone or of it and the generator."""
    name = task.spec.partition(":")[0]
    return {
        "addition": lambda: next_columns,
        "patch": lambda: next_text,
        "sudoku-search": lambda: lambda row: next_grid(row, task.size),
        "two-sided-brackets": lambda: task.rule(generator),
    }[name]()


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_those_of_the_rule_and_the_process_makes_them(name):
    task, generator = task_named(name), np.random.default_rng(0)
    assert task_named(task.spec) == task
    mask = len(task.signs)
    traces = task.traces(generator, 200)
    assert traces.before.shape[0] == 200
    assert traces.before.min() >= 0
    assert traces.before.max() <= mask + 1
    assert ((traces.tokens == KEEP) | ((traces.tokens >= 0) & (traces.tokens < mask))).all()
    room = 2 * traces.before.shape[1]  # a step at most doubles a row
    wide = [
        jnp.asarray(np.pad(x, ((0, 0), (0, room // 2)), constant_values=fill))
        for x, fill in zip(traces, (mask + 1, 0, False, False, False), strict=True)
    ]
    after = np.asarray(edited(wide[0], Edits(*wide[1:]), mask, mask + 1).tokens)
    rule = rule_of(task, generator)
    is_random = name.startswith("two-sided")
    for i, (before, new) in enumerate(zip(traces.before.tolist(), after.tolist(), strict=True)):
        row, found = ([token for token in tokens if token != mask + 1] for tokens in (before, new))
        labels = Labels(*(x[i, : len(row)].tolist() for x in traces[1:]))
        assert applied(row, labels, mask) == found
        if is_random:
            pieces = (list(law) for law in next_laws(row, task.kinds, task.growth))
            nexts = [sum(left, ()) for left in itertools.islice(itertools.product(*pieces), 5**6)]
            assert tuple(found) in nexts
        else:
            assert rule(row) == found == rule(row)


@pytest.mark.parametrize(
    ("name", "reach"), [("addition:digits=5", 4), ("patch:length=30", 1), ("two-sided-brackets:kinds=2", 1)]
)
def test_what_is_asked_for_is_told_by_what_the_rule_sees(name, reach):
    """Else a network that sees as far cannot learn it; of what is drawn, the token alone is not told."""
    task = task_named(name)
    slot = task.signs.index("S") if task.draws else None
    traces, pad = task.traces(np.random.default_rng(2), 400), len(task.signs) + 1
    asked: dict[tuple[int, ...], tuple] = {}
    for row, *labels in zip(*traces, strict=True):
        seen = np.pad(row, reach, constant_values=pad)
        for at in range(int((row != pad).sum())):
            token, *marks = (int(label[at]) for label in labels)
            near = tuple(seen[at : at + 2 * reach + 1].tolist())
            is_drawn = slot is not None and token != KEEP and near[reach - 1] == slot
            this = (None if is_drawn else token, *marks)
            assert asked.setdefault(near, this) == this
    assert len(asked) > 100


@pytest.mark.parametrize("name", NAMES)
def test_rows_end_right_within_the_room_and_the_steps(name):
    task, generator = task_named(name), np.random.default_rng(1)
    rule = rule_of(task, generator)
    starts = task.starts(generator, 60)
    for start in starts:
        rows = list(states(start, rule))
        assert task.is_right(start, rows[-1])
        assert max(map(len, rows)) <= task.room(start)
        assert len(rows) <= task.max_steps(start)
        if not name.startswith("two-sided"):
            assert len(rows) == task.max_steps(start)
        assert not any(task.is_right(start, row) for row in rows[:-1])
        assert {token for row in rows for token in row} <= set(range(len(task.signs) + 1))


def test_the_sum_is_that_of_whole_numbers_at_any_length():
    generator = np.random.default_rng(0)
    for digits in (1, 2, 3, 40, 300):
        task = task_named(f"addition:digits={digits}")
        for start in task.starts(generator, 20):
            a, b = (int("".join(map(str, start[at::4]))) for at in (1, 3))
            *_, end = states(start, next_columns)
            assert end == [11, *map(int, f"{a + b:0{digits + 1}d}")]
            assert task.is_right(start, end)
            assert not task.is_right(start, [*end[:-1], (end[-1] + 1) % 10])
            assert not task.is_right(start, start)
    for a, b in itertools.product(range(100), repeat=2):
        *_, end = states(columns([a // 10, a % 10], [b // 10, b % 10]), next_columns)
        assert end == [11, *map(int, f"{a + b:03d}")]


@pytest.mark.parametrize(
    ("task", "signs", "rule"), [("addition", SUM_SIGNS, next_columns), ("patch", SIGNS, next_text)]
)
def test_the_rows_on_the_page_are_those_of_the_rule(task, signs, rule):
    page = (pathlib.Path(__file__).parents[1] / "docs" / "editing.md").read_text()
    shown = re.findall(r"`(.*?)`", re.search(rf"^\| `{task}:.*?` \|(.*?)\|", page, re.M)[1])
    rows = states([(signs + "M").index(sign) for sign in shown[0]], rule)
    found = ["".join((signs + "M")[token] for token in row) for row in rows]
    assert shown == [*found[: len(shown) - 1], found[-1]]


def test_sums_of_more_digits_than_python_reads_as_a_number_are_judged():
    digits = 4400
    task = task_named(f"addition:digits={digits}")
    # 99...9 + 1 = 100...0; and digits that make eight in each column hand nothing on.
    nines, one = [9] * digits, [0] * (digits - 1) + [1]
    assert task.is_right(columns(nines, one), [11, 1] + [0] * digits)
    assert not task.is_right(columns(nines, one), [11, 0] + [0] * digits)
    first = np.random.default_rng(0).integers(0, 9, digits)
    start = columns(first.tolist(), (8 - first).tolist())
    *_, end = states(start, next_columns)
    assert end == [11, 0] + [8] * digits
    assert task.is_right(start, end)
    assert not task.is_right(start, [*end[:-1], 9])
    # A sum with a digit more than there are columns is none of the rows'.
    assert not task.is_right([11, 9, 10, 9, 12], [11, 8])


def test_a_carry_through_all_columns_takes_a_step_for_each_and_others_are_found_at_once():
    # Two columns know theirs at first, 49 wait for one another; the last numbers are masked, go, no more.
    assert num_steps(columns([9] * 50, [0] * 49 + [1]), next_columns) == 1 + 49 + 3
    assert num_steps(columns([1] * 50, [9] * 50), next_columns) == 1 + 3


def test_edits_are_those_of_regular_expressions():
    generator = np.random.default_rng(0)
    for length in (1, 5, 30, 400):
        for start in task_named(f"patch:length={length}").starts(generator, 30):
            text = "".join(SIGNS[token] for token in start)
            assert len(text) == length
            *_, end = states(start, next_text)
            assert "".join(SIGNS[token] for token in end) == re.sub(r"\[[^\]]*\]|[<>]", "", text)
            longest = max(map(len, re.findall(r"\[([^\]]*)\]", text)), default=0)
            assert num_steps(start, next_text) <= longest + 5


@pytest.mark.parametrize("size", [4, 6, 9])
def test_the_search_finds_the_one_solution(size):
    task = task_named(f"sudoku-search:size={size}")
    language = sudoku(size)
    grids = language.draw(3, 20)
    for grid, puzzle in zip(grids, language.questions(4, grids), strict=True):
        assert count_solutions(puzzle, 2) == 1
        start = grid_row(puzzle)
        *_, end = states(start, lambda row: next_grid(row, size))
        assert [token - size**2 for token in end[::2]] == grid.tolist()
        assert task.is_right(start, end)
        wrong = list(end)
        wrong[0], wrong[2] = wrong[2], wrong[0]
        assert not task.is_right(start, wrong)
        # A solved grid, but of another puzzle: all digits are the next ones.
        other = list(end)
        other[::2] = [size**2 + (token - size**2 + 1) % size for token in end[::2]]
        assert task.is_right(grid_row(np.full(size**2, size)), other)
        assert not task.is_right(start, other)
        assert not task.is_right(start, end[:-2])


def test_the_search_goes_through_all_digits_and_stops_where_there_is_no_solution():
    *rows, end = states(grid_row(np.full(16, 9)), lambda row: next_grid(row, 4))
    assert sudoku(4).is_correct(np.array([end[::2]]) - 16)[0]
    assert len(rows) > 10
    # Every digit stands in a unit of the last cell, so nothing fits; and two equal digits in a row.
    none = np.full(16, 9)
    none[[12, 13, 3, 7]] = 0, 1, 2, 3
    twice = np.full(16, 9)
    twice[[0, 3]] = 1
    for puzzle in (none, twice):
        assert count_solutions(puzzle, 1) == 0
        *_, end = states(grid_row(puzzle), lambda row: next_grid(row, 4))
        assert not task_named("sudoku-search").is_right(grid_row(puzzle), end)


@pytest.mark.parametrize(("size", "fewest"), [(4, 0), (6, 4), (9, 27)])
def test_puzzles_that_are_learned_from_have_any_number_of_digits_and_every_other_one_goes_back(
    size, fewest
):
    task = task_named(f"sudoku-search:size={size}")
    generator = np.random.default_rng(0)
    givens = []
    for place, start in enumerate(itertools.islice(task.learned(generator), 40)):
        empty = [row[::2].count(len(task.signs)) for row in states(start, lambda row: next_grid(row, size))]
        if place % 2:
            assert any(later > sooner for sooner, later in itertools.pairwise(empty))
        else:
            givens.append(size**2 - empty[0])
    # Of 20 even numbers, the extremes; each sixth misses them once in 38 draws.
    sixth = (size**2 - fewest) / 6
    assert fewest <= min(givens) < fewest + sixth
    assert size**2 - sixth < max(givens) <= size**2


def test_searches_from_all_grids_with_few_digits_agree_with_the_count_of_solutions():
    generator = np.random.default_rng(0)
    back, solved = 0, 0
    for _ in range(200):
        puzzle = np.where(generator.random(16) < 0.2, generator.integers(0, 4, 16), 9)
        rows = list(states(grid_row(puzzle), lambda row: next_grid(row, 4)))
        is_solved = task_named("sudoku-search").is_right(rows[0], rows[-1])
        assert is_solved == (count_solutions(puzzle, 1) == 1)
        solved += is_solved
        empty = [row[::2].count(22) for row in rows]
        back += any(later > sooner for sooner, later in itertools.pairwise(empty))
    assert min(5 * back, solved, 200 - solved) > 30


@pytest.mark.parametrize("kinds", [1, 2])
def test_words_have_the_law_that_is_stated(kinds):
    """The law of all rows with few letters, step by step, against the formula and a count of the words."""
    task = task_named(f"two-sided-brackets:kinds={kinds},growth=0.7")
    most, mask = 2, len(task.signs)
    law = {tuple(task.starts(np.random.default_rng(0), 1)[0]): 1.0}
    ends: collections.Counter = collections.Counter()
    while law:
        after: collections.Counter = collections.Counter()
        for row, chance in law.items():
            laws = next_laws(row, task.kinds, task.growth)
            assert all(sum(law.values()) == pytest.approx(1) for law in laws)
            for pieces in itertools.product(*(law.items() for law in laws)):
                new = sum((left for left, _ in pieces), ())
                part = chance * np.prod([share for _, share in pieces])
                if new == row:
                    ends[new] += part
                # A call has a pair of letters to come, and letters stay.
                elif sum((token < 2 * kinds) + 2 * (2 * kinds <= token < 4 * kinds) for token in new) <= 6:
                    after[new] += part
        law = after
    p = task.chance
    right = {
        word
        for pairs in range(most + 1)
        for word in itertools.product(range(2 * kinds), repeat=2 * pairs)
        if cancels(word, kinds)
    }
    for word in right:
        formula = (1 - 2 * kinds * p) * (p * (1 - (2 * kinds - 1) * p)) ** (len(word) // 2)
        assert ends[(4 * kinds + 2, *word)] == pytest.approx(formula, rel=1e-12)
    assert {row[1:] for row in ends if len(row) <= 2 * most + 1} == right
    chances = lengths(kinds, 0.7, 600)
    assert chances.sum() == pytest.approx(1, abs=1e-9)
    counts = collections.Counter(len(word) // 2 for word in right)
    for pairs, number in counts.items():
        alike = (1 - 2 * kinds * p) * (p * (1 - (2 * kinds - 1) * p)) ** pairs
        assert chances[pairs] == pytest.approx(number * alike, rel=1e-12)
    assert mask == 4 * kinds + 3


def test_room_and_steps_are_passed_once_in_a_million():
    """Of slow growth, where few pairs make many: both numbers are the smallest with that tail."""
    for growth in (0.05, 0.5):
        task = task_named(f"two-sided-brackets:kinds=2,growth={growth}")
        pairs = (task.room([]) - 3) // 4
        chances = lengths(2, growth, 400)
        assert chances[pairs + 1 :].sum() <= 1e-6 < chances[pairs:].sum()


def test_brackets_are_learned_from_rows_of_few_tokens_whose_draws_have_the_law():
    task, num = task_named("two-sided-brackets:kinds=2,growth=0.95"), 3000
    traces = task.traces(np.random.default_rng(3), num)
    slot, stop, begin = (task.signs.index(sign) for sign in "S.^")
    assert len(traces.before) == num
    assert MOST_TOKENS / 2 < traces.before.shape[1] <= MOST_TOKENS
    is_drawn = (traces.tokens != KEEP)[:, 1:] & (traces.before[:, :-1] == slot)
    # Inside a pair, where a letter is to the right: three letters may open.
    is_inside = is_drawn & (np.pad(traces.before[:, 2:], ((0, 0), (0, 1)), constant_values=begin) < 4)
    stops = (traces.tokens[:, 1:] == stop)[is_inside]
    assert len(stops) > 1000
    # Five standard errors of a share near a half.
    assert abs(stops.mean() - (1 - 3 * task.chance)) < 5 * 0.5 / np.sqrt(len(stops))


def test_cancelling_is_that_of_every_order():
    for word in itertools.product(range(4), repeat=6):
        text = "".join("abAB"[letter] for letter in word)
        while (shorter := re.sub("aA|Aa|bB|Bb", "", text)) != text:
            text = shorter
        assert cancels(word, 2) == (text == "")
    assert not cancels([0, 4, 2], 2)


def test_a_step_that_no_edits_make_is_named():
    with pytest.raises(InputError, match=r"^step 1: no edits lead from \[5\] to \[4\]"):
        traces_of([([5, 0], [5, 0]), ([5], [4])], mask_id=9, pad_id=8)
    with pytest.raises(InputError, match=r"^step 0: no edits"):
        some_steps(np.random.default_rng(0), 1, [[5]], lambda row: [4], mask_id=9, pad_id=8)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sudoku-search:size=5", "Sudoku of size 5"),
        ("sudoku-search:size=4,givens=17", "17 digits given of 16"),
        ("two-sided-brackets:kinds=5", "kinds is '5'"),
        ("two-sided-brackets:growth=1", "growth is '1'"),
        ("addition:digits=0", "digits is '0'"),
        ("patch:length=0", "length is '0'"),
    ],
)
def test_tasks_that_cannot_be_are_refused(name, message):
    with pytest.raises(InputError, match=message):
        task_named(name)
