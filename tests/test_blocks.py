"""Semi-autoregressive sampling: blocks from left to right, prompts, ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.samplers import (
    FixedUnmasking,
    Ranked,
    SemiAutoregressive,
    sample,
    sample_trajectory,
)
from mdmot.samplers.admission import assert_inputs
from mdmot.schedules import grid_from_alpha

pytestmark = pytest.mark.slow  # many small programs to compile

VOCAB, MASK, LENGTH, END = 5, 5, 11, 4
GRID = grid_from_alpha([0.0, 0.5, 1.0])
# A prompt of three, a gap of two given tokens inside, no prompt, no mask.
TOKENS = np.full((4, LENGTH), MASK, np.int32)
TOKENS[0, :3] = 1
TOKENS[1, 4:6] = 2
TOKENS[3] = 0


def denoiser(params, tokens):
    """Logits that depend on how many tokens are masked: an inner sampler's stand-in would show."""
    masked = (tokens == MASK).sum(axis=1)[:, None, None]
    strange = ((tokens < 0) | (tokens > MASK)).any(axis=1)[:, None, None]
    logits = params[None] + 0.1 * masked.astype(params.dtype)
    return jnp.where(strange, jnp.nan, jnp.broadcast_to(logits, (tokens.shape[0], LENGTH, VOCAB)))


PARAMS = jax.random.normal(jax.random.key(3), (LENGTH, VOCAB), jnp.float32)
# Only position 5 likes to end.
ENDING = jnp.where(jnp.arange(VOCAB)[None] == END, -30.0, PARAMS).at[5, END].set(30.0)


def model(params=PARAMS):
    return Model(denoiser, params, MASK)


def run(rule, params=PARAMS):
    return sample_trajectory(jax.random.key(0), rule, model(params), GRID, jnp.asarray(TOKENS))


@pytest.mark.parametrize("inner", [FixedUnmasking(), Ranked()])
def test_blocks_follow_the_prompt_one_after_the_other(inner):
    result, path = run(SemiAutoregressive(inner, block_length=4))
    path = np.asarray(path)
    assert bool(result.finite.all())  # the network never saw another token than a mask in later blocks
    assert path.shape == (1 + 3 * 2, 4, LENGTH)
    np.testing.assert_array_equal(path[-1], result.tokens)
    for row, start in enumerate([3, 0, 0]):
        for block in range(3):
            first, end = start + 4 * block, start + 4 * block + 4
            before, half, after = path[2 * block], path[2 * block + 1], path[2 * block + 2]
            inside = (before[row, first:end] == MASK).sum()
            # Round-half-even of half the block's own masks, then all of them; later blocks are untouched.
            assert (half[row, first:end] == MASK).sum() == inside - round(inside / 2)
            assert not (after[row, :end] == MASK).any()
            np.testing.assert_array_equal(after[row, end:], TOKENS[row, end:])
    np.testing.assert_array_equal(np.asarray(result.tokens)[TOKENS != MASK], TOKENS[TOKENS != MASK])
    # Blocks of 4, 4 and 0 masks after the prompt; 4, 2 and 3 around the gap; none in the full row.
    np.testing.assert_array_equal(result.network_calls, [4, 6, 6, 0])


def test_one_block_is_the_inner_rule():
    inner = Ranked()
    whole = sample(jax.random.key(0), SemiAutoregressive(inner, LENGTH), model(), GRID, jnp.asarray(TOKENS))
    alone = sample(jax.random.key(0), inner, model(), GRID, jnp.asarray(TOKENS))
    np.testing.assert_array_equal(whole.tokens, alone.tokens)
    np.testing.assert_array_equal(whole.network_calls, alone.network_calls)


def test_a_row_stops_after_the_block_that_drew_an_end():
    result, _ = run(SemiAutoregressive(FixedUnmasking(), 4, end_id=END), ENDING)
    tokens = np.asarray(result.tokens)
    # Row 0: positions 3-6 hold the end; row 1 was given its position 5; row 2: 4-7 hold it.
    assert tokens[0, 5] == END
    assert (tokens[0, 7:] == END).all()
    assert not (tokens[0, [3, 4, 6]] == END).any()
    assert not (tokens[1] == END).any()
    assert (tokens[2, 8:] == END).all()
    np.testing.assert_array_equal(result.network_calls, [2, 6, 4, 0])


def test_a_block_without_a_distribution_is_reported_whatever_the_others_are():
    logits = jnp.zeros((3, 6, 4)).at[0, 0].set(jnp.nan).at[1, 5].set(jnp.inf)
    rule, flat = SemiAutoregressive(FixedUnmasking(), 2), Model(lambda params, tokens: params, logits, 4)
    result = sample(jax.random.key(0), rule, flat, grid_from_alpha([0.0, 0.5, 1.0]), jnp.full((3, 6), 4))
    assert result.finite.tolist() == [False, False, True]


@pytest.mark.parametrize("block_length", [0, -1])
def test_bad_block_length_is_refused(block_length):
    sampler = SemiAutoregressive(FixedUnmasking(), block_length)
    with pytest.raises(InputError, match="block_length"):
        sample(jax.random.key(0), sampler, model(), GRID, jnp.asarray(TOKENS))


def test_tokens_that_cannot_hold_a_stand_in_are_refused():
    sampler = SemiAutoregressive(FixedUnmasking(), 4)
    with pytest.raises(InputError, match="cast them to int32"):
        assert_inputs(jax.random.key(0), sampler, model(), GRID, jnp.asarray(TOKENS, jnp.uint8))
