"""Output files: proved writable before any long work."""

import contextlib
import pathlib
import sys
import tempfile
from collections.abc import Iterator

import click

from mdmot.errors import InputError

STANDARD_OUTPUT = pathlib.Path("-")


def prepare_outputs(out: pathlib.Path | None, plots: pathlib.Path | None, as_json: bool) -> None:
    """Makes the folder of the plots, and proves that it and the file can be written.

    Raises:
      InputError: If one cannot, the file is a folder, or standard output is asked for two things.
    """
    from mdmot.files import assert_writable, prepare_folder

    if out == STANDARD_OUTPUT:
        if as_json:
            raise InputError("--out - and --json both go to standard output; name a file, or leave one out")
    elif out is not None:
        if out.is_dir():
            raise InputError(f"--out {out} is a folder; name a file in it")
        assert_writable(out)
    if plots is not None:
        prepare_folder(plots)


@contextlib.contextmanager
def output_file(out: pathlib.Path) -> Iterator[pathlib.Path]:
    """The file to write what --out asks for; that of `-` is copied to standard output."""
    if out != STANDARD_OUTPUT:
        yield out
        return
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "output")
        yield path
        click.echo(path.read_bytes(), nl=False)


@contextlib.contextmanager
def beside_output(out: pathlib.Path | None) -> Iterator[None]:
    """What is printed for a person goes to standard error where standard output is the file."""
    if out != STANDARD_OUTPUT:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield
