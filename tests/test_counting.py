"""Network calls counted on a few sequences that stand for many: which they are, how far it is counted."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_keys import SMALL

from mdmot import Model
from mdmot.decoders import Sequences, measure, parse_decoder
from mdmot.workflows.comparing_how import How
from mdmot.workflows.counting import Counting, representative


def surer_with_ones(params, tokens):
    """The more ones are known, the surer of each position: rows differ in their calls."""
    ones = (tokens == 1).sum(axis=-1, keepdims=True, dtype=params.dtype)
    nothing = jnp.zeros(tokens.shape, params.dtype)
    return jnp.stack(jnp.broadcast_arrays(nothing, params * ones), axis=-1)


MODEL = Model(surer_with_ones, jnp.float32(0.7), mask_id=2)
ROWS = Sequences(np.array(list(itertools.product((0, 1), repeat=8)))[::4])
KEY = jax.random.key(0, impl=SMALL)
HOW = How(seed=0, steps=(2, 4), positions=8, orders=1, temperature=1.0, top_p=None, batch=16)


def counting(few=8, how=HOW):
    return Counting(KEY, MODEL, ROWS, how, few)


def plain(name, rows=ROWS):
    """Calls of each row, counted to the end."""
    return measure(KEY, parse_decoder(name).at(8, 8), MODEL, rows, batch_size=8).network_calls[0]


@pytest.mark.parametrize("num", [1, 3, 8, 64])
def test_the_few_are_the_middle_ones_of_equal_parts(num):
    calls = np.random.default_rng(0).permutation(np.arange(64) ** 2)
    chosen = representative(calls, num)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    part = 64 / num
    ranks = sorted(sorted(calls.tolist()).index(calls[row]) for row in chosen)
    assert ranks == [int(part * (k + 0.5)) for k in range(num)]


def test_their_calls_are_nearer_to_the_mean_than_those_of_the_first_ones():
    """Rows in the order of enumeration: the first ones have few ones."""
    chosen = counting().rows(parse_decoder("entropy-bound"))
    assert len(chosen.tokens) == 8
    every, few = plain("entropy-bound:.5"), plain("entropy-bound:.5", chosen)
    assert abs(few.mean() - every.mean()) < 0.3  # of any eight, .37 is one standard error
    assert abs(every[:8].mean() - every.mean()) > 1


def test_as_many_as_a_batch_has_are_the_first_ones():
    assert np.array_equal(counting(few=16).rows(parse_decoder("factor")).tokens, ROWS.tokens[:16])


def test_calls_are_counted_as_far_as_they_matter():
    """The largest wanted number is 4: beyond 6 calls on every row it is not counted."""
    work = counting()
    assert work.calls(parse_decoder("entropy-bound:0"), ROWS) == math.inf
    for name in ("entropy-bound:.5", "entropy-bound:1", "entropy-bound:99"):
        assert work.calls(parse_decoder(name), ROWS) == plain(name).mean()
    some = plain("entropy-bound:.5")
    assert some.min() < 6 < some.max()  # counted to the end, since some rows end before


def test_where_as_many_calls_as_positions_are_wanted_they_are_counted():
    assert counting(how=HOW.__class__(**{**vars(HOW), "steps": (8,)})).calls(
        parse_decoder("entropy-bound:0"), ROWS
    ) == pytest.approx(8)


@pytest.mark.parametrize("temperature", [1.0, 0.0])
def test_blocks_and_temperature_0_count_to_the_same_calls(temperature):
    """One position at a time, in two blocks or not."""
    how = HOW.__class__(**{**vars(HOW), "temperature": temperature})
    work = counting(how=how)
    for name in ("threshold:1@block:4", "threshold:1"):
        assert work.calls(parse_decoder(name), ROWS) == math.inf
    assert work.calls(parse_decoder("threshold:0@block:4"), ROWS) == 2


def test_a_knob_is_found_on_the_few():
    found = counting().calibrated(parse_decoder("entropy-bound"), 4, ())
    assert found.decoder.name.startswith("entropy-bound:")
    assert abs(found.calls - 4) <= 0.25  # calls jump between few values
    assert abs(plain(found.decoder.name).mean() - 4) < 0.5  # on all
