"""The programs in the documents run."""

import pathlib
import re
import subprocess
import sys
import types

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]


def program(page, language="python"):
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S))


def output(program):
    # A process of its own, with JAX as a reader has it: float32, and no checks of this test suite.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_programs_of_the_sampling_page_run():
    printed = output(program("sampling.md"))
    # The prompt of the first row stays; the first of four steps rounds to no token and calls nothing.
    assert "[[1 2 3" in printed
    assert "[3 3]" in printed


def test_the_program_of_the_tuning_page_finds_a_better_plan():
    printed = output(program("tuning.md"))
    counts = eval(re.match(r"\([\d, ]*\)", printed).group())
    assert (len(counts), sum(counts)) == (8, 32)
    loss, linear = (
        float(re.search(rf"{name}'?:? ([\d.e-]+)", printed).group(1)) for name in ("lose", "linear")
    )
    assert loss < linear


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
