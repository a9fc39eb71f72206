"""What the command line says without loading JAX: help, versions and what it makes of a slip."""

import subprocess
import sys

from mdmot.cli.main import commands

SAID = """
import contextlib, io, sys
from mdmot.cli.main import status
arguments = {arguments}
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    found = [status(words) for words in arguments]
print(found, [name for name in ("jax", "flax", "scipy", "matplotlib") if name in sys.modules])
"""


def said(arguments):
    """The exit statuses of some commands, and what they have loaded."""
    script = SAID.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_help_and_versions_load_no_jax():
    arguments = [[], ["--help"], ["--version"], *([name, "--help"] for name in commands.commands)]
    assert said(arguments) == f"{[2] + [0] * (len(arguments) - 1)} []"


def test_a_mistyped_option_or_command_loads_no_jax():
    arguments = [["smaple"], ["--vresion"], ["sample", "--steps", "many"]]
    arguments += [[name, "--nonsense"] for name in commands.commands]
    assert said(arguments) == f"{[2] * len(arguments)} []"
