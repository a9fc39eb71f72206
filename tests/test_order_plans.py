"""Plans of an order over measured levels, against all plans."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdmot.errors import InputError
from mdmot.plans import cheapest_counts, even_counts, plan_levels


def cost(costs, cuts):
    return sum(costs[a, b - 1] for a, b in itertools.pairwise(cuts))


def all_cuts(num_levels, num_steps):
    for inner in itertools.combinations(range(1, num_levels), num_steps - 1):
        yield (0, *inner, num_levels)


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 10**6), st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_cheapest_plan_is_the_least_of_all(num_levels, num_steps, seed, is_integer):
    rng = np.random.default_rng(seed)
    levels = np.concatenate([[0], 1 + np.sort(rng.choice(20, num_levels - 1, replace=False))])
    length = int(levels[-1] + 1 + rng.integers(0, 4)) + 7
    costs = rng.normal(size=(num_levels, num_levels))
    if is_integer:
        # Many plans are equal.
        costs = rng.integers(0, 3, costs.shape).astype(float)
    found = cheapest_counts(costs, levels, length, num_steps)
    points = [*levels.tolist(), length]
    plans = list(all_cuts(num_levels, min(num_steps, num_levels)))
    least = min(cost(costs, cuts) for cuts in plans)
    # Of equal plans the one that starts its last step first, and so on: rounding counts as equal.
    equal = [cuts for cuts in plans if cost(costs, cuts) <= least + 1e-11]
    best = min(equal, key=lambda cuts: cuts[::-1])
    assert np.cumsum([0, *found]).tolist() == [points[cut] for cut in best]


def test_rounding_makes_no_plan_better():
    # Both plans of two steps cost 1: one of them 1 + 1e-16 less.
    costs = np.array([[0.7, 0.4, 9.0], [0, 9.0, 0.3], [0, 0, 0.6 - 1e-16]])
    assert cheapest_counts(costs, np.arange(3), 3, 2) == (1, 2)


@pytest.mark.parametrize(
    ("costs", "steps", "message"),
    [
        (np.full((3, 3), np.nan), 2, "costs"),
        (np.zeros((3, 3)), 0, "num_steps"),
        (np.zeros((3, 3)), 6, "6 steps reveal one token each at least"),
    ],
)
def test_what_has_no_plan_is_refused(costs, steps, message):
    with pytest.raises(InputError, match=message):
        cheapest_counts(costs, np.array([0, 2, 3]), 5, steps)


def test_what_is_below_the_diagonal_is_not_read():
    costs = np.triu(np.ones((3, 3))) + np.tril(np.full((3, 3), np.nan), -1)
    assert cheapest_counts(costs, np.arange(3), 3, 1) == (3,)


@given(st.integers(1, 400), st.integers(1, 500))
@settings(max_examples=150, deadline=None)
def test_even_counts_are_those_of_the_contract(length, num_steps):
    known = np.cumsum(even_counts(length, num_steps))
    for k in range(1, num_steps + 1):
        exact, found = Fraction(length * k, num_steps), int(known[k - 1])
        assert abs(found - exact) <= Fraction(1, 2)
        assert abs(found - exact) < Fraction(1, 2) or found % 2 == 0
    assert known[-1] == length


def test_levels_are_the_usual_ones_and_those_of_even_steps():
    levels = plan_levels(128, [8, 48])
    assert {*range(0, 128, 16)} <= {*levels.tolist()}
    assert {*np.cumsum(even_counts(128, 48))[:-1].tolist()} <= {*levels.tolist()}
    assert levels[0] == 0
    assert levels[-1] == 127
    assert len(plan_levels(128, [])) in (32, 33)
    # More steps than tokens: some are empty, and no level is the end.
    assert plan_levels(4, [9]).tolist() == [0, 1, 2, 3]
