"""Which tokens are the mask, padding and special: what config.json says beside the tokenizer's files."""

import json
import pathlib
import warnings

import jax.numpy as jnp
import numpy as np
import pytest
import test_families
from test_pretrained import CONFIGS, logits_of, tensors_of, write
from test_published_folders import added, word_tokenizer

from mdmot.errors import InputError, InputWarning
from mdmot.models.pretrained import load_plain, load_pretrained
from mdmot.models.pretrained.special_ids import UNASKED, find_mask, find_padding, is_unasked
from mdmot.models.pretrained.token_names import TokenNames, read_names
from mdmot.training.pretrained_source import pretrained_source

SETTINGS = {name: CONFIGS[name] for name in ("bert", "esm")}
SETTINGS |= {name: test_families.NETWORKS[name][0] for name in ("albert", "roberta", "modernbert")}
LETTERS, M = tuple("abcdefgh"), pathlib.Path("m")


def named(words, **roles):
    return TokenNames("vocab.txt", {word: k for k, word in enumerate(words)}, roles)


def folder_of(folder, family, words, about=None, **changes):
    """A folder with such words, the last of them the mask; a change to None takes a setting away."""
    changed = SETTINGS[family] | {"vocab_size": len(words), "mask_token_id": len(words) - 1} | changes
    settings = {key: value for key, value in changed.items() if value is not None}
    tensors = test_families.tensors_of if family in test_families.NETWORKS else tensors_of
    write(folder, settings, tensors(settings))
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    if about is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return folder


@pytest.mark.parametrize("family", SETTINGS)
def test_a_letter_is_no_padding_because_of_a_number_that_the_file_does_not_state(tmp_path, family):
    model = load_plain(folder_of(tmp_path, family, (*LETTERS, "[MASK]"), pad_token_id=None))
    assert (model.config.pad_id, model.never) == (None, (8,))
    # It is seen: what is said of a masked position depends on it.
    denoiser = model.model.denoiser
    for letter in (0, 1):
        rows = jnp.asarray([[9, letter, 9], [9, 5, 9]], jnp.int32)
        logits = np.asarray(logits_of(denoiser, model.model.params, rows))[:, 0, :8]
        assert np.abs(logits[0] - logits[1]).max() > 1e-3
        assert np.isfinite(logits).all()


@pytest.mark.parametrize("family", SETTINGS)
def test_padding_is_what_the_tokenizer_calls_so(tmp_path, family):
    for k, (words, about) in enumerate(
        [
            ((*LETTERS[:3], "[PAD]", *LETTERS[4:], "[MASK]"), None),
            ((*LETTERS[:3], "<|pad|>", *LETTERS[4:], "[MASK]"), None),
            ((*LETTERS, "[MASK]"), {"pad_token": "d"}),
            ((*LETTERS, "[MASK]"), {"pad_token": {"content": "d"}}),
        ]
    ):
        folder = tmp_path / str(k)
        folder.mkdir()
        model = load_plain(folder_of(folder, family, words, about, pad_token_id=None))
        assert (model.config.pad_id, model.never) == (3, (3, 8))


def test_a_number_that_every_config_has_is_taken_for_text_if_it_is_text():
    words = named((*LETTERS, "[MASK]"))
    for family, number in UNASKED["pad_token_id"].items():
        if number < len(LETTERS):
            with pytest.warns(InputWarning, match=r'"pad_token": "[ab]" into tokenizer_config.json$'):
                assert find_padding(M, family, number, words, 9) is None
        # Another one is chosen, and so is one without a text.
        assert find_padding(M, family, 4, words, 9) == 4
        assert find_padding(M, family, number, TokenNames(), 99_999) == number
    # The tokenizer's is used where the config's is text; where both are special the config's stands.
    both = named(("a", "[PAD]", "[UNK]", "<pad>", "[MASK]"))
    with pytest.warns(
        InputWarning, match=r"0, which is 'a' in vocab.txt; padding there is '\[PAD\]', numbe"
    ):
        assert find_padding(M, "bert", 0, both, 5) == 1
    assert find_padding(M, "bert", 3, both, 5) == 3
    assert find_padding(M, "bert", 2, both, 5) == 1
    assert find_padding(M, "bert", 2, named(("a", "b", "[UNK]")), 5) == 2
    # One that the table has no row for pads nothing.
    assert find_padding(M, "bert", None, both, 1) is None


def test_what_frames_a_sequence_is_seen_though_batches_are_filled_up_with_it():
    for roles in ({"pad_token": "</s>"}, {"pad_token": ".", "eos_token": "."}):
        words = named(("a", "b", "</s>", "."), **roles)
        pad = words.number_of[roles["pad_token"]]
        assert find_padding(M, "bert", pad, words, 4) is None
        assert find_padding(M, "bert", None, words, 4) is None


def test_a_roberta_counts_positions_as_transformers_does_whatever_its_padding_is(tmp_path):
    """A letter with the number 1 has the row that padding has, and no position of its own."""
    model = load_plain(folder_of(tmp_path, "roberta", (*LETTERS, "[MASK]"), pad_token_id=None))
    table = np.asarray(model.model.params["position"])
    rows = jnp.asarray([[2, 1, 3, 1, 4]], jnp.int32)
    usual = logits_of(model.model.denoiser, model.model.params, rows)
    moved = table.copy()
    moved[5:] += 1  # positions from the fourth that is counted on
    other = logits_of(model.model.denoiser, model.model.params | {"position": jnp.asarray(moved)}, rows)
    np.testing.assert_array_equal(usual, other)
    for row in (1, 2, 3, 4):
        moved = table.copy()
        moved[row] += np.arange(8)
        other = logits_of(model.model.denoiser, model.model.params | {"position": jnp.asarray(moved)}, rows)
        assert np.abs(np.asarray(usual - other))[..., :8].max() > 1e-3


def test_an_end_that_nobody_chose_is_text(tmp_path):
    words = ("<s>", "<pad>", "c", "d", ".", "e", "f", "g", "<mask>")
    for k, (eos, about, expected) in enumerate(
        [(2, None, ()), (4, None, (4,)), (2, {"eos_token": "c"}, (2,)), (None, None, ())]
    ):
        folder = tmp_path / str(k)
        folder.mkdir()
        assert load_plain(folder_of(folder, "roberta", words, about, eos_token_id=eos)).ends == expected
    for family, number in UNASKED["eos_token_id"].items():
        letters = TokenNames("vocab.txt", {"a": number, "b": number + 1})
        assert is_unasked("eos_token_id", family, number, letters)
        assert not is_unasked("eos_token_id", family, number + 1, letters)
        assert not is_unasked("eos_token_id", family, number, TokenNames("vocab.txt", {"</s>": number}))


def test_an_end_that_is_no_number_is_refused(tmp_path):
    folder = folder_of(tmp_path, "bert", ("[PAD]", *LETTERS, "[MASK]"), eos_token_id=[3, -1, 99])
    assert load_plain(folder).ends == (3,)  # others are no tokens
    for wrong in ("3", 3.0, True, [3, "4"], {"id": 3}):
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": wrong}))
        with pytest.raises(
            InputError, match=r"generation_config.json: eos_token_id = .*; expected the number"
        ):
            load_plain(folder)


def test_records_need_an_end_or_padding(run, tmp_path):
    folder = tmp_path / "bert"
    folder.mkdir()
    folder_of(folder, "bert", (*LETTERS, "[MASK]"), pad_token_id=None)
    (tmp_path / "rows.txt").write_text("a b\nc\nb\nc a\nb b\n")
    arguments = ("train", "--from", folder, "--records", tmp_path / "rows.txt", "--out", tmp_path / "run")
    status, _, err = run(*arguments, "--steps", 1)
    assert (status, err.count("\n")) == (2, 1)
    assert 'of padding as "pad_token" into tokenizer_config.json' in err
    (folder / "tokenizer_config.json").write_text('{"pad_token": "h"}')
    source = pretrained_source(folder, None, str(tmp_path / "rows.txt"), None, {})
    assert set(np.unique(source.read(3, tmp_path, tmp_path, 0).windows)) == {0, 1, 2, 7}


def test_two_masks_are_told_apart_or_refused(tmp_path):
    words = ("a", "b", "[UNK]", "[X]", "[MASK]")
    names = named(words)
    assert (find_mask(M, 4, names), find_mask(M, None, names), find_mask(M, 9, names)) == (4, 4, 9)
    with pytest.raises(InputError) as caught:
        find_mask(M, 1, names)
    assert str(caught.value) == (
        "m/config.json: mask_token_id is 1, which is 'b' in vocab.txt; the mask there is '[MASK]', "
        'number 4: correct one of them, as by "mask_token_id": 4'
    )
    with pytest.warns(
        InputWarning, match=r"2, which is '\[UNK\]' in .*'\[MASK\]', number 4, and is not used"
    ):
        assert find_mask(M, 2, names) == 2
    # A mask that the tokenizer names goes before one that is spelled as usual.
    assert find_mask(M, None, named(words, mask_token="[X]")) == 3
    folder = folder_of(tmp_path, "bert", (*LETTERS[:6], "[MASK]"), mask_token_id=3, pad_token_id=None)
    with pytest.raises(
        InputError, match=r"mask_token_id is 3, which is 'd' in vocab.txt; the mask there is"
    ):
        load_plain(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_pretrained(folder, mask_id=3).model.mask_id == 3  # who passes it knows


def test_what_is_missing_is_said_once(tmp_path):
    folder = folder_of(tmp_path, "bert", (*LETTERS[:6], "[MASK]"))
    settings = json.loads((folder / "config.json").read_text())
    for value in (None, 7.0, "7"):
        (folder / "config.json").write_text(json.dumps(settings | {"vocab_size": value}))
        with pytest.raises(InputError) as caught:
            load_pretrained(folder)
        assert str(caught.value).count("vocab_size") == 1


def test_a_network_whose_mask_is_known_needs_no_tokenizer(tmp_path):
    folder = folder_of(tmp_path, "bert", (*LETTERS[:6], "[MASK]"))
    (folder / "tokenizer.json").write_text("[")
    assert load_pretrained(folder).model.mask_id == 6
    with pytest.raises(InputError, match=r"tokenizer.json: is not JSON"):
        load_plain(folder)


LISTED = {
    "additional_special_tokens": ["c", {"content": "d"}],
    "extra_special_tokens": {"image_token": "e"},
    "model_specific_special_tokens": {"video_token": {"content": "f"}},
    "added_tokens_decoder": {
        "6": {"content": "g", "special": True},
        "7": {"content": "h", "special": False},
    },
}


@pytest.mark.parametrize("file", ["tokenizer_config.json", "special_tokens_map.json"])
def test_special_tokens_of_all_lists_are_never_drawn(tmp_path, file):
    folder = folder_of(tmp_path, "bert", (*LETTERS, "[MASK]"), pad_token_id=None)
    for key, value in LISTED.items():
        (folder / file).write_text(json.dumps({key: value}))
        texts = (
            {"c", "d"}
            if "additional" in key
            else {"e" if "extra" in key else "f" if "model" in key else "g"}
        )
        assert {LETTERS[token] for token in load_plain(folder).never if token < 8} == texts
    (folder / file).write_text(json.dumps({"extra_special_tokens": ["c"]}))
    (folder / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": ["d"]}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"additional_special_tokens": [], "x": 1}))
    assert load_plain(folder).never == (3, 8)  # an empty list in one file takes nothing from the other
    for damaged in (3, "c", {"a": 5}, [None, 3, {"content": 4}]):
        (folder / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": damaged}))
        assert load_plain(folder).never == (8,)


def test_names_of_scored_pieces_and_added_tokens(tmp_path):
    content = {"model": {"type": "Unigram", "vocab": [["x", 0.0], ["y", -1.0]]}}
    content["added_tokens"] = [added(1, "<z>"), added(2, "w", special=False)]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    names = read_names(tmp_path, "bert", None)
    assert (names.file, names.number_of) == ("tokenizer.json", {"x": 0, "y": 1, "<z>": 1, "w": 2})
    assert [names.text_of(number) for number in range(4)] == ["x", "<z>", "w", None]
    assert [names.why_special(text) for text in ("<z>", "w")] == ["flagged as special", None]
    for vocab in (5, [5], [[]], {"a": "b"}, None):
        (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocab}}))
        assert read_names(tmp_path, "bert", None).number_of == {}


def test_inspection_tells_which_tokens_are_never_drawn_and_why(run, tmp_path):
    words = ("[PAD]", "[CLS]", "[SEP]", "a", "b", "c", "[unused1]", "[MASK]")
    about = {"cls_token": "[CLS]", "additional_special_tokens": ["c"]}
    folder = folder_of(tmp_path, "bert", words, about)
    status, out, err = run("inspect", folder)
    assert (status, err) == (0, "")
    told = [line.strip() for line in out.splitlines() if "never drawn" in line]
    assert told == [
        "tokens never drawn: 6",
        "never drawn, padding: [PAD] (0)",
        "never drawn, the cls_token: [CLS] (1)",
        "never drawn, special by its name: [SEP] (2) [unused1] (6)",
        "never drawn, flagged as special: c (5)",
        "never drawn, the mask: [MASK] (7)",
    ]
    assert json.loads(run("inspect", folder, "--json")[1])["about"]["never drawn, the mask"] == [
        "[MASK] (7)"
    ]


def test_tokens_without_a_text_are_told_by_their_numbers(run, tmp_path):
    pytest.importorskip("tokenizers")
    settings = CONFIGS["llada"]
    write(tmp_path, settings, tensors_of(settings))
    content = word_tokenizer("ab", added(6, "<|mdm_mask|>"))
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    out = run("inspect", tmp_path)[1]
    assert "never drawn, without a text: (2) (3) (4) (5)\n" in out
    assert "never drawn, the mask: <|mdm_mask|> (6)\n" in out
