"""Records from a file to a model and back: trained on, evaluated, sampled, by the command line."""

import gzip
import io
import json
import math
import sys

import jax
import numpy as np
import pytest
from flax import nnx

import mdmot
from mdmot.cli import main
from mdmot.data import hold_out_documents, hold_out_records, read_corpus, read_records
from mdmot.errors import InputError
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx, save_checkpoint
from mdmot.training import TextMarks
from mdmot.vocabulary import Bytes
from mdmot.workflows.prompts import prompt_row, template_rows

SHARES, LETTERS = {4: 0.5, 6: 0.3, 9: 0.2}, "abcd"
SETTINGS = {"preset": "tiny", "width": 16, "num_steps": 300, "batch_size": 32, "learning_rate": 0.02}
SETTINGS |= {"log_every": 100, "save_every": 300, "num_evaluated": 64}


pytestmark = pytest.mark.usefixtures("promotion")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of texts of random letters, and of three lengths, with a blank before each as it happens."""
    root = tmp_path_factory.mktemp("trained")
    draw = np.random.default_rng(0)
    sizes = draw.choice(list(SHARES), 2000, p=list(SHARES.values()))
    (root / "words.csv").write_text("n,word\n" + "".join(f"0,{word(draw, size)}\n" for size in sizes))
    with jax.numpy_dtype_promotion("standard"):
        return mdmot.train(root / "model", records=f"{root / 'words.csv'}:word", **SETTINGS)


def word(draw, size):
    return "".join(draw.choice(list(LETTERS), size))


def run_cli(capsys, *arguments):
    code = main.status([*map(str, arguments)])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured


def cost(text):
    """-log of the probability that the data are drawn with, in nats."""
    return -math.log(SHARES[len(text)]) + len(text) * math.log(len(LETTERS))


def test_lengths_of_samples_follow_the_law_of_the_data(trained, capsys):
    assert trained.config.model.length == 10  # the longest and its end
    named = mdmot.load(trained.folder)
    assert (named.length, named.vocabulary.size, named.end) == (10, 5, 4)
    out = run_cli(capsys, "sample", trained.folder, "--num", 400, "--sampler", "fixed", "--json").out
    found = json.loads(out)["samples"]
    sizes = np.array([len(one["text"]) for one in found])
    for size, share in SHARES.items():
        # Five deviations of 400 draws, and .04 for a network of 300 steps (its divergence from the data
        # is below .02 nats by the test that follows, which lets shares be off by .1 at most).
        assert abs((sizes == size).mean() - share) < 5 * math.sqrt(share * (1 - share) / 400) + 0.04
    assert np.isin(sizes, list(SHARES)).mean() > 0.97
    # A text is cut at its first end; what is drawn behind it are ends, but for the network's error.
    is_whole = [one["tokens"][len(one["text"]) :] == [4] * (10 - len(one["text"])) for one in found]
    assert np.mean(is_whole) > 0.97


def test_nats_of_a_record_are_those_of_its_law(trained, capsys):
    records = read_records(str(trained.folder.parent / "words.csv") + ":word")
    held_out = hold_out_records(records)[1]
    out = json.loads(run_cli(capsys, "evaluate", trained.folder, "--json").out)
    assert out["documents"] == len(held_out.items)
    sizes = [len(record.text) for record in held_out.items]
    assert out["tokens"] == sum(sizes) + len(sizes)  # each with its end
    expected = np.mean([cost(record.text) for record in held_out.items])
    assert abs(out["nats_per_record"] - expected) < 5 * out["nats_per_record_standard_error"] + 0.05
    nats = out["nats_per_record"] * len(sizes)
    assert out["bits_per_token"] * out["tokens"] * math.log(2) == pytest.approx(nats, rel=1e-9)
    assert out["bits_per_byte"] * sum(sizes) * math.log(2) == pytest.approx(nats, rel=1e-9)
    # The checkpoint measures 64 of them by other masks.
    line = trained.metrics
    assert abs(line["held_out_nats_per_record"] - expected) < 1.5
    assert (
        abs(line["held_out_bits_per_token"] - out["bits_per_token"]) < 5 * line["held_out_standard_error"]
    )
    assert line["bits_per_token"] == pytest.approx(out["bits_per_token"], abs=0.3)


def test_records_are_evaluated_from_standard_input(trained, capsys, monkeypatch):
    file = trained.folder.parent / "words.csv"
    options = ("--limit", 64, "--json")
    whole = run_cli(capsys, "evaluate", trained.folder, "--records", f"{file}:word", *options).out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    piped = run_cli(capsys, "evaluate", trained.folder, "--records", "-:word", *options).out
    assert json.loads(piped) == json.loads(whole)
    assert json.loads(whole)["documents"] == 64


def test_a_prompt_and_a_length_leave_ends_behind_them(trained, tmp_path):
    named, mask, end = mdmot.load(trained.folder), 5, 4
    assert prompt_row(named, "abca", None) == (0, 1, 2, 0, *[mask] * 6)
    assert prompt_row(named, "abca", 6) == (0, 1, 2, 0, *[mask] * 2, *[end] * 4)
    (tmp_path / "template.txt").write_text("a_b\n____\n")
    rows = template_rows(named, tmp_path / "template.txt", None, "_")
    assert rows == [(0, mask, 1, *[end] * 7), (*[mask] * 4, *[end] * 6)]


def test_other_records_are_left_out_by_name_or_refused(trained, capsys, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("abcd\nabxd\ndcbaabcd\n" + "a" * 11 + "\n")
    found = run_cli(capsys, "evaluate", trained.folder, "--records", other, "--all", "--json")
    assert json.loads(found.out)["documents"] == 2
    assert "left out: of 4 records 1 is longer than 10 tokens (line 4 has 11) and 1 cannot" in found.err
    assert "as line 2: 'x' not in the vocabulary" in found.err
    other.write_text("xyz\n")
    with pytest.raises(InputError, match=r"of 1 record 1 cannot be written .* line 1: .*; pass other rec"):
        mdmot.evaluate(trained.folder, records=other, everything=True)
    other.write_text("abcd\nxyz\n")
    for whole, message in (
        (True, r": 1 record that .* can read, expected 2 or more; pass more$"),
        (False, r"2 different records, .*; pass three or more, or --all for those that there are$"),
    ):
        with pytest.raises(InputError, match=message):
            mdmot.evaluate(trained.folder, records=other, everything=whole)


def test_a_file_that_is_sorted_or_has_no_doubles_is_the_same(trained, capsys, tmp_path):
    lines = (trained.folder.parent / "words.csv").read_text().splitlines()
    doubt = "not the records that the model's training held out"
    for part, is_doubted in ((sorted(set(lines[1:])), False), (lines[200:], True)):
        other = tmp_path / "other.csv"
        other.write_text("\n".join([lines[0], *part]))
        options = ("--records", f"{other}:word", "--limit", 64)
        assert (doubt in run_cli(capsys, "evaluate", trained.folder, *options).err) == is_doubted


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": "x.txt", "records": "y.txt"}, "--records and other data are both given"),
        ({"prompt_column": "x", "text": "x.txt"}, "--prompt-column is of records"),
        ({"steps": 4}, "--steps is not read for records"),
        ({"num": 4}, "--num is not read for records"),
        ({"length": 4}, "--length is not read for records"),
    ],
)
def test_evaluate_refuses_what_does_not_go_with_records(trained, given, message):
    with pytest.raises(InputError, match=message):
        mdmot.evaluate(trained.folder, **given)


def even_model(folder, provenance):
    """A network to which all bytes are alike."""
    config = TransformerConfig(vocab_size=256, length=8, width=8, depth=1, heads=2)
    _, shapes = from_nnx(nnx.eval_shape(lambda: MaskedTransformer(config, nnx.Rngs(0))))
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    save_checkpoint(folder, MaskedTransformer, config, zeros, Bytes(), provenance)
    return folder


def test_nothing_is_held_out_of_a_text_for_a_network_of_others(capsys, monkeypatch, tmp_path):
    text = tmp_path / "text"
    text.mkdir()
    for number in range(30):
        (text / f"{number}.txt").write_text(f"document {number} ")
    held_out = hold_out_documents(read_corpus(text))[1]
    others, ours = (even_model(tmp_path / name, made) for name, made in (("a", {}), ("b", {"data": {}})))
    options = ("--limit", 2, "--json")
    documents = [
        json.loads(run_cli(capsys, "evaluate", model, "--text", text, *options).out)["documents"]
        for model in (others, ours)
    ]
    assert documents == [30, len(held_out.entries)]
    # What is piped in is one text, held out by no training.
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"sixteen bytes or" * 4)))
    found = run_cli(capsys, "evaluate", ours, "--text", "-", "--all", "--json")
    assert json.loads(found.out)["tokens"] == 64
    assert "8 windows of 8 tokens from the 16 documents of standard input" in found.err


def test_a_model_of_records_reads_no_windows_of_a_text(trained):
    with pytest.raises(InputError, match="windows of a text would cut them; pass --records FILE"):
        mdmot.evaluate(trained.folder, text=trained.folder.parent / "words.csv")


def test_a_law_has_no_records(tmp_path):
    with pytest.raises(InputError, match="a law makes its own sequences"):
        mdmot.evaluate("markov:states=2,length=4", records=tmp_path / "x.txt")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": "x", "records": "y"}, "text and records are both given"),
        ({"language": "sudoku:size=4", "records": "y"}, "language and records are both given"),
        ({"prompt_column": "x"}, "prompt_column is of records, and there are none"),
        ({"pieces": "smiles"}, "pieces is of records, and there are none"),
        ({"records": "-"}, "records of standard input cannot be read again"),
        ({"records": "x.txt", "pieces": "("}, "'\\(' is no regular expression"),
        ({"records": "x.txt", "pieces": "a"}, "'b0' is nothing that 'a' finds"),
        ({"records": "x.txt", "pieces": "bytes", "tokenizer": "t.json"}, "both say what a token is"),
        ({"records": "x.txt", "length": 1}, "no record fits|longer than 1 token "),
        ({"records": "x.txt", "marks": TextMarks(answers_after="b")}, "leave --answers-after out"),
        ({"records": "two.txt"}, "2 different records"),
        ({"records": "none.txt"}, "cannot read none.txt"),
    ],
)
def test_train_refuses_what_does_not_go_together_and_leaves_nothing(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\nc\n")))
    (tmp_path / "x.txt").write_text("".join(f"ab{n}\n" for n in range(40)))
    (tmp_path / "two.txt").write_text("a\nb\n")
    vocab = {"a": 0, "b": 1}
    (tmp_path / "t.json").write_text(
        json.dumps({"model": {"type": "WordLevel", "vocab": vocab, "unk_token": "a"}})
    )
    with pytest.raises(InputError, match=message):
        mdmot.train("out", **{"preset": "tiny"} | given)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_on_prompted_records_goes_on_where_it_was_stopped_and_moved(tmp_path):
    lines = [json.dumps({"prompt": f"{n}+1=", "answer": str(n + 1)}) for n in range(200)]
    file = tmp_path / "sums.jsonl"
    file.write_text("\n".join(lines))
    settings = {"preset": "tiny", "width": 8, "batch_size": 8, "num_steps": 6, "num_microbatches": 2}
    settings |= {"log_every": 1, "save_every": 2, "num_evaluated": 8, "records": file}
    whole = mdmot.train(tmp_path / "whole", **settings)
    assert whole.config.model.length == 10  # 199+1=200 and its end

    def stop(at):
        if at.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mdmot.train(tmp_path / "parts", **settings, show=stop)
    moved = tmp_path / "moved.jsonl.gz"
    moved.write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()
    with pytest.raises(InputError, match="cannot read"):
        mdmot.train(tmp_path / "parts", resume=True)
    found = mdmot.train(tmp_path / "parts", records=moved, resume=True)
    assert found.resumed_from == 4
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "parts")]
    assert weights[0] == weights[1]
    moved.write_bytes(gzip.compress("\n".join(lines[1:]).encode()))
    with pytest.raises(InputError, match=r"cannot resume: data.held_out|cannot resume: data.train"):
        mdmot.train(tmp_path / "parts", records=moved, resume=True, num_steps=8)
