"""Records with a part that is given: their bits, profiles and plans are of what follows it."""

import dataclasses
import itertools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import mdmot
from mdmot import information
from mdmot.cli import main
from mdmot.data import Record, Records, encode_records, hold_out_records, read_records, row_shape
from mdmot.distributions import sample, tabular, tabular_denoiser
from mdmot.errors import InputError
from mdmot.information import Scorer
from mdmot.model import Model
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx, save_checkpoint
from mdmot.models.trained_data import WantedRecords
from mdmot.vocabulary import Bytes, Ended, Symbols
from mdmot.workflows.inspecting import inspect
from mdmot.workflows.naming import load_to_read
from mdmot.workflows.prompts import prompt_row
from mdmot.workflows.records import read_rows, records_of, spread

LETTERS, END, MASK, LENGTH, ROOM = Symbols(tuple("abcd")), 4, 5, 6, 3
PAIRS = [
    ("", "ab"),
    ("abc", "d"),
    ("d", "c"),
    ("ba", "aa"),
    ("c", "b"),
    ("dd", "cd"),
    ("a", "d"),
    ("bb", "a"),
]


pytestmark = pytest.mark.usefixtures("promotion")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network of random weights that says that it was trained on prompts and answers."""
    root = tmp_path_factory.mktemp("prompted")
    file = root / "pairs.jsonl"
    lines = [json.dumps({"question": q, "reply": a}) for q, a in PAIRS for _ in range(40)]
    file.write_text("\n".join(lines))
    config = TransformerConfig(vocab_size=5, length=LENGTH, width=8, depth=1, heads=2)
    with jax.numpy_dtype_promotion("standard"):
        _, params = from_nnx(MaskedTransformer(config, nnx.Rngs(3)))
    data = {"records": f"{file}:reply", "prompt_column": "question", "room": ROOM}
    # So small a network is close to even chances unless its weights are large.
    params = jax.tree.map(lambda x: 2 * x, params)
    save_checkpoint(root / "model", MaskedTransformer, config, params, Ended(LETTERS, END), {"data": data})
    return root / "model"


@jax.jit
def logits_of(model, rows):
    return model(rows)


def losses(model, rows, clean):
    """-log p of clean tokens at all positions, by the network alone."""
    logits = np.asarray(logits_of(model, jnp.asarray(rows, jnp.int32)), np.float64)
    total = np.log(np.exp(logits).sum(axis=2))
    return total - np.take_along_axis(logits, np.asarray(clean)[..., None], axis=2)[..., 0]


def row_of(question, answer):
    prompt, text = LETTERS.encode(question), LETTERS.encode(answer)
    clean = [*prompt, *text, *[END] * (LENGTH - len(prompt) - len(text))]
    return np.array(clean), len(prompt) + np.arange(ROOM)


PATTERNS = [each for number in range(1, ROOM + 1) for each in itertools.combinations(range(ROOM), number)]


def exact_nelbo(model):
    """The NELBO of each pair: the mean over numbers of masks, and over all patterns of so many."""
    clean = np.array([row_of(*pair)[0] for pair in PAIRS for _ in PATTERNS])
    is_masked = np.zeros(clean.shape, bool)
    for row, (pair, pattern) in enumerate(itertools.product(PAIRS, PATTERNS)):
        is_masked[row, row_of(*pair)[1][list(pattern)]] = True
    found = np.where(is_masked, losses(model, np.where(is_masked, MASK, clean), clean), 0.0).sum(axis=1)
    sizes = np.array([len(pattern) for pattern in PATTERNS])
    weights = [1 / (size * math.comb(ROOM, size)) for size in sizes]
    return found.reshape(len(PAIRS), -1) @ weights


def left_to_right(model, question, answer):
    """-log q of an answer that is written one token after the other."""
    clean, free = row_of(question, answer)
    is_masked = np.array([(np.arange(LENGTH) >= place) & (np.arange(LENGTH) <= free[-1]) for place in free])
    rows = np.broadcast_to(clean, is_masked.shape)
    found = losses(model, np.where(is_masked, MASK, rows), rows)
    return found[np.arange(ROOM), free].sum()


def test_bits_are_of_answers_given_their_prompts(folder):
    model = mdmot.load(folder).model
    exact = exact_nelbo(model)
    found = mdmot.evaluate(folder, everything=True, limit=320)
    value, error = found.nats_per_record
    assert (found.documents, found.source) == (320, "records")
    assert found.tokens == 40 * sum(len(answer) + 1 for _, answer in PAIRS)
    # One pattern for each of 320 rows: their errors are of the patterns and of the pairs.
    assert abs(value - np.mean(exact)) < 5 * error
    assert error < 0.5


def test_other_records_of_a_prompted_model_are_read_with_their_prompts(folder):
    named, file = mdmot.load(folder), folder.parent / "pairs.jsonl"
    assert records_of(named, f"{file}:reply", None, None).prompt_column == "question"
    (folder.parent / "bare.txt").write_text("ab\ncd\n")
    (folder.parent / "asked.jsonl").write_text(
        '{"prompt": "a", "answer": "b"}\n{"prompt": "c", "answer": "d"}\n'
    )
    for name in ("asked.jsonl:answer", "bare.txt"):
        asked = WantedRecords(str(folder.parent / name), None)
        with pytest.raises(
            InputError, match=r"has learned answers given prompts, and the records of .* have none"
        ):
            read_rows(named, asked, whole=True, work="evaluate", tell=print)
    asked = WantedRecords(str(folder.parent / "asked.jsonl"), None)
    assert len(read_rows(named, asked, whole=True, work="evaluate", tell=print).records.items) == 2


def test_an_answer_to_nothing_is_noted(folder, capsys):
    for prompt, is_noted in (((), True), (("--prompt", "a"), False)):
        assert main.status(["sample", str(folder), "--steps", "2", *prompt]) == 0
        assert ("there is none; pass --prompt TEXT" in capsys.readouterr().err) == is_noted
    jax.config.update("jax_enable_x64", True)


def test_what_follows_a_prompt_is_compared_along_an_order(folder):
    model = mdmot.load(folder).model
    read = {"records": folder.parent / "pairs.jsonl:reply", "prompt_column": "question"}
    found = mdmot.compare(folder, 3, decoders="left-to-right", num=272, **read)
    assert found.settings["positions"] == ROOM
    # Two pairs are held out, 40 times each: half of the 80 are judged on, as many of each as chance has it.
    held_out = hold_out_records(read_records(str(read["records"]), "question"))[1]
    first, second = sorted({(record.prompt, record.text) for record in held_out.items})
    either = [left_to_right(model, *pair) for pair in (first, second)]
    share = (found.rows[0].loss.value - either[1]) / (either[0] - either[1]) * 40
    assert share == pytest.approx(round(share), abs=1e-2)  # float32 losses
    assert 5 < round(share) < 35
    assert found.rows[0].tokens == 1 + np.dot([share, 40 - share], [len(first[1]), len(second[1])]) / 40


def test_masks_of_a_prompt_are_as_many_as_answers_have(folder):
    named = mdmot.load(folder)
    assert prompt_row(named, "ab", None) == (0, 1, MASK, MASK, MASK, END)
    assert prompt_row(named, "abcda", None) == (0, 1, 2, 3, 0, MASK)


VOCAB, SIZE = 3, 4
STATES = np.array(list(itertools.product(range(VOCAB), repeat=SIZE)))


def test_a_profile_is_of_what_is_not_given():
    shares = np.random.default_rng(2).exponential(size=len(STATES)) ** 3
    law = tabular(STATES, shares, VOCAB)
    data = np.asarray(sample(jax.random.key(5), law, 3000))
    given = np.array([True, False, False, False])
    scorer = information.jax_scorer(Model(tabular_denoiser(VOCAB), law, VOCAB))
    seen = []

    def losses_of(tokens, clean):
        seen.append(tokens != VOCAB)
        return scorer(tokens, clean)

    found = information.estimate_profile(
        0, Scorer(losses_of, VOCAB), data, draws=900, batch_size=300, given=given
    )
    assert (found.length, found.levels.tolist()) == (3, [0, 1, 2])
    assert all(part[:, 0].all() for part in seen)  # what is given is never masked
    probability = shares / shares.sum()

    def entropy_of(places):
        key = (STATES[:, places] * VOCAB ** np.arange(len(places))).sum(axis=1)
        mass = np.bincount(key, probability)
        return -(mass[mass > 0] * np.log(mass[mass > 0])).sum()

    for level, mean, error in zip(found.levels, found.mean, found.standard_error, strict=True):
        parts = [
            entropy_of([0, *known, place]) - entropy_of([0, *known])
            for known in itertools.combinations(range(1, SIZE), level)
            for place in set(range(1, SIZE)) - set(known)
        ]
        assert abs(mean - np.mean(parts)) < 5 * error, level


def test_given_positions_are_told_apart_when_a_measurement_goes_on(tmp_path):
    scorer = information.callable_scorer(lambda tokens: np.zeros((*tokens.shape, 2)), mask_id=2)
    settings = {"draws": 4, "batch_size": 4, "resume_file": tmp_path / "state"}
    data, given = np.zeros((6, 4), int), np.arange(4) < 1
    information.estimate_profile(0, scorer, data, given=given, **settings)
    with pytest.raises(InputError, match="state"):
        information.estimate_profile(0, scorer, data, given=np.arange(4) == 1, **settings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.array([[1, 0, 0], [0, 0, 0]], bool), "row 1 has 0 given positions and row 0 has 1"),
        (np.array([1, 1, 0], bool), "at least two that are masked"),
        (np.array([1, 0, 0]), "given is int64"),
    ],
)
def test_given_positions_that_make_no_profile(given, message):
    scorer = information.callable_scorer(lambda tokens: np.zeros((*tokens.shape, 2)), mask_id=2)
    with pytest.raises(InputError, match=message):
        information.estimate_profile(0, scorer, np.zeros((2, 3), int), draws=2, batch_size=4, given=given)


def test_profiles_and_tables_read_the_records_of_the_training(folder):
    profile = mdmot.profile(folder, draws=40)
    assert (profile.length, profile.provenance["data"]["records"]) == (ROOM, 80)
    (table,) = mdmot.order_tables(folder, "left-to-right", 2, draws=40)
    assert table.length == ROOM
    with pytest.raises(InputError, match="prompts are given; name an order"):
        mdmot.learn_order(folder, 2, draws=20, evaluations=10)


def test_a_network_without_an_end_of_its_own_is_told_one(tmp_path):
    config = TransformerConfig(vocab_size=256, length=12, width=8, depth=1, heads=2)
    _, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    save_checkpoint(tmp_path / "bytes", MaskedTransformer, config, params, Bytes(), {})
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(json.dumps({"prompt": q, "answer": a}) for q, a in PAIRS * 9))
    with pytest.raises(InputError, match="have no end, and answers differ in length; pass --end TEXT"):
        mdmot.profile(tmp_path / "bytes", records=file, draws=8)
    assert mdmot.profile(tmp_path / "bytes", records=file, end="\n", draws=8).length == ROOM
    encoded = encode_records(read_records(str(file)), Ended(Bytes(), 10))
    (rows,) = encoded.ended(row_shape([encoded])).rows
    assert bytes(rows.tokens[1].astype(np.uint8).tolist()) == b"abcd\n\n"
    with_end = mdmot.evaluate(tmp_path / "bytes", records=file, end="\n")
    alone = mdmot.evaluate(tmp_path / "bytes", records=file)
    letters = 9 * sum(len(answer) for _, answer in PAIRS)
    assert (with_end.tokens, alone.tokens) == (letters + 9 * len(PAIRS), letters)
    said = dataclasses.replace(mdmot.load(tmp_path / "bytes"), ends=(7, 10), never=(7,))
    (rows,) = read_rows(said, WantedRecords(str(file), None), whole=True, work="", tell=str).rows
    assert bytes(rows.tokens[1].tolist()) == b"abcd\n\n"  # the first of its own ends that it draws
    with pytest.raises(InputError, match=r"is a token that .* never draws"):
        read_rows(said, WantedRecords(str(file), None, "\a"), whole=True, work="", tell=str)
    for end, message in (("ab", "--end 'ab' is 2 tokens"), ("", "--end '' is 0 tokens")):
        with pytest.raises(InputError, match=message):
            mdmot.profile(tmp_path / "bytes", records=file, end=end, draws=8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"end": "a"}, "which has an end of its own"),
        ({"length": 5}, "--length 5: rows of .* have 6 tokens"),
        ({"text": "x", "records": "y"}, "--records and other data are both given"),
        ({"text": "x", "end": "a"}, "--end is of records"),
    ],
)
def test_measurements_refuse_what_does_not_go_with_records(folder, given, message):
    with pytest.raises(InputError, match=message):
        mdmot.profile(folder, draws=4, **given)
    with pytest.raises(InputError, match=message):
        mdmot.compare(folder, 2, **given)


@pytest.mark.parametrize("command", [mdmot.profile, mdmot.compare, mdmot.order_tables])
def test_laws_have_no_records(command):
    with pytest.raises(InputError, match=r"a law,? (which )?makes its own sequences"):
        command("markov:states=2,length=64", records="x.txt")


def test_of_many_lengths_some_are_taken_that_stand_for_all():
    items = tuple(Record("a" * (1 + number // 10), "", number) for number in range(400))
    rows = encode_records(Records("many", items, False), Bytes()).alone(64).rows
    assert len(rows) == 40
    found = spread(rows, 96)
    lengths = [part.tokens.shape[1] for part in found]
    # The middle records of 16 parts of 25.
    assert lengths == [1 + (25 * part + 12) // 10 for part in range(16)]
    assert [len(part.tokens) for part in found] == [6] * 16
    assert spread(rows, 400) == spread(rows, 500) == rows
    few = spread(rows[:16], 80)
    assert [len(part.tokens) for part in few] == [5] * 16
    # More cannot be taken of a length than there are.
    assert sum(len(part.tokens) for part in spread(rows, 390)) == 160


def test_questions_are_put_into_the_chat_template_of_the_model(tmp_path):
    pytest.importorskip("tokenizers")
    from test_chat import ABOUT, NUMBER, write_chat_model

    (tmp_path / "chat").mkdir()
    folder = write_chat_model(tmp_path / "chat", ABOUT)
    file = tmp_path / "questions.jsonl"
    pairs = [("to be", "or not"), ("a", "b"), ("b", "c d a")]
    file.write_text("\n".join(json.dumps({"prompt": q, "answer": a}) for q, a in pairs))
    named = load_to_read(folder, "chats are with masked models", chat=True)
    asked = records_of(named, file, None, None, chat=True)
    (rows,) = read_rows(named, asked, whole=True, work="", tell=str).rows
    shown = [
        "<s>",
        "<|user|>",
        "to",
        "be",
        "<|turn|>",
        "<|assistant|>",
        "or",
        "not",
        "<|turn|>",
        "<|turn|>",
    ]
    assert rows.tokens[0].tolist() == [NUMBER[text] for text in shown]
    assert (~rows.is_given).sum(axis=1).tolist() == [4, 4, 4]
    assert mdmot.profile(folder, records=file, chat=True, draws=40, levels=4).length == 4
    assert mdmot.evaluate(folder, records=file, chat=True).tokens == 9  # with the end of each
    with pytest.raises(InputError, match="--chat is of records"):
        mdmot.profile(folder, text=file, chat=True)
    with pytest.raises(InputError, match="which is a law"):
        mdmot.compare("markov:states=2,length=4", chat=True)


def test_a_model_without_a_template_asks_no_questions(folder):
    with pytest.raises(InputError, match="has no chat template"):
        mdmot.evaluate(folder, chat=True)


def test_a_model_of_records_says_so_when_it_is_looked_at(folder):
    about = inspect(folder).about
    assert (about["vocabulary"], about["tokens of a text, with its end"]) == ("symbols, and an end", ROOM)
    assert about["trained on"] == f"{folder.parent / 'pairs.jsonl'}:reply"


def test_what_was_found_is_kept_when_an_evaluation_is_stopped(folder):
    kept, told = [], []

    def stop(at):
        if at.done == 128:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mdmot.evaluate(folder, everything=True, keep=kept.append, show=stop, tell=told.append)
    whole = mdmot.evaluate(folder, everything=True)
    assert told[-1] == "evaluate: stopped after 128 of 320 records"
    assert (kept[0].documents, kept[0].source) == (128, "records")
    value, error = kept[0].nats_per_record
    assert abs(value - whole.nats_per_record.value) < 5 * error  # of a part of the same records
