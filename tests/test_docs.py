"""The programs in the documents run."""

import importlib
import json
import pathlib
import re
import subprocess
import sys
import types

import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from test_chat import ABOUT, write_chat_model

from mdmot.models import InsertionConfig, InsertionTransformer, inserter_from_nnx, save_checkpoint
from mdmot.models.pretrained import FAMILIES
from mdmot.models.pretrained.settings import Settings
from mdmot.vocabulary import Symbols

ROOT = pathlib.Path(__file__).parents[1]


def program(page, language="python"):
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S))


def output(program, folder=None):
    # A process of its own, with JAX as a reader has it: float32, and no checks of this test suite.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_programs_of_the_sampling_page_run():
    printed = output(program("sampling.md"))
    # The prompt of the first row stays; the first of four steps rounds to no token and calls nothing.
    assert "[[1 2 3" in printed
    assert "[3 3]" in printed
    # Products of the five probabilities, and of the last two alone where the first two are given.
    assert printed.splitlines()[-2:] == ["[0.0054 0.0006] [2 2]", "[0.06 0.06]"]


def test_the_program_of_the_editing_page_runs():
    assert output(program("editing.md")) == "[[0, 0, 1, 3]] END 2\n"


def test_the_program_of_the_insertion_page_runs():
    assert output(program("insertion.md")) == "[[0, 0, 1, 1, 3, 3]] [8]\n"


def test_the_folder_that_the_insertion_page_trains_is_used_as_it_says(tmp_path):
    output(program("insertion.md", "python records"), tmp_path)
    lines = (tmp_path / "sums.txt").read_text().splitlines()
    assert len(set(lines)) == len(lines) == 2000
    assert all(eval(line.replace("=", "==")) for line in lines)
    # A network that has learned nothing stands for the one of the page: what it inserts is not looked at.
    signs = tuple(sorted(set("".join(lines))))
    config = InsertionConfig(len(signs), length=10, width=8, depth=1, heads=2)
    _, params = inserter_from_nnx(InsertionTransformer(config, nnx.Rngs(0)))
    save_checkpoint(tmp_path / "sums", InsertionTransformer, config, params, Symbols(signs), {})
    assert output(program("insertion.md", "python named"), tmp_path).startswith("12+7=")


def test_the_program_of_the_tuning_page_finds_a_better_plan():
    printed = output(program("tuning.md"))
    counts = eval(re.match(r"\([\d, ]*\)", printed).group())
    assert (len(counts), sum(counts)) == (8, 32)
    loss, linear = (
        float(re.search(rf"{name}'?:? ([\d.e-]+)", printed).group(1)) for name in ("lose", "linear")
    )
    assert loss < linear


def test_the_program_of_the_export_page_makes_the_tables():
    counts, dream, amused, turns, origin = output(program("export.md")).splitlines()
    assert counts == "(1, 2, 4, 9) (1, 2, 4, 9)"
    # By hand: 14.5/16, then 12.5/15 and 8.5/13 of it.
    assert dream == "[1.0, 0.9062, 0.7552, 0.4938, 0.0] [1, 2, 4, 9]"
    assert turns == "(7, 3, 1, 5, 0, 4, 2, 6)"  # 4; 2, 6; 1, 5, 3, 7; 0
    assert (amused, origin) == ("[1, 2, 4, 9]", "(1.0, 0.75, 0.0)")


def test_the_program_of_the_auditing_page_tells_the_samplers_apart():
    right, wrong, kl, exact = output(program("auditing.md")).splitlines()
    assert "not told apart from the law" in right
    assert wrong.startswith("False differs from the law: log-probability (p = 0)")
    # KL(sampler || law) of the two-step sampler by enumeration is .870, and .691 the other way round.
    assert abs(float(kl.split()[0]) - 0.870) < 5 * float(kl.split()[2])
    assert exact.startswith("0.6906")


def test_the_pytorch_program_of_the_tuning_page_runs(monkeypatch, tmp_path):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)

    class Model(torch.nn.Module):
        """Logits of nine tokens, the mask's among them, as LLaDA returns them."""

        device = torch.device("cpu")

        def __init__(self):
            super().__init__()
            self.embedding, self.head = torch.nn.Embedding(9, 8), torch.nn.Linear(8, 9)

        def forward(self, tokens):
            return types.SimpleNamespace(logits=self.head(self.embedding(tokens)))

    text = program("tuning.md", "python torch")
    assert '"draws": 200' in text
    answers = np.random.default_rng(0).integers(0, 8, (40, 20))
    names = {
        "model": Model(),
        "MASK_ID": 8,
        "answers": answers,
        "prompts": [[1] * (k % 3) for k in range(40)],
    }
    exec(text.replace('"draws": 200', '"draws": 4'), names)
    assert {path.name for path in tmp_path.iterdir()} == {"profile.json", "profile.state"}
    # Each loss is that of the answer's own token among the eight that can be drawn.
    assert 1 < names["profile"].fitted[0] < 4


def test_the_programs_of_the_theory_of_decoders_print_what_the_page_says():
    printed = output(program("decoders-theory.md")).split("\n")
    said = re.findall(r"^# (.*)$", program("decoders-theory.md"), re.M)
    assert len(said) == 10
    assert [re.split("  +", line)[0] for line in said] == printed[:5] + printed[9:14]
    # The program finds the best of all plans; its cost is the decoder's own; with fewer stops it is more.
    values = [float(re.search(r"\d\.\d+", line).group()) for line in printed[5:9]]
    assert values[0] == values[1] == pytest.approx(values[2], abs=1e-12)  # sums of 32 terms near 1
    assert values[3] > values[0]
    assert [line.split("(")[1] for line in printed[5:7]] == ["0, 1, 3, 5)"] * 2
    assert printed[14] == "bisection 0.000"
    assert float(printed[15].removeprefix("left to right ")) > 0.1


@pytest.mark.slow  # seven programs of training to compile
def test_the_programs_of_the_training_page_run(tmp_path):
    first, *printed = output(program("training.md"), tmp_path).split("\n")
    assert re.fullmatch(r"held out: [\d.]+ \+- [\d.]+ bits a token after 20 steps", first)
    # After 40 steps the bits per byte are between those of a good model and of none.
    assert 2 < float(printed[0]) < 8
    assert (printed[2][:3], printed[3]) == ("10 ", "(2, 32)")
    assert printed[-2] == "40"
    folders = {"my-run", "my-model", "my-ordered-run", "my-sharded-run", "tokens", "answers"}
    assert folders == {path.name for path in tmp_path.iterdir()}


def test_the_programs_of_the_pretrained_page_run(tmp_path):
    symbols = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "A", "C", "D"]
    settings = {
        "model_type": "bert",
        "architectures": ["BertForMaskedLM"],
        "vocab_size": len(symbols),
        "hidden_size": 4,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 6,
        "max_position_embeddings": 12,
    }
    family = FAMILIES["bert"]
    config = family.read(Settings(pathlib.Path("config.json"), dict(settings)))
    shapes, generator, tensors = family.shapes(config), np.random.default_rng(0), {}
    for rule in family.rules(config):
        is_block = "{}" in rule.source
        for block in range(0 if rule.is_copy else config.depth if is_block else 1):
            shape = shapes[rule.target][is_block:][:: -1 if rule.is_transposed else 1]
            name = rule.source.split("|")[0].format(block)
            tensors[name] = generator.normal(size=shape).astype(np.float32)
    folder = tmp_path / "my-bert"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "vocab.txt").write_text("\n".join(symbols) + "\n")
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    lines = [" ".join(np.array(["A", "C", "D"])[row]) for row in generator.integers(0, 3, (20, 10))]
    (tmp_path / "sequences.txt").write_text("\n".join(lines) + "\n")
    chat = tmp_path / "llada-instruct"
    chat.mkdir()
    write_chat_model(chat, ABOUT)
    printed = output(program("pretrained.md"), tmp_path).split("\n")
    assert sum(eval(printed[0])) == 10
    assert all(len(text.split()) == 10 and set(text) <= set("ACD ") for text in eval(printed[1]))
    assert printed[2] == "bert 7 3 12 ()"
    assert printed[3] == "32 masks"


def test_every_room_has_one_page_of_the_api_whose_map_names_what_is_there():
    pages = {page.stem: page.read_text() for page in (ROOT / "docs" / "api").glob("*.md")}
    listed = re.findall(r"automodule:: (\S+)", "".join(pages.values()))
    assert len(listed) == len(set(listed))
    # Files below mdmot itself serve the rooms, but for those that users import from.
    rooms = {f"mdmot.{path.parent.name}" for path in (ROOT / "mdmot").glob("*/__init__.py")} - {"mdmot.cli"}
    assert {f"mdmot.{name}" for name in pages if name not in ("index", "mdmot")} == (
        rooms | {"mdmot.exact_law", "mdmot.model"}
    )
    assert rooms - {"mdmot.experiments"} <= {*listed}
    for name, page in pages.items():
        # A word in code is what the room has; pages, "mdmot.x" and commands are not meant.
        named = re.findall(r"(?<!\})`([A-Za-z_]+)`", page.split("\n\n")[1])
        modules = [importlib.import_module(module) for module in re.findall(r"automodule:: (\S+)", page)]
        methods = [
            value for module in modules for value in vars(module).values() if isinstance(value, type)
        ]
        unknown = [
            word for word in named if not any(hasattr(place, word) for place in [*modules, *methods])
        ]
        assert unknown == [] or name == "index", name
