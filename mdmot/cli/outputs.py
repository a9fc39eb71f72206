"""Output files: proved writable before any long work."""

import pathlib

from mdmot.errors import InputError


def prepare_outputs(out: pathlib.Path | None, plots: pathlib.Path | None) -> None:
    """Makes the folder of the plots, and proves that it and the folder of the file can be written.

    Raises:
      InputError: If one cannot, or the file is a folder.
    """
    from mdmot.files import prepare_folder

    if out is not None:
        if out.is_dir():
            raise InputError(f"--out {out} is a folder; name a file in it")
        prepare_folder(out.parent)
    if plots is not None:
        prepare_folder(plots)
