"""Model folders as they are published: masks spelled out, odd vocabularies, spare tensors."""

import dataclasses
import json

import jax
import pytest
from test_pretrained import CONFIGS, tensors_of, write

from mdmot.cli import main
from mdmot.models.pretrained import load_plain
from mdmot.vocabulary import Symbols, Tokenizer
from mdmot.workflows.prompts import forbidden, prompt_row, template_rows

SYMBOLS = {
    "bert": ("[PAD]", "[CLS]", "[SEP]", "a", "b", "[UNK]", "[MASK]"),
    "esm": ("<pad>", "<cls>", "<eos>", "A", "B", "<unk>", "<mask>"),
}
SPELLED = {"bert": "[MASK]", "esm": "<mask>", "llada": "<|mdm_mask|>", "Dream": "<|mask|>"}


def added(number, text, **more):
    """An added token as tokenizer.json has it."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": text, "special": True} | flags | more


def word_tokenizer(words, *added_tokens):
    model = {"type": "WordLevel", "vocab": {word: k for k, word in enumerate(words)}, "unk_token": words[0]}
    return {"added_tokens": added_tokens, "pre_tokenizer": {"type": "Whitespace"}, "model": model}


def write_folder(folder, name, words=("a", "b", "c", "d", "e", "f"), mask=6):
    """A folder of a family whose mask has the number 6."""
    write(folder, CONFIGS[name], tensors_of(CONFIGS[name]))
    if name in SYMBOLS:
        (folder / "vocab.txt").write_text("\n".join(SYMBOLS[name]) + "\n")
    else:
        pytest.importorskip("tokenizers")
        content = word_tokenizer(words, added(mask, SPELLED[name]))
        (folder / "tokenizer.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def run(capsys):
    """A command line that returns its status, output and messages; it sets the precision of its process."""

    def command(*arguments):
        status = main.status([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    yield command
    jax.config.update("jax_enable_x64", True)


@pytest.mark.parametrize("name", SPELLED)
def test_a_mask_spelled_out_is_a_mask(tmp_path, name):
    model = load_plain(write_folder(tmp_path, name))
    letter, mask, sign = "A" if name == "esm" else "a", model.model.mask_id, SPELLED[name]
    known = model.vocabulary.encode(letter)[0]
    (tmp_path / "template.txt").write_text(f"{letter} {sign}\n{sign}{sign} {letter}\n□ {sign}\n")
    expected = [(known, mask), (mask, mask, known), (mask, mask)]
    assert template_rows(model, tmp_path / "template.txt", None, "□") == expected
    assert prompt_row(model, f"{sign} {letter}", 3) == (mask, known, mask)
    (tmp_path / "template.txt").write_text(f"{letter} {sign}\n")
    assert template_rows(model, tmp_path / "template.txt", None, sign) == expected[:1]
    assert forbidden(model.vocabulary, [letter, sign]) == (known,)


def test_spelled_masks_are_filled_from_the_command_line(run, tmp_path):
    folder = tmp_path / "esm"
    folder.mkdir()
    write_folder(folder, "esm")
    (tmp_path / "template.txt").write_text("A <mask> <mask>\n")
    arguments = ("--template", tmp_path / "template.txt", "--mask-symbol", "<mask>", "--json")
    status, out, err = run("sample", folder, *arguments)
    assert status == 0, err
    (one,) = json.loads(out)["samples"]
    assert one["network_calls"] == 2
    assert one["text"].split()[0] == "A"
    assert set(one["text"].split()) <= {"A", "B"}


def test_spelled_masks_of_a_tokenizer_are_masks_in_templates_and_tokens_in_text():
    pytest.importorskip("tokenizers")
    # The blank before such a mask belongs to it, as in RoBERTa's tokenizer.
    greedy = word_tokenizer(("a", " ", "b"), added(3, "<mask>", lstrip=True))
    greedy["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"String": " "},
        "behavior": "Isolated",
        "invert": False,
    }
    plain = Tokenizer(json.dumps(greedy))
    spelled = plain.with_spelled_mask()
    assert plain.encode("a <mask> b") == [0, 3, 1, 2]
    assert spelled.encode("a <mask> b") == spelled.encode("a <mask> b", "<mask>") == [0, 4, 1, 2]
    assert spelled.encode("a _<mask> b", "_") == [0, 1, 4, 4, 1, 2]
    # One that the tokenizer would cut into pieces is found by its text.
    cut = Tokenizer(json.dumps(word_tokenizer(("a", "b", "<mask>"))), mask=2)
    assert cut.encode("a<mask> <mask>b") == cut.encode("a_ _b", "_") == [0, 3, 3, 1]
    assert cut.decode([0, 3, 2], "_") == "a _ <mask>"


def test_symbols_with_a_mask_of_their_own():
    words = Symbols(("up", "down", "[MASK]"), mask=2)
    assert words.encode("up [MASK] _[MASK] down", "_") == [0, 3, 3, 3, 1]
    assert words.encode("up [MASK]", "[MASK]") == [0, 3]
    assert Symbols(("a", "b", "x"), mask=2).encode("axb", "x") == [0, 3, 1]
    assert dataclasses.replace(words, mask=None).encode("[MASK]") == [2]
