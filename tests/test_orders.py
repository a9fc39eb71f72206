"""Orders in which masked positions open, against slow statements of each."""

import fractions
import functools
import itertools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from mdmot import InputError, Model, sample
from mdmot.orders import (
    Bisection,
    LeftToRight,
    LowDiscrepancy,
    Order,
    Permutation,
    RandomOrder,
    Stride,
    VanDerCorput,
    assert_order_fits,
    level_end,
    order_as_json,
    order_from_json,
    order_of,
    parse_order,
)
from mdmot.samplers import FixedUnmasking, SemiAutoregressive, sample_trajectory
from mdmot.schedules import grid_from_alpha

LENGTH = 7
PATTERNS = jnp.asarray(list(itertools.product([False, True], repeat=LENGTH)))
KEYS = jax.random.split(jax.random.key(0), len(PATTERNS))


def bisection(n):
    """Level after level; inside a level by the way to a gap, its last turn first."""
    ways, gaps = [], [((), 0, n)]
    while gaps:
        way, a, b = gaps.pop()
        if a < b:
            m = (a + b) // 2
            ways.append((len(way), way[::-1], m))
            gaps += [((*way, 0), a, m), ((*way, 1), m + 1, b)]
    return [m for _, _, m in sorted(ways)]


def low_discrepancy(n):
    """phi to 200 digits."""
    phi = fractions.Fraction(math.isqrt(5 * 10**400) - 10**200, 2 * 10**200)
    return firsts(n, lambda k: k * phi % 1)


def van_der_corput(n):
    return firsts(n, lambda k: fractions.Fraction(int(f"{k:b}"[::-1], 2), 2 ** len(f"{k:b}")))


def firsts(n, point):
    """floor(n point(k)), repeats skipped, until every position has been met."""
    order = {}
    k = 0
    while len(order) < n:
        order.setdefault(math.floor(n * point(k)))
        k += 1
    return list(order)


def stride(n, step):
    return [i for first in range(min(step, n)) for i in range(first, n, step)]


SLOW = {
    "left-to-right": (LeftToRight, lambda n: list(range(n))),
    "bisection": (Bisection, bisection),
    "low-discrepancy": (LowDiscrepancy, low_discrepancy),
    "van-der-corput": (VanDerCorput, van_der_corput),
    **{
        f"stride:{step}": (functools.partial(Stride, step), functools.partial(stride, step=step))
        for step in (1, 2, 3, 7, 8, 10**9)
    },
}


@pytest.fixture(params=SLOW)
def named(request):
    return request.param, *SLOW[request.param]


def turns(opened, is_masked):
    """The place of each position when these open one after the other, the given ones last."""
    order = [*opened, *np.flatnonzero(~is_masked)]
    return np.argsort(order)


def test_orders_of_the_masked_positions(named):
    """Every pattern of given positions."""
    _, kind, slow = named
    found = np.asarray(kind()(KEYS, PATTERNS))
    for row, is_masked in zip(found, np.asarray(PATTERNS), strict=True):
        places = np.flatnonzero(is_masked)
        np.testing.assert_array_equal(row, turns(places[slow(len(places))], is_masked))


def test_orders_of_many_lengths(named):
    """Rows of 257 with 0, ..., 256 masked positions at its end, and some more lengths."""
    _, kind, slow = named
    number = np.arange(257)
    is_masked = np.arange(257) >= 257 - number[:, None]
    found = np.asarray(kind()(jax.random.split(jax.random.key(0), 257), jnp.asarray(is_masked)))
    for n, row in zip(number, found, strict=True):
        np.testing.assert_array_equal(np.argsort(row)[:n], 257 - n + np.array(slow(n), int))
    for n in (1000, 4181):
        np.testing.assert_array_equal(order_of(kind(), n), slow(n))


def test_a_shift_is_one_uniform_number_added_to_all(named):
    name, kind, slow = named
    is_masked = jnp.asarray([True, False, True, True, True, False, True])
    places = np.flatnonzero(is_masked)
    keys = jax.random.split(jax.random.key(1), 5000)
    found = np.asarray(kind(shift=True)(keys, jnp.broadcast_to(is_masked, (5000, LENGTH))))
    shifted = [turns(places[(np.array(slow(5)) + u) % 5], np.asarray(is_masked)) for u in range(5)]
    counts = np.array([(found == row).all(axis=1).sum() for row in shifted])
    assert counts.sum() == 5000
    # A chi-square of a multinomial: one chance in 10^4 of failing.
    assert ((counts - 1000) ** 2).sum() / 1000 < chi2.ppf(1 - 1e-4, 4)
    # One number for each row, from its key alone, whatever the order.
    again = kind(shift=True)(keys[:3], jnp.broadcast_to(is_masked, (3, LENGTH)))
    np.testing.assert_array_equal(again, found[:3])
    drawn = np.argmax([(found == row).all(axis=1) for row in shifted], axis=0)
    expected = jax.vmap(lambda key: jax.random.randint(key, (), 0, 5, jnp.int32))(keys)
    np.testing.assert_array_equal(drawn, expected)
    assert (kind(shift=True).is_random, kind().is_random) == (True, False)
    assert (kind(shift=True).name, kind().name) == (f"{name}+shift", name)


def test_random_order_is_uniform_over_the_masked_positions():
    keys = jax.random.split(jax.random.key(1), 6000)
    is_masked = jnp.asarray([True, False, True, True, False])
    found = np.asarray(RandomOrder()(keys, jnp.broadcast_to(is_masked, (6000, 5))))
    np.testing.assert_array_equal(found[:, [1, 4]], np.tile([3, 4], (6000, 1)))
    orders, counts = np.unique(found[:, [0, 2, 3]], axis=0, return_counts=True)
    assert {tuple(order) for order in orders.tolist()} == set(itertools.permutations(range(3)))
    # A chi-square of a multinomial: one chance in 10^4 of failing.
    assert ((counts - 1000) ** 2).sum() / 1000 < chi2.ppf(1 - 1e-4, 5)


@pytest.mark.parametrize("order", [LowDiscrepancy(), VanDerCorput()])
@pytest.mark.parametrize("lengths", [range(1, 2049), [4095, 4096, 4097, 10946, 28657, 46368, 65535]])
def test_every_position_has_a_turn_of_its_own(order, lengths):
    """Fibonacci numbers and powers of two are the lengths at which gaps are closed late."""
    length = lengths[-1]
    place = jnp.arange(length)[None]
    rank = jax.jit(lambda number: order.rank(place, number.reshape(1, 1))[0])
    for n in lengths:
        found = np.asarray(rank(jnp.asarray(n)))[:n]
        # All met within 2n, as the proofs say.
        assert len(np.unique(found)) == n
        assert found.max() < 2 * n


def test_products_are_floored_without_rounding():
    """At the longest rows, where float32 and even float64 are wrong at some k."""
    n = 65535
    rank = np.asarray(LowDiscrepancy().rank(jnp.arange(n)[None], jnp.asarray([[n]])))[0]
    met = {}
    for k in range(2 * n):
        met.setdefault(n * (math.isqrt(5 * k * k << 400) - (k << 200)) // 2**201 % n, k)
    np.testing.assert_array_equal(rank, [met[place] for place in range(n)])


def test_rows_that_are_too_long_for_low_discrepancy():
    is_masked = jnp.ones((1, 2**16), bool)
    for order in (LowDiscrepancy(), VanDerCorput()):
        with pytest.raises(InputError, match=r"^rows have 65536 positions; .*such as bisection$"):
            order(KEYS[:1], is_masked)


def test_ends_of_levels():
    found = np.asarray(level_end(jnp.arange(200)))
    for n in range(1, 200):
        level = [0] * n
        for a, b, depth in gaps(0, n, 0):
            level[(a + b) // 2] = depth
        depths = [level[i] for i in bisection(n)]
        ends = [n - depths[::-1].index(depth) for depth in depths]
        np.testing.assert_array_equal(np.minimum(found[:n], n), ends)


def gaps(a, b, depth):
    if a < b:
        m = (a + b) // 2
        yield a, b, depth
        yield from gaps(a, m, depth + 1)
        yield from gaps(m + 1, b, depth + 1)


def test_permutations():
    order = Permutation([3, 0, 2, 1])
    is_masked = np.array([True, False, True, True, False, True, False])
    found = np.asarray(order(KEYS[:1], jnp.asarray(is_masked)[None]))[0]
    np.testing.assert_array_equal(found, turns(np.array([0, 2, 3, 5])[[3, 0, 2, 1]], is_masked))
    shifted = np.asarray(Permutation(np.array([3, 0, 2, 1]), shift=True)(KEYS, jnp.ones((128, 4), bool)))
    assert {tuple(np.argsort(row).tolist()) for row in shifted} == {
        tuple((i + u) % 4 for i in (3, 0, 2, 1)) for u in range(4)
    }
    # Of rows of other numbers: what they have of it, and the rest from left to right.
    assert np.argsort(order(KEYS[:1], jnp.ones((1, 3), bool))[0]).tolist() == [0, 2, 1]
    assert np.argsort(order(KEYS[:1], jnp.ones((1, 6), bool))[0]).tolist() == [3, 0, 2, 1, 4, 5]
    assert repr(order) == "Permutation([3, 0, 2, 1])"
    assert len(repr(Permutation(range(1000)))) < 80
    assert order == Permutation((3, 0, 2, 1)) != Permutation((3, 0, 1, 2))
    assert hash(order) == hash(Permutation((3, 0, 2, 1)))


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([0, 2, 2], r"permutation repeats position 2 and misses 1; pass each of 0 to 2 once"),
        ([0, 3, 1], r"permutation has 3 among 3 positions; pass each of 0 to 2 once"),
        ([0, -1], r"permutation has -1 among 2 positions; .*"),
        ([0, True], r"permutation has true among 2 positions; .*"),
        ([0, 1.0], r"permutation has 1\.0 among 2 positions; .*"),
        ([[0, 1]], r"permutation has \[0, 1\] among 1 positions; .*"),
        ([], r"permutation \[\] is no list of positions; .*"),
        ("012", r'permutation "012" is no list of positions; .*'),
        ({"kind": "plan"}, r'permutation \{"kind": "plan"\} is no list of positions; .*'),
    ],
)
def test_bad_permutations(positions, message, tmp_path):
    with pytest.raises(InputError, match=f"^{message}$"):
        Permutation(positions)
    path = tmp_path / "order.json"
    path.write_text(json.dumps(positions))
    with pytest.raises(InputError, match=f"^order {path}: {message}$"):
        parse_order(str(path))


ORDERS = [RandomOrder(), Permutation([2, 0, 1]), Permutation([2, 0, 1], shift=True)] + [
    kind(shift=shift) for kind, _ in SLOW.values() for shift in (False, True)
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
def test_names_and_files(order, tmp_path):
    assert isinstance(order, Order)
    assert order_from_json(json.loads(json.dumps(order_as_json(order)))) == order
    text = order.name
    if isinstance(order, Permutation):
        path = tmp_path / "order.json"
        path.write_text("[2, 0, 1]")
        text = f"{path}+shift" if order.shift else str(path)
    assert parse_order(text) == order


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("left", r"order 'left' is not known; use random, left-to-right, bisection, .* stride:S, or .*"),
        ("", r"order '' is not known; .*"),
        ("permutation", r"order 'permutation' is not known; .* or the \.json file of a permutation"),
        ("random+shift", r"a random order has no shift; leave it out"),
        ("bisection+shift+shift", r"order 'bisection\+shift' is not known .did you mean bisection.*"),
        ("stride", r"order 'stride': expected stride:S with a whole number S of at least 1, such as .*"),
        ("stride:1_0", r"order 'stride:1_0': expected .*"),
        ("stride:-2", r"order 'stride:-2': expected .*"),
        (
            "stride:0",
            r"order 'stride:0': expected stride:S with a whole number S of at least 1, such as stride:4",
        ),
        ("nowhere.json", r"order nowhere\.json: cannot be read \(No such file or directory\); .*"),
    ],
)
def test_bad_names(text, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        parse_order(text)


def test_a_file_that_is_not_json(tmp_path):
    for content in (b"[0, 1", b"\xff", b"[" * 100_000):
        path = tmp_path / "order.json"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"order .*: is not JSON; write every position once, as .*"):
            parse_order(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("bisection", r'order is "bisection"; expected an object such as \{"kind": "bisection"\}'),
        ({}, r"order's kind is null; expected random, .* or permutation"),
        ({"kind": "bisection", "shift": 1}, r"order's shift is 1; expected true or false"),
        ({"kind": "bisection", "seed": 1}, r'order has "seed"; expected kind, shift and permutation only'),
        ({"kind": "bisection+shift"}, r"order 'bisection\+shift' is not known .did you mean bisection.*"),
        ({"kind": "permutation"}, r'order is of kind "permutation"; a permutation goes with .*'),
        ({"kind": "bisection", "permutation": [0]}, r'order is of kind "bisection"; a permutation .*'),
        ({"kind": "permutation", "permutation": [0, 0]}, r"permutation repeats position 0 .*"),
        ({"kind": "random", "shift": True}, r"a random order has no shift; leave it out"),
    ],
)
def test_bad_orders_of_files(content, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        order_from_json(content)


def test_an_order_of_ones_own_has_no_place_in_a_file():
    class Own(Bisection):
        """Another one."""

    with pytest.raises(InputError, match=r"^order .*Own\(shift=False\) has no place in a file; .*$"):
        order_as_json(Own())


def test_orders_to_look_at():
    assert order_of(Bisection(), 8).tolist() == [4, 2, 6, 1, 5, 3, 7, 0]
    key = jax.random.key(3)
    assert sorted(order_of(RandomOrder(), 50, key).tolist()) == list(range(50))
    with pytest.raises(InputError, match=r"^order random is random; pass a key to see one draw of it$"):
        order_of(RandomOrder(), 5)
    with pytest.raises(InputError, match=r"^the permutation has 2 positions and 3 are masked; .*$"):
        order_of(Permutation([1, 0]), 3)
    assert_order_fits(Permutation([1, 0]), 2)


MASK = 3


def denoiser(params, tokens):
    return jnp.broadcast_to(params, (*tokens.shape, MASK))


MODEL = Model(denoiser, jnp.zeros(3), MASK)
ONE_BY_ONE = grid_from_alpha(np.arange(5) / 4)


@pytest.mark.parametrize("order", [LowDiscrepancy(), Stride(2), Permutation([3, 1, 0, 2])])
def test_inside_blocks(order):
    """Each block has the order of its own masked positions, around the prompt."""
    tokens = jnp.full((1, 10), MASK).at[0, :2].set(0)
    result, path = sample_trajectory(
        jax.random.key(0), SemiAutoregressive(FixedUnmasking(order=order), 4), MODEL, ONE_BY_ONE, tokens
    )
    steps = itertools.pairwise(np.asarray(path)[:, 0])
    opened = [int(np.flatnonzero(now != after)[0]) for now, after in steps if (now != after).any()]
    sigma = order_of(order, 4)
    assert opened == [*(2 + sigma), *(6 + sigma)]
    assert int(result.network_calls[0]) == 8


def test_permutations_are_refused_where_others_are_masked():
    rule = FixedUnmasking(order=Permutation([1, 0, 2]))
    tokens = jnp.full((3, 4), MASK).at[:2, 0].set(0)
    message = r"^the permutation has 3 positions and 4 are masked; pass one of 4$"
    with pytest.raises(InputError, match=message):
        sample(jax.random.key(0), rule, MODEL, ONE_BY_ONE, tokens)
    # Rows without a mask do not count, nor do those of which nothing is known yet.
    assert sample(jax.random.key(0), rule, MODEL, ONE_BY_ONE, tokens.at[2].set(0)).finite.all()
    run = jax.jit(lambda tokens: sample(jax.random.key(0), rule, MODEL, ONE_BY_ONE, tokens).tokens)
    assert (run(tokens) != MASK).all()
    blocks = SemiAutoregressive(rule, 3)
    with pytest.raises(InputError, match=r"^the permutation has 3 positions and 1 are masked; .*"):
        sample(jax.random.key(0), blocks, MODEL, ONE_BY_ONE, tokens[2:])
    assert sample(jax.random.key(0), blocks, MODEL, ONE_BY_ONE, tokens[:2]).finite.all()


def test_two_permutations_have_two_names():
    """Files and states that go by a name do not take one for the other."""
    names = [Permutation(p, shift=s).name for p in ([0, 1, 2], [0, 2, 1]) for s in (False, True)]
    assert len(set(names)) == 4
    assert names[0] == Permutation(np.arange(3)).name
    assert names[1] == names[0] + "+shift"
