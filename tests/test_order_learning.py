"""`mdmot.learn_order` and `mdmot tune --order learned`: found, judged, written, played, resumed."""

import itertools
import json

import jax
import numpy as np
import pytest

import mdmot
from mdmot.cli import main
from mdmot.errors import InputError
from mdmot.orders import Permutation
from mdmot.plans import read_plan

PAIRS = ((1, 3), (0, 2), (4, 5))
"""Equal letters, which left to right, bisection and low discrepancy reveal two of in a step of three."""

FEW = {"evaluations": 60, "draws": 64}


@pytest.fixture(scope="module")
def law(tmp_path_factory):
    words = []
    for letters in itertools.product("ab", repeat=3):
        word = np.empty(6, "U1")
        for pair, letter in zip(PAIRS, letters, strict=True):
            word[list(pair)] = letter
        words.append("".join(word))
    path = tmp_path_factory.mktemp("laws") / "pairs.txt"
    path.write_text("\n".join(words))
    return path


@pytest.fixture
def run(capsys):
    def run_command(*words):
        status = main.status([str(word) for word in words])
        return status, *capsys.readouterr()

    yield run_command
    jax.config.update("jax_enable_x64", True)


def test_pairs_are_taken_apart(law):
    found = mdmot.learn_order(law, 2, **FEW)
    assert found.kept == "learned"
    assert found.start.loss.nats > 0.6  # a pair or more in one step, or log 2
    assert found.learned.learned_loss == pytest.approx(0, abs=1e-9)
    assert found.plan.path_kl == pytest.approx(0, abs=1e-9)
    assert found.plan.order == found.learned.learned.order
    first = {*found.learned.steps[0]}
    assert all(len(first & {*pair}) == 1 for pair in PAIRS)
    assert "better than its start" in repr(found)


def test_the_command_writes_what_was_learned(law, run, tmp_path):
    out, plots = tmp_path / "plan.json", tmp_path / "plots"
    words = ("tune", law, "--steps", 2, "--order", "learned", "--evaluations", 60, "--draws", 64)
    status, text, err = run(*words, "--out", out, "--plots", plots, "--json")
    assert status == 0, err
    found = json.loads(text)
    assert found["plan"] == "learned"
    assert found["learned"]["is_told"] is True
    assert found["loss"]["nats"] == pytest.approx(0, abs=1e-9)
    assert found["learned"]["start"]["order"]["kind"] == "left-to-right"
    plan = read_plan(out)
    assert plan.order == Permutation(found["order"]["permutation"])
    assert list(plan.counts) == found["counts"]
    # The states beside it are gone.
    assert {path.name for path in tmp_path.iterdir()} == {"plan.json", "plots"}
    assert {path.name for path in plots.iterdir()} == {"order_losses.svg", "order_steps.svg"}
    status, text, err = run("sample", law, "--schedule", out, "--num", 20, "--json")
    assert status == 0, err
    words_drawn = [sample["text"] for sample in json.loads(text)["samples"]]
    assert {*words_drawn} <= {*law.read_text().split()}


def test_the_command_says_in_words_what_was_learned(law, run, tmp_path):
    words = ("tune", law, "--steps", 2, "--order", "learned", "--evaluations", 60, "--draws", 64)
    state = tmp_path / "state"
    status, first, _ = run(*words, "--resume", state)
    assert status == 0
    assert "learned from left-to-right" in first
    assert "step 2: positions" in first
    kept = json.loads((tmp_path / "state.search").read_text())
    assert kept["state"]["evaluations"] >= 60
    status, again, _ = run(*words, "--resume", state)
    assert (status, again) == (0, first)


def test_a_search_is_asked_for_with_its_order(law, run):
    status, _, err = run("tune", law, "--steps", 2, "--order", "best", "--evaluations", 60)
    assert status == 2
    assert "--evaluations is of a search" in err
    with pytest.raises(InputError, match="7 steps"):
        mdmot.learn_order(law, 7)
