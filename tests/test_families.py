"""Families of pretrained networks against plain NumPy on the tensors of their files.

PyTorch is not needed here; where it is installed, test_pretrained_parity.py compares with transformers.
"""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from scipy.special import erf

from mdmot.errors import InputError, InputWarning
from mdmot.models.pretrained import FAMILIES, load_pretrained
from mdmot.models.pretrained.settings import Settings
from mdmot.workflows import load, naming

SIZES = {
    "vocab_size": 9,
    "hidden_size": 8,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 6,
    "max_position_embeddings": 8,
}
ALBERT = SIZES | {
    "model_type": "albert",
    "embedding_size": 4,
    "num_hidden_groups": 2,
    "hidden_act": "gelu_new",
    "pad_token_id": 0,
}
ROBERTA = SIZES | {"model_type": "roberta", "type_vocab_size": 1, "pad_token_id": 1}
MODERNBERT = SIZES | {
    "model_type": "modernbert",
    "global_attn_every_n_layers": 2,
    "local_attention": 2,
    "pad_token_id": 0,
}
QWEN2 = SIZES | {"model_type": "a2d-qwen2", "num_key_value_heads": 1, "rope_theta": 100.0}
QWEN3 = QWEN2 | {"model_type": "a2d-qwen3", "head_dim": 6, "attention_bias": False}
MASK = 8
TOKENS = np.array([[2, 8, 3, 8, 5, 4], [8, 4, 8, 7, 8, 0], [1, 1, 6, 5, 8, 1]])
# Sums of some ten products of order one through three blocks, in float32: errors are near 1e-6.
TOLERANCE = 2e-5

logits_of = jax.jit(lambda denoiser, params, tokens: denoiser(params, tokens), static_argnums=0)


def tensors_of(settings):
    """A random tensor for every name of a network, tied copies left out."""
    family = FAMILIES[settings["model_type"]]
    config = family.read(Settings(pathlib.Path("config.json"), settings))
    shapes, rng, tensors = family.shapes(config), np.random.default_rng(0), {}
    for rule in family.rules(config):
        is_block = "{}" in rule.source
        shape = shapes[rule.target][is_block:]
        for block in range(rule.first, config.depth) if is_block else [0]:
            if not rule.is_copy:
                drawn = rng.normal(size=shape[:: -1 if rule.is_transposed else 1])
                tensors[rule.source.split("|")[0].format(block)] = drawn.astype(np.float32)
    return tensors


def write(folder, settings, tensors):
    (folder / "config.json").write_text(json.dumps(settings))
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    return folder


def linear(weights, name, x):
    y = x @ weights[f"{name}.weight"].T
    return y + weights[f"{name}.bias"] if f"{name}.bias" in weights else y


def norm(weights, name, x, epsilon=1e-12):
    unit = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon)
    return unit * weights[f"{name}.weight"] + weights.get(f"{name}.bias", 0)


def mean_square_norm(scale, x, epsilon=1e-6):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * scale


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def tanh_gelu(x):
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2


def turned(x, base):
    """Rotary positions: pairs of features as complex numbers."""
    length, half = x.shape[1], x.shape[-1] // 2
    angles = np.outer(np.arange(length), base ** (-np.arange(half) / half))[:, None]
    z = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angles)
    return np.concatenate([z.real, z.imag], -1)


def attention(query, key, value, is_seen):
    """Heads one after the other; is_seen [batch, queries, keys]."""
    heads = []
    for head in range(query.shape[2]):
        shared = head * key.shape[2] // query.shape[2]
        products = np.einsum("bqf,bkf->bqk", query[:, :, head], key[:, :, shared])
        products = np.where(is_seen, products / np.sqrt(query.shape[-1]), -1e30)
        weights = np.exp(products - products.max(-1, keepdims=True))
        heads.append(weights / weights.sum(-1, keepdims=True) @ value[:, :, shared])
    return np.concatenate(heads, -1)


def split(x, size):
    return x.reshape(*x.shape[:2], -1, size)


def bert_block(weights, names, x, is_seen, act):
    query, key, value = (split(linear(weights, names[name], x), 4) for name in ("query", "key", "value"))
    mixed = linear(weights, names["out"], attention(query, key, value, is_seen[:, None]))
    x = norm(weights, names["norm"], x + mixed)
    hidden = act(linear(weights, names["in"], x))
    return norm(weights, names["last"], x + linear(weights, names["mlp"], hidden))


def albert(weights, settings, tokens):
    is_seen, root = tokens != 0, "albert.embeddings"
    table = weights[f"{root}.word_embeddings.weight"]
    x = table[tokens] + weights[f"{root}.position_embeddings.weight"][: tokens.shape[1]]
    x = norm(weights, f"{root}.LayerNorm", x + weights[f"{root}.token_type_embeddings.weight"][0])
    x = linear(weights, "albert.encoder.embedding_hidden_mapping_in", x)
    for group in (0, 0, 1):  # three blocks of two groups: the first has the odd one
        block = f"albert.encoder.albert_layer_groups.{group}.albert_layers.0"
        names = {name: f"{block}.attention.{name}" for name in ("query", "key", "value")}
        names |= {"out": f"{block}.attention.dense", "norm": f"{block}.attention.LayerNorm"}
        names |= {"in": f"{block}.ffn", "mlp": f"{block}.ffn_output"}
        x = bert_block(weights, names | {"last": f"{block}.full_layer_layer_norm"}, x, is_seen, tanh_gelu)
    x = norm(weights, "predictions.LayerNorm", tanh_gelu(linear(weights, "predictions.dense", x)))
    return x @ table.T + weights["predictions.bias"], is_seen


def roberta(weights, settings, tokens):
    is_seen, root = tokens != 1, "roberta.embeddings"
    table = weights[f"{root}.word_embeddings.weight"]
    x = np.empty((*tokens.shape, 8))
    for row, column in np.ndindex(tokens.shape):
        before = int(is_seen[row, : column + 1].sum())
        place = 1 + before if is_seen[row, column] else 1
        x[row, column] = weights[f"{root}.position_embeddings.weight"][place]
    x = x + table[tokens] + weights[f"{root}.token_type_embeddings.weight"][0]
    x = norm(weights, f"{root}.LayerNorm", x)
    for k in range(3):
        block = f"roberta.encoder.layer.{k}"
        names = {name: f"{block}.attention.self.{name}" for name in ("query", "key", "value")}
        out = f"{block}.attention.output"
        names |= {"out": f"{out}.dense", "norm": f"{out}.LayerNorm", "in": f"{block}.intermediate.dense"}
        names |= {"mlp": f"{block}.output.dense", "last": f"{block}.output.LayerNorm"}
        x = bert_block(weights, names, x, is_seen, gelu)
    x = norm(weights, "lm_head.layer_norm", gelu(linear(weights, "lm_head.dense", x)))
    return x @ table.T + weights["lm_head.bias"], is_seen


def modernbert(weights, settings, tokens):
    is_seen, places = tokens != 0, np.arange(tokens.shape[1])
    table = weights["model.embeddings.tok_embeddings.weight"]
    x = norm(weights, "model.embeddings.norm", table[tokens], 1e-5)
    for k in range(3):
        block = f"model.layers.{k}"
        is_wide = k % 2 == 0
        pairs = np.repeat(is_seen[:, None], len(places), 1)
        if not is_wide:
            pairs = pairs & (abs(places[:, None] - places) <= 1)
        unit = x if k == 0 else norm(weights, f"{block}.attn_norm", x, 1e-5)
        query, key, value = np.split(linear(weights, f"{block}.attn.Wqkv", unit), 3, -1)
        base = 160_000.0 if is_wide else 10_000.0
        query, key = (turned(split(part, 4), base) for part in (query, key))
        x = x + linear(weights, f"{block}.attn.Wo", attention(query, key, split(value, 4), pairs))
        hidden = linear(weights, f"{block}.mlp.Wi", norm(weights, f"{block}.mlp_norm", x, 1e-5))
        x = x + linear(weights, f"{block}.mlp.Wo", gelu(hidden[..., :6]) * hidden[..., 6:])
    x = norm(weights, "model.final_norm", x, 1e-5)
    x = norm(weights, "head.norm", gelu(linear(weights, "head.dense", x)), 1e-5)
    # Of padding that a window is full of there is nothing to compare.
    return x @ table.T + weights["decoder.bias"], is_seen


def qwen(weights, settings, tokens):
    size = settings.get("head_dim", 4)
    x = weights["model.embed_tokens.weight"][tokens]
    for k in range(3):
        block = f"model.layers.{k}"
        attn = f"{block}.self_attn"
        unit = mean_square_norm(weights[f"{block}.input_layernorm.weight"], x)
        query, key, value = (split(linear(weights, f"{attn}.{n}_proj", unit), size) for n in "qkv")
        if f"{attn}.q_norm.weight" in weights:
            query = mean_square_norm(weights[f"{attn}.q_norm.weight"], query)
            key = mean_square_norm(weights[f"{attn}.k_norm.weight"], key)
        all_seen = np.ones((len(tokens), 1, tokens.shape[1]), bool)
        mixed = attention(turned(query, 100.0), turned(key, 100.0), value, all_seen)
        x = x + linear(weights, f"{attn}.o_proj", mixed)
        unit = mean_square_norm(weights[f"{block}.post_attention_layernorm.weight"], x)
        gate = linear(weights, f"{block}.mlp.gate_proj", unit)
        hidden = gate / (1 + np.exp(-gate)) * linear(weights, f"{block}.mlp.up_proj", unit)
        x = x + linear(weights, f"{block}.mlp.down_proj", hidden)
    x = mean_square_norm(weights["model.norm.weight"], x)
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return x @ head.T, np.ones(tokens.shape, bool)


NETWORKS = {
    "albert": (ALBERT, albert),
    "roberta": (ROBERTA, roberta),
    "modernbert": (MODERNBERT, modernbert),
    "a2d-qwen2": (QWEN2, qwen),
    "a2d-qwen3": (QWEN3 | {"tie_word_embeddings": True}, qwen),
    "a2d-qwen2 without biases": (QWEN2 | {"attention_bias": False}, qwen),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_are_those_of_numpy(tmp_path, name):
    settings, forward = NETWORKS[name]
    tensors = tensors_of(settings)
    found = load_pretrained(write(tmp_path, settings, tensors), mask_id=MASK)
    assert (found.family, found.unused) == (settings["model_type"], ())
    ours = logits_of(found.model.denoiser, found.model.params, jnp.asarray(TOKENS))
    weights = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    theirs, is_seen = forward(weights, settings, TOKENS)
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(ours[is_seen][:, :MASK], theirs[is_seen][:, :MASK], atol=TOLERANCE * scale)
    assert bool(jnp.isneginf(ours[..., MASK]).all())


def test_blocks_with_a_window_have_the_other_base_if_theirs_is_null():
    def bases(**more):
        return FAMILIES["modernbert"].read(Settings(pathlib.Path("config.json"), MODERNBERT | more)).bases

    assert bases() == (160_000.0, 10_000.0)
    assert bases(global_rope_theta=500.0, local_rope_theta=None) == (500.0, 500.0)


def dream(name, **changes):
    return QWEN2 | {"model_type": name, "mask_token_id": MASK, "num_hidden_layers": 1} | changes


def tensors_like(settings, family):
    return tensors_of(settings | {"model_type": family})


def test_dream_is_dream_in_any_case(tmp_path):
    tensors = tensors_like(dream("Dream"), "Dream")
    for name in ("Dream", "dream", "DREAM"):
        found = load_pretrained(write(tmp_path, dream(name), tensors))
        assert found.family == "Dream"
    with pytest.raises(InputError, match="model_type 'dreams'; mdmot reads bert, roberta, xlm-roberta"):
        load_pretrained(write(tmp_path, dream("dreams"), tensors))


def test_attention_without_biases_is_read_and_stray_biases_are_named(tmp_path):
    plain, biased = dream("Dream", attention_bias=False), dream("Dream")
    tensors = tensors_like(plain, "Dream")
    assert not any(name.endswith("bias") for name in tensors)
    layers = load_pretrained(write(tmp_path, plain, tensors)).model.params["layers"]
    assert set(layers["query"]) == {"kernel"}
    with pytest.raises(InputError, match=r"missing: model\.layers\.0\.self_attn\.q_proj\.bias"):
        load_pretrained(write(tmp_path, biased, tensors))
    with pytest.raises(InputError, match=r"stray: model\.layers\.0\.self_attn\.k_proj\.bias"):
        load_pretrained(write(tmp_path, plain, tensors_like(biased, "Dream")))


def test_heads_that_are_tied_equal_other_or_alone(tmp_path):
    """What the files have counts; what neither files nor config have is missing."""
    tied = dream("Dream", tie_word_embeddings=True)
    tensors, table = tensors_like(tied, "Dream"), "model.embed_tokens.weight"
    other = np.flip(tensors[table]).copy()

    def loaded(settings, head, without=()):
        kept = {name: tensor for name, tensor in tensors.items() if name not in without}
        kept |= {} if head is None else {"lm_head.weight": head}
        found = load_pretrained(write(tmp_path, settings, kept))
        return found.config.is_tied, found.model.params

    for head in (None, tensors[table]):
        is_tied, params = loaded(tied, head)
        assert is_tied
        assert "head" not in params
    with pytest.warns(InputWarning, match=r"lm_head\.weight is not model\.embed_tokens\.weight"):
        is_tied, params = loaded(tied, other)
    assert not is_tied
    np.testing.assert_array_equal(params["head"]["kernel"], other.T)
    np.testing.assert_array_equal(params["token"], tensors[table])
    is_tied, params = loaded(tied, other, without=[table])
    assert is_tied
    np.testing.assert_array_equal(params["token"], other)
    apart = tied | {"tie_word_embeddings": False}
    is_tied, params = loaded(apart, tensors[table])
    assert not is_tied
    np.testing.assert_array_equal(params["head"]["kernel"], tensors[table].T)
    with pytest.raises(InputError, match=r"missing: lm_head\.weight"):
        loaded(apart, None)
    with pytest.raises(InputError, match=r"missing: model\.embed_tokens\.weight"):
        loaded(apart, other, without=[table])


def test_files_of_float16_are_read_as_they_are(tmp_path):
    whole = tensors_like(dream("Dream"), "Dream")
    tensors = {name: tensor.astype(np.float16) for name, tensor in whole.items()}
    folder = write(tmp_path, dream("Dream", torch_dtype="float16"), tensors)
    for dtype in (jnp.float32, jnp.bfloat16):
        params = load_pretrained(folder, dtype=dtype).model.params
        kernel = tensors["model.layers.0.mlp.up_proj.weight"].T.astype(dtype)
        np.testing.assert_array_equal(params["layers"]["mlp_in"]["kernel"][0], kernel)


def test_commands_load_networks_in_the_type_that_is_asked_for(run, tmp_path, monkeypatch):
    settings = ROBERTA | {"mask_token_id": MASK, "num_hidden_layers": 1}
    write(tmp_path, settings, tensors_of(settings))
    symbols = ("<s>", "<pad>", "</s>", "a", "b", "c", "d", "e", "<mask>")
    (tmp_path / "vocab.txt").write_text("\n".join(symbols))
    seen, whole = [], naming._folder

    def loaded(path, dtype):
        seen.append(whole(path, dtype))
        raise InputError("that will do")

    monkeypatch.setattr(naming, "_folder", loaded)
    for command in ("sample", "evaluate", "profile", "compare"):
        for flags in ((), ("--dtype", "bfloat16"), ("--dtype", "float32")):
            assert run(command, tmp_path, *flags) == (2, "", "mdmot: that will do\n")
    monkeypatch.undo()
    kinds = [{str(leaf.dtype) for leaf in jax.tree.leaves(found.model.params)} for found in seen]
    assert kinds == [{"float32"}, {"bfloat16"}, {"float32"}] * 4
    assert load(tmp_path, dtype="bfloat16").model.params["token"].dtype == jnp.bfloat16
    for dtype in ("bfloat16", "float32"):
        found = load(dtype=dtype)  # of mdmot itself
        assert {str(leaf.dtype) for leaf in jax.tree.leaves(found.model.params)} == {dtype}
        assert found.config.dtype == dtype
    assert load().config.dtype == "float32"
    # What has no weights has no type of them.
    (tmp_path / "profile.json").write_text("{}")
    for arguments, what in (
        (("sample", "markov:states=2,length=8"), "the law markov:states=2,length=8"),
        (("profile", tmp_path / "profile.json"), "the saved profile"),
        (("tune", "--steps", 4), "the profile of the bundled model"),
    ):
        status, out, err = run(*arguments, "--dtype", "bfloat16")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert f"is of the weights of a network, and {what}" in err


@pytest.mark.parametrize(
    ("settings", "change", "words"),
    [
        (ALBERT, {"inner_group_num": 2}, "inner_group_num = 2"),
        (ALBERT, {"num_hidden_groups": 4}, "num_hidden_layers 3: expected 4 (num_hidden_groups) to"),
        (ALBERT, {"num_hidden_layers": 10**9}, "to 65536"),
        (ALBERT, {"hidden_act": "relu"}, 'only "gelu" or "gelu_new"'),
        (ROBERTA, {"pad_token_id": 7}, "leaves no position after the padding token's"),
        (MODERNBERT, {"norm_bias": True}, "norm_bias = true"),
        (MODERNBERT, {"num_hidden_layers": 10**9}, "num_hidden_layers 1000000000"),
        (MODERNBERT, {"layer_types": ["full_attention"]}, "expected 3 times full_attention or"),
        (MODERNBERT, {"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, 'rope_type = "yarn"'),
        (QWEN3, {"head_dim": 5}, "heads of 5 features have no rotary positions"),
        (QWEN3, {"attention_bias": True}, "attention_bias = true"),
        (QWEN2, {"qk_norm": True}, "qk_norm = true"),
    ],
)
def test_settings_that_the_networks_have_not_are_refused(tmp_path, settings, change, words):
    tensors = tensors_of(settings)
    with pytest.raises(InputError) as caught:
        load_pretrained(write(tmp_path, settings | change, tensors), mask_id=MASK)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
