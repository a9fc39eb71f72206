"""What a training says of the data that it cannot use, and the command that it proposes at its end."""

import json
import shlex
import subprocess

import numpy as np
import pytest
from test_fine_tuning import records_file

from mdmot.cli.outputs import _quoted
from mdmot.errors import InputError
from mdmot.names import assert_pieces
from mdmot.training import Answers, LearnedOrder
from mdmot.training.trying import prompt_of_rows
from mdmot.vocabulary import Bytes
from mdmot.workflows import train

SMALL = ["--preset", "tiny", "--width", 8, "--steps", 1, "--warm-up", 0, "--batch", 4, "--evaluated", 4]


pytestmark = pytest.mark.usefixtures("promotion")


def sums(folder, end="="):
    """A file of prompted records, whose prompts end with this."""
    lines = [json.dumps({"prompt": f"{n}+3{end}", "answer": str(n + 3)}) for n in range(90)]
    return records_file(folder / "sums.jsonl", lines)


@pytest.mark.parametrize("end", ["=", " it's?\n"])
def test_what_comes_next_for_a_model_of_prompts_works(run, tmp_path, end):
    out = tmp_path / "my run"
    status, _, err = run("train", "--records", sums(tmp_path, end), *SMALL, "--out", out)
    first = f"{f'0+3{end}'!r}"
    assert f"train: {tmp_path / 'sums.jsonl'}: 90 records; " in err
    assert f" held out; the first is '3' behind {first}".replace("\n", "\\n") in err
    line = err.splitlines()[-1]
    assert (status, line.partition("next: ")[0]) == (0, f"wrote {out}; ")
    # As the shell reads it.
    command = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line.partition('next: ')[2]}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")[:-1]
    assert command[:4] == ["mdmot", "sample", str(out), "--prompt"]
    assert command[4] in {f"{n}+3{end}" for n in range(10)}  # one of the shortest
    status, printed, err = run(*command[1:], "--steps", 2)
    assert (status, printed.startswith(command[4].split("\n")[0])) == (0, True)
    assert "there is none; pass --prompt" not in err


def test_what_comes_next_for_a_model_of_answers_works(run, tmp_path):
    language = ["--language", "arithmetic:digits=1", "--answers-after", "="]
    status, _, err = run("train", *language, *SMALL, "--out", tmp_path / "run")
    command = shlex.split(err.splitlines()[-1].partition("next: ")[2])
    assert (status, command[3], command[4][-1]) == (0, "--prompt", "=")
    status, printed, _ = run(*command[1:], "--steps", 2)
    assert (status, printed.startswith(command[4])) == (0, True)


def test_a_prompt_of_text_is_a_whole_one():
    text = "tion?\nA: 1\nQ: what is it?\nA: 2\nQ: é?\nA: 3\nQ: half"
    rows = np.array([Bytes().encode(text)])
    answers = Answers(tuple(b"A: "), tuple(b"\n"))
    assert prompt_of_rows(rows, answers, Bytes()) == "Q: é?\nA: "
    assert prompt_of_rows(rows[:, :10], answers, Bytes()) == "tion?\nA: "
    assert prompt_of_rows(rows[:, :6], answers, Bytes()) is None


@pytest.mark.parametrize(
    "word", ["sums", "my sums", "it's", "a\\b\n\t'c'", "\x01\x80\xa0é\u200b\U000e0001"]
)
def test_words_are_quoted_as_a_shell_reads_them(word):
    quoted = _quoted(word)
    assert quoted.isprintable()
    command = ["bash", "-c", f"printf %s {quoted}"]
    printed = subprocess.run(command, capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}).stdout
    assert printed.decode() == word


def test_an_order_is_not_learned_of_given_positions(tmp_path):
    with pytest.raises(InputError, match="leave --learned-order out, or pass records without prompts"):
        train(tmp_path / "run", preset="tiny", records=sums(tmp_path), order=LearnedOrder())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        (
            "chars",
            r"--pieces 'chars' is not known \(did you mean characters\?\); use characters, bytes, smil",
        ),
        ("SMILES", r"did you mean smiles\?"),
        ("", "--pieces '' is not known; use characters"),
    ],
)
def test_pieces_by_a_name_that_nothing_has_are_refused(run, tmp_path, pieces, message):
    file = records_file(tmp_path / "x.txt")
    with pytest.raises(InputError, match=message):
        train(tmp_path / "run", preset="tiny", records=file, pieces=pieces)
    status, _, err = run("train", "--records", file, "--pieces", pieces, "--out", tmp_path / "run")
    assert (status, message.partition("\\")[0].partition("did")[0] in err) == (2, True)
    for expression in ("A", "A|B", "[A-Z]", "."):
        assert_pieces(expression)
