"""Networks: what they can see, and the way to a pure denoiser."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.models import (
    MaskedTransformer,
    TimeConditionedTransformer,
    TransformerConfig,
    from_nnx,
    from_nnx_timed,
    param_shardings,
)
from mdmot.models.layers import inverse_frequencies, turned, turns
from mdmot.samplers import BernoulliUnmasking, sample
from mdmot.schedules import grid_from_alpha

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
    angles = turns(6, inverse_frequencies(8, 10_000.0))
    turn = jax.jit(lambda x: turned(jnp.broadcast_to(x, (1, 6, 1, 8)), angles)[0, :, 0])
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
    other = TransformerConfig(vocab_size=4, length=6, width=16, depth=1, heads=1)
    assert from_nnx(MaskedTransformer(other, nnx.Rngs(0)))[0] != DENOISER


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
        ({"kv_heads": 0}, "kv_heads = 0"),
        ({"width": 24, "heads": 6, "kv_heads": 4}, "6 heads do not split into 4 groups"),
        ({"pad_id": 4}, "pad_id = 4; pass one of the 4 clean tokens"),
        ({"dtype": "float16"}, "dtype = 'float16'; pass float32 or bfloat16"),
    ],
)
def test_config_refuses_impossible_sizes(change, message):
    sizes = {"vocab_size": 4, "length": 6, "width": 16, "depth": 1, "heads": 2}
    with pytest.raises(InputError, match=message):
        TransformerConfig(**(sizes | change))


def test_heads_in_groups_share_keys_and_values():
    """The full network with each group's key and value repeated is the same function."""
    sizes = {"vocab_size": 4, "length": 6, "width": 16, "depth": 2, "heads": 4}
    grouped, params = from_nnx(MaskedTransformer(TransformerConfig(**sizes, kv_heads=2), nnx.Rngs(0)))
    kernel = params["body"]["blocks"]["qkv"]["kernel"]
    assert kernel.shape == (2, 16, 8 * 4)
    parts = kernel.reshape(2, 16, 2, 4, 4)  # two queries, their key and their value, four features each
    query, shared = parts[:, :, :, :2, None], parts[:, :, :, None, 2:]
    repeated = jnp.concatenate([query, jnp.broadcast_to(shared, (2, 16, 2, 2, 2, 4))], axis=4)
    full, others = from_nnx(MaskedTransformer(TransformerConfig(**sizes), nnx.Rngs(0)))
    blocks = params["body"]["blocks"] | {"qkv": {"kernel": repeated.reshape(2, 16, 48)}}
    assert others["body"]["blocks"]["qkv"]["kernel"].shape == (2, 16, 48)
    expanded = params | {"body": params["body"] | {"blocks": blocks}}
    # The same sums of sixteen products of order one, in another order.
    np.testing.assert_allclose(
        logits_of(grouped, params, TOKENS), logits_of(full, expanded, TOKENS), atol=1e-5
    )


def test_padding_is_not_seen_and_rows_without_it_keep_their_bits():
    config = dataclasses.replace(CONFIG, pad_id=3)
    padded, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    tokens = jnp.asarray([[0, 1, 4, 2, 4, 2], [4, 1, 0, 3, 3, 3]])
    found = logits_of(padded, params, tokens)
    assert bool(jnp.isfinite(found).all())
    beside_itself = logits_of(padded, params, tokens[jnp.asarray([0, 0])])
    np.testing.assert_array_equal(found[0], beside_itself[0])
    # The same sums of order one in a program that has no padding, which may fuse them otherwise.
    np.testing.assert_allclose(found[0], logits_of(DENOISER, params, tokens)[0], atol=1e-5)
    # A row without its padding; sums of another length round otherwise.
    alone = logits_of(padded, params, tokens[1:, :3])
    np.testing.assert_allclose(found[1, :3], alone[0], atol=1e-5)
    assert np.abs(found[1, :3] - logits_of(DENOISER, params, tokens)[1, :3]).max() > 1e-2


def test_blocks_are_compiled_once():
    programs = []
    for depth in (1, 3):
        config = dataclasses.replace(CONFIG, depth=depth)
        params = nnx.eval_shape(lambda config=config: from_nnx(MaskedTransformer(config, nnx.Rngs(0)))[1])
        programs.append(logits_of.lower(DENOISER, params, TOKENS).as_text().splitlines())
    assert len(programs[0]) == len(programs[1])


def test_bfloat16_computes_nearly_the_same():
    config = dataclasses.replace(CONFIG, dtype="bfloat16", depth=2)
    half, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    coarse = logits_of(half, params, TOKENS)
    assert coarse.dtype == jnp.float32
    fine = logits_of(DENOISER, params, TOKENS)
    # A few dozen roundings of 2^-9 of numbers of order one.
    np.testing.assert_allclose(coarse, fine, atol=0.1)
    assert np.abs(coarse - fine).max() > 1e-4
    small = dataclasses.replace(config, param_dtype="bfloat16")
    shapes = nnx.eval_shape(lambda: from_nnx(MaskedTransformer(small, nnx.Rngs(0)))[1])
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("bfloat16")}
    assert jax.eval_shape(half, shapes, TOKENS).dtype == jnp.float32


def test_linen_modules_and_functions_are_denoisers_as_they_are():
    class Table(linen.Module):
        @linen.compact
        def __call__(self, tokens):
            return linen.Embed(5, 4)(tokens)

    params = Table().init(jax.random.key(0), TOKENS)["params"]

    def denoiser(params, tokens):
        return Table().apply({"params": params}, tokens)

    model = Model(denoiser, params, 4)
    result = sample(jax.random.key(1), BernoulliUnmasking(), model, grid_from_alpha([0.0, 1.0]), TOKENS)
    assert int(result.tokens.max()) < 4
    np.testing.assert_array_equal(denoiser(params, TOKENS), params["Embed_0"]["embedding"][TOKENS])


def test_weights_are_split_as_the_rules_say():
    mesh = jax.make_mesh((1, 1), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    found = param_shardings(PARAMS, mesh, {"width": "data", "hidden": "model", "vocab": "model"})
    blocks = found["body"]["blocks"]
    assert blocks["qkv"]["kernel"].spec == P(None, "data", "model")
    assert blocks["mlp_out"]["kernel"].spec == P(None, "model", "data")
    assert blocks["mlp_norm"]["scale"].spec == P()
    assert found["embedding"]["token"]["embedding"].spec == P("model", "data")
    assert found["head"]["kernel"].spec == P("data", "model")
    for rules, message in (
        ({"heads": "model"}, "'heads'; the axes of weights are hidden, vocab, width"),
        ({"hidden": "x"}, "'x'; the axes of the mesh are data, model"),
        ({"hidden": "data", "width": "data"}, "two axes of .* over 'data'"),
    ):
        with pytest.raises(InputError, match=message):
            param_shardings(PARAMS, mesh, rules)


def test_longer_sequences_are_refused():
    with pytest.raises(InputError, match="7 tokens, more than the 6"):
        jax.eval_shape(DENOISER, PARAMS, jnp.zeros((1, 7), int))


def test_random_modules_are_refused():
    class Noisy(nnx.Module):
        def __init__(self, rngs):
            self.dropout = nnx.Dropout(0.1, rngs=rngs)

    with pytest.raises(InputError, match=r"dropout\.rngs.*without dropout"):
        from_nnx(Noisy(nnx.Rngs(0)))
