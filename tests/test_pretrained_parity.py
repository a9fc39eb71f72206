"""Pretrained networks give the logits of `transformers`; runs where PyTorch is installed."""

import json
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")

from mdmot.models.pretrained import load_pretrained, save_pretrained
from mdmot.models.pretrained.unpickle import read_pickled

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's own

VOCAB, MASK = 29, 28
SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 16,
}
# Logits are sums of a few dozen products of order one through three blocks: errors are near 1e-6.
TOLERANCE = 1e-5
RNG = np.random.default_rng(0)
TOKENS = RNG.integers(2, VOCAB - 1, (3, 10))
TOKENS[RNG.random(TOKENS.shape) < 0.4] = MASK
PADDED = np.where(np.arange(10) < np.array([10, 7, 4])[:, None], TOKENS, 1)

logits_of = jax.jit(lambda denoiser, params, tokens: denoiser(params, tokens), static_argnums=0)


@pytest.fixture(autouse=True)
def single_thread():
    torch.set_num_threads(1)


def randomised(model):
    """Weights of order one everywhere, biases and norms too, so that each of them counts."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            size = parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 0.5
            noise = torch.randn(parameter.shape, generator=generator)
            is_scale = "norm" in name.lower() and name.endswith("weight")
            parameter.copy_(noise * size + (1 if is_scale else 0))
    return model.eval()


def assert_same(found, tokens, theirs):
    ours = np.asarray(logits_of(found.model.denoiser, found.model.params, jnp.asarray(tokens)))
    assert ours.dtype == np.float32
    assert (ours[..., found.model.mask_id] == -np.inf).all()
    theirs = theirs.detach().numpy().copy()
    theirs[..., found.model.mask_id] = -np.inf
    is_seen = tokens != (-1 if found.pad_id is None else found.pad_id)
    assert np.isfinite(np.delete(ours, found.model.mask_id, axis=-1)).all()
    np.testing.assert_allclose(ours[is_seen], theirs[is_seen], atol=TOLERANCE)
    positions = np.array([[0, 2], [1, 0], [3, 3]])
    at = found.model.denoiser.bind(found.model.params, jnp.asarray(tokens))(jnp.asarray(positions))
    chosen = np.take_along_axis(ours, positions[..., None], axis=1)
    np.testing.assert_allclose(at, chosen, atol=TOLERANCE)


def test_bert(tmp_path):
    config = transformers.BertConfig(**SIZES, pad_token_id=1)
    model = randomised(transformers.BertForMaskedLM(config))
    model.save_pretrained(tmp_path)
    found = load_pretrained(tmp_path, mask_id=MASK)
    assert (found.family, found.length, found.pad_id) == ("bert", 16, 1)
    for tokens in (TOKENS, PADDED):
        theirs = model(torch.tensor(tokens), attention_mask=torch.tensor(tokens != 1)).logits
        assert_same(found, tokens, theirs)


@pytest.mark.parametrize("name", ["Roberta", "XLMRoberta", "Camembert"])
def test_roberta(tmp_path, name):
    config = getattr(transformers, f"{name}Config")(**SIZES, pad_token_id=1, type_vocab_size=1)
    model = randomised(getattr(transformers, f"{name}ForMaskedLM")(config))
    model.save_pretrained(tmp_path)
    found = load_pretrained(tmp_path, mask_id=MASK)
    # Positions are counted from the row after the padding token's.
    assert (found.length, found.pad_id) == (14, 1)
    for tokens in (TOKENS, PADDED):
        theirs = model(torch.tensor(tokens), attention_mask=torch.tensor(tokens != 1)).logits
        assert_same(found, tokens, theirs)


@pytest.mark.parametrize("name", ["Bert", "Roberta", "Albert"])
def test_tokens_whose_numbers_are_padding_unasked_are_text(tmp_path, name):
    """transformers writes a pad_token_id that nobody chose, and attends to the token as to others."""
    model = randomised(
        getattr(transformers, f"{name}ForMaskedLM")(getattr(transformers, f"{name}Config")(**SIZES))
    )
    model.save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join([*(f"w{k}" for k in range(MASK)), "[MASK]"]))
    tokens = np.where(np.arange(30).reshape(3, 10) % 4 == 1, [[0], [1], [0]], TOKENS)
    theirs = model(torch.tensor(tokens), attention_mask=torch.ones(tokens.shape)).logits
    for _ in range(2):
        found = load_pretrained(tmp_path)
        assert (found.model.mask_id, found.pad_id) == (MASK, None)
        assert_same(found, tokens, theirs)
        settings = json.loads((tmp_path / "config.json").read_text())
        settings.pop("pad_token_id", None)
        (tmp_path / "config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(("act", "groups", "is_tied"), [("gelu", 1, True), ("gelu_new", 2, False)])
def test_albert(tmp_path, act, groups, is_tied):
    sizes = SIZES | {"num_hidden_layers": 5, "embedding_size": 12, "num_hidden_groups": groups}
    config = transformers.AlbertConfig(**sizes, hidden_act=act, pad_token_id=1, tie_word_embeddings=is_tied)
    model = randomised(transformers.AlbertForMaskedLM(config))
    if not is_tied:  # PyTorch's is then a bias that nothing reads
        model.predictions.bias = model.predictions.decoder.bias
    model.save_pretrained(tmp_path)
    found = load_pretrained(tmp_path, mask_id=MASK)
    assert (found.config.depth, len(found.config.rounds)) == (groups, 5)
    for tokens in (TOKENS, PADDED):
        theirs = model(torch.tensor(tokens), attention_mask=torch.tensor(tokens != 1)).logits
        assert_same(found, tokens, theirs)


@pytest.mark.parametrize("is_new", [True, False])
def test_modernbert(tmp_path, is_new):
    config = transformers.ModernBertConfig(
        **SIZES | {"num_hidden_layers": 5}, pad_token_id=1, local_attention=4, attn_implementation="eager"
    )
    model = randomised(transformers.ModernBertForMaskedLM(config))
    model.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    if not is_new:  # as ModernBERT itself is published
        bases = settings.pop("rope_parameters")
        del settings["layer_types"]
        settings |= {
            "global_attn_every_n_layers": 3,
            "global_rope_theta": bases["full_attention"]["rope_theta"],
            "local_rope_theta": bases["sliding_attention"]["rope_theta"],
        }
    (tmp_path / "config.json").write_text(json.dumps(settings))
    found = load_pretrained(tmp_path, mask_id=MASK)
    assert found.config.is_wide == (True, False, False, True, False)
    for tokens in (TOKENS, PADDED):
        theirs = model(torch.tensor(tokens), attention_mask=torch.tensor(tokens != 1)).logits
        assert_same(found, tokens, theirs)


@pytest.mark.parametrize(("has_dropout", "is_tied"), [(True, True), (False, False)])
def test_esm(tmp_path, has_dropout, is_tied):
    config = transformers.EsmConfig(
        **SIZES,
        pad_token_id=1,
        mask_token_id=MASK,
        position_embedding_type="rotary",
        token_dropout=has_dropout,
        tie_word_embeddings=is_tied,
        emb_layer_norm_before=False,
    )
    model = randomised(transformers.EsmForMaskedLM(config))
    model.save_pretrained(tmp_path)
    found = load_pretrained(tmp_path)
    assert (found.model.mask_id, found.pad_id) == (MASK, 1)
    for tokens in (TOKENS, PADDED):
        theirs = model(torch.tensor(tokens), attention_mask=torch.tensor(tokens != 1)).logits
        assert_same(found, tokens, theirs)
    full = jnp.full((1, 8), MASK)  # where theirs divides by zero
    ours = logits_of(found.model.denoiser, found.model.params, full)
    assert bool(jnp.isfinite(ours[..., :MASK]).all())


def seeing_all(model, tokens):
    """The logits of a causal model whose positions see each other in both directions."""
    length = tokens.shape[1]
    mask = torch.zeros(len(tokens), 1, length, length)
    return model(torch.tensor(tokens), attention_mask=mask, use_cache=False).logits


def renamed(name, table):
    for old, new in table.items():
        name = name.replace(old, new)
    return name


LLADA = {
    "model.embed_tokens": "model.transformer.wte",
    "model.layers.": "model.transformer.blocks.",
    "self_attn.o_proj": "attn_out",
    "self_attn.": "",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ff_norm",
    "mlp.gate_proj": "ff_proj",
    "mlp.up_proj": "up_proj",
    "mlp.down_proj": "ff_out",
    "model.norm": "model.transformer.ln_f",
    "lm_head": "model.transformer.ff_out",
}


@pytest.mark.parametrize("is_tied", [True, False])
def test_llada_is_llama_that_sees_all(tmp_path, is_tied):
    config = transformers.LlamaConfig(
        **SIZES,
        num_key_value_heads=2,
        tie_word_embeddings=is_tied,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
        attn_implementation="eager",
    )
    model = randomised(transformers.LlamaForCausalLM(config))
    tensors = {renamed(name, LLADA): value.numpy() for name, value in model.state_dict().items()}
    if is_tied:
        del tensors["model.transformer.ff_out.weight"]
    safetensors.numpy.save_file(tensors, tmp_path / "model.safetensors")
    settings = {
        "model_type": "llada",
        "architectures": ["LLaDAModelLM"],
        "block_type": "llama",
        "activation_type": "silu",
        "layer_norm_type": "rms",
        "include_bias": False,
        "rope": True,
        "rope_theta": 500_000.0,
        "weight_tying": is_tied,
        "vocab_size": VOCAB,
        "embedding_size": VOCAB,
        "d_model": 24,
        "n_layers": 3,
        "n_heads": 4,
        "n_kv_heads": 2,
        "mlp_hidden_size": 40,
        "max_sequence_length": 16,
        "mask_token_id": MASK,
        "pad_token_id": 1,
    }
    (tmp_path / "config.json").write_text(json.dumps(settings))
    assert_same(load_pretrained(tmp_path), TOKENS, seeing_all(model, TOKENS))


@pytest.mark.parametrize("is_new", [True, False])
def test_dream_is_qwen2_that_sees_all_with_shifted_logits(tmp_path, is_new):
    rotary = {"rope_type": "default", "rope_theta": 1_000_000.0}
    config = transformers.Qwen2Config(
        **SIZES, num_key_value_heads=2, rope_parameters=rotary, attn_implementation="eager"
    )
    model = randomised(transformers.Qwen2ForCausalLM(config))
    model.save_pretrained(tmp_path, max_shard_size="10KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    settings = json.loads((tmp_path / "config.json").read_text())
    settings |= {"model_type": "Dream", "architectures": ["DreamModel"], "mask_token_id": MASK}
    if not is_new:
        settings |= {"rope_theta": settings.pop("rope_parameters")["rope_theta"], "rope_scaling": None}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    theirs = seeing_all(model, TOKENS)
    assert_same(load_pretrained(tmp_path), TOKENS, torch.cat([theirs[:, :1], theirs[:, :-1]], dim=1))
    # The last position is seen from the first.
    other = TOKENS.copy()
    other[:, -1] = 5
    assert (seeing_all(model, other)[:, 0] != theirs[:, 0]).any()


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("number", [2, 3])
def test_a2d_is_qwen_that_sees_all(tmp_path, number, is_tied):
    rotary = {"rope_type": "default", "rope_theta": 1_000_000.0}
    sizes = SIZES | {"num_key_value_heads": 2, "rope_parameters": rotary, "tie_word_embeddings": is_tied}
    if number == 3:
        sizes["head_dim"] = 8  # heads that are together wider than the network
    config = getattr(transformers, f"Qwen{number}Config")(**sizes, attn_implementation="eager")
    model = randomised(getattr(transformers, f"Qwen{number}ForCausalLM")(config))
    model.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    settings |= {"model_type": f"a2d-qwen{number}", "architectures": [f"A2DQwen{number}LMHeadModel"]}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    found = load_pretrained(tmp_path, mask_id=MASK)
    assert found.config.has_head_norms == (number == 3)
    assert_same(found, TOKENS, seeing_all(model, TOKENS))


@pytest.mark.parametrize("kind", ["equal", "other", "head alone"])
def test_tied_heads_are_what_transformers_takes_them_for(tmp_path, kind):
    model = randomised(transformers.BertForMaskedLM(transformers.BertConfig(**SIZES, pad_token_id=1)))
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    table = tensors["bert.embeddings.word_embeddings.weight"]
    tensors["cls.predictions.decoder.weight"] = table[::-1].copy() if kind == "other" else table
    if kind == "head alone":
        del tensors["bert.embeddings.word_embeddings.weight"]
    safetensors.numpy.save_file(tensors, path, {"format": "pt"})
    theirs = transformers.BertForMaskedLM.from_pretrained(tmp_path).eval()
    found = load_pretrained(tmp_path, mask_id=MASK)
    assert found.config.is_tied == (kind != "other")
    assert_same(found, TOKENS, theirs(torch.tensor(TOKENS)).logits)


@pytest.mark.parametrize("is_tied", [True, False])
def test_folders_with_other_weights_are_those_of_transformers_too(tmp_path, is_tied):
    config = transformers.ModernBertConfig(
        **SIZES, pad_token_id=1, local_attention=4, tie_word_embeddings=is_tied
    )
    transformers.ModernBertForMaskedLM(config).save_pretrained(tmp_path / "old")
    before = load_pretrained(tmp_path / "old", mask_id=MASK).model.params

    def moved(leaf):
        return leaf + 0.1 * jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape)

    params = jax.tree.map(moved, before)
    save_pretrained(tmp_path / "old", tmp_path / "new", params)
    model, told = transformers.ModernBertForMaskedLM.from_pretrained(
        tmp_path / "new", output_loading_info=True
    )
    assert not any(told[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    found = load_pretrained(tmp_path / "new", mask_id=MASK)
    assert_same(found, TOKENS, model.eval()(torch.tensor(TOKENS)).logits)


@pytest.mark.parametrize("is_old", [False, True])
def test_pickles_of_torch_are_read_without_it(tmp_path, is_old):
    table = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    tensors = {
        "view": table[1:, ::2],
        "transposed": table.T,
        "parameter": torch.nn.Parameter(table),
        "half": table.half(),
        "bfloat16": table.bfloat16(),
        "whole": torch.arange(3),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
        "flags": table > 0,
    }
    torch.save(tensors, tmp_path / "x.bin", _use_new_zipfile_serialization=not is_old)
    found = read_pickled(tmp_path / "x.bin")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype.name == str(tensor.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(found[name].astype(float), tensor.detach().double().numpy())
