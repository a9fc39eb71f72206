"""Model folders as they are published: masks spelled out, odd vocabularies, spare tensors."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_pretrained import CONFIGS, logits_of, tensors_of, write

from mdmot.data import read_corpus
from mdmot.errors import InputError, InputWarning
from mdmot.model import Model
from mdmot.models import Named
from mdmot.models.pretrained import load_plain, load_pretrained
from mdmot.models.pretrained.byte_level import byte_level
from mdmot.orders import parse_order
from mdmot.plans import Fixed, Plan, read_plan, write_plan
from mdmot.vocabulary import Ended, Residues, Symbols, Tokenizer
from mdmot.workflows.prompts import allowing, forbidden, prompt_row, template_rows
from mdmot.workflows.texts import text_rows

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
    assert one["text"][0] == "A"
    assert set(one["text"]) <= {"A", "B"}


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
    # So it is in the prompts of a model that was trained here on such a tokenizer.
    network = Model(lambda params, tokens: params, None, 4)
    for vocabulary, mask in ((plain, 4), (Ended(plain, 4), 5)):
        assert prompt_row(Named("ours", network, vocabulary, 9, 1), "a <mask>", 3)[:2] == (0, mask)
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


BOM = "\ufeff"


def marked(path):
    """Puts the mark in front of a file that some editors write there."""
    path.write_text(BOM + path.read_text())


@pytest.mark.parametrize("name", ["bert", "llada"])
def test_marks_of_byte_order_are_no_content(tmp_path, name):
    usual = load_plain(write_folder(tmp_path, name))
    for file in tmp_path.glob("*.txt"):
        marked(file)
    for file in tmp_path.glob("*.json"):
        marked(file)
    found = load_plain(tmp_path)
    assert found.vocabulary.size == usual.vocabulary.size
    assert found.never == usual.never
    text = usual.vocabulary.decode([0, 3, 7], "□")
    assert found.vocabulary.decode([0, 3, 7], "□") == text
    assert BOM not in text


def test_marks_of_byte_order_in_plans_and_orders(tmp_path):
    path = tmp_path / "plan.json"
    plan = Plan(3, Fixed([1, 2]))
    write_plan(path, plan)
    marked(path)
    assert read_plan(path) == plan
    (tmp_path / "order.json").write_text(f"{BOM}[2, 0, 1]")
    assert parse_order(str(tmp_path / "order.json")).positions == (2, 0, 1)


def rows_of(name):
    """The tensors with a row a token."""
    return [key for key, x in tensors_of(CONFIGS[name]).items() if x.shape[:1] == (7,)]


@pytest.mark.parametrize("name", CONFIGS)
def test_rows_beyond_the_tokens_are_left_out(tmp_path, name):
    usual = load_plain(write_folder(tmp_path, name))
    tensors = tensors_of(CONFIGS[name])
    longer = {key: np.concatenate([tensors[key], np.ones_like(tensors[key][:2])]) for key in rows_of(name)}
    write(tmp_path, CONFIGS[name], tensors | longer)
    with pytest.warns(
        InputWarning, match=r"has 9 rows for the 7 tokens of config.json; the last 2 are not"
    ):
        found = load_plain(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, found.model.params, usual.model.params)
    assert found.model.denoiser == usual.model.denoiser
    write(tmp_path, CONFIGS[name], tensors | {key: tensors[key][:6] for key in rows_of(name)})
    with pytest.raises(InputError, match="wrong shape"):
        load_plain(tmp_path)


def test_a_vocabulary_may_be_shorter_than_the_table(tmp_path):
    write_folder(tmp_path, "bert")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[CLS]\n[SEP]\na\nb\n")
    model = load_plain(tmp_path)
    assert (model.vocabulary.size, model.never, model.model.mask_id) == (5, (0, 1, 2), 5)
    logits = jax.eval_shape(model.model.denoiser, model.model.params, jnp.asarray([[5, 3, 5]], jnp.int32))
    assert logits.shape == (1, 3, 5)


def test_lines_that_do_not_fit_do_not_spoil_a_tokenizer(tmp_path):
    write_folder(tmp_path, "llada")
    for lines in ("a\nb\n", "\n".join("abcdefghijk")):
        (tmp_path / "vocab.txt").write_text(lines)
        assert load_plain(tmp_path).vocabulary.encode("f a") == [5, 0]
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="11 lines for 7 tokens"):
        load_plain(tmp_path)


def test_lines_of_a_vocabulary_are_tokens_each_once(tmp_path):
    write_folder(tmp_path, "bert")
    lines = "[PAD]\n[CLS]\n[SEP]\na\nb\n"
    for end in ("", "\n", "\r\n\r\n\n"):
        (tmp_path / "vocab.txt").write_bytes((lines + end).encode())
        assert load_plain(tmp_path).vocabulary.size == 5
    for more, message in (
        ("a\n", r"vocab.txt, line 6: 'a' stands in line 4 too; write each token once, or copy the model's"),
        ("\nc\n", "vocab.txt, line 6: is empty; write each token once"),
    ):
        (tmp_path / "vocab.txt").write_text(lines + more)
        with pytest.raises(InputError, match=message):
            load_plain(tmp_path)


def test_numbers_without_a_text_are_never_drawn(tmp_path):
    model = load_plain(write_folder(tmp_path, "llada", words="ab", mask=6))
    assert (model.vocabulary.size, model.never) == (7, (2, 3, 4, 5, 6))
    assert model.vocabulary.encode("a <|mdm_mask|> b") == [0, 7, 1]
    assert model.vocabulary.decode([0, 7, 6, 1], "□") == "a □ <|mdm_mask|> b"
    # Holes among the words.
    words = word_tokenizer("ab")
    words["model"]["vocab"] = {"a": 0, "b": 5}
    tokenizer = Tokenizer(json.dumps(words))
    assert (tokenizer.size, tokenizer.textless) == (6, (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("tokens", "wrong"),
    [
        ([added(1, "<x>")], "<x>"),
        ([added(3, "<x>"), added(3, "<y>")], "<[xy]>"),
        ([added(70_000, "<x>")], "<x>"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_name(tokens, wrong):
    pytest.importorskip("tokenizers")
    with pytest.raises(InputError, match=f"the added token '{wrong}' has the number") as caught:
        Tokenizer(json.dumps(word_tokenizer("abc", *tokens)))
    assert "\n" not in str(caught.value)


SPARE = {
    "bert": ("bert.embeddings.token_type_ids", "bert.pooler.dense.weight", "embeddings.position_ids"),
    "esm": ("esm.contact_head.regression.bias", "position_ids", "esm.pooler.dense.bias"),
    "llada": ("model.transformer.blocks.0.rotary_emb.inv_freq",),
    "Dream": ("model.rotary_emb.inv_freq", "model.layers.1.self_attn.rotary_emb.inv_freq"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_spare_tensors_are_ignored_in_one_file_and_in_shards(tmp_path, name):
    tensors = tensors_of(CONFIGS[name])
    spare = {key: np.arange(3) for key in SPARE[name]}
    write(tmp_path, CONFIGS[name], tensors | spare)
    assert load_pretrained(tmp_path).unused == tuple(sorted(spare))
    (tmp_path / "model.safetensors").rename(tmp_path / "one.safetensors")
    for listed in (tensors, tensors | spare | {"model.rotary_emb.inv_freq": 0}):
        index = {"weight_map": dict.fromkeys(listed, "one.safetensors")}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
        assert load_pretrained(tmp_path).unused == tuple(sorted(spare))
    write(tmp_path, CONFIGS[name], tensors | {"model.rotary_emb.other": np.ones(2)})
    with pytest.raises(InputError, match=r"stray: model.rotary_emb.other"):
        load_pretrained(tmp_path)


def byte_alphabet():
    """The sign of each byte in the files of GPT-2's tokenizers: itself if it is seen, else a later one."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + k) for k, byte in enumerate(hidden)}


SIGN = byte_alphabet()
MERGES = ["Ġ t", "o b", "1 2", "Ġ Ġ", "Ġt o", "( t"]


def write_merges(folder, about=None, more_words=(), added_tokens=None):
    words = [
        *(SIGN[byte] for byte in range(256)),
        *(merge.replace(" ", "") for merge in MERGES),
        *more_words,
    ]
    (folder / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")
    for name, content in (("tokenizer_config", about), ("added_tokens", added_tokens)):
        if content is not None:
            (folder / f"{name}.json").write_text(json.dumps(content))
    return len(words)


def merged(text):
    """The tokens of one piece by the merges, the earliest first, in plain Python."""
    parts = [SIGN[byte] for byte in text.encode()]
    for merge in MERGES:
        first, second = merge.split()
        k = 0
        while k < len(parts) - 1:
            parts[k : k + 2] = [first + second] if parts[k : k + 2] == [first, second] else parts[k : k + 2]
            k += 1
    return parts


def test_the_tokenizer_of_dream_is_put_together_from_its_files(tmp_path):
    pytest.importorskip("tokenizers")
    settings = CONFIGS["Dream"] | {"vocab_size": 270, "mask_token_id": None}
    write(tmp_path, settings, tensors_of(settings))
    about = {
        "tokenizer_class": "DreamTokenizer",
        "added_tokens_decoder": {"262": added(262, "<|endoftext|>"), "263": added(263, "<|im_end|>")},
    }
    size = write_merges(tmp_path, about, added_tokens={"<|endoftext|>": 262, "<|mask|>": 266})
    assert size == 262
    model = load_plain(tmp_path)
    assert (model.vocabulary.size, model.vocabulary.mask) == (267, 266)
    assert model.never == (264, 265, 266)
    words = json.loads((tmp_path / "vocab.json").read_text())
    # Digits stand alone, an ending with its apostrophe, a sign with the letters behind it; the last of
    # several blanks belongs to the next word; letters are composed.
    pieces = ["to", " tob", "'s", " ", "1", "2", "  ", " to", "(to", "?!\n", "é"]
    text = "".join(pieces).replace("é", "e\u0301")
    expected = [words[part] for piece in pieces for part in merged(piece)]
    assert model.vocabulary.encode(text) == expected
    assert model.vocabulary.decode(expected, "□") == "".join(pieces)
    found = model.vocabulary.encode("to<|im_end|><|mask|><|endoftext|>")
    assert found == [words["t"], words["o"], 263, 267, 262]


def test_the_tokenizer_of_gpt_merges_digits_and_takes_blanks_before_a_mask(tmp_path):
    pytest.importorskip("tokenizers")
    write_merges(tmp_path, {"tokenizer_class": "RobertaTokenizerFast"}, ["<s>", "<mask>"])
    content = byte_level(tmp_path, "roberta")
    vocabulary = Tokenizer(json.dumps(content)).with_spelled_mask()
    words = content["model"]["vocab"]
    assert vocabulary.encode("12 to <mask>") == [words["12"], words["Ġto"], 264]
    assert [token["content"] for token in content["added_tokens"]] == ["<s>", "<mask>"]


def test_tokenizers_of_another_class_are_refused(tmp_path):
    write_merges(tmp_path, {"tokenizer_class": "CLIPTokenizer"})
    with pytest.raises(InputError, match='"tokenizer_class" is CLIPTokenizer; mdmot puts together'):
        byte_level(tmp_path, "bert")
    write_merges(tmp_path, {"tokenizer_class": "Qwen2Tokenizer"}, added_tokens={"<x>": "7"})
    with pytest.raises(InputError, match="the token '<x>' has the number '7'"):
        byte_level(tmp_path, "Dream")
    write_merges(tmp_path, {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": {"261": "x"}})
    with pytest.raises(InputError, match='added_tokens_decoder has no "content" for 261'):
        byte_level(tmp_path, "Dream")


PROTEIN = ("<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>")


@pytest.fixture
def protein(tmp_path):
    """A small network with the vocabulary of ESM-2, for sequences of 6 residues."""
    folder = tmp_path / "esm"
    folder.mkdir()
    settings = CONFIGS["esm"] | {"vocab_size": 33, "mask_token_id": 32, "max_position_embeddings": 8}
    write(folder, settings | {"pad_token_id": 1}, tensors_of(settings))
    (folder / "vocab.txt").write_text("\n".join(PROTEIN) + "\n")
    return folder


def test_proteins_are_written_as_people_write_them(protein, tmp_path):
    model = load_plain(protein)
    tokens = [PROTEIN.index(letter) for letter in "MKTA"]
    for text in ("MKTA", "M K T A", "mkta*", ">sp|P1 A protein.\nmk\nTA*\n"):
        assert model.vocabulary.encode(text) == tokens
    assert model.vocabulary.decode([*tokens, 33], "_") == "MKTA_"
    assert model.vocabulary.encode("m<mask>_K-x", "_") == [20, 33, 33, 15, 30, 24]
    with pytest.raises(InputError, match=r"'J', '\*' not in the vocabulary.*write one letter a residue"):
        model.vocabulary.encode("MJ*K")
    with pytest.raises(InputError, match="mask sign 'X' is in the vocabulary"):
        model.vocabulary.encode("MX", "X")
    (tmp_path / "two.fasta").write_text(">one\nMK<mask>\nA\n\n>two\n_K\n")
    assert template_rows(model, tmp_path / "two.fasta", None, "_") == [(20, 15, 33, 5), (33, 15)]
    (tmp_path / "text.fasta").write_text(">one\nmk\nta\n>two\nMXTA*\n>three\nAAAA\n")
    found = text_rows(model, read_corpus(tmp_path / "text.fasta"), 4, "")
    assert found.tokens.tolist() == [tokens, [5] * 4]  # the letter X has no probability
    assert found.left_out == 1


def test_rare_letters_are_drawn_if_allowed(protein):
    model = load_plain(protein)
    drawn = {text for k, text in enumerate(PROTEIN) if k not in model.never}
    assert drawn == set("ACDEFGHIKLMNPQRSTVWY")
    allowed = allowing(model, ["x", "U"])
    logits = logits_of(allowed.model.denoiser, allowed.model.params, jnp.full((1, 3), 33, jnp.int32))
    possible = {PROTEIN[k] for k in np.flatnonzero(np.isfinite(logits[0, 0]))}
    assert possible == drawn | {"X", "U"} == {PROTEIN[k] for k in range(33) if k not in allowed.never}
    with pytest.raises(InputError, match=r"--allow A: .* draws it by default"):
        allowing(model, ["A"])


def test_longer_proteins_are_possible_with_one_note(protein, run, tmp_path):
    (tmp_path / "long.fasta").write_text(">one\nMKTAM\nKTA_\n>two\nMKTA_MKTA*\n")
    arguments = ("--template", tmp_path / "long.fasta", "--mask-symbol", "_", "--sampler", "confidence")
    status, out, err = run("sample", protein, *arguments)
    assert status == 0, err
    assert err.count("\n") == 1
    assert "was trained on sequences of at most 6 tokens; its positions are rotary" in err
    first, second = out.splitlines()
    assert first[:-1] == "MKTAMKTA"
    assert second[:4] + second[5:] == "MKTAMKTA"


def test_words_of_several_letters_are_cut_from_the_left():
    words = Residues(("<cls>", "AC", "ACG", "A", "C", "G", "<mask>"), mask=6)
    assert words.encode("acgacg aca<mask>g") == [2, 2, 1, 3, 7, 5]
    assert words.decode([2, 7, 5], "_") == "ACG_G"


def write_bert(folder, words, about=None):
    settings = CONFIGS["bert"] | {"vocab_size": len(words), "mask_token_id": len(words) - 1}
    write(folder, settings, tensors_of(settings))
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    if about is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return load_plain(folder)


def test_symbols_in_brackets_are_text_unless_they_are_known_or_said_to_be_special(tmp_path):
    words = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[OH]", "[C]", "[unused3]", "[ODD]", "[MASK]")
    model = write_bert(tmp_path, words)
    assert [words[token] for token in model.never] == [*words[:4], "[unused3]", "[MASK]"]
    told = write_bert(tmp_path, words, {"bos_token": "[ODD]", "cls_token": {"content": "[CLS]"}})
    assert [words[token] for token in told.never] == [*words[:4], "[unused3]", "[ODD]", "[MASK]"]


def test_the_frame_is_that_of_the_tokenizer_whatever_the_family_calls_it(tmp_path):
    words = ("<pad>", "<s>", "</s>", "[CLS]", "[SEP]", "a", "b", "[MASK]")
    frame = lambda model: (model.model.denoiser.before, model.model.denoiser.after)  # noqa: E731
    assert frame(write_bert(tmp_path, words)) == ((3,), (4,))
    assert frame(write_bert(tmp_path, words, {"cls_token": "<s>", "sep_token": "</s>"})) == ((1,), (2,))
    # A name that the vocabulary has not is nobody's.
    assert frame(write_bert(tmp_path, words, {"cls_token": "<s>", "sep_token": "gone"})) == ((3,), (4,))
    other = ("<pad>", "<s>", "</s>", "c", "d", "a", "b", "<mask>")
    assert frame(write_bert(tmp_path, other, {})) == ((1,), (2,))
    with pytest.warns(InputWarning, match=r"pad_token_id is 0, which is 'p' in vocab"):
        assert frame(write_bert(tmp_path, ("p", "q", "r", "c", "d", "a", "b", "<mask>"), {})) == ((), ())


def test_special_tokens_of_a_tokenizer_are_never_drawn(tmp_path):
    pytest.importorskip("tokenizers")
    words = ("[CLS]", "[SEP]", "a", "b", "c", "d", "[MASK]")
    settings = CONFIGS["bert"] | {"vocab_size": 9, "mask_token_id": 6}
    write(tmp_path, settings, tensors_of(settings))
    content = word_tokenizer(words, added(7, "<|end|>"), added(8, "<|name|>", special=False))
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert load_plain(tmp_path).never == (0, 1, 6, 7)


def test_a_protein_is_written_in_letters_whatever_file_has_them(tmp_path):
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"LAGVESIKRDTPNQFYMHCWXUBZO")
    settings = CONFIGS["bert"] | {"vocab_size": len(words), "mask_token_id": 4}
    write(tmp_path, settings, tensors_of(settings))
    (tmp_path / "tokenizer.json").write_text(json.dumps(word_tokenizer(words)))
    model = load_plain(tmp_path)
    assert model.vocabulary.encode("MK[MASK]TA") == [words.index("M"), words.index("K"), 30, 15, 6]
    assert {"X", "U", "B", "Z", "O"} <= {words[token] for token in model.never}
    with pytest.raises(InputError, match=r"'J' not in .*write one letter a residue, a mask as \[MASK\]"):
        model.vocabulary.encode("MJ")


def test_a_frame_that_is_written_out_is_not_shown_twice(tmp_path):
    words = ("[PAD]", "[CLS]", "[SEP]", "a", "b", "[MASK]")
    model, mask = write_bert(tmp_path, words), len(words)
    (tmp_path / "t.txt").write_text("[CLS] a [MASK] b [SEP]\na [MASK] [SEP]\n[CLS] [MASK]\n")
    found = template_rows(model, tmp_path / "t.txt", None, "□")
    assert found == [(3, mask, 4), (3, mask, 2), (mask,)]
    assert prompt_row(model, "[CLS] a", 3) == (3, mask, mask)
