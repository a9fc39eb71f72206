"""What the argument MODEL names, in the precision that it is computed in."""

import pathlib
from typing import TYPE_CHECKING

from mdmot.cli.options import use_precision
from mdmot.workflows.naming import load, precision_of

if TYPE_CHECKING:
    from mdmot.models import Named


def read_source(path: pathlib.Path | None) -> "Named":
    """What `mdmot.load` makes of a name; sets the precision of networks or of laws.

    Raises:
      InputError: If it is no name.
    """
    use_precision(precision_of(path))
    return load(path)
