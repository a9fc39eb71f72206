"""Templates as texts, gaps of unknown length in them, records without ends, and lengths compared."""

import itertools
import json

import jax.numpy as jnp
import numpy as np
import pytest

from mdmot.data import Record, Records, encode_records
from mdmot.errors import InputError
from mdmot.metrics import total_variation_of_samples
from mdmot.model import Model
from mdmot.models import InsertionConfig, Named
from mdmot.training.insertion_source import InsertionSource, begun_rows, insertion_batches
from mdmot.training.record_source import record_source
from mdmot.vocabulary import Bytes, Ended, Symbols
from mdmot.workflows.inserting import InsertedSample, steps_of, without_room
from mdmot.workflows.prompts import prompt_row, template_rows

LAW = "markov:states=2,length=4"


def uniform(params, tokens):
    return jnp.zeros((*tokens.shape, 3))


ENDED = Named(
    "ended",
    Model(uniform, None, mask_id=3),
    Ended(Symbols(("a", "b")), end=2),
    length=6,
    widest=3,
    provenance={"data": {"room": 3}},
)


def test_a_template_is_a_text_where_no_such_file_is(run, tmp_path):
    arguments = ("sample", LAW, "--steps", 2, "--json")
    path = tmp_path / "t.txt"
    path.write_text("a□b□\n")
    texts = [json.loads(run(*arguments, "--template", x)[1])["samples"] for x in ("a□b□", path)]
    assert texts[0] == texts[1]
    assert texts[0][0]["text"][0] + texts[0][0]["text"][2] == "ab"
    found = json.loads(run(*arguments, "--template", "a_b_", "--mask-symbol", "_")[1])["samples"]
    assert found == texts[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--template", "ab"], "--template ab: cannot be read"),
        (
            ["--template", "a[*]"],
            "[*] is any number of tokens, and markov:states=2,length=4 reveals",
        ),
        (["--template", "[*]b[*]"], "mdmot train --process insertion takes gaps anywhere"),
        (["--template", "a*", "--gap-symbol", "*"], "--template a*: * is any number of tokens"),
        (["--template", "a□b"], "the sequences of the law have 4"),
        (["--insertion-schedule", "cosine"], "--insertion-schedule means nothing for a masked model"),
    ],
)
def test_what_a_masked_model_does_not_fill_in_is_refused_in_one_line(run, options, said):
    status, output, errors = run("sample", LAW, *options)
    assert (status, output) == (2, "")
    assert said in errors.splitlines()[-1]


def test_a_model_that_learns_ends_takes_one_gap_at_the_end():
    assert template_rows(ENDED, "ab[*]", None, "_", "[*]") == [prompt_row(ENDED, "ab", None)]
    assert template_rows(ENDED, "ab[*]", None, "_", "[*]") == [(0, 1, 3, 3, 3, 2)]
    assert template_rows(ENDED, "[*]", None, "_", "[*]") == [(3, 3, 3, 2, 2, 2)]
    for text in ("[*]ab", "a[*]b[*]"):
        with pytest.raises(InputError, match="takes one at the end of a line alone"):
            template_rows(ENDED, text, None, "_", "[*]")


def test_records_without_ends_are_padded_and_begin_with_their_prompts():
    items = (Record("ab", "x:", 1), Record("", "yz:", 2), Record("toolong", "", 3))
    encoded = encode_records(Records("three", items, True), Bytes())
    (rows,), left_out = encoded.padded(5, pad=257)
    assert rows.tokens.tolist() == [[120, 58, 97, 98, 257], [121, 122, 58, 257, 257]]
    assert rows.parts.counted.tolist() == [2, 0]
    assert "longer than 5 tokens" in left_out
    found = begun_rows(rows.tokens, rows.parts.first, 257)
    np.testing.assert_array_equal(found.tokens, rows.tokens)
    # Something may be missing from the end of the prompt on, behind an empty text too.
    assert found.is_open.astype(int).tolist() == [[0, 0, 1, 1, 1, 0], [0, 0, 0, 1, 0, 0]]
    assert found.is_given.astype(int).tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0]]


def test_all_records_are_met_once_an_epoch_with_room_for_longer_ones(tmp_path):
    path = tmp_path / "words.txt"
    words = ["a" * n + "b" for n in range(1, 9)]
    path.write_text("".join(f"{word}\n" for word in words))
    source = InsertionSource(record_source(str(path), None, None, None))
    assert (source.longest(), source.length(), source.vocabulary.symbols) == (9, 12, ("a", "b"))
    size = InsertionConfig(vocab_size=2, length=12, width=4, depth=1, heads=1)
    data = source.read(size)
    assert data.windows.shape[1] == 9
    num = len(data.windows)
    batches = insertion_batches(data, 0, num, size.pad_id)
    lengths = sorted(np.asarray((batches(5).tokens != size.pad_id).sum(axis=1)).tolist())
    assert lengths == sorted((data.windows != size.pad_id).sum(axis=1).tolist())
    short = InsertionConfig(vocab_size=2, length=4, width=4, depth=1, heads=1)
    with pytest.raises(InputError, match=r"held-out record of at most 4 tokens|longer than 4 tokens"):
        source.read(short)


def test_the_distance_of_two_samples_against_all_ways_to_deal_them():
    first, second = np.array([1, 1, 1, 2]), np.array([2, 3, 3])
    found = total_variation_of_samples(0, first, second)
    # Frequencies 3/4, 1/4, 0 against 0, 1/3, 2/3.
    assert found.value == pytest.approx(0.75)
    pooled = np.concatenate([first, second])

    def apart(chosen):
        others = np.delete(pooled, list(chosen))
        parts = [np.bincount(part, minlength=4) / len(part) for part in (pooled[list(chosen)], others)]
        return np.abs(parts[0] - parts[1]).sum() / 2

    every = [apart(chosen) for chosen in itertools.combinations(range(7), 4)]
    # 400 relabellings: their mean is off by a twentieth of the spread of one.
    assert abs(found.by_chance - np.mean(every)) < 4 * np.std(every) / 20
    pairs = itertools.product(itertools.product(first, repeat=4), itertools.product(second, repeat=3))
    again = [
        np.abs(np.bincount(one, minlength=4) / 4 - np.bincount(other, minlength=4) / 3).sum() / 2
        for one, other in pairs
    ]
    # The error of a spread of 400 draws is about a 28th of it.
    assert found.standard_error == pytest.approx(np.std(again), rel=4 / 28)
    with pytest.raises(InputError, match="at least 2 of each"):
        total_variation_of_samples(0, first, second[:1])


def test_the_message_of_rows_without_room_says_what_to_do():
    lost = [InsertedSample(None, 1, 7 + n) for n in range(7)]
    message = without_room(lost, 6, 20)
    assert message.endswith("10 (tokens), left out; pass --length 13") or "and 2 more" in message
    assert "pass --length 13" in message
    assert "take more --steps" in without_room(lost, 20, 20)
    assert without_room([InsertedSample([1], 1, 1)], 6, 20) is None


def test_steps_follow_the_room_unless_they_are_given():
    assert [len(steps_of(steps, 10, "sine", "linear").insert) for steps in (None, 2, 7)] == [20, 2, 7]
    assert len(steps_of(None, 1000, "sine", "linear").insert) == 256
