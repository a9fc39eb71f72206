"""Orders in which masked positions open, against slow statements of each."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import chi2

from mdmot.samplers.orders import Bisection, LeftToRight, RandomOrder, bisection_level

LENGTH = 7
PATTERNS = jnp.asarray(list(itertools.product([False, True], repeat=LENGTH)))
KEYS = jax.random.split(jax.random.key(0), len(PATTERNS))


def middles(places):
    """The middles of a run of positions, then those of both halves, level by level."""
    if not places:
        return []
    middle = len(places) // 2
    halves = middles(places[:middle]), middles(places[middle + 1 :])
    return [[places[middle]]] + [one + other for one, other in itertools.zip_longest(*halves, fillvalue=[])]


def turns(opened, is_masked):
    """The place of each position when these open one after the other, the given ones last."""
    order = [*opened, *np.flatnonzero(~is_masked)]
    return np.argsort(order)


def test_left_to_right():
    found = np.asarray(LeftToRight()(KEYS, PATTERNS))
    for row, is_masked in zip(found, np.asarray(PATTERNS), strict=True):
        np.testing.assert_array_equal(row, turns(np.flatnonzero(is_masked), is_masked))


def test_bisection():
    order, level = np.asarray(Bisection()(KEYS, PATTERNS)), np.asarray(bisection_level(PATTERNS))
    for row, of_row, is_masked in zip(order, level, np.asarray(PATTERNS), strict=True):
        levels = middles(np.flatnonzero(is_masked).tolist())
        np.testing.assert_array_equal(row, turns(list(itertools.chain(*levels)), is_masked))
        expected = np.zeros(LENGTH, int)
        for number, opened in enumerate(levels):
            expected[opened] = number
        np.testing.assert_array_equal(of_row, expected)


def test_random_order_is_uniform_over_the_masked_positions():
    keys = jax.random.split(jax.random.key(1), 6000)
    is_masked = jnp.asarray([True, False, True, True, False])
    found = np.asarray(RandomOrder()(keys, jnp.broadcast_to(is_masked, (6000, 5))))
    np.testing.assert_array_equal(found[:, [1, 4]], np.tile([3, 4], (6000, 1)))
    orders, counts = np.unique(found[:, [0, 2, 3]], axis=0, return_counts=True)
    assert {tuple(order) for order in orders.tolist()} == set(itertools.permutations(range(3)))
    # A chi-square of a multinomial: one chance in 10^4 of failing.
    assert ((counts - 1000) ** 2).sum() / 1000 < chi2.ppf(1 - 1e-4, 5)
