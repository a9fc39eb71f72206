"""The model that comes with mdmot: whole, small, what its papers say, and used when no model is named."""

import json
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot.cli import main
from mdmot.data import hold_out_documents, read_corpus, tokenize
from mdmot.errors import InputError
from mdmot.information import read_profile
from mdmot.metrics import held_out_bits
from mdmot.models import bundled, bundled_model, bundled_profile, load_checkpoint
from mdmot.plans import read_plan
from mdmot.workflows.naming import BUNDLED, load

LARGEST = 8_000_000
NUM_WINDOWS = 64


@pytest.fixture(autouse=True)
def precision():
    """The commands set the precision of their process."""
    yield
    jax.config.update("jax_enable_x64", True)


def run(capsys, *arguments):
    status = main.status([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    return captured.out, captured.err


def test_it_is_small_and_says_what_it_is():
    folder = bundled_model()
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert set(files) == {"model.json", "weights.safetensors", "profile.json", "CARD.md"}
    assert sum(files.values()) <= LARGEST
    card = (folder / "CARD.md").read_text(encoding="utf-8")
    for word in ("PSF", "bfloat16", "held out"):
        assert word in card
    model = load_checkpoint(folder)
    assert {leaf.dtype for leaf in jax.tree.leaves(model.model.params)} == {jnp.dtype("bfloat16")}
    assert {"command", "seed", "versions", "data", "step", "config"} <= model.provenance.keys()
    assert set(model.provenance["data"]) == {"train", "held_out"}


def test_it_reaches_on_held_out_text_what_it_says():
    model = load_checkpoint(bundled_model())
    text = tokenize(hold_out_documents(read_corpus(None))[1], model.vocabulary, None)
    held_out = text.windows(model.length)
    found = held_out_bits(
        jax.random.key(0),
        model.model,
        held_out[np.arange(NUM_WINDOWS) * len(held_out) // NUM_WINDOWS],  # as at the end of training
        batch_size=16,
        bytes_per_token=text.bytes_per_token,
    ).bits_per_byte
    assert is_same(found.value, found.standard_error, model.provenance)
    # A window's bits spread by about one: more would hide a model that is off by half a bit.
    assert found.standard_error < 1.5 / math.sqrt(NUM_WINDOWS)


def test_its_card_says_what_it_is():
    said = load_checkpoint(bundled_model()).provenance
    card = (bundled_model() / "CARD.md").read_text(encoding="utf-8")
    assert f"| {said['step']:,} of {said['config']['num_steps']:,} updates " in card
    for part in said["data"].values():
        assert f"{part['bytes']:,} bytes (sha256 {part['sha256'][:12]})" in card
    bits, error = re.search(r"^\| this model, at most \| ([\d.]+) ± ([\d.]+) \|", card, re.M).groups()
    assert is_same(float(bits), float(error), said)


def is_same(bits, error, provenance):
    """Whether bits per byte are those at the end of training, up to four errors of the difference."""
    claimed, its_error = (provenance[f"held_out_{name}"] for name in ("bits_per_token", "standard_error"))
    return abs(bits - claimed) < 4 * math.hypot(error, its_error)


def test_its_profile_is_its_own():
    profile, source = read_profile(bundled_profile()), load()
    assert profile.provenance["weights_sha256"] == source.weights_sha256
    assert source.name == BUNDLED
    assert profile.length == source.length
    assert profile.provenance["data"]["licence"] == "PSF-2.0"
    assert profile.provenance["method"] == "measured"


def test_it_writes_when_no_model_is_named(capsys):
    arguments = ("sample", "--prompt", "import ", "--length", 16, "--steps", 3, "--json")
    (one,) = json.loads(run(capsys, *arguments)[0])["samples"]
    assert one["text"].startswith("import ")
    assert len(one["tokens"]) == 16


def test_it_is_tuned_by_the_profile_that_comes_with_it(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("mdmot.information.estimate_profile", None)
    out = tmp_path / "plan.json"
    found, said = run(capsys, "tune", "--steps", 8, "--out", out, "--json")
    assert sum(json.loads(found)["counts"]) == 256
    assert "profile that came with the bundled model" in said
    profile = read_profile(bundled_profile())
    assert read_plan(out).provenance["profile"] == profile.provenance


def test_it_is_measured_when_something_of_the_measurement_is_asked_for(capsys, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("import os\n" * 20)
    arguments = ("--length", 8, "--levels", 3, "--draws", 2, "--text", text, "--json")
    found, said = run(capsys, "tune", "--steps", 2, *arguments)
    assert sum(json.loads(found)["counts"]) == 8
    assert "came with" not in said


def test_an_installation_without_it_is_named(monkeypatch):
    monkeypatch.setattr(bundled, "FOLDER", "gone")
    for find in (bundled_model, bundled_profile):
        with pytest.raises(InputError, match=r"gone.* is missing; install mdmot again"):
            find()
