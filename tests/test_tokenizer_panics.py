"""What the library `tokenizers` fails with is one line, however it fails."""

import contextlib
import json
import os
import re
import subprocess
import sys

import pytest

from mdmot.errors import InputError
from mdmot.vocabulary import Tokenizer, read_tokenizer
from mdmot.vocabulary.tokenizer_panics import guarded

pytest.importorskip("tokenizers")


def tokenizer_json(pattern, model=None, **more):
    """A tokenizer that cuts a text where a pattern of Oniguruma matches."""
    regex = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return json.dumps(
        {
            "version": "1.0",
            "added_tokens": [],
            "pre_tokenizer": regex,
            "model": model or {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
            **more,
        }
    )


PANICS = tokenizer_json("(a+)+$")
HARD = "a" * 40 + "b"
"""Takes 2^40 ways to see that the pattern does not match; Oniguruma gives up and the library panics."""


def test_a_panic_is_one_line_and_prints_nothing(capfd):
    tokenizer = Tokenizer(PANICS)
    for sign in (None, "_"):
        with pytest.raises(
            InputError, match=r"^the tokenizer fails on this text \(.*; pass another"
        ) as raised:
            tokenizer.encode(HARD, sign)
        assert "\n" not in str(raised.value)
    assert tokenizer.encode("ab") == [0, 1]
    assert capfd.readouterr() == ("", "")


def test_the_command_line_says_it_in_one_line(tmp_path):
    (tmp_path / "tokenizer.json").write_text(PANICS)
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(HARD)
    arguments = ["train", "--preset", "tiny", "--text", ".", "--tokenizer", "tokenizer.json"]
    done = subprocess.run(
        [sys.executable, "-m", "mdmot", *arguments, "--out", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"RUST_BACKTRACE": "1"},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(r"mdmot: (one|two)\.txt: the tokenizer fails on this text \(", done.stderr)
    assert done.stderr.count("\n") == 1


def test_other_failures_of_a_call_are_one_line_too():
    words = {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "none"}
    with pytest.raises(InputError, match="the tokenizer fails on this text"):
        Tokenizer(tokenizer_json("x", words)).encode("c")
    with pytest.raises(InputError, match="the tokenizer fails on these tokens"):
        Tokenizer(PANICS).decode([-1], "?")
    with pytest.raises(InputError, match="surrogates"):
        Tokenizer(PANICS).encode("a\ud800")


@pytest.mark.parametrize("content", ["(", tokenizer_json("("), '{"model": 3}', "[" * 10**5])
def test_a_file_that_cannot_be_parsed_is_one_line(content, tmp_path, capfd):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(InputError, match="no tokenizer") as raised:
        read_tokenizer(path)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_number_that_no_network_can_have_weights_for_is_refused():
    words = {"type": "WordLevel", "vocab": {"a": 0, "b": 4 * 10**9}, "unk_token": "a"}
    with pytest.raises(InputError, match="go up to 4000000000, expected less than"):
        Tokenizer(tokenizer_json("x", words))


def test_what_others_print_meanwhile_is_passed_on_and_an_interruption_too(capfd):
    with guarded("a call", "none"):
        os.write(2, b"a warning\n")
    with contextlib.suppress(InputError), guarded("a call", "none"):
        os.write(2, b"another\n")
        raise ValueError
    with pytest.raises(KeyboardInterrupt), guarded("a call", "none"):
        raise KeyboardInterrupt
    assert capfd.readouterr().err == "a warning\nanother\n"
