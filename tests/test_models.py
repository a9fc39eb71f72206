"""Networks: what they can see, and the way to a pure denoiser."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdmot.errors import InputError
from mdmot.models import (
    MaskedTransformer,
    TimeConditionedTransformer,
    TransformerConfig,
    from_nnx,
    from_nnx_timed,
)
from mdmot.models.transformer import rotate

CONFIG = TransformerConfig(vocab_size=4, length=6, width=16, depth=1, heads=2)
TOKENS = jnp.array([[0, 1, 4, 3, 4, 2], [4, 4, 1, 0, 2, 3]])


@jax.jit
def timed_logits(params, tokens, alpha):
    return TIMED(params, tokens, alpha)


DENOISER, PARAMS = from_nnx(MaskedTransformer(CONFIG, nnx.Rngs(0)))
TIMED, TIMED_PARAMS = from_nnx_timed(TimeConditionedTransformer(CONFIG, nnx.Rngs(0)))
logits_of = jax.jit(lambda denoiser, params, tokens: denoiser(params, tokens), static_argnums=0)


def test_logits_cover_the_clean_tokens_in_float32():
    logits = logits_of(DENOISER, PARAMS, TOKENS)
    assert logits.shape == (2, 6, 4)
    assert logits.dtype == jnp.float32
    assert bool(jnp.isfinite(logits).all())
    assert {leaf.dtype for leaf in jax.tree.leaves(PARAMS)} == {jnp.dtype("float32")}
    assert isinstance(PARAMS, dict)


def test_every_position_sees_every_other_and_no_other_row():
    logits = logits_of(DENOISER, PARAMS, TOKENS)
    for position in range(6):
        changed = logits_of(DENOISER, PARAMS, TOKENS.at[0, position].set(1 - TOKENS[0, position] % 2))
        assert bool((changed[0] != logits[0]).any(axis=1).all())
        np.testing.assert_array_equal(changed[1], logits[1])
    # It knows where tokens stand: reversing the input is not reversing the output.
    assert not np.allclose(logits_of(DENOISER, PARAMS, TOKENS[:, ::-1]), logits[:, ::-1], atol=1e-3)


def test_rotary_products_depend_on_the_distance_alone():
    query, key = jax.random.normal(jax.random.key(0), (2, 1, 1, 1, 8))
    turn = jax.jit(lambda x: rotate(jnp.broadcast_to(x, (1, 6, 1, 8)))[0, :, 0])
    products = np.asarray(turn(query)) @ np.asarray(turn(key)).T
    for distance in range(-5, 6):
        diagonal = np.diagonal(products, distance)
        # Eight products of order one, angles up to 6: a few dozen roundings.
        np.testing.assert_allclose(diagonal, diagonal[0], atol=64 * np.finfo(products.dtype).eps)
    assert np.ptp(products) > 0.1


def test_masked_positions_are_told_apart():
    """Every position of an all-masked sequence may have another marginal."""
    logits = logits_of(DENOISER, PARAMS, jnp.full((2, 6), CONFIG.mask_id))[0]
    distances = np.abs(np.asarray(logits)[:, None] - np.asarray(logits)[None]).max(-1)
    assert (distances[~np.eye(6, dtype=bool)] > 1e-3).all()


def test_rebuilt_denoiser_is_the_same_to_the_compiler():
    rebuilt, other_params = from_nnx(MaskedTransformer(CONFIG, nnx.Rngs(1)))
    assert rebuilt == DENOISER
    assert hash(rebuilt) == hash(DENOISER)
    first = logits_of(DENOISER, PARAMS, TOKENS)
    with jax.no_tracing():
        second = logits_of(rebuilt, other_params, TOKENS)
    assert bool((first != second).any())
    wider = TransformerConfig(vocab_size=4, length=6, width=16, depth=2, heads=2)
    assert from_nnx(MaskedTransformer(wider, nnx.Rngs(0)))[0] != DENOISER


def test_split_module_computes_what_the_module_does():
    module = MaskedTransformer(CONFIG, nnx.Rngs(0))
    direct = jax.jit(lambda tokens: module(tokens))(TOKENS)
    # The same operations, fused differently: float32 roundings of values of order one.
    np.testing.assert_allclose(direct, logits_of(DENOISER, PARAMS, TOKENS), atol=1e-5)


def test_time_conditioned_logits_depend_on_the_level():
    low, high = jnp.asarray(0.1), jnp.asarray(0.9)
    at_low = timed_logits(TIMED_PARAMS, TOKENS, low)
    at_high = timed_logits(TIMED_PARAMS, TOKENS, high)
    assert at_low.shape == (2, 6, 4)
    assert at_low.dtype == jnp.float32
    assert bool((at_low != at_high).any(axis=2).all())
    mixed = timed_logits(TIMED_PARAMS, TOKENS, jnp.stack([low, high]))
    np.testing.assert_allclose(mixed, jnp.stack([at_low[0], at_high[1]]), atol=1e-5)
    slope = jax.jit(jax.jacfwd(lambda alpha: TIMED(TIMED_PARAMS, TOKENS, alpha)))(low)
    assert bool(jnp.isfinite(slope).all())
    assert float(jnp.abs(slope).max()) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 0}, "depth = 0"),
        ({"vocab_size": True}, "vocab_size = True"),
        ({"heads": 3}, "multiple of 6"),
        ({"width": 18, "heads": 6}, "multiple of 12"),
    ],
)
def test_config_refuses_impossible_sizes(change, message):
    sizes = {"vocab_size": 4, "length": 6, "width": 16, "depth": 1, "heads": 2}
    with pytest.raises(InputError, match=message):
        TransformerConfig(**(sizes | change))


def test_longer_sequences_are_refused():
    with pytest.raises(InputError, match="7 tokens, more than the 6"):
        jax.eval_shape(DENOISER, PARAMS, jnp.zeros((1, 7), int))


def test_random_modules_are_refused():
    class Noisy(nnx.Module):
        def __init__(self, rngs):
            self.dropout = nnx.Dropout(0.1, rngs=rngs)

    with pytest.raises(InputError, match=r"dropout\.rngs.*without dropout"):
        from_nnx(Noisy(nnx.Rngs(0)))
