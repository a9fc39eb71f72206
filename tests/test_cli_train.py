"""`mdmot train` and `mdmot evaluate`: what they write, how runs go on, one line for careless input."""

import contextlib
import dataclasses
import io
import json
import math
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from run_folders import numbers, weights

from mdmot.cli import main
from mdmot.cli.training_options import arguments_of
from mdmot.data import arithmetic, hold_out_documents, read_corpus, sudoku, tokenize
from mdmot.errors import InputError, InputWarning
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx, load_checkpoint, save_checkpoint
from mdmot.training import (
    PRESETS,
    Answers,
    Antithetic,
    ControlVariate,
    DivergenceError,
    EprLevels,
    EvenLevels,
    FittedLevels,
    Independent,
    LearnedOrder,
    ReweightedMasks,
    RunResult,
    Stratified,
    TokenWeight,
    TrainConfig,
    checkpoints,
    evaluate,
    load_state,
    read_config,
    read_metrics,
    shuffled_batches,
    training_steps,
    write_config,
)
from mdmot.training import data_source as sources
from mdmot.training.changes import changed, new_config
from mdmot.training.config_file import Stage, note_extension, read_stages
from mdmot.training.course import Course
from mdmot.vocabulary import Bytes, Symbols, Tokenizer, fingerprint
from mdmot.workflows.training_settings import Numbers, Settings

pytestmark = pytest.mark.slow  # many small programs to compile

SMALL = ["--preset", "tiny", "--length", 16, "--width", 8, "--batch", 4, "--steps", 12]
SMALL += ["--log-every", 2, "--save-every", 4, "--evaluated", 8]
MERGES = {"vocab": {"a": 0, "b": 1, "ab": 2, "aa": 3}, "merges": [["a", "b"], ["a", "a"]]}
TOKENIZER = json.dumps({"model": {"type": "BPE", **MERGES}})
OTHER_TOKENIZER = TOKENIZER.replace('"aa"', '"ba"').replace('["a", "a"]', '["b", "a"]')


@pytest.fixture(autouse=True)
def precision():
    """The commands set the precision of their process."""
    with jax.numpy_dtype_promotion("standard"):  # optax takes floats to the power of its int32 steps
        yield
    jax.config.update("jax_enable_x64", True)


def run(capsys, *arguments):
    status = main.status([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def found(capsys, *arguments):
    status, out, err = run(capsys, *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def refused(capsys, *arguments):
    """The one line with which careless input is refused."""
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    line = err.splitlines()[-1]
    assert line.startswith("mdmot: ")
    assert "Traceback" not in err
    return line


def written(folder):
    """A folder of 30 documents of 40 to 69 bytes, an empty and a binary one."""
    folder.mkdir(parents=True)
    for number in range(30):
        (folder / f"{number}.txt").write_text(
            f"{number:02} the cat sat on the mat, and so on\n" + "." * number
        )
    (folder / "empty.txt").write_bytes(b"")
    (folder / "image.png").write_bytes(b"\x89PNG\0\0")
    return folder


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return written(tmp_path_factory.mktemp("text") / "text")


@pytest.fixture(scope="module")
def whole(text, tmp_path_factory):
    """An uninterrupted run, and what it printed."""
    out, printed = tmp_path_factory.mktemp("whole") / "run", io.StringIO()
    with jax.numpy_dtype_promotion("standard"), contextlib.redirect_stdout(printed):
        assert main.status([*map(str, ["train", "--text", text, *SMALL, "--out", out, "--json"])]) == 0
    jax.config.update("jax_enable_x64", True)
    return out, json.loads(printed.getvalue())


@pytest.fixture
def stop_at(monkeypatch):
    """Lets the next training be interrupted in a step."""

    def stop(step):
        @contextlib.contextmanager
        def progress_shown():
            def show(at):
                if at.done == step:
                    raise KeyboardInterrupt

            yield show

        monkeypatch.setattr("mdmot.cli.train.progress_shown", progress_shown)

    yield stop
    monkeypatch.undo()


def test_a_run_is_a_model_with_its_settings_data_and_measurements(text, whole):
    out, printed = whole
    last = read_metrics(out / "metrics.jsonl")[-1]
    assert printed == last | {"seed": 0} | {name: printed[name] for name in ("versions", "device")}
    assert last["step"] == 12
    assert {path.name for path in out.iterdir()} == {
        *("config.json", "metrics.jsonl", "checkpoints", "tokens", "model.json", "weights.safetensors")
    }
    model = load_checkpoint(out)
    assert model.vocabulary == Bytes()
    assert model.config == TransformerConfig(vocab_size=256, length=16, width=8, depth=1, heads=2)
    train, held_out = hold_out_documents(read_corpus(text), 0.05)
    said = model.provenance
    assert said["data"] == {
        "train": train.provenance,
        "held_out": held_out.provenance,
        "text": str(text),
    }
    assert (said["step"], said["seed"], said["command"]) == (12, 0, "mdmot train")
    assert said["held_out_bits_per_token"] == last["held_out_bits_per_token"]
    assert said["config"] == json.loads((out / "config.json").read_text())["config"]


def test_the_model_holds_the_mean_of_the_weights(whole):
    jax.config.update("jax_enable_x64", False)
    out, _ = whole
    config, _ = read_config(out / "config.json")
    denoiser, params = from_nnx(MaskedTransformer(config.model, nnx.Rngs(0)))
    restored = checkpoints.load_state(out / "checkpoints", config.update(denoiser).init(params))
    assert restored.step == 12
    jax.tree.map(np.testing.assert_array_equal, load_checkpoint(out).model.params, restored.state.average)
    last, mean = (
        np.asarray(tree["head"]["kernel"]) for tree in (restored.state.params, restored.state.average)
    )
    assert not np.array_equal(last, mean)


def test_an_interrupted_run_says_how_to_go_on_and_ends_like_any_other(
    capsys, text, whole, stop_at, tmp_path
):
    out = tmp_path / "my run"
    stop_at(10)
    status, printed, err = run(capsys, "train", "--text", text, *SMALL, "--out", out)
    assert (status, printed) == (130, "")
    assert f"stopped; {out} keeps step 8 of 12; go on with: mdmot train --out '{out}' --resume" in err
    assert load_checkpoint(out).provenance["step"] == 8
    assert "holds a run; pass --resume" in refused(capsys, "train", "--text", text, *SMALL, "--out", out)
    file = max(
        (out / "checkpoints" / "00000008" / "state").rglob("*"), key=lambda path: path.stat().st_size
    )
    file.write_bytes(file.read_bytes()[:-1])
    stop_at(None)
    status, printed, err = run(capsys, "train", "--out", out, "--resume")
    assert status == 0
    assert "00000008 is damaged" in err
    assert "falling back to step 4" in err
    assert "bits a token after 12 steps\n" in printed
    assert f"wrote {out}; next: mdmot sample '{out}'" in err
    assert weights(out) == weights(whole[0])
    assert numbers(out) == numbers(whole[0])


def test_resuming_needs_no_options_and_refuses_others(capsys, text, whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole[0], out)
    before = weights(out)
    for same in ([], SMALL, ["--text", text, "--learning-rate", 0.01, "--seed", 0]):
        assert found(capsys, "train", *same, "--out", out, "--resume") == whole[1]
    moved = written(tmp_path / "moved")
    assert found(capsys, "train", "--text", moved, "--out", out, "--resume") == whole[1]
    assert weights(out) == before
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text(TOKENIZER)
    (moved / "7.txt").write_text("other words")
    for other, words in (
        (["--learning-rate", 0.5], "cannot resume: --learning-rate was 0.01 and is 0.5"),
        (["--seed", 5], "cannot resume: seed was 0 and is 5"),
        (["--width", 12], "cannot resume: width was 8 and is 12"),
        (["--steps", 8], "keeps step 12, and --steps = 8; pass at least 12"),
        (["--mirror", "--patterns", 2], "--patterns was 1 and is 2"),
        (["--levels", "stratified"], "levels.spread.class was 'Shifted' and is 'Stratified'"),
        (["--preset", "tiny"], "cannot resume: --batch was 4 and is 8"),
        (["--text", moved], "cannot resume: data."),
        (["--tokenizer", tokenizer], "has a vocabulary of 4 tokenizer tokens"),
        (["--language", "sudoku"], "begun with text, not with sudoku:size=4"),
    ):
        status, _, err = run(capsys, "train", *other, "--out", out, "--resume")
        assert (status, words in err) == (2, True)
        assert "weights;" not in err  # refused before a network is made
    assert weights(out) == before
    (out / "config.json").unlink()
    assert "config.json, the settings of the run, is missing" in refused(
        capsys, "train", "--out", out, "--resume"
    )


def test_resuming_needs_a_run(capsys, text, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "config.json").write_text("{}")
    arguments = ["train", "--text", text, *SMALL, "--out", tmp_path / "note"]
    line = refused(capsys, *arguments, "--resume")
    assert (
        "note holds no run to resume (did you mean notes?); pass the folder of one, or --resume-or-" in line
    )
    assert not (tmp_path / "note").exists()
    assert found(capsys, *arguments, "--resume-or-start")["step"] == 12
    assert found(capsys, *arguments, "--resume-or-start")["step"] == 12
    assert numbers(tmp_path / "note")[-1]["step"] == 12


def test_a_run_goes_on_with_another_number_of_steps(capsys, text, whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole[0], out)
    before, described = read_config(out / "config.json")
    config = dataclasses.replace(before, num_steps=20)
    jax.config.update("jax_enable_x64", False)
    denoiser, params = from_nnx(MaskedTransformer(config.model, nnx.Rngs(config.seed)))
    update = config.update(denoiser)
    saved = load_state(out / "checkpoints", update.init(params))
    trained, _ = hold_out_documents(read_corpus(text))
    windows = tokenize(trained, Bytes(), None).windows(config.model.length)
    batches = shuffled_batches(windows, config.seed, config.batch_size)
    *_, (expected, _) = training_steps(jax.random.key(config.seed), update, saved.state, batches, 20)
    assert saved.step == before.num_steps == 12
    assert found(capsys, "train", "--out", out, "--resume", "--steps", 20)["step"] == 20
    jax.tree.map(np.testing.assert_array_equal, load_checkpoint(out).model.params, expected.average)
    assert read_config(out / "config.json") == (config, described)
    assert read_stages(out / "config.json") == ((12, 12),)
    assert load_checkpoint(out).provenance["stages"] == [{"until": 12, "num_steps": 12}]
    line = refused(capsys, "train", "--out", out, "--resume", "--steps", 16)
    assert "keeps step 20, and --steps = 16; pass at least 20" in line
    assert read_config(out / "config.json")[0] == config
    note_extension(out / "config.json", config, 8)  # as after a fall back to an older checkpoint
    assert read_stages(out / "config.json") == (Stage(8, 12),)


def test_weights_are_stored_as_asked(capsys, text, whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "run")
    found(capsys, "train", "--out", tmp_path / "run", "--resume", "--store", "bfloat16")
    found(capsys, "train", "--out", tmp_path / "run", "--resume")
    model, other = load_checkpoint(tmp_path / "run"), load_checkpoint(whole[0])
    assert model.config == dataclasses.replace(other.config, param_dtype="bfloat16")
    jax.tree.map(
        lambda small, large: np.testing.assert_array_equal(small, large.astype(jnp.bfloat16)),
        *(model.model.params, other.model.params),
    )


def test_a_diverging_run_keeps_the_last_good_state_and_names_the_step(capsys, text, tmp_path):
    # The first update has rate 0, so that its weights are good; the second throws them out of float32.
    arguments = ["--learning-rate", 1e38, "--warm-up", 1, "--save-every", 1]
    line = refused(capsys, "train", "--text", text, *SMALL[:-6], *arguments, "--out", tmp_path)
    step = int(line.partition("diverged in step ")[2].partition(":")[0])
    kept = checkpoints.saved_steps(tmp_path / "checkpoints")
    assert 1 <= kept[-1] < step
    assert (
        f"{tmp_path} keeps step {kept[-1]} of 12; begin in another folder with a learning rate below"
        in line
    )
    model = load_checkpoint(tmp_path)
    assert model.provenance["step"] == kept[-1]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(model.model.params))


def test_a_diverging_run_leaves_no_model_of_a_bad_step(capsys, text, tmp_path, monkeypatch):
    def diverge(course, description, out, *, export, **options):
        """As where the loss is not finite at the weights of the only checkpoint, which is deleted."""
        write_config(out / "config.json", course.config, description)
        export(course.first)
        assert (out / "model.json").exists()
        raise DivergenceError(2, course.first.params, np.zeros(2), is_loss_finite=False)

    monkeypatch.setattr("mdmot.training.own_folder.run_in_own_folder", diverge)
    line = refused(capsys, "train", "--text", text, *SMALL, "--out", tmp_path)
    assert "diverged in step 3: " in line
    assert "no step is saved yet" in line
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "tokens"}


def test_a_full_disk_leaves_the_older_checkpoint(capsys, text, whole, stop_at, tmp_path, monkeypatch):
    stop_at(6)
    run(capsys, "train", "--text", text, *SMALL, "--out", tmp_path)
    stop_at(None)
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(
            "mdmot.training.checkpoints.shutil.disk_usage", lambda path: usage._replace(free=1000)
        )
        line = refused(capsys, "train", "--out", tmp_path, "--resume")
    assert "00000008 cannot be written" in line
    assert "older checkpoints are intact" in line
    assert checkpoints.saved_steps(tmp_path / "checkpoints") == [4]
    assert load_checkpoint(tmp_path).provenance["step"] == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--text", "EMPTY"], "is empty; pass --text PATH"),
        (["--text", "BINARY"], "is binary; pass --text PATH"),
        (["--text", "missing"], "--text missing: cannot be read (no such file"),
        (["--text", "ONE"], "is one document, of which none can be held out"),
        (["--text", "SHORT"], "less than one window of 32; pass a longer --text PATH or a shorter length"),
        (["--text", "TEXT", "--length", 60], "tokens, less than two windows of 60; pass a longer text"),
        (["--text", "TEXT", "--out", "TEXT"], "is the folder of the text and of a model, too"),
        (["--preset", "huge"], "preset 'huge' is not known; use one of tiny, text, bundled"),
        (["--language", "sums"], "language 'sums' is not known; use one of arithmetic, brackets, sudoku"),
        (["--language", "sudoku", "--text", "TEXT"], "--language and text are both given"),
        (
            ["--language", "sudoku", "--tokenizer", "TOKENIZER"],
            "a tokenizer is for text, and sudoku:size=4 has symbols",
        ),
        (["--learned-order", "--control-variate"], "which has no use for control; leave one or the other"),
        (["--learned-order", "--mirror"], "which has no use for --patterns, spread; leave one"),
        (["--syrm", "a"], "--syrm masks signs in prompts, and there are none; pass --answers-after too"),
        (["--isad-power", 0.4], "of the delimiters that isad names; pass isad too"),
        (["--isad", "a", "--isad-power", 3], "power = 3.0; pass a number above 0 and at most 1"),
        (["--isad", ""], "--isad = '' has no token; pass at least one"),
        (["--isad", "ids:1,x"], "--isad 'ids:1,x': expected numbers of tokens, as ids:10,58"),
        (["--isad", "ids:256"], "token 256, but the model's clean tokens are 0 to 255"),
        (["--language", "sudoku", "--isad", "="], "--isad: '=' not in the vocabulary"),
        (["--weight", "abc"], "--weight 'abc': expected a number, a colon and tokens, as 0.5:"),
        (["--weight", "0:abc"], "pass one token or more and a weight above 0"),
        (["--weight", "2:a", "--isad", "b"], "pass a weight of at most 1"),
        (["--answers-until", "a"], "pass --answers-after, where they begin, too"),
        (["--text", "TEXT", "--answers-after", "no such"], "and an answer after them; pass the end of the"),
        (["--levels", "epr:1,2,3"], "3 numbers; pass epr:a,r,b,q,A,kappa,m or epr:MODEL"),
        (["--levels", "epr:1,1,1,1,1,1,0"], "r, q and m above 0"),
        (["--text", "TEXT", "--levels", "epr:absent"], "model absent/model.json: cannot be read"),
        (["--language", "sudoku", "--length", 9], "--length 9: sequences of sudoku:size=4 have 16 tokens"),
        (["--tokenizer", "missing"], "--tokenizer missing: cannot be read (no such file"),
        (["--text", "TEXT", "--tokenizer", "EMPTY"], "no tokenizer"),
        (["--text", "TEXT", "--tokenizer", "TOKENIZER"], "4 tokens, less than two windows of 32"),
        (["--levels", "uniform"], "'uniform' is not known; use shifted, independent"),
        (["--mirror", "--patterns", 1], "--patterns = 1; pass 2 or more"),
        (["--warm-up", 40], "--warm-up = 40 in --steps = 40; pass a warm-up of at least 0 and of less"),
        (["--width", 30, "--heads", 2], "width 30 does not split into 2 heads"),
        (["--log-every", 3, "--save-every", 10], "pass a multiple of --log-every as --save-every"),
        (["--batch", 9, "--microbatches", 2], "and of --microbatches as --batch"),
        (["--learning-rate", 0], "pass positive numbers"),
        (["--average", 1], "1.0 is not in the range 0<=x<1"),
        (["--keep", 1], "--keep = 1 is not a whole number of at least 2"),
        (["--seed", 2**31], "pass a whole number from 0 to 2147483647"),
        (["--devices", 10**6], "--devices = 1000000: this machine has"),
        (["--steps", 0], "0 is not in the range"),
        (["--text", "TEXT", "--out", "EMPTY"], "cannot be written"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, list) else "",
)
def test_careless_input_of_a_training(capsys, text, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").write_bytes(b"")
    (tmp_path / "BINARY").write_bytes(bytes(range(256)))
    for folder, words_of in (("ONE", ["some words"]), ("SHORT", ["some", "words"])):
        (tmp_path / folder).mkdir()
        for number, content in enumerate(words_of):
            (tmp_path / folder / f"{number}.txt").write_text(content)
    (tmp_path / "TOKENIZER").write_text(TOKENIZER)
    named = {"TEXT": text}
    options = [named.get(option, option) for option in options]
    if "--out" not in options:
        options += ["--out", "run"]
    preset = [] if "--preset" in options else ["--preset", "tiny"]
    assert words in refused(capsys, "train", *preset, *options)
    assert not (tmp_path / "run" / "config.json").exists()


def test_files_left_out_are_named_once_but_for_empty_ones(capsys, text):
    with pytest.warns(InputWarning, match=r"^left out image.png: binary$"):
        read_corpus(text).warn_of_skipped()


def test_a_run_within_the_text_is_no_part_of_it(text, tmp_path):
    folder = shutil.copytree(text, tmp_path / "text")
    before = read_corpus(folder).without(folder / "run")
    assert before == read_corpus(folder)
    (folder / "run" / "tokens").mkdir(parents=True)
    (folder / "run" / "tokens" / "0.tokens").write_text("text")
    (folder / "run" / "weights").write_bytes(b"\0")
    (folder / "runner.txt").write_text("text")
    after = read_corpus(folder).without(folder / "run")
    assert {entry.path for entry in after.entries} == {e.path for e in before.entries} | {"runner.txt"}
    assert after.skipped == before.skipped


def test_a_model_within_the_text_is_no_part_of_what_it_is_measured_on(capsys, text, tmp_path):
    folder = shutil.copytree(text, tmp_path / "text")
    model = even_model(folder / "model", Bytes(), 16)
    arguments = ["profile", model, "--text", folder, "--levels", 2, "--draws", 2]
    found(capsys, *arguments, "--out", tmp_path / "profile.json")
    data = json.loads((tmp_path / "profile.json").read_text())["provenance"]["data"]
    assert data["documents"] == len(read_corpus(text).entries)


def test_settings_follow_those_that_are_given():
    preset = PRESETS["text"]

    def config(**given):
        return new_config(preset, arguments_of(given), Symbols(("a", "b")))

    assert config() == dataclasses.replace(preset, model=dataclasses.replace(preset.model, vocab_size=2))
    assert config(num_steps=200).num_warm_up == 10  # a twentieth, as in the preset
    assert config(num_steps=200, num_warm_up=3).num_warm_up == 3
    assert (config(save_every=25).log_every, config(log_every=30).save_every) == (5, 120)
    assert (config(mirror=True).num_patterns, config(mirror=True).spread) == (2, Antithetic())
    assert config(mirror=True, num_patterns=4).num_patterns == 4
    assert config(width=64, heads=2).model.width == 64
    for name, levels in (
        ("shifted", preset.levels),
        ("independent", EvenLevels(Independent())),
        ("antithetic", EvenLevels(Antithetic())),
        ("stratified", EvenLevels(Stratified())),
        ("fitted", FittedLevels()),
        ("epr:1,2,3,4,5,-6,7", EprLevels(1.0, 2.0, 3.0, 4.0, 5.0, -6.0, 7.0)),
    ):
        assert config(levels=name).levels == levels
    assert arguments_of({"levels": "epr:my model"}) == {"levels_of": "my model"}


def test_every_setting_is_a_field():
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    sizes = {field.name for field in dataclasses.fields(TransformerConfig)}
    named = {*Settings.__annotations__}
    assert named - fields == sizes - {"vocab_size", "pad_id", "param_dtype"}  # told by the data and --store
    assert fields - named == {"model", "masks", "answers", "maskable", "token_weights"}  # see TextMarks
    options = {parameter.name for parameter in main.commands.commands["train"].params}
    assert {*Numbers.__annotations__} <= options


def test_presets_are_listed(capsys):
    status, out, _ = run(capsys, "train", "--presets")
    assert status == 0
    assert "text, the default:\n  --length 128 --width 128 --depth 4 --heads 4\n" in out
    assert [line.partition(":")[0].partition(",")[0] for line in out.splitlines()[::4]] == list(PRESETS)


def even_model(folder, vocabulary, length, data=None):
    """A network to which all tokens are alike: a token costs log2 of their number."""
    config = TransformerConfig(vocab_size=vocabulary.size, length=length, width=8, depth=1, heads=2)
    _, shapes = from_nnx(nnx.eval_shape(lambda: MaskedTransformer(config, nnx.Rngs(0))))
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    save_checkpoint(folder, MaskedTransformer, config, zeros, vocabulary, {"data": data})
    return folder


def test_evaluation_on_the_held_out_documents_and_on_all(capsys, text, tmp_path):
    model = even_model(tmp_path / "model", Bytes(), 16, {"text": str(text)})
    held_out = hold_out_documents(read_corpus(text), 0.05)[1]
    result = found(capsys, "evaluate", model, "--seed", 3)
    assert set(result) == {
        *("bits_per_token", "bits_per_byte", "standard_error", "tokens", "documents", "sampler", "seed"),
        *("versions", "device"),
    }
    assert result["sampler"] is None  # of a text that is no Python
    # float32: a sum of 16 logarithms, each with an error of 1e-7 of itself.
    assert result["bits_per_token"] == pytest.approx(8, abs=1e-5)
    assert result["bits_per_byte"] == result["bits_per_token"]
    assert result["standard_error"] == pytest.approx(0, abs=1e-5)
    assert result["documents"] == len(held_out.entries)
    assert result["tokens"] == held_out.num_bytes // 16 * 16
    assert found(capsys, "evaluate", model, "--text", text, "--seed", 3) == result
    everything = found(capsys, "evaluate", model, "--text", text, "--all", "--limit", 5)
    assert (everything["documents"], everything["tokens"]) == (30, 5 * 16)
    status, out, err = run(capsys, "evaluate", model)
    assert status == 0
    assert out.startswith("8.0000 +- ")
    assert "bits a token\n8.0000 bits a byte\n" in out
    assert f"5 windows of 16 tokens from the {len(held_out.entries)} held-out documents of {text}" in err


def test_evaluation_is_that_of_the_library(capsys, text, whole):
    out, _ = whole
    rows = tokenize(hold_out_documents(read_corpus(text), 0.05)[1], Bytes(), None).windows(16)
    result = found(capsys, "evaluate", out, "--seed", 5)
    jax.config.update("jax_enable_x64", False)
    model = load_checkpoint(out).model
    expected = evaluate(jax.random.key(5), model, rows, batch_size=len(rows))
    assert result["bits_per_token"] == expected.nats_per_token / math.log(2)
    assert result["standard_error"] == expected.standard_error / math.log(2)


def test_bits_per_byte_of_a_tokenizer(capsys, tmp_path):
    tokenizer = Tokenizer(TOKENIZER)
    model = even_model(tmp_path / "model", tokenizer, 4)
    (tmp_path / "text.txt").write_text("abaabb" * 20)
    result = found(capsys, "evaluate", model, "--text", tmp_path / "text.txt", "--all")
    # "abaabb" is ab a ab b, and b and a never join: 4 tokens of 6 bytes.
    assert result["bits_per_token"] == pytest.approx(2, abs=1e-5)
    assert result["bits_per_byte"] == pytest.approx(2 * 4 / 6, abs=1e-5)


def test_evaluation_on_a_language(capsys, tmp_path):
    language = arithmetic(digits=1)
    model = even_model(
        tmp_path / "model", language.vocabulary, language.length, {"language": language.name}
    )
    result = found(capsys, "evaluate", model, "--limit", 32, "--num", 0)
    assert result["bits_per_token"] == pytest.approx(math.log2(12), abs=1e-5)
    assert (result["bits_per_byte"], result["tokens"], result["documents"]) == (None, 32 * 6, 32)
    status, out, _ = run(capsys, "evaluate", model, "--limit", 32, "--num", 0)
    assert status == 0
    assert f"{math.log2(100) / 6:.4f} bits a token is the entropy of the language" in out
    assert "192 tokens of 32 sequences" in out
    line = refused(capsys, "profile", model, "--length", 5)
    assert f"--length 5: the sequences of {language.name} have 6 tokens" in line


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("bytes", ["--length", 17], "--length: 17 tokens; the network is made for 1 to 16"),
        ("bytes", ["--text", "EMPTY"], "is empty; pass --text PATH"),
        ("bytes", ["--text", "BINARY"], "is binary; pass --text PATH"),
        ("bytes", ["--text", "SHORT"], "or --all if the model was trained on another text"),
        (
            "bytes",
            ["--text", "SHORT", "--all"],
            "1 sequences of 16 tokens",
        ),
        ("bytes", ["--language", "sudoku"], "has a vocabulary of 4 symbols"),
        ("bytes", ["--language", "sudoku", "--all"], "--all is of the documents of a text"),
        ("bytes", ["--language", "sudoku", "--text", "SHORT"], "--text and --language are both given"),
        ("symbols", [], "has symbols of its own, not text; pass --language SPEC"),
        ("symbols", ["--text", "SHORT", "--all"], "--text, SHORT, line 1"),
        ("symbols", ["--language", "arithmetic:digits=2"], "have 9 tokens, and the model's 16"),
        ("missing", [], "missing: no such file or folder; expected the folder of a model, a law file"),
        ("SHORT", ["--text", "SHORT"], "SHORT is a law, which makes its own sequences; leave out"),
        ("SHORT", ["--all"], "SHORT is a law"),
        ("SHORT", ["--language", "sudoku"], "SHORT is a law"),
        ("SHORT", ["--length", 3], "--length: 3 tokens; the sequences of the law have 4"),
        ("SHORT", ["--num", 3], "--num 3: errors take at least 4 samples; pass 0 for none"),
        ("SHORT", ["--schedule", "steep"], "schedule 'steep' is not known"),
        ("SHORT", ["--schedule", "PLAN", "--steps", 3], "the plan has 1 steps, and 3 are asked for"),
        ("bytes", ["--text", "bytes"], "is the folder of the text and of a model, too"),
        ("bytes", ["--text", "ONE"], "is one document, of which none is held out"),
        ("OUTER/bytes", ["--text", "OUTER", "--all"], "OUTER has no text but that of OUTER/bytes; pass"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, list) else "",
)
def test_careless_input_of_an_evaluation(capsys, tmp_path, monkeypatch, model, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").write_bytes(b"")
    (tmp_path / "BINARY").write_bytes(bytes(range(256)))
    (tmp_path / "SHORT").write_bytes(b"twenty bytes of text")
    plan = {"kind": "plan", "version": 1, "length": 5, "steps": 1, "reveal": "fixed", "counts": [5]}
    plan |= {"alpha": [0.0, 1.0], "gamma": [0.0, 1.0], "path_kl": None, "provenance": {}}
    (tmp_path / "PLAN.json").write_text(json.dumps(plan))
    options = ["PLAN.json" if option == "PLAN" else option for option in options]
    (tmp_path / "ONE").mkdir()
    (tmp_path / "ONE" / "text").write_bytes(b"text " * 20)
    symbols = arithmetic(digits=1).vocabulary
    vocabulary = {"bytes": Bytes(), "OUTER/bytes": Bytes(), "symbols": symbols}.get(model)
    if vocabulary is not None:
        even_model(tmp_path / model, vocabulary, 16)
    assert words in refused(capsys, "evaluate", model, *options)


def test_a_language_is_trained_on(capsys, tmp_path, monkeypatch):
    def course(config, model, data, mesh):
        size = config.model
        assert (size.vocab_size, size.length, size.mask_id) == (4, 16, 4)
        assert (len(data.windows), len(data.held_out)) == (64, 64)
        assert sudoku(4).is_correct(np.concatenate([data.windows, data.held_out])).all()
        assert not np.array_equal(data.windows, data.held_out)
        return Course(config, *[None] * 5)

    def trained(course, description, out, *, export, **options):
        assert export.vocabulary == Symbols(("1", "2", "3", "4"))
        write_config(out / "config.json", course.config, description)
        return RunResult(None, {"seed": course.config.seed, "data": description}, 0)

    monkeypatch.setattr(sources, "SEQUENCES", 64)
    monkeypatch.setattr("mdmot.training.runs.masked_course", course)
    monkeypatch.setattr("mdmot.training.own_folder.run_in_own_folder", trained)
    monkeypatch.setattr("mdmot.training.export.Export.__call__", lambda export, state: None)
    arguments = ["train", "--preset", "tiny", "--seed", 7, "--language", "sudoku"]
    result = found(capsys, *arguments, "--out", tmp_path)
    assert (result["seed"], result["data"]["language"]) == (7, "sudoku:size=4")
    assert found(capsys, "train", "--out", tmp_path, "--resume") == result
    assert "begun with sudoku:size=4, not with text" in refused(
        capsys, "train", "--out", tmp_path, "--resume", "--text", tmp_path
    )


def test_a_tokenizer_stays_with_the_run(text, tmp_path):
    pytest.importorskip("tokenizers")
    given, kept = tmp_path / "tokenizer.json", tmp_path / "kept.json"
    given.write_text(TOKENIZER)
    source = sources.data_source(text, None, given, {}, kept)
    assert source.vocabulary == Tokenizer(TOKENIZER)
    begun = {"text": str(text), "tokenizer": fingerprint(source.vocabulary)}
    kept.write_text(TOKENIZER)
    given.write_text(OTHER_TOKENIZER)
    assert sources.data_source(None, None, None, begun, kept) == source
    with pytest.raises(InputError, match="but the model one of 4 tokenizer tokens"):
        sources.data_source(None, None, given, begun, kept)
    kept.write_text(OTHER_TOKENIZER)
    with pytest.raises(InputError, match="sudoku:size=4 has symbols of its own"):
        sources.data_source(None, None, given, {"language": "sudoku:size=4"}, kept)
    with pytest.raises(InputError, match="is not the tokenizer that the run was begun with"):
        sources.data_source(None, None, None, begun, kept)


def test_seeds_of_sequences_held_out_are_those_of_no_training():
    language = arithmetic(digits=9)
    trained, held_out = language.trained_on(0, 100), language.held_out(0, 100)
    assert not (trained[:, None] == held_out[None]).all(axis=2).any()


def test_a_model_without_checkpoints_is_not_overwritten(capsys, tmp_path):
    folder = tmp_path / "model"
    even_model(folder, Bytes(), 16)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for options in ((), ("--resume",)):
        words = refused(capsys, "train", "--preset", "tiny", "--out", folder, *options)
        assert "holds a model, but no checkpoints" in words
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "bert"}')
    assert "holds a model" in refused(capsys, "train", "--preset", "tiny", "--out", other)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_other_documents_than_those_held_out_are_named(capsys, tmp_path, monkeypatch):
    folder, text = tmp_path / "model", tmp_path / "text"
    even_model(folder, Bytes(), 16)
    text.mkdir()
    for number in range(30):
        (text / f"{number}.txt").write_text("x" * 40)
    content = json.loads((folder / "model.json").read_text())
    held_out = hold_out_documents(read_corpus(text))[1]
    content["provenance"]["data"] = {"text": str(text), "held_out": held_out.provenance}
    (folder / "model.json").write_text(json.dumps(content))
    assert "may have been trained on some of them" not in run(capsys, "evaluate", folder)[2]
    for path in text.iterdir():
        path.rename(path.with_suffix(".md"))
    assert "may have been trained on some of them" in run(capsys, "evaluate", folder)[2]


def test_methods_are_named_by_options():
    preset = PRESETS["tiny"]

    def chosen(given):
        settings = arguments_of(given)
        return {"marks": settings.pop("marks", None), "given": settings}

    def config(vocabulary, **given):
        return new_config(preset, vocabulary=vocabulary, **chosen(given))

    given = config(
        Bytes(), answers_after="A: ", isad="#", isad_power=0.25, syrm="|,", weight=("0.5:xy", "0.8:ids:7")
    )
    assert given.answers == Answers(tuple(b"A: "), tuple(b"\n"))
    assert given.masks == ReweightedMasks()
    assert given.maskable == tuple(b"|,")
    assert given.token_weights == (
        *(TokenWeight(tuple(b"xy"), 0.5), TokenWeight((7,), 0.8)),
        TokenWeight(tuple(b"#"), 0.25),
    )
    assert config(Bytes(), answers_after="A", answers_until="ids:0,1").answers == Answers((65,), (0, 1))
    assert config(Symbols(("1", "=")), answers_after="=").answers == Answers((1,), ())
    assert config(Bytes(), learned_order=True).order == LearnedOrder()
    assert config(Bytes(), control_variate=True).control == ControlVariate()
    # A resumed run keeps what is not named again, and what is said of tokens is said as a whole.
    again = changed(given, vocabulary=Bytes(), **chosen({"control_variate": True}))
    assert again == dataclasses.replace(given, control=ControlVariate())
    other = changed(given, vocabulary=Bytes(), **chosen({"weight": ("0.5:x",)}))
    assert other == dataclasses.replace(
        preset, model=given.model, token_weights=(TokenWeight((120,), 0.5),)
    )


def test_a_learned_order_is_kept_with_the_model_and_resumed(capsys, text, stop_at, tmp_path):
    options = ["--text", text, *SMALL, "--learned-order"]
    found(capsys, "train", *options, "--out", tmp_path / "whole")
    stop_at(10)
    assert run(capsys, "train", *options, "--out", tmp_path / "parts")[0] == 130
    stop_at(None)
    found(capsys, "train", "--out", tmp_path / "parts", "--resume")
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert numbers(tmp_path / "parts") == numbers(tmp_path / "whole")
    parts, whole = (load_checkpoint(tmp_path / name).provenance for name in ("parts", "whole"))
    learned = whole["order_log_weights"]
    assert parts["order_log_weights"] == learned
    assert len(learned) == 16
    assert len(set(learned)) > 1
    plain = even_model(tmp_path / "plain", Bytes(), 16)
    assert jax.tree.structure(load_checkpoint(tmp_path / "whole").model.params) == jax.tree.structure(
        load_checkpoint(plain).model.params
    )


def test_levels_are_fitted_to_a_model_and_stay_with_the_run(capsys, text, whole, tmp_path):
    options = ["--text", text, *SMALL, "--levels", f"epr:{whole[0]}", "--out", tmp_path / "run"]
    status, _, err = run(capsys, "train", *options)
    assert status == 0
    assert f"fitted to {whole[0]} on" in err
    levels = read_config(tmp_path / "run" / "config.json")[0].levels
    assert isinstance(levels, EprLevels)
    # After twelve steps a token costs about as much at all levels, and at most its 8 bits and a half more.
    shares = np.linspace(0.1, 0.9, 9)
    spread = np.sqrt(levels.second_moment(shares)) / (8 * math.log(2))
    assert (spread > 0.5).all()
    assert (spread < 1.5).all()
    before = weights(tmp_path / "run")
    found(capsys, "train", "--out", tmp_path / "run", "--resume")
    assert weights(tmp_path / "run") == before
    short = ["--text", text, *SMALL[:2], "--length", 32, "--levels", f"epr:{whole[0]}"]
    words = refused(capsys, "train", *short, "--out", tmp_path / "long")
    assert "reads 16 tokens, and windows have 32" in words
    symbols = ["--language", "sudoku", "--levels", f"epr:{whole[0]}", "--preset", "tiny"]
    words = refused(capsys, "train", *symbols, "--out", tmp_path / "symbols")
    assert "has a vocabulary of 4 symbols" in words
