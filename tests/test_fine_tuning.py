"""Pretrained folders that are trained further: what is learned, and the folder that comes out."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from test_families import MASK, MODERNBERT, NETWORKS, QWEN3, ROBERTA, write
from test_families import tensors_of as random_tensors
from test_pretrained import ESM, tensors_of

from mdmot.cli import main
from mdmot.data import hold_out_records, read_records
from mdmot.errors import InputError
from mdmot.models.pretrained import load_plain, load_pretrained, save_pretrained
from mdmot.training.pretrained_source import pretrained_source
from mdmot.workflows import load, train

SYMBOLS = ("<pad>", "<cls>", "<eos>", "A", "B", "<unk>", "<mask>")
FREQUENCIES = "esm.encoder.layer.0.attention.self.rotary_embeddings.inv_freq"
RECORDS = ["AB" * n + "B" * m for n in range(1, 5) for m in range(5)]
FEW = {"num_steps": 4, "num_warm_up": 0, "batch_size": 4, "save_every": 2, "learning_rate": 0.01}


def esm_folder(folder):
    """A protein model of two residues, with the tensor of another head and old frequencies in its file."""
    folder.mkdir()
    settings = ESM | {"max_position_embeddings": 16, "pad_token_id": 0}
    tensors = tensors_of(settings) | {FREQUENCIES: np.full(1, 0.5, np.float32)}
    write(folder, settings, tensors | {"esm.contact_head.regression.weight": np.ones((1, 4), np.float32)})
    (folder / "vocab.txt").write_text("\n".join(SYMBOLS))
    (folder / "LICENSE").write_text("MIT")
    return folder


def words_folder(folder):
    """A model that writes ends of text, in half precision, with more rows than tokens."""
    pytest.importorskip("tokenizers")
    folder.mkdir()
    settings = QWEN3 | {"mask_token_id": MASK, "eos_token_id": 7, "num_hidden_layers": 1}
    tensors = random_tensors(settings | {"vocab_size": 11})
    write(folder, settings, {name: tensor.astype(np.float16) for name, tensor in tensors.items()})
    words = {word: number for number, word in enumerate("abcdefg")} | {"<|end|>": 7}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "a"}
    content = {"model": model, "pre_tokenizer": {"type": "WhitespaceSplit"}}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    return folder


def records_file(path, lines=RECORDS):
    path.write_text("\n".join(lines) + "\n")
    return path


def weights(folder):
    return safetensors.numpy.load_file(folder / "model.safetensors")


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_come_back_under_their_names(tmp_path, name):
    """Of all families, tied heads and blocks without a norm among them."""
    settings, _ = NETWORKS[name]
    (tmp_path / "old").mkdir()
    tensors = random_tensors(settings)
    params = load_pretrained(write(tmp_path / "old", settings, tensors), mask_id=MASK).model.params
    save_pretrained(tmp_path / "old", tmp_path / "same", params)
    same = weights(tmp_path / "same")
    assert same.keys() == tensors.keys()
    for key, tensor in tensors.items():
        np.testing.assert_array_equal(same[key], tensor)
    save_pretrained(tmp_path / "old", tmp_path / "new", jax.tree.map(lambda leaf: leaf + 1, params))
    found = load_pretrained(tmp_path / "new", mask_id=MASK).model.params
    jax.tree.map(lambda new, leaf: np.testing.assert_array_equal(new, leaf + 1), found, params)


def test_what_is_no_weight_stays_as_it_is(tmp_path):
    source = esm_folder(tmp_path / "old")
    (source / "pytorch_model.bin").write_text("not to be kept")
    params = load_pretrained(source).model.params
    save_pretrained(source, tmp_path / "new", jax.tree.map(lambda leaf: leaf + 1, params))
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"config.json", "model.safetensors", "vocab.txt", "LICENSE"}
    before, after = weights(source), weights(tmp_path / "new")
    heads = "esm.contact_head.regression.weight"
    np.testing.assert_array_equal(after[heads], before[heads])
    assert after.keys() == before.keys()
    with pytest.raises(InputError, match="the folder that the weights come from"):
        save_pretrained(source, source / "." / "..", params) if False else save_pretrained(
            source, source, params
        )
    with pytest.raises(InputError, match="pass the weights of this network"):
        save_pretrained(source, tmp_path / "new", params | {"token": params["token"][:, :2]})


@pytest.mark.filterwarnings("ignore:.*rows for the")
def test_rows_beyond_the_vocabulary_and_number_types_stay(tmp_path):
    source = words_folder(tmp_path / "old")
    params = load_pretrained(source).model.params
    save_pretrained(source, tmp_path / "new", jax.tree.map(lambda leaf: leaf + 1, params))
    before, after = (weights(folder)["model.embed_tokens.weight"] for folder in (source, tmp_path / "new"))
    assert after.dtype == np.float16
    np.testing.assert_array_equal(after[9:], before[9:])
    np.testing.assert_array_equal(after[:9], (before[:9].astype(np.float32) + 1).astype(np.float16))


def test_a_record_is_learned_as_the_network_would_see_it_alone(tmp_path):
    """Its frame closes where the text ends, and the padding behind changes nothing."""
    source = pretrained_source(
        esm_folder(tmp_path / "esm"), None, str(records_file(tmp_path / "x.txt")), None, {}
    )
    assert source.length() == 13  # the longest has 12 residues, and the frame's end
    data = source.read(13, tmp_path, tmp_path, 0)
    given = data.is_given(np.arange(len(data.windows)))
    pad, _, end = range(3)
    for row, is_given in zip(data.windows, given, strict=True):
        size = int((~is_given).sum())
        assert not is_given[:size].any()
        assert set(row[:size]) <= {3, 4}
        assert row[size:].tolist() == [end] + [pad] * (12 - size)
    plain = load_plain(tmp_path / "esm").model
    row = data.windows[[int(np.argmin(given.sum(axis=1) - 13 * (given.sum(axis=1) > 8)))]].astype(np.int32)
    size = int((row > 2).sum())
    row[0, 0] = source.model.mask_id
    padded = source.model.denoiser(source.model.params, jnp.asarray(row))
    alone = plain.denoiser(plain.params, jnp.asarray(row[:, :size]))
    # Sums of another length are rounded otherwise.
    np.testing.assert_allclose(padded[0, :size, 3:5], alone[0, :, 3:5], atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*rows for the")
def test_networks_that_write_ends_learn_them(tmp_path):
    lines = [" ".join("abcdef"[k : k + n]) for n in range(1, 6) for k in range(6 - n)]
    source = pretrained_source(
        words_folder(tmp_path / "words"), None, str(records_file(tmp_path / "x.txt", lines)), None, {}
    )
    data = source.read(source.length(), tmp_path, tmp_path, 0)
    assert data.windows.shape[1] == 6
    assert not data.is_given(np.arange(len(data.windows))).any()
    assert {tuple(row[int((row < 7).sum()) :]) for row in data.windows} <= {(7,) * n for n in range(1, 6)}
    config = tmp_path / "words" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token_id": None}))
    with pytest.raises(InputError, match='write the number of an end as "eos_token_id" into'):
        pretrained_source(tmp_path / "words", None, str(tmp_path / "x.txt"), None, {})


@pytest.mark.slow
@jax.numpy_dtype_promotion("standard")  # optax takes floats to the power of its int32 steps
def test_a_folder_is_trained_and_a_killed_run_ends_with_the_same_weights(tmp_path):
    source, records = esm_folder(tmp_path / "esm"), records_file(tmp_path / "x.txt")
    told = []
    whole = train(tmp_path / "whole", base=source, records=records, tell=told.append, **FEW)
    assert any("of these held-out data" in line for line in told)
    assert whole.metrics["step"] == 4

    def killed(progress):
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", base=source, records=records, show=killed, **FEW)
    source = source.rename(tmp_path / "moved")
    there = f"say where it is now: mdmot train --from FOLDER --out {tmp_path / 'killed'} --resume"
    with pytest.raises(InputError, match=f"esm, the pretrained network that .* is not there; .*{there}"):
        train(tmp_path / "killed", resume=True)
    again = train(tmp_path / "killed", base=source, resume=True)
    assert again.resumed_from == 2
    before, after, resumed = (
        weights(f) for f in (source, tmp_path / "whole/model", tmp_path / "killed/model")
    )
    for name, tensor in after.items():
        np.testing.assert_array_equal(resumed[name], tensor)
        is_weight = name != FREQUENCIES and "contact" not in name
        assert (not np.array_equal(tensor, before[name])) == is_weight, name
    # The folder of the run is a model, and what it trained can be trained on.
    found = load(tmp_path / "whole")
    assert found.vocabulary.symbols == SYMBOLS
    assert found.trained_on_records[:2] == (str(records.absolute()), None)
    assert found.held_out["sha256"] == hold_out_records(read_records(str(records)))[1].fingerprint
    table = found.model.params["token"]
    np.testing.assert_array_equal(table, after["esm.embeddings.word_embeddings.weight"])
    source = pretrained_source(tmp_path / "whole", None, str(records), None, {})
    assert source.folder == tmp_path / "whole" / "model"


@pytest.fixture
def run(capsys):
    """A command line that returns its status and messages; it sets the precision of its process."""

    def command(*arguments):
        status = main.status([str(argument) for argument in arguments])
        return status, capsys.readouterr().err

    yield command
    jax.config.update("jax_enable_x64", True)


def test_what_a_pretrained_network_has_of_its_own_is_not_asked_for(run, tmp_path):
    source, records, out = esm_folder(tmp_path / "esm"), records_file(tmp_path / "x.txt"), tmp_path / "out"

    def said(*arguments, data=("--records", records)):
        status, err = run("train", "--from", source, "--out", out, *data, *arguments)
        assert (status, err.count("\n")) == (2, 1), err
        assert not out.exists()
        return err

    assert "--width is not for a pretrained network, whose size is its own" in said("--width", 8)
    assert "--preset is not for a pretrained network" in said("--preset", "tiny")
    assert "--pieces is not for a pretrained network, whose tokens are its own" in said(
        "--pieces", "smiles"
    )
    assert "--store is not for a pretrained network" in said("--store", "bfloat16")
    assert "trained on nothing; pass text or records" in said(data=())
    assert "no windows of a text; pass records" in said(data=("--text", records))
    assert "cannot be written in the vocabulary" in said(
        data=("--records", records_file(tmp_path / "y", "XYZ"))
    )


def test_windows_with_tokens_that_are_never_written_are_left_out(tmp_path):
    pytest.importorskip("tokenizers")
    folder, text = tmp_path / "modernbert", tmp_path / "text"
    folder.mkdir()
    settings = MODERNBERT | {"mask_token_id": MASK}
    write(folder, settings, random_tensors(settings))
    words = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "b", "c", "d", "[MASK]")
    model = {"type": "WordLevel", "vocab": {word: k for k, word in enumerate(words)}, "unk_token": "[UNK]"}
    content = {"model": model, "pre_tokenizer": {"type": "WhitespaceSplit"}}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    text.mkdir()
    for number in range(60):
        (text / f"{number}.txt").write_text("a b c d " * 6 + ("x" if number % 9 == 0 else "a"))
    data = pretrained_source(folder, text, None, None, {}).read(5, tmp_path / "o", tmp_path / "c", 0)
    assert set(np.unique(data.windows)) == {4, 5, 6, 7}
    assert len(data.left_out) == 1
    assert "have a token that" in data.left_out[0]


def test_rows_are_no_longer_than_the_network_reads(tmp_path):
    (tmp_path / "roberta").mkdir()
    write(tmp_path / "roberta", ROBERTA | {"mask_token_id": MASK}, random_tensors(ROBERTA))
    symbols = ("<s>", "<pad>", "</s>", "a", "b", "c", "d", "e", "<mask>")
    (tmp_path / "roberta" / "vocab.txt").write_text("\n".join(symbols))
    lines = ["a " * n + "b " * m for n in range(4) for m in range(1, 4)]
    source = pretrained_source(
        tmp_path / "roberta", None, str(records_file(tmp_path / "x.txt", lines)), None, {}
    )
    # Of eight positions two are of padding, and <s> is in front of every row.
    assert (source.longest, source.length()) == (5, 5)
    data = source.read(5, tmp_path, tmp_path, 0)
    assert any("longer than 4 tokens" in line for line in data.left_out)
    with pytest.raises(InputError, match=r"length 6: .* reads 5 tokens"):
        source.read(6, tmp_path, tmp_path, 0)
