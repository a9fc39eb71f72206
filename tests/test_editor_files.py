"""Models that edit, on disk: they come back as they were, and work for masked models refuses them."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import mdmot
from mdmot.errors import InputError
from mdmot.models import (
    EditingConfig,
    EditingTransformer,
    NamedEditor,
    as_kind,
    bundled_model,
    editor_from_nnx,
    load_checkpoint,
    process_of,
    read_model,
    save_checkpoint,
)
from mdmot.vocabulary import Symbols

CONFIG = EditingConfig(vocab_size=3, width=8, depth=1, heads=2, window=2, end_id=1)
EDITOR, PARAMS = editor_from_nnx(EditingTransformer(CONFIG, nnx.Rngs(0)))
LETTERS = Symbols(("0", "1", "B"))
ROWS = jnp.asarray([[2, 0, 1, 3, 4, 4], [2, 3, 1, 1, 0, 4]])


@pytest.fixture
def folder(tmp_path):
    provenance = {"data": {"language": "parity:length=7"}}
    save_checkpoint(tmp_path / "P", EditingTransformer, CONFIG, PARAMS, LETTERS, provenance)
    return tmp_path / "P"


def test_an_editor_comes_back_as_it_was(folder):
    found = mdmot.load(folder)
    assert isinstance(found, NamedEditor)
    assert as_kind(found, NamedEditor, "this takes editors") is found
    assert (found.config, found.vocabulary, found.task) == (CONFIG, LETTERS, "parity:length=7")
    assert (found.model.mask_id, found.model.pad_id, found.model.end_id) == (3, 4, 1)
    assert found.model.editor == EDITOR  # the same to the compiler, too
    jax.tree.map(np.testing.assert_array_equal, found.model.params, PARAMS)
    digest = json.loads((folder / "model.json").read_text())["weights_sha256"]
    assert found.weights_sha256 == digest
    assert repr(found).endswith("P': edits its rows (trained on parity:length=7), 3 kinds of tokens)")
    for one, other in zip(found.model.editor(found.model.params, ROWS), EDITOR(PARAMS, ROWS), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_process_is_told_without_the_weights(folder):
    (folder / "weights.safetensors").unlink()
    assert process_of(folder) == "editing"
    assert process_of(bundled_model()) == "masking"


def test_one_that_does_not_say_what_it_learned_is_an_editor_all_the_same(tmp_path):
    save_checkpoint(tmp_path, EditingTransformer, CONFIG, PARAMS, LETTERS, {"data": ["odd"]})
    found = mdmot.load(tmp_path)
    assert (found.task, found.about) == (None, "edits its rows")


def test_an_editor_of_grids_comes_back_and_its_axes_are_no_longer_than_its_weights(tmp_path):
    config = dataclasses.replace(CONFIG, shape=(2, 3))
    editor, params = editor_from_nnx(EditingTransformer(config, nnx.Rngs(0)))
    save_checkpoint(tmp_path, EditingTransformer, config, params, LETTERS, {})
    found = mdmot.load(tmp_path)
    assert (found.config, found.model.editor) == (config, editor)
    jax.tree.map(np.testing.assert_array_equal, found.model.params, params)
    description = json.loads((tmp_path / "model.json").read_text())
    description["config"]["shape"] = [2, 10**9]
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match="config is larger than"):
        mdmot.load(tmp_path)


def test_as_many_rows_at_once_as_fit_into_memory():
    assert CONFIG.rows_at_once(10, 100) == 100
    few = CONFIG.rows_at_once(20_000, 100)
    assert 1 < few < 100
    assert CONFIG.rows_at_once(10**12, 100) == 1
    everywhere = dataclasses.replace(CONFIG, window=None)
    assert everywhere.rows_at_once(10, 100) == 100
    assert everywhere.rows_at_once(2000, 100) == 2**25 // (2000 * 2 * 2000)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"window": 0}, "window = 0"),
        ({"end_id": 3}, "end_id = 3; pass one of the 3 clean tokens"),
        ({"end_id": True}, "end_id = True"),
        ({"length": 9}, "expected the sizes vocab_size, width, depth, heads, window"),
        ({"depth": 2}, r"body\.blocks.* is .*the config asks for"),
    ],
)
def test_a_size_that_is_none_is_refused_in_one_line(folder, sizes, words):
    path = folder / "model.json"
    content = json.loads(path.read_text())
    content["config"] |= sizes
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=words) as caught:
        read_model(folder)
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_together_is_not_saved(tmp_path):
    more = dataclasses.replace(CONFIG, vocab_size=4)
    with pytest.raises(InputError, match="3 symbols and the network 4"):
        save_checkpoint(tmp_path / "P", EditingTransformer, more, PARAMS, LETTERS, {})
    with pytest.raises(InputError, match=r"embedding.* is float32"):
        save_checkpoint(tmp_path / "P", EditingTransformer, more, PARAMS, Symbols(tuple("01BE")), {})
    assert not (tmp_path / "P").exists()


def test_another_number_type_is_refused(folder):
    with pytest.raises(InputError, match="dtype bfloat16"):
        mdmot.load(folder, dtype="bfloat16")


def test_work_on_masked_models_refuses_it_in_one_line(folder, run, tmp_path):
    said = "edits its rows (trained on parity:length=7): "
    for words in (
        ["profile", folder],
        ["tune", folder, "--steps", 2],
        ["tune", folder, "--steps", 2, "--order", "bisection"],
        ["compare", folder, "--steps", 2],
        ["train", "--preset", "tiny", "--levels", f"epr:{folder}", "--out", tmp_path / "run"],
    ):
        status, output, errors = run(*words)
        line = errors.splitlines()[-1]
        assert (status, output) == (2, ""), words
        assert said in line, words
        assert " masked models; " in line, words
    takes = r"the commands sample and evaluate take it, and in Python mdmot\.editing\.write and mdmot"
    for function in (mdmot.evaluate, mdmot.profile, mdmot.compare, lambda name: mdmot.tune(name, steps=2)):
        with pytest.raises(InputError, match=rf"masked models; {takes}\.evaluate_editor"):
            function(folder)
    with pytest.raises(InputError, match="load_checkpoint takes masked models"):
        load_checkpoint(folder)
    with pytest.raises(InputError, match="reveals masked tokens: this takes editors"):
        as_kind(mdmot.load(), NamedEditor, "this takes editors")


def test_what_it_is_is_said(folder, run):
    status, output, _ = run("inspect", folder, "--json")
    found = json.loads(output)
    assert (status, found["loads"], found["kind"]) == (0, True, "model that mdmot saved")
    assert found["about"]["weights"] == sum(leaf.size for leaf in jax.tree.leaves(PARAMS))
    assert found["about"]["trained on"] == "parity:length=7"
    assert found["about"]["process"].startswith("edits")
    status, output, _ = run("inspect", folder)
    assert "tokens seen to both sides of a position: 2" in output


def test_weights_that_are_no_numbers_do_not_load(tmp_path, run):
    params = jax.tree.map(lambda leaf: leaf * np.float32("nan"), PARAMS)
    save_checkpoint(tmp_path, EditingTransformer, CONFIG, params, LETTERS, {})
    status, output, _ = run("inspect", tmp_path)
    assert status == 1
    assert "asks for no edits" in output


def test_gaps_of_unknown_length_are_refused_in_one_line(folder, run):
    status, output, errors = run("sample", folder, "--template", "B0[*]")
    assert (status, output) == (2, "")
    assert "edits its rows (trained on parity:length=7): it takes the row to begin with" in errors
    assert "mdmot train --process insertion takes gaps anywhere" in errors
