"""Words that a tokenizer has no token for: named, wherever something else would be read in their place."""

import json
import warnings

import jax
import numpy as np
import pytest

pytest.importorskip("tokenizers")

from test_published_folders import added, write_folder

from mdmot.data import Record, Records, encode_records
from mdmot.errors import InputError, InputWarning
from mdmot.models.pretrained import load_plain
from mdmot.training import PRESETS, TextMarks
from mdmot.vocabulary import Bytes, Ended, Symbols, Tokenizer, Unread, known_tokens, unread
from mdmot.workflows.answers import end_tokens
from mdmot.workflows.prompts import allowing, forbidden, prompt_row, template_rows

BLANKS = {"pre_tokenizer": {"type": "WhitespaceSplit"}}
NUMBERS = {"<unk>": 0, "a": 1, "b": 2, "ab": 3}
MASK = {"added_tokens": [added(4, "<mask>")]}
PIECES = {"vocab": NUMBERS, "merges": [["a", "b"]]}
SCORED = {"type": "Unigram", "vocab": [["<unk>", 0.0], ["a", -1.0], ["b", -2.0], ["ab", -1.5]]}
MODELS = {
    "words": {"type": "WordLevel", "vocab": NUMBERS, "unk_token": "<unk>"},
    "word pieces": {
        "type": "WordPiece",
        "vocab": NUMBERS,
        "unk_token": "<unk>",
        "continuing_subword_prefix": "",
        "max_input_chars_per_word": 100,
    },
    "pairs": {"type": "BPE", "unk_token": "<unk>", **PIECES},
    "scored": SCORED | {"unk_id": 0},
    "pairs without": {"type": "BPE", "unk_token": None, **PIECES},
}


def tokenizer(name):
    return Tokenizer(json.dumps(BLANKS | MASK | {"model": MODELS[name]}))


@pytest.mark.parametrize("name", MODELS)
def test_words_without_a_token_are_found(name):
    found = tokenizer(name)
    token = None if name == "pairs without" else "<unk>"
    for text in ("ab a\n b", "", "a <mask> b"):
        assert found.unread(text) is None
    text = "a éx a b yy éx"
    assert found.unread(text) == Unread(("éx", "yy") if name != "pairs" else ("é", "x", "y"), token)
    # A mask is none of them, neither by its sign nor as it is spelled.
    assert found.with_spelled_mask().unread("a ? <mask> yy", "?").words[0] in ("yy", "y")
    assert unread(Ended(found, 1), text) == found.unread(text)
    assert known_tokens(found, "ab") == found.encode("ab") == [3]
    with pytest.raises(InputError, match=r"'yy?'.* (read as <unk>|left out), for the vocabulary has no"):
        known_tokens(found, "yy")


def test_a_token_that_is_written_out_is_no_word_without_one():
    found = Tokenizer(json.dumps(BLANKS | {"added_tokens": [added(0, "<unk>")], "model": MODELS["words"]}))
    assert found.unread("a <unk> b") is None
    assert found.unread("a <unk> c") == Unread(("c",), "<unk>")


def test_tokenizers_of_bytes_read_everything():
    from tokenizers.pre_tokenizers import ByteLevel

    vocab = {sign: number for number, sign in enumerate(sorted(ByteLevel.alphabet()))}
    model = {"type": "BPE", "unk_token": None, "vocab": vocab, "merges": []}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    found = Tokenizer(json.dumps({"pre_tokenizer": level, "model": model}))
    assert len(found.encode("é\u200b日")) == 8
    assert found.unread("é\u200b日") is None
    assert unread(Bytes(), "é") is unread(Symbols(("a",)), "é") is None


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network that writes words, the first of which stands for those that it does not know."""
    return load_plain(write_folder(tmp_path_factory.mktemp("words"), "llada", ("[UNK]", *"bcdef")))


def test_a_prompt_that_reads_otherwise_is_noted(model, tmp_path):
    with pytest.warns(InputWarning, match=r"^--prompt: 'naïve', 'x' read as \[UNK\]: the vocabulary of"):
        assert prompt_row(model, "b naïve c x", 5)[:4] == (1, 0, 2, 0)
    file = tmp_path / "template.txt"
    file.write_text("b □ c\nb x □\n\nz □\n")
    with pytest.warns(InputWarning) as noted:
        assert len(template_rows(model, file, None, "□")) == 3
    (line,) = [str(one.message) for one in noted]
    assert line.startswith(f"{file}, line 2: 'x' read as [UNK], and more in 1 line after it: the vocab")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prompt_row(model, "b c <|mdm_mask|>", 5)


def test_the_command_line_says_so(run, tmp_path):
    folder = write_folder(tmp_path, "llada", ("[UNK]", *"bcdef"))
    with jax.numpy_dtype_promotion("standard"):
        status, _, err = run("sample", folder, "--prompt", "b x", "--length", 3, "--steps", 1)
    assert (status, "mdmot: --prompt: 'x' read as [UNK]" in err) == (0, True)


def test_texts_that_name_tokens_have_tokens(model):
    for asked, option in (
        (lambda: forbidden(model.vocabulary, ["b x"]), "--forbid"),
        (lambda: allowing(model, ["x"]), "--allow"),
        (lambda: end_tokens(model.vocabulary, ["x"]), "--end"),
        (lambda: TextMarks(answers_after="x").applied(PRESETS["tiny"], model.vocabulary), "answers_after"),
    ):
        with pytest.raises(InputError, match=rf"{option}: 'x' read as \[UNK\], for the vocabulary has no"):
            asked()


def test_records_that_read_otherwise_are_noted_or_left_out(model):
    items = (Record("b c", "", 1), Record("b xx", "", 2), Record("c", "yy", 4), Record("zz", "", 5))
    records = Records("some.txt", items, True)
    message = (
        r"^some.txt: 3 records of 4 with words that the vocabulary has no token for, as line 2: 'xx' read"
    )
    with pytest.warns(InputWarning, match=message):
        encode_records(records, model.vocabulary)
    # A network that never writes such a token has none to learn; in a prompt it may stand.
    with pytest.warns(InputWarning, match="^some.txt: 1 record of 4 .*, as line 4: 'yy'"):
        encoded = encode_records(records, model.vocabulary, never=(0,))
    assert encoded.is_written.tolist() == [True, False, True, False]
    assert encoded.unknown == "line 2: 'xx' read as [UNK], which stands in no text of the model"


def test_words_of_a_text_without_a_token_are_counted(tmp_path):
    from mdmot.training.data_source import data_source

    given = tmp_path / "tokenizer.json"
    given.write_text(json.dumps(BLANKS | {"model": MODELS["words"]}))
    text = tmp_path / "text.txt"
    text.write_text("a b c\n" * 200)
    source = data_source(text, None, given, {}, tmp_path / "kept.json")
    with pytest.warns(InputWarning, match=r"text.txt: [0-9]+ of [0-9]+ tokens are <unk>, which"):
        data = source.read(3, tmp_path / "out", tmp_path / "cache", 0)
    assert np.mean(data.windows == 0) == pytest.approx(1 / 3)
