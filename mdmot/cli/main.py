"""`mdmot`: arguments in, exit status out."""

import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import click

from mdmot.cli.compare import compare
from mdmot.cli.doctor import doctor
from mdmot.cli.energy import energy
from mdmot.cli.evaluate import evaluate
from mdmot.cli.export import export
from mdmot.cli.grouped import GroupedCommands
from mdmot.cli.inspect import inspect
from mdmot.cli.law import law
from mdmot.cli.options import with_version
from mdmot.cli.profile import profile
from mdmot.cli.report import report
from mdmot.cli.sample import sample
from mdmot.cli.train import train
from mdmot.cli.tune import tune
from mdmot.cli.verify import verify
from mdmot.compilation_cache import keep_programs
from mdmot.errors import InputError, InputWarning
from mdmot.interruption import INTERRUPTED, MESSAGE, interruptible, leave_now
from mdmot.readable import one_line

BAD_INPUT = 2

NO_MEMORY = "out of memory; ask for less, as by a smaller --steps, --length, --width or --batch"


SECTIONS = {
    "Decide how to sample": ("compare", "profile", "tune"),
    "Models": ("train", "evaluate", "inspect", "sample"),
    "Known exactly": ("law", "energy", "verify"),
    "Pass on": ("export", "report"),
    "This machine": ("doctor",),
}


@click.group(
    cls=GroupedCommands,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@with_version
def commands() -> None:
    """Discrete optimal transport for masked diffusion models.

    Time runs from t = 0 (all masked) to t = 1 (clean); alpha is the probability that a token is
    unmasked. Exit status: 0 done, 1 a check failed, 2 bad input, 130 interrupted.

    For completion in the shell: eval "$(_MDMOT_COMPLETE=bash_source mdmot)", or zsh_source, or fish_source.

    What JAX compiles is kept in the user's cache folder, so that the next command starts sooner. To turn
    that off, set JAX_ENABLE_COMPILATION_CACHE=0.
    """


ALL = (
    *(verify, energy, law, profile, compare, tune, export, sample, train, evaluate, report),
    *(inspect, doctor),
)
for command in ALL:
    commands.add_command(command)


def main() -> None:
    """Runs the command line and exits with its status."""
    keep_programs()
    result = interruptible(lambda: status(sys.argv[1:]))
    if result == INTERRUPTED:  # threads of JAX that still compile would crash as the interpreter ends
        leave_now()
    sys.exit(result)


def status(arguments: list[str]) -> int:
    """Runs one command; bad input becomes one line on standard error."""
    try:
        with _warnings_as_lines():
            result = commands.main(arguments, prog_name="mdmot", standalone_mode=False)
    except InputError as error:
        message = str(error)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return BAD_INPUT
    except click.ClickException as error:
        message = f"{error.format_message().rstrip('.')}; see {_help_of(error, arguments)}"
    except MemoryError:
        message = NO_MEMORY
    except OSError as error:
        message = f"cannot write the output: {error}; free some space or write elsewhere"
    except (KeyboardInterrupt, click.Abort):
        click.echo(MESSAGE, err=True)
        return INTERRUPTED
    except RuntimeError as error:
        # JAX's class for it has no name that is promised.
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        message = NO_MEMORY
    else:
        return result if isinstance(result, int) else 0
    click.echo(f"mdmot: {one_line(' '.join(message.split()))}", err=True)
    return BAD_INPUT


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Shows what mdmot warns of as one line each on standard error, at once and every time."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **place: Any) -> None:
            if issubclass(category, InputWarning):
                click.echo(f"mdmot: {one_line(str(message))}", err=True)
            else:
                others(message, category, *where, **place)

        warnings.showwarning = show
        yield


def _help_of(error: click.ClickException, arguments: list[str]) -> str:
    context = getattr(error, "ctx", None)
    if context is not None:
        return f"{context.command_path} --help"
    # Of an option without its value click does not tell the command, which is the first word.
    return " ".join(["mdmot", *(word for word in arguments[:1] if word in commands.commands), "--help"])
