"""The programs in the documents run."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def test_the_programs_of_the_sampling_page_run():
    text = (ROOT / "docs" / "sampling.md").read_text()
    program = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
    # A process of its own, with JAX as a reader has it: float32, and no checks of this test suite.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # The prompt of the first row stays; the first of four steps rounds to no token and calls nothing.
    assert "[[1 2 3" in done.stdout
    assert "[3 3]" in done.stdout
