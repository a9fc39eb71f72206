"""Pretrained folders: what is whole is loaded, and whatever is not is refused in one line.

The tests of real weights run where the environment variables MDMOT_ANTIBERTY_WHEEL and
MDMOT_RXNMAPPER_WHEEL name the files that `pip download antiberty==0.1.3 rxnmapper==0.4.3 --no-deps` fetches
(about 100 MB and 3 MB), and are skipped elsewhere.
"""

import json
import os
import pathlib
import pickle
import re
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from mdmot.errors import InputError, InputWarning
from mdmot.models.pretrained import (
    FAMILIES,
    convert_antiberty,
    convert_pickle,
    convert_rxnmapper,
    load_plain,
    load_pretrained,
)
from mdmot.models.pretrained.settings import Settings
from mdmot.samplers import BernoulliUnmasking, sample
from mdmot.schedules import grid_from_alpha

pytestmark = pytest.mark.slow  # many small programs to compile

BERT = {
    "model_type": "bert",
    "architectures": ["BertForMaskedLM"],
    "hidden_act": "gelu",
    "vocab_size": 7,
    "hidden_size": 4,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 6,
    "max_position_embeddings": 5,
    "pad_token_id": 0,
    "mask_token_id": 6,
}
ESM = BERT | {
    "model_type": "esm",
    "architectures": ["EsmForMaskedLM"],
    "position_embedding_type": "rotary",
    "token_dropout": True,
}
LLADA = {
    "model_type": "llada",
    "block_type": "llama",
    "activation_type": "silu",
    "layer_norm_type": "rms",
    "include_bias": False,
    "rope": True,
    "weight_tying": False,
    "vocab_size": 7,
    "d_model": 4,
    "n_layers": 2,
    "n_heads": 2,
    "n_kv_heads": 1,
    "mlp_hidden_size": 6,
    "max_sequence_length": 5,
    "mask_token_id": 6,
}
DREAM = BERT | {
    "model_type": "Dream",
    "architectures": ["DreamModel"],
    "hidden_act": "silu",
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-6,
    "rope_scaling": None,
}
# Keys of published DPLM files beside the sizes; most are those of every ESM-2 file.
DPLM = ESM | {
    "architectures": ["EsmForDPLM"],
    "dplm_type": "dplm_esm",
    "attention_probs_dropout_prob": 0.0,
    "hidden_dropout_prob": 0.1,
    "classifier_dropout": None,
    "emb_layer_norm_before": False,
    "esmfold_config": None,
    "is_folding_model": False,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "torch_dtype": "float32",
    "transformers_version": "4.39.2",
    "use_cache": True,
    "vocab_list": None,
}
CONFIGS = {"bert": BERT, "esm": ESM, "llada": LLADA, "Dream": DREAM}
TOKENS = jnp.asarray([[2, 6, 3, 6, 1], [6, 4, 6, 0, 0]], jnp.int32)

logits_of = jax.jit(lambda denoiser, params, tokens: denoiser(params, tokens), static_argnums=0)


def tensors_of(settings):
    """A random tensor for every name of a network, tied copies and optional ones left out."""
    family = FAMILIES[settings["model_type"]]
    config = family.read(Settings(pathlib.Path("config.json"), settings))
    shapes, optional = family.shapes(config), family.defaults(config)
    rng, tensors = np.random.default_rng(0), {}
    for rule in family.rules(config):
        if rule.is_copy or rule.target in optional:
            continue
        is_block = "{}" in rule.source
        shape = shapes[rule.target][is_block:]
        for block in range(config.depth if is_block else 1):
            name = rule.source.split("|")[0].format(block)
            tensors[name] = rng.normal(size=shape[:: -1 if rule.is_transposed else 1]).astype(np.float32)
    return tensors


def write(folder, settings, tensors):
    (folder / "config.json").write_text(json.dumps(settings))
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    return folder


def refused(folder, **options):
    """The message of a folder that is not loaded."""
    with pytest.raises(InputError) as caught:
        load_pretrained(folder, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("name", CONFIGS)
def test_folders_are_loaded_in_float32_and_bfloat16(tmp_path, name):
    write(tmp_path, CONFIGS[name], tensors_of(CONFIGS[name]))
    found = load_pretrained(tmp_path)
    assert (found.family, found.vocab_size, found.model.mask_id, found.length) == (name, 7, 6, 5)
    assert {leaf.dtype for leaf in jax.tree.leaves(found.model.params)} == {jnp.dtype("float32")}
    logits = logits_of(found.model.denoiser, found.model.params, TOKENS)
    assert logits.shape == (2, 5, 7)
    assert bool(jnp.isfinite(logits[..., :6]).all())
    half = load_pretrained(tmp_path, dtype=jnp.bfloat16)
    assert half.model.denoiser == found.model.denoiser
    assert half.model.params["layers"]["query"]["kernel"].dtype == jnp.bfloat16
    coarse = logits_of(half.model.denoiser, half.model.params, TOKENS)
    assert coarse.dtype == jnp.float32
    # Some twenty roundings of 2^-9 in a row, of numbers up to five.
    np.testing.assert_allclose(coarse[..., :6], logits[..., :6], atol=0.4)
    assert np.abs(coarse - logits)[..., :6].max() > 1e-4


def test_files_of_halves_are_loaded(tmp_path):
    tensors = {name: x.astype(jnp.bfloat16) for name, x in tensors_of(LLADA).items()}
    found = load_pretrained(write(tmp_path, LLADA, tensors))
    kernel = tensors["model.transformer.blocks.1.q_proj.weight"].astype(np.float32).T
    np.testing.assert_array_equal(found.model.params["layers"]["query"]["kernel"][1], kernel)


def test_blocks_are_compiled_once(tmp_path):
    sizes = []
    for depth in (2, 5):
        settings = LLADA | {"n_layers": depth}
        folder = tmp_path / str(depth)
        folder.mkdir()
        found = load_pretrained(write(folder, settings, tensors_of(settings)))
        sizes.append(
            len(logits_of.lower(found.model.denoiser, found.model.params, TOKENS).as_text().splitlines())
        )
    assert sizes[0] == sizes[1]


def test_padding_is_not_seen_and_changes_nothing_elsewhere(tmp_path):
    for settings in (BERT, ESM):
        folder = tmp_path / settings["model_type"]
        folder.mkdir()
        write(folder, settings, tensors_of(settings))
        padded = load_pretrained(folder)
        whole = logits_of(padded.model.denoiser, padded.model.params, TOKENS)
        # Three positions alone are those of the padded row; sums of another length round otherwise.
        alone = logits_of(padded.model.denoiser, padded.model.params, TOKENS[1:, :3])
        np.testing.assert_allclose(whole[1, :3], alone[0], atol=1e-5)
        (folder / "config.json").write_text(json.dumps(settings | {"pad_token_id": 10**9}))
        assert "pad_token_id is 1000000000, and there are" in refused(folder)
        (folder / "config.json").write_text(json.dumps(settings | {"pad_token_id": 5}))
        other = load_pretrained(folder)  # a padding token that these rows do not have
        seen = logits_of(other.model.denoiser, other.model.params, TOKENS)
        np.testing.assert_array_equal(whole[0], seen[0])
        assert np.abs(np.asarray(whole - seen))[1, :3, :6].max() > 1e-4


def test_what_is_drawn_is_neither_the_mask_nor_a_token_ruled_out(tmp_path):
    write(tmp_path, BERT, tensors_of(BERT))
    found = load_pretrained(tmp_path, never=(0, 1))
    tokens = jnp.full((64, 5), found.model.mask_id)
    result = sample(
        jax.random.key(0), BernoulliUnmasking(), found.model, grid_from_alpha([0.0, 0.5, 1.0]), tokens
    )
    assert set(np.unique(result.tokens)) == {2, 3, 4, 5}


def test_masks_are_found_by_their_text(tmp_path):
    settings = {name: value for name, value in BERT.items() if name != "mask_token_id"}
    write(tmp_path, settings, tensors_of(settings))
    message = refused(tmp_path)
    assert '"mask_token_id" into config.json' in message  # for those who cannot pass what follows
    assert "pass mask_id to load_pretrained" in message
    assert load_pretrained(tmp_path, mask_id=3).model.mask_id == 3
    assert "token 7 is none of the 7" in refused(tmp_path, mask_id=7)
    for added in ("null", "3", "[4]", '[{"id": 5}]', '[{"content": "a"}]', '[{"content": 5, "id": "a"}]'):
        (tmp_path / "tokenizer.json").write_text(f'{{"added_tokens": {added}}}')
        assert "tokenizer.json: added_tokens is no list" in refused(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"added_tokens": [{"id": 5, "content": "[MASK]"}]}')
    assert load_pretrained(tmp_path).model.mask_id == 5
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.txt").write_text("[PAD]\na\nb\n[MASK]\nc\nd\ne\n")
    found = load_pretrained(tmp_path)
    assert (found.model.mask_id, found.symbols[4]) == (3, "c")
    (tmp_path / "vocab.txt").write_text("\n".join("abcdefgh"))
    assert "8 lines for 7 tokens" in refused(tmp_path)


def test_old_and_tied_names_are_known(tmp_path):
    tensors = tensors_of(BERT)
    norm = "bert.encoder.layer.1.output.LayerNorm"
    tensors[f"{norm}.gamma"] = tensors.pop(f"{norm}.weight")
    table = tensors["bert.embeddings.word_embeddings.weight"]
    tensors["cls.predictions.decoder.weight"] = table
    tensors["bert.embeddings.position_ids"] = np.arange(5)[None]
    found = load_pretrained(write(tmp_path, BERT, tensors))
    np.testing.assert_array_equal(
        found.model.params["layers"]["mlp_norm"]["scale"][1], tensors[f"{norm}.gamma"]
    )
    assert found.unused == ("bert.embeddings.position_ids",)
    tensors["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"] + 1
    message = refused(write(tmp_path, BERT, tensors))
    assert "not what they are tied to: cls.predictions.decoder.bias (head.bias)" in message


def test_dplm_is_an_esm_of_another_name(tmp_path):
    tensors = tensors_of(ESM)
    esm = load_pretrained(write(tmp_path, ESM, tensors))
    contacts = {"esm.contact_head.regression.weight": np.ones((1, 4), np.float32)}
    # Heads of two features have one frequency, which old files repeat in each block.
    old = "esm.encoder.layer.{}.attention.self.rotary_embeddings.inv_freq"
    once, twice = ({old.format(block): np.ones(1, np.float32) for block in range(num)} for num in (1, 2))
    for frequencies in ({}, once, twice):
        dplm = load_pretrained(write(tmp_path, DPLM, tensors | contacts | frequencies))
        assert (dplm.model.denoiser, dplm.config) == (esm.model.denoiser, esm.config)
        assert dplm.unused == tuple(contacts)
        jax.tree.map(np.testing.assert_array_equal, dplm.model.params, esm.model.params)
    twice[old.format(0)] = twice[old.format(0)] / 2
    message = refused(write(tmp_path, DPLM, tensors | twice))
    assert f"not what they are tied to: {old.format(1)} (frequencies)" in message
    found = load_pretrained(write(tmp_path, DPLM, tensors | {old.format(0): twice[old.format(0)]}))
    assert found.model.params["frequencies"].tolist() == [0.5]


def test_all_tensors_that_do_not_fit_are_listed(tmp_path):
    tensors = tensors_of(BERT)
    query = "bert.encoder.layer.{}.attention.self.query.weight"
    del tensors["cls.predictions.bias"], tensors[query.format(1)]
    tensors[query.format(2)] = np.zeros((4, 4), np.float32)
    tensors["classifier.weight"] = np.zeros((2, 4), np.float32)
    tensors["bert.encoder.layer.0.intermediate.dense.weight"] = np.zeros((4, 6), np.float32)
    tensors["bert.encoder.layer.0.output.dense.weight"] = np.zeros((4, 6), np.int8)
    tensors["bert.embeddings.LayerNorm.beta"] = np.zeros(4, np.float32)
    message = refused(write(tmp_path, BERT, tensors))
    for words in (
        f"missing: {query.format(1)}, cls.predictions.bias;",
        f"stray: {query.format(2)}, classifier.weight;",
        "given twice: bert.embeddings.LayerNorm.bias and bert.embeddings.LayerNorm.beta;",
        "wrong shape: bert.encoder.layer.0.intermediate.dense.weight ([4, 6], the config asks for [6, 4])",
        "no floating-point numbers: bert.encoder.layer.0.output.dense.weight (I8)",
    ):
        assert words in message
    message = refused(write(tmp_path, ESM, tensors))
    assert "missing: esm.embeddings.word_embeddings.weight" in message
    assert "and 38 more" in message


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("bert", {"model_type": "t5"}, "model_type 't5'; mdmot reads bert, roberta"),
        ("bert", {"model_type": None}, "mdmot reads"),
        ("bert", {"hidden_act": "relu"}, 'hidden_act = "relu": mdmot\'s network has only "gelu"'),
        ("bert", {"position_embedding_type": "relative_key"}, 'position_embedding_type = "relative_key"'),
        ("bert", {"is_decoder": True}, "is_decoder = true"),
        ("bert", {"architectures": ["BertForSequenceClassification"]}, "architectures"),
        ("bert", {"tie_word_embeddings": False}, "missing: cls.predictions.decoder.weight"),
        ("bert", {"quantization_config": {"bits": 4}}, "quantization_config"),
        ("bert", {"hidden_size": None}, "hidden_size is missing"),
        ("bert", {"hidden_size": "4"}, 'hidden_size = "4": expected a whole number'),
        ("bert", {"layer_norm_eps": 0}, "layer_norm_eps = 0: expected a number above 0"),
        ("bert", {"num_attention_heads": 3}, "hidden_size 4 does not split into 3 heads"),
        ("bert", {"num_hidden_layers": 1}, "stray: bert.encoder.layer.1"),
        ("esm", {"position_embedding_type": "absolute"}, 'position_embedding_type = "absolute"'),
        ("esm", {"emb_layer_norm_before": True}, "emb_layer_norm_before"),
        ("esm", {"mask_token_id": None}, "mask_token_id is missing"),
        ("esm", {"num_attention_heads": 4}, "heads of 1 features have no rotary positions"),
        ("llada", {"activation_type": None}, "activation_type = null"),
        ("llada", {"attention_layer_norm": True}, "attention_layer_norm = true"),
        ("llada", {"embedding_size": 6}, "embedding_size = 6: expected a whole number of at least 7"),
        ("llada", {"rope_scaling": {"factor": 2}}, "rope_scaling"),
        ("llada", {"n_kv_heads": 3}, "2 heads do not split into 3 groups"),
        ("Dream", {"use_sliding_window": True}, "use_sliding_window = true"),
        ("Dream", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, 'rope_type = "yarn"'),
        ("Dream", {"architectures": ["DreamForCausalLM"]}, "architectures"),
        ("Dream", {"qk_norm": True}, "qk_norm = true"),
        ("Dream", {"head_dim": 8}, "head_dim = 8"),
        ("Dream", {"layer_types": ["sliding_attention"]}, "layer_types"),
        ("Dream", {"layer_types": 1}, "layer_types = 1"),
    ],
)
def test_settings_that_the_network_has_not_are_refused_by_name(tmp_path, name, change, words):
    settings = CONFIGS[name]
    assert words in refused(write(tmp_path, settings | change, tensors_of(settings)))


@pytest.mark.parametrize("name", CONFIGS)
def test_sizes_beyond_the_files_are_refused_before_anything_is_made(tmp_path, name):
    settings = CONFIGS[name]
    tensors = tensors_of(settings)
    depth, width = ("n_layers", "d_model") if name == "llada" else ("num_hidden_layers", "hidden_size")
    message = refused(write(tmp_path, settings | {depth: 10**12}, tensors))
    assert "cannot fill the 1000000000000 blocks" in message
    message = refused(write(tmp_path, settings | {width: 2**48}, tensors))
    assert f"the config asks for [7, {2**48}]" in message


def test_all_settings_that_are_wrong_are_listed(tmp_path):
    message = refused(write(tmp_path, BERT | {"hidden_act": "relu", "vocab_size": 0}, {}))
    assert "hidden_act" in message
    assert "vocab_size = 0" in message
    assert '"silu"' in refused(write(tmp_path, {**LLADA, "activation_type": "gelu"}, {}))
    del (settings := dict(LLADA))["block_type"]
    assert 'block_type = "sequential" (the default)' in refused(write(tmp_path, settings, {}))


def shards(folder):
    """The same network in two files."""
    tensors = tensors_of(BERT)
    names = sorted(tensors)
    files = {"a.safetensors": names[:9], "b.safetensors": names[9:]}
    for file, part in files.items():
        safetensors.numpy.save_file({name: tensors[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in files.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink(missing_ok=True)
    return index["weight_map"]


def reindex(folder, weight_map):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_shards_are_one_network(tmp_path):
    write(tmp_path, BERT, tensors_of(BERT))
    whole = load_pretrained(tmp_path)
    placed = shards(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, load_pretrained(tmp_path).model.params, whole.model.params)
    first, *others = placed
    reindex(tmp_path, {name: placed[name] for name in others})
    assert f"a.safetensors does not fit, {first} is not listed" in refused(tmp_path)
    reindex(tmp_path, placed | {"another": "b.safetensors"})
    assert "another is not in it" in refused(tmp_path)
    reindex(tmp_path, placed | {first: "../b.safetensors"})
    assert "'../b.safetensors', which is not in this folder" in refused(tmp_path)
    reindex(tmp_path, placed | {first: ".."})
    assert "'..', which is not in this folder" in refused(tmp_path)
    reindex(tmp_path, [1])
    assert 'no "weight_map"' in refused(tmp_path)
    reindex(tmp_path, placed)
    (tmp_path / "b.safetensors").unlink()
    assert "the file b.safetensors is missing" in refused(tmp_path)


def test_damaged_folders_are_refused(tmp_path):
    assert "config.json: cannot be read (No such file" in refused(tmp_path)
    write(tmp_path, BERT, tensors_of(BERT))
    content = (tmp_path / "model.safetensors").read_bytes()
    for damaged in (content[:-4], content[:20], b"", b"\xff" * 64, content + b"1234"):
        (tmp_path / "model.safetensors").write_bytes(damaged)
        assert "is no whole safetensors file" in refused(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    assert "has neither model.safetensors nor" in refused(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    assert "convert_pickle" in refused(tmp_path)
    for damaged in (b"{", b"\xff", b"[" * 100_000):
        (tmp_path / "config.json").write_bytes(damaged)
        assert "is not JSON" in refused(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    assert "is not a JSON object" in refused(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(BERT))
    for dtype in (int, jnp.float16, "float64", "foo", None):
        assert "pass float32 or bfloat16" in refused(tmp_path, dtype=dtype)


@pytest.mark.parametrize("name", CONFIGS)
def test_longer_sequences_are_refused_where_positions_are_learned(tmp_path, name):
    found = load_pretrained(write(tmp_path, CONFIGS[name], tensors_of(CONFIGS[name])))
    if name != "bert":
        longer = jax.eval_shape(found.model.denoiser, found.model.params, jnp.zeros((1, 6), int))
        assert longer.shape == (1, 6, 7)
        return
    with pytest.raises(InputError, match="6 tokens, more than the 5"):
        jax.eval_shape(found.model.denoiser, found.model.params, jnp.zeros((1, 6), int))


def global_of(module, name):
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def pickled(value):
    """A value's pickle without its frame, to be put into another."""
    return pickle.dumps(value, 2)[2:-1]


def tensor_pickle(key, tensor, stride=None, storage="FloatStorage"):
    """What torch.save writes for a tensor."""
    stride = tuple(step // tensor.itemsize for step in tensor.strides) if stride is None else stride
    where = pickled("storage") + global_of("torch", storage) + pickled(key) + pickled("cpu")
    where = pickle.MARK + where + pickled(tensor.size) + pickle.TUPLE + pickle.BINPERSID
    hooks = global_of("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    rest = b"".join(map(pickled, (0, tensor.shape, stride, False))) + hooks
    rebuild = global_of("torch._utils", "_rebuild_tensor_v2")
    return rebuild + pickle.MARK + where + rest + pickle.TUPLE + pickle.REDUCE


def save_pickle(path, tensors, extra=b"", stride=None):
    """A file as torch.save writes it, made by hand."""
    items = b"".join(
        pickled(name) + tensor_pickle(name, tensor, stride) for name, tensor in tensors.items()
    )
    program = pickle.PROTO + b"\x02" + pickle.EMPTY_DICT + pickle.MARK + items + extra
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program + pickle.SETITEMS + pickle.STOP)
        for name, tensor in tensors.items():
            archive.writestr(f"archive/data/{name}", tensor.tobytes())


def test_pickles_become_safetensors_without_running(tmp_path):
    source, folder = tmp_path / "source", tmp_path / "folder"
    source.mkdir()
    tensors = tensors_of(BERT)
    (source / "config.json").write_text(json.dumps(BERT))
    (source / "vocab.txt").write_text("0\n1\n2\n3\n4\n5\n6\n")
    (source / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    save_pickle(source / "pytorch_model.bin", tensors | {"cls.species.weight": np.ones((2, 4), np.float32)})
    convert_pickle(source, folder, without=[r"cls\.species\..*"])
    kept = safetensors.numpy.load_file(folder / "model.safetensors")
    assert kept.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(kept[name], tensor)
    with pytest.warns(InputWarning, match=r"pad_token_id is 0, which is 'a' in tokenizer.json"):
        assert load_pretrained(folder).symbols == tuple("0123456")
    assert json.loads((folder / "tokenizer.json").read_text()) == TOKENIZER


def test_pickles_that_are_programs_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(BERT))
    path, proof = tmp_path / "pytorch_model.bin", tmp_path / "proof"
    one = {"x": np.ones((2, 3), np.float32)}

    def message():
        with pytest.raises(InputError) as caught:
            convert_pickle(tmp_path, tmp_path / "folder")
        assert len(str(caught.value).splitlines()) == 1
        assert not proof.exists()
        return str(caught.value)

    for module, name in (("os", "mkdir"), ("builtins", "eval"), ("torch.serialization", "load")):
        call = global_of(module, name) + pickled(str(proof)) + pickle.TUPLE1 + pickle.REDUCE
        save_pickle(path, one, extra=pickled("y") + call)
        assert f"{module}.{name}, which is no tensor" in message()
    # A name that is known is no function to call.
    call = global_of("torch", "FloatStorage") + pickled((4,)) + pickle.REDUCE
    save_pickle(path, one, extra=pickled("y") + call)
    assert "no pickled tensors" in message()
    for stride in ((3, 2), (-3, 1), (2**40, 1)):
        save_pickle(path, one, stride=stride)
        assert "beyond its storage" in message()
    save_pickle(path, one, extra=pickled("y") + pickled(5))
    assert "no dictionary of tensors" in message()
    save_pickle(path, one)
    content = path.read_bytes()
    for damaged in (b"", content[:100], content.replace(one["x"].tobytes(), b"1" * 24)):
        path.write_bytes(damaged)
        assert "no pickled tensors" in message()
    path.unlink()
    assert "cannot be read" in message()
    with pytest.raises(InputError, match="pip download antiberty"):
        convert_antiberty(path, tmp_path / "folder")


def test_the_wheel_of_rxnmapper_becomes_a_model_of_text(tmp_path):
    settings = {name: value for name, value in BERT.items() if name != "mask_token_id"}
    settings |= {"model_type": "albert", "embedding_size": 3, "architectures": ["AlbertForMaskedLM"]}
    tensors, wheel, folder = tensors_of(settings), tmp_path / "rxnmapper.whl", tmp_path / "folder"
    save_pickle(tmp_path / "weights", tensors | {"albert.pooler.bias": np.ones(2, np.float32)})
    models = "rxnmapper/models/transformers/albert"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{models}/vocab.txt", "\n".join(SYMBOLS))
        archive.writestr(f"{models}/config.json", json.dumps(settings))
        archive.write(tmp_path / "weights", f"{models}/pytorch_model.bin")
        archive.writestr(f"{models}/training_args.bin", b"not to be read")
        archive.writestr("rxnmapper-0.4.3.dist-info/licenses/LICENSE", "MIT")
    convert_rxnmapper(wheel, folder)
    assert (folder / "LICENSE").read_text() == "MIT"
    model = load_plain(folder)
    assert (model.vocabulary.symbols, model.model.denoiser.mask_id) == (SYMBOLS, 6)
    assert (model.model.denoiser.before, model.model.denoiser.after) == ((1,), (2,))
    with pytest.raises(InputError, match="not the wheel of AntiBERTy"):
        convert_antiberty(wheel, tmp_path / "other")


REACTION = "CC(C)S . CN(C)C=O . Fc1cccnc1F . O=C([O-])[O-] . [K+] . [K+] >> CC(C)Sc1ncccc1F"


@pytest.mark.slow
def test_rxnmapper_recovers_what_a_reaction_has(tmp_path):
    wheel = os.environ.get("MDMOT_RXNMAPPER_WHEEL")
    if not wheel:
        pytest.skip("set MDMOT_RXNMAPPER_WHEEL to the file of pip download rxnmapper==0.4.3 --no-deps")
    convert_rxnmapper(wheel, tmp_path)
    model = load_plain(tmp_path)
    symbols = re.findall(r"\[[^]]*\]|>>|[A-Za-z0-9().=]", REACTION)
    tokens = np.array(model.vocabulary.encode(" ".join(symbols)))
    is_masked = np.arange(len(tokens)) % 7 == np.arange(7)[:, None]
    shown = np.where(is_masked, model.model.mask_id, tokens)
    logits = logits_of(model.model.denoiser, model.model.params, jnp.asarray(shown))
    right = (np.asarray(logits).argmax(-1) == tokens)[is_masked].mean()
    # Of 54 symbols a network that knows nothing but their frequencies gets one in four.
    assert right > 0.9


def test_the_wheel_of_antiberty_becomes_a_model_of_text(tmp_path):
    tensors, wheel, folder = tensors_of(BERT), tmp_path / "antiberty.whl", tmp_path / "folder"
    heads = ("bert.pooler.dense.weight", "cls.species.decoder.bias", "cls.graft.bias", "cls.chain.bias")
    save_pickle(tmp_path / "weights", tensors | {name: np.ones(2, np.float32) for name in heads})
    config = {name: value for name, value in BERT.items() if name != "mask_token_id"}
    models = "antiberty/trained_models"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("antiberty/__init__.py", "raise SystemExit")
        archive.writestr(f"{models}/vocab.txt", "\n".join(SYMBOLS))
        archive.writestr(f"{models}/smooth/config.json", json.dumps(config | {"architectures": ["Own"]}))
        archive.write(tmp_path / "weights", f"{models}/smooth/pytorch_model.bin")
        archive.writestr("antiberty-0.1.3.dist-info/LICENSE.MD", "MIT")
    convert_antiberty(wheel, folder)
    assert {path.name: path.stat().st_size > 0 for path in folder.iterdir()} == dict.fromkeys(
        ("config.json", "model.safetensors", "vocab.txt", "LICENSE"), True
    )
    assert (folder / "LICENSE").read_text() == "MIT"
    assert safetensors.numpy.load_file(folder / "model.safetensors").keys() == tensors.keys()
    model = load_plain(folder)
    assert (model.vocabulary.symbols, model.model.denoiser.mask_id) == (SYMBOLS, 6)
    assert load_pretrained(folder).unused == ()
    table = tensors["bert.embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(model.model.params["token"], table)


@pytest.mark.slow
def test_antiberty_recovers_residues(tmp_path):
    wheel = os.environ.get("MDMOT_ANTIBERTY_WHEEL")
    if not wheel:
        pytest.skip("set MDMOT_ANTIBERTY_WHEEL to the file of pip download antiberty==0.1.3 --no-deps")
    convert_antiberty(wheel, tmp_path)
    found = load_pretrained(tmp_path, never=range(4))
    assert found.symbols[found.model.mask_id] == "[MASK]"
    heavy = (
        "EVQLVQSGPEVKKPGTSVKVSCKASGFTFMSSAVQWVRQARGQRLEWIGWIVIGSGNTNYAQKFQERVTITRDMSTSTAYMELSSLRSEDTAVYYCAAPY"
        "CSSISCNDGFDIWGQGTMVTVS"
    )
    tokens = np.array([2, *map(found.symbols.index, heavy), 3])
    masked = np.tile(tokens, (7, 1))
    is_masked = (np.arange(len(tokens)) % 7 == np.arange(7)[:, None]) & (tokens > 3)
    masked[is_masked] = found.model.mask_id
    logits = logits_of(found.model.denoiser, found.model.params, jnp.asarray(masked))
    right = (np.asarray(logits).argmax(-1) == tokens)[is_masked].mean()
    # 122 residues; a network that knows nothing gets one in twenty.
    assert right > 0.8


SYMBOLS = ("[PAD]", "[CLS]", "[SEP]", "a", "b", "<eos>", "[MASK]")
WORDS = {"a": 0, "b": 1, "c": 2, "d": 3, "<|end|>": 4}
TOKENIZER = {
    "model": {"type": "WordLevel", "vocab": WORDS, "unk_token": "a"},
    "pre_tokenizer": {"type": "WhitespaceSplit"},
}


def write_text_model(folder, name):
    """A folder of a family with the vocabulary that is usual for it."""
    write(folder, CONFIGS[name], tensors_of(CONFIGS[name]))
    if name in ("bert", "esm"):
        symbols = SYMBOLS if name == "bert" else ("<cls>", "<pad>", "<eos>", "A", "B", "<unk>", "<mask>")
        (folder / "vocab.txt").write_text("\n".join(symbols) + "\n")
    else:
        pytest.importorskip("tokenizers")
        (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    return folder


def test_encoders_are_shown_their_frame_and_draw_no_special_token(tmp_path):
    model = load_plain(write_text_model(tmp_path, "bert"))
    assert (model.length, model.vocabulary.size) == (3, 7)
    assert model.never == (0, 1, 2, 5, 6)
    tokens = jnp.asarray([[3, 7, 4], [7, 7, 7]], jnp.int32)
    shown = jnp.asarray([[1, 3, 6, 4, 2], [1, 6, 6, 6, 2]], jnp.int32)
    expected = logits_of(model.model.denoiser.denoiser, model.model.params, shown)[:, 1:4]
    logits = logits_of(model.model.denoiser, model.model.params, tokens)
    np.testing.assert_allclose(logits[..., 3:5], expected[..., 3:5], rtol=1e-5)
    assert bool(jnp.isneginf(logits[..., jnp.asarray(model.never)]).all())
    at = model.model.denoiser.bind(model.model.params, tokens)(jnp.asarray([[2], [0]]))
    np.testing.assert_allclose(at[:, 0], logits[jnp.arange(2), jnp.asarray([2, 0])], rtol=1e-5)


def test_tokens_beyond_the_vocabulary_are_not_drawn(tmp_path):
    model = load_plain(write_text_model(tmp_path, "llada"))
    assert (model.length, model.vocabulary.size, model.never) == (5, 5, ())
    tokens = jnp.asarray([[0, 5, 4]], jnp.int32)
    expected = logits_of(
        model.model.denoiser.denoiser, model.model.params, jnp.where(tokens == 5, 6, tokens)
    )
    found = logits_of(model.model.denoiser, model.model.params, tokens)
    np.testing.assert_allclose(found, expected[..., :5], rtol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_pretrained_folders_stand_wherever_a_model_may(run, tmp_path, name):
    folder = tmp_path / "model"
    folder.mkdir()
    write_text_model(folder, name)
    status, out, err = run("sample", folder, "--num", 8, "--steps", 2, "--json")
    assert status == 0, err
    drawn = {token for one in json.loads(out)["samples"] for token in one["tokens"]}
    assert drawn <= ({3, 4} if name in ("bert", "esm") else set(range(5)))
    text = tmp_path / "text.txt"
    letters = "A B" if name == "esm" else "a b"
    text.write_text(f"{letters} {letters[0]}\n" * 40)
    measuring = ("--text", text, "--length", 3, "--draws", 4, "--levels", 3)
    status, out, err = run("tune", folder, "--steps", 2, *measuring, "--json")
    assert status == 0, err
    assert sum(json.loads(out)["counts"]) == 3


def test_folders_without_text_are_refused(run, tmp_path):
    def said(*arguments):
        status, out, err = run(*arguments)
        assert (status, out, err.count("\n")) == (2, "", 1), err
        return err

    assert "neither model.json" in said("sample", tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"kind": "training"}))
    assert "has not saved a model.json yet" in said("sample", tmp_path)
    write(tmp_path, LLADA, tensors_of(LLADA))
    assert "neither tokenizer.json nor vocab.txt" in said("sample", tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    assert "mdmot reads bert, roberta" in said("sample", tmp_path)
    write_text_model(tmp_path, "bert")
    assert "pass --text PATH, one sequence a line" in said("profile", tmp_path)
    (tmp_path / "text.txt").write_text("a [PAD] b\n" * 3)
    assert "0 sequences of" in said("profile", tmp_path, "--text", tmp_path / "text.txt")
    larger = {"[PAD]": 0} | {f"w{k}": k for k in range(1, 9)}
    pytest.importorskip("tokenizers")
    content = {"model": {"type": "WordLevel", "vocab": larger, "unk_token": "w1"}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert "a vocabulary of 9 tokens, the network has 7" in said("sample", tmp_path)
