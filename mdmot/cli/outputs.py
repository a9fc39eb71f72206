"""Output files: proved writable before any long work."""

import contextlib
import os
import pathlib
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence

import click

from mdmot.errors import InputError
from mdmot.readable import one_line
from mdmot.workflows.order_learning import search_state


def say(line: str) -> None:
    """Prints a line on standard error, whatever is in the names that it has."""
    click.echo(one_line(line), err=True)


def say_written(out: pathlib.Path, *following: str) -> None:
    """Prints that a file or a folder is written, and the command that most people want next.

    Args:
      out: The file.
      *following: The words of that command behind `mdmot`; none if there is no such command.
    """
    after = f"; next: mdmot {' '.join(map(_quoted, following))}" if following else ""
    say(f"wrote {out}{after}")


def _quoted(word: str) -> str:
    """A word as a shell reads it, on one line: line feeds and the like as bash and zsh have them."""
    return shlex.quote(word) if word.isprintable() else f"$'{''.join(map(_escaped, word))}'"


def _escaped(sign: str) -> str:
    if sign in "\\'":
        return f"\\{sign}"
    if "\x80" <= sign <= "\xff" and not sign.isprintable():
        return f"\\u{ord(sign):04x}"  # of two digits it would be a byte
    return sign if sign.isprintable() else sign.encode("unicode_escape").decode()


STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def is_standard_output(out: pathlib.Path | None) -> bool:
    """Whether a file is named by a name of standard output."""
    return str(out) in STANDARD_OUTPUT


def assert_outputs(
    out: pathlib.Path | None, plots: pathlib.Path | None, names: Sequence[str], as_json: bool
) -> None:
    """Proves that the file and the plots can be written, and leaves nothing behind.

    Args:
      out: The file.
      plots: The folder of the plots.
      names: Of the plots, without .svg.
      as_json: Whether standard output is for one JSON object.

    Raises:
      InputError: If something cannot, the file is a folder, or standard output is asked for two things.
    """
    from mdmot.files import assert_folder_writable, assert_writable

    if is_standard_output(out):
        if as_json:
            raise InputError(
                f"--out {out} and --json both go to standard output; name a file, or leave one out"
            )
    elif out is not None:
        if out.is_dir():
            raise InputError(f"--out {out} is a folder; name a file in it")
        assert_writable(out)
    if plots is not None:
        assert_folder_writable(plots)
        for name in names:
            assert_writable(plots / f"{name}.svg")


def assert_folder(out: pathlib.Path, *names: str) -> None:
    """Proves that files in a folder can be written, and leaves nothing behind.

    Raises:
      InputError: If one cannot, or the folder has the name of standard output.
    """
    from mdmot.files import assert_writable

    if is_standard_output(out):
        raise InputError(f"--out {out} is standard output, expected a folder for several files; name one")
    for name in names:
        assert_writable(out / name)


@contextlib.contextmanager
def output_file(out: pathlib.Path) -> Iterator[pathlib.Path]:
    """The file to write what --out asks for, its folder made; that of `-` is copied to standard output."""
    if str(out) != "-":
        pathlib.Path(os.path.realpath(out)).parent.mkdir(parents=True, exist_ok=True)
        yield out
        return
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "output")
        yield path
        click.echo(path.read_bytes(), nl=False)


@contextlib.contextmanager
def beside_output(out: pathlib.Path | None) -> Iterator[None]:
    """What is printed for a person goes to standard error where standard output is the file."""
    if not is_standard_output(out):
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def kept_until_written(
    resume: pathlib.Path | None, out: pathlib.Path | None
) -> Iterator[pathlib.Path | None]:
    """Where the state of a measurement is: as asked for, else beside the output while there is none."""
    # Beside a device or a pipe there is no place for it.
    if resume is not None or out is None or is_standard_output(out) or (out.exists() and not out.is_file()):
        yield resume
        return
    state = out.with_name(f"{out.name}.state")
    yield state
    for path in (state, search_state(state)):
        path.unlink(missing_ok=True)
