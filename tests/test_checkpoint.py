"""Checkpoints: what is saved comes back, and whatever is not whole is refused in one line."""

import dataclasses
import hashlib
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from mdmot.denoisers import Timed
from mdmot.errors import InputError
from mdmot.files import write_atomically
from mdmot.models import (
    MaskedTransformer,
    TimeConditionedTransformer,
    TransformerConfig,
    from_nnx,
    from_nnx_timed,
    load_checkpoint,
    model_folder,
    save_checkpoint,
    split_from_nnx,
)
from mdmot.models import checkpoint as checkpoints
from mdmot.vocabulary import Bytes, Symbols, Tokenizer

CONFIG = TransformerConfig(vocab_size=3, length=5, width=8, depth=2, heads=2)
MODULE = MaskedTransformer(CONFIG, nnx.Rngs(0))
DENOISER, PARAMS = from_nnx(MODULE)
TOKENS = jnp.asarray([[0, 3, 2, 3, 1], [3, 3, 3, 0, 3]], jnp.int32)
LETTERS = Symbols(("a", "b", "c"))
PROVENANCE = {"command": "a test", "seed": 0, "data": None}

logits_of = jax.jit(lambda denoiser, params, *inputs: denoiser(params, *inputs), static_argnums=0)
logits_at = jax.jit(lambda denoiser, *inputs: denoiser.logits_at(*inputs), static_argnums=0)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "deep" / "model"
    save_checkpoint(folder, MaskedTransformer, CONFIG, PARAMS, LETTERS, PROVENANCE)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def test_split_denoiser_is_the_whole_one():
    split, params = split_from_nnx(MODULE)
    jax.tree.map(np.testing.assert_array_equal, params, PARAMS)
    whole = logits_of(DENOISER, PARAMS, TOKENS)
    np.testing.assert_array_equal(logits_of(split, params, TOKENS), whole)
    positions = jnp.asarray([[4, 1], [0, 0]], jnp.int32)
    chosen = jnp.take_along_axis(whole, positions[..., None], axis=1)
    # A product of another shape may sum its 8 terms of order one in another order.
    np.testing.assert_allclose(logits_at(split, params, TOKENS, positions), chosen, atol=1e-6)


def test_rebuilt_split_denoiser_is_the_same_to_the_compiler(folder):
    split, _ = split_from_nnx(MODULE)
    logits_of(split, PARAMS, TOKENS)
    loaded = load_checkpoint(folder)
    assert loaded.model.denoiser == split
    assert hash(loaded.model.denoiser) == hash(split)
    with jax.no_tracing():
        logits_of(loaded.model.denoiser, loaded.model.params, TOKENS)


def test_modules_without_parts_are_refused():
    with pytest.raises(InputError, match="Linear has no features"):
        split_from_nnx(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))


def test_round_trip(folder):
    (folder / "metrics.jsonl").write_text("kept")
    for _ in range(2):
        found = load_checkpoint(folder)
        jax.tree.map(np.testing.assert_array_equal, found.model.params, PARAMS)
        assert (found.config, found.vocabulary, found.provenance) == (CONFIG, LETTERS, PROVENANCE)
        np.testing.assert_array_equal(
            logits_of(found.model.denoiser, found.model.params, TOKENS), logits_of(DENOISER, PARAMS, TOKENS)
        )
        save_checkpoint(
            folder, MaskedTransformer, found.config, found.model.params, found.vocabulary, found.provenance
        )
    assert {path.name for path in folder.iterdir()} == {
        "model.json",
        "weights.safetensors",
        "metrics.jsonl",
    }


def test_round_trip_of_halves(tmp_path):
    config = dataclasses.replace(CONFIG, param_dtype="bfloat16", kv_heads=1, pad_id=0)
    shapes = nnx.eval_shape(lambda: from_nnx(MaskedTransformer(config, nnx.Rngs(0)))[1])
    params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), shapes)
    save_checkpoint(tmp_path, MaskedTransformer, config, params, LETTERS, {})
    found = load_checkpoint(tmp_path)
    assert found.config == config
    assert {leaf.dtype for leaf in jax.tree.leaves(found.model.params)} == {jnp.dtype("bfloat16")}
    jax.tree.map(np.testing.assert_array_equal, found.model.params, params)


def test_configs_of_earlier_networks_are_read(folder):
    content = json.loads((folder / "model.json").read_text())
    for name in ("kv_heads", "pad_id", "dtype", "param_dtype"):
        del content["config"][name]
    (folder / "model.json").write_text(json.dumps(content))
    assert load_checkpoint(folder).config == CONFIG


def test_round_trip_of_a_network_that_is_told_the_time(tmp_path):
    config = TransformerConfig(vocab_size=256, length=5, width=8, depth=1, heads=1)
    timed, params = from_nnx_timed(TimeConditionedTransformer(config, nnx.Rngs(0)))
    save_checkpoint(tmp_path, TimeConditionedTransformer, config, params, Bytes(), {})
    found = load_checkpoint(tmp_path)
    assert found.vocabulary == Bytes()
    assert found.model.denoiser == Timed(timed, 256)
    tokens = jnp.asarray([[7, 256, 256, 256, 9]], jnp.int32)
    expected = logits_of(timed, params, tokens, jnp.asarray([0.4], jnp.float32))
    # 0.4 may be another float32 as a mean of five flags.
    np.testing.assert_allclose(
        logits_of(found.model.denoiser, found.model.params, tokens), expected, atol=1e-5
    )


def change(**fields):
    def damage(folder):
        path = folder / "model.json"
        content = json.loads(path.read_text()) | fields
        path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))

    return damage


def change_config(**sizes):
    def damage(folder):
        content = json.loads((folder / "model.json").read_text())
        change(config=content["config"] | sizes)(folder)

    return damage


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def resave(edit):
    """Other tensors, with a digest that is right."""

    def damage(folder):
        path = folder / "weights.safetensors"
        tensors = safetensors.numpy.load(path.read_bytes())
        edit(tensors)
        content = safetensors.numpy.save(tensors)
        path.write_bytes(content)
        change(weights_sha256=hashlib.sha256(content).hexdigest())(folder)

    return damage


def rewrite(edit):
    """The same bytes cut or flipped."""

    def damage(folder):
        path = folder / "weights.safetensors"
        path.write_bytes(edit(bytearray(path.read_bytes())))

    return damage


def flip_last_bit(content):
    content[-1] ^= 1
    return content


def no_safetensors(folder):
    content = b"not safetensors"
    (folder / "weights.safetensors").write_bytes(content)
    change(weights_sha256=hashlib.sha256(content).hexdigest())(folder)


HEAD = "head.kernel"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "model.json").unlink(), ["model.json", "No such file"]),
        (write("model.json", b'{"kind": "mod'), ["model.json", "not JSON"]),
        (write("model.json", b"\xff\xfe"), ["model.json", "not JSON"]),
        (write("model.json", b"[" * 100_000), ["model.json", "not JSON"]),
        (write("model.json", b"[1]"), ["kind is [1]", '"model"']),
        (change(kind="plan"), ['kind is "plan"', '"model"']),
        (change(version=2), ["version 2", "reads 1"]),
        (change(version=True), ["version true"]),
        (change(architecture="resnet"), ['architecture "resnet"', "masked-transformer"]),
        (change(architecture=["a"]), ['architecture ["a"]']),
        (change(architecture="time-conditioned-transformer"), ["level_in", "missing"]),
        (change(vocabulary=None), ["'vocabulary' is missing"]),
        (change(provenance="me"), ['provenance is "me"']),
        (change(vocabulary="words"), ['vocabulary is "words"']),
        (change(vocabulary=["a", "b", 3]), ["vocabulary is"]),
        (change(vocabulary=["a", "b", "b"]), ["'b'", "twice"]),
        (change(vocabulary=["a", "b"]), ["2 symbols", "vocab_size = 3"]),
        (change(config=5), ["config is 5", "vocab_size, length"]),
        (change_config(dropout=0.1), ["config is"]),
        (change_config(width=0), ["width = 0"]),
        (change_config(heads=True), ["heads = True"]),
        (change_config(depth=10**9), ["config is larger than weights.safetensors"]),
        (change_config(length=10**30), ["config is larger than weights.safetensors"]),
        (change_config(depth=3), ["body.blocks.attention_norm.scale", "[2, 8]", "[3, 8]"]),
        (change_config(kv_heads=1), ["body.blocks.qkv.kernel", "[2, 8, 24]", "[2, 8, 16]"]),
        (change_config(param_dtype="bfloat16"), ["float32", "bfloat16"]),
        (change_config(dtype="float64"), ["dtype = 'float64'"]),
        (change_config(length=6), ["embedding.position.embedding", "[5, 8]", "[6, 8]"]),
        (change(weights_sha256=5), ["weights.safetensors", "damaged"]),
        (lambda folder: (folder / "weights.safetensors").unlink(), ["weights.safetensors", "No such file"]),
        (rewrite(lambda content: content[:-7]), ["weights.safetensors", "damaged"]),
        (rewrite(flip_last_bit), ["weights.safetensors", "damaged"]),
        (rewrite(lambda content: b""), ["weights.safetensors", "damaged"]),
        (no_safetensors, ["weights.safetensors", "no safetensors"]),
        (resave(lambda tensors: tensors.pop(HEAD)), [HEAD, "missing"]),
        (resave(lambda tensors: tensors.update(stray=tensors[HEAD])), ["stray", "no weight"]),
        (resave(lambda tensors: tensors.update({HEAD: tensors[HEAD].T})), [HEAD, "[3, 8]", "[8, 3]"]),
        (
            resave(lambda tensors: tensors.update({HEAD: tensors[HEAD].astype(np.float16)})),
            [HEAD, "float16", "float32"],
        ),
    ],
)
def test_what_is_not_whole_is_refused_in_one_line(folder, damage, words):
    damage(folder)
    with pytest.raises(InputError) as caught:
        load_checkpoint(folder)
    assert len(str(caught.value).splitlines()) == 1
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary": Symbols(("a", "b"))}, "2 symbols and the network 3"),
        ({"vocabulary": Bytes()}, "256 symbols"),
        ({"params": {"head": PARAMS["head"]}}, "is missing .and 8 more"),
        ({"params": jax.tree.map(lambda leaf: leaf.astype(jnp.float16), PARAMS)}, "float16.*float32"),
        ({"provenance": {"loss": float("nan")}}, "provenance is not JSON"),
        ({"provenance": {"path": {1, 2}}}, "provenance is not JSON"),
    ],
)
def test_what_does_not_fit_together_is_not_saved(tmp_path, change, message):
    right = {
        "architecture": MaskedTransformer,
        "config": CONFIG,
        "params": PARAMS,
        "vocabulary": LETTERS,
        "provenance": {},
    }
    with pytest.raises(InputError, match=message):
        save_checkpoint(tmp_path / "model", **right | change)
    assert not (tmp_path / "model").exists()


def test_other_architectures_are_not_saved(tmp_path, monkeypatch):
    monkeypatch.delitem(checkpoints.ARCHITECTURES, "masked-transformer")
    with pytest.raises(InputError, match=r"MaskedTransformer.* unknown; pass TimeConditionedTransformer"):
        save_checkpoint(tmp_path / "model", MaskedTransformer, CONFIG, PARAMS, LETTERS, {})


def test_an_interrupted_save_is_noticed(folder, monkeypatch):
    old = (folder / "weights.safetensors").read_bytes()

    def fail(path, content):
        if path.name == "model.json":
            raise KeyboardInterrupt
        write_atomically(path, content)

    other = jax.tree.map(lambda leaf: 2 * leaf, PARAMS)
    monkeypatch.setattr(model_folder, "write_atomically", fail)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(folder, MaskedTransformer, CONFIG, other, LETTERS, PROVENANCE)
    with pytest.raises(InputError, match=r"not the ones that model\.json was saved with"):
        load_checkpoint(folder)
    (folder / "weights.safetensors").write_bytes(old)
    assert load_checkpoint(folder).config == CONFIG


def test_texts_become_tokens_and_back():
    assert LETTERS.encode("cab") == [2, 0, 1]
    assert LETTERS.encode("c_b", "_") == [2, 3, 1]
    assert LETTERS.encode("c<mask><mask>", "<mask>") == [2, 3, 3]
    assert LETTERS.decode([2, 3, 1], "_") == "c_b"
    words = Symbols(("go", "up", "a"))
    assert words.encode("  up a  _ ", "_") == [1, 2, 3]
    assert words.decode([1, 2, 3], "_") == "up a _"
    text = "né\udcff_"  # the command line's byte 0xff, which is no UTF-8
    assert Bytes().encode(text) == [*"né".encode(), 0xFF, ord("_")]
    assert Bytes().encode(text, "_")[-1] == 256
    assert Bytes().decode([*"né".encode(), 256, 0xFF, 256, 256], "_") == "né_\ufffd__"
    assert Bytes().decode([0xC3, 256, 0xA9], "_") == "\ufffd_\ufffd"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LETTERS.encode("aXbYX"), "'X', 'Y' not in the vocabulary, which is 'a', 'b', 'c'"),
        (lambda: LETTERS.encode("a_"), "'_' not in"),
        (lambda: LETTERS.encode("ab", "b"), "'b' is in the vocabulary"),
        (lambda: LETTERS.encode("ab", "ab"), "'ab' is in the vocabulary"),
        (lambda: LETTERS.encode("ab", ""), "'' is empty"),
        (lambda: Bytes().encode("ab", "a b"), "'a b' is empty or has a blank"),
        (lambda: Bytes().encode("\ud800"), "no UTF-8"),
        (lambda: Symbols(("go", "up")).encode("go goup"), "'goup' not in .* symbols between blanks"),
        (lambda: Symbols(("go", "up")).encode("go", "up"), "'up' is in the vocabulary"),
        (lambda: Symbols(tuple(map(chr, range(97, 122)))).encode("Z"), "25 in all"),
        (lambda: Symbols(()), "no symbols"),
        (lambda: Symbols(("a", "")), "'' is empty"),
        (lambda: Symbols(("go on", "a")), "'go on' has a blank"),
    ],
)
def test_texts_outside_the_vocabulary_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_tokenizer_comes_back_as_it_was(tmp_path):
    pytest.importorskip("tokenizers")
    content = '{"model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"}}'
    config = TransformerConfig(vocab_size=2, length=4, width=8, depth=1, heads=2)
    _, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    save_checkpoint(tmp_path, MaskedTransformer, config, params, Tokenizer(content), {})
    found = load_checkpoint(tmp_path).vocabulary
    assert found == Tokenizer(content)
    assert found.encode("b") == [1]
