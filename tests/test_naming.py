"""`mdmot.load`: whatever a user may name becomes a model with its vocabulary, length and provenance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mdmot
from mdmot.errors import InputError
from mdmot.models import bundled_model, load_checkpoint
from mdmot.vocabulary import Bytes, Symbols
from mdmot.workflows.naming import precision_of


def test_a_test_bed_is_loaded_with_its_law():
    named = mdmot.load("markov:states=2,length=6")
    assert (named.length, named.vocabulary, named.model.mask_id) == (6, Symbols(("a", "b")), 2)
    rows = named.drawn(0, 5)
    assert rows.shape == (5, 6)
    np.testing.assert_allclose(named.log_prob(rows), named.law.log_prob(jnp.asarray(rows)), rtol=1e-12)
    masked = jnp.full((1, 6), 2, jnp.int32)
    # A stationary chain whose states are alike.
    np.testing.assert_allclose(jax.nn.softmax(named.model(masked)), 0.5, rtol=1e-12)
    assert repr(named) == (
        "Named('markov:states=2,length=6': a law, sequences of 6 tokens, 2 kinds of them)"
    )


def test_a_law_file_is_loaded(tmp_path):
    (tmp_path / "law.txt").write_text("ab\nba\n")
    named = mdmot.load(tmp_path / "law.txt")
    assert (named.length, named.law.spec) == (2, str(tmp_path / "law.txt"))
    named.assert_possible([0, 2], "here")
    with pytest.raises(InputError, match="here: no sequence of the law has these tokens"):
        named.assert_possible([0, 0], "here")


def test_the_bundled_model_is_loaded_if_nothing_is_named():
    named, saved = mdmot.load(), load_checkpoint(bundled_model())
    assert (named.name, named.vocabulary, named.law) == ("the bundled model", Bytes(), None)
    assert (named.provenance, named.weights_sha256) == (saved.provenance, saved.weights_sha256)
    assert named.trained_on == (None, None)
    assert named.held_out["sha256"] == saved.provenance["data"]["held_out"]["sha256"]
    with pytest.raises(InputError, match="a network has no probabilities"):
        named.drawn(0, 2)
    named.assert_length(256, "here")
    with pytest.raises(InputError, match="here: 257 tokens; the network is made for 1 to 256"):
        named.assert_length(257, "here")


def test_laws_are_computed_in_double_precision_and_networks_as_they_were_trained(tmp_path):
    assert [precision_of(name) for name in (None, tmp_path, "markov")] == ["float32", "float32", "float64"]


def test_batches_fit_into_memory():
    named = mdmot.load("markov:states=4,length=4096")
    assert named.rows_at_once(8) == 8
    assert named.rows_at_once(10**9) == 2**25 // named.entries > 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("markow:stay=.9", "test bed 'markow' is not known"),
        ("gone", "no such file"),
        ("p.json", "p.json: no such file"),
    ],
)
def test_other_names_are_refused(name, words):
    with pytest.raises(InputError, match=words):
        mdmot.load(name)
