"""The profile of a model in memory, on data in memory or in a file."""

import os
import pathlib
from typing import TYPE_CHECKING, Any

from mdmot.errors import InputError
from mdmot.provenance import versions
from mdmot.workflows.precision import computing_in
from mdmot.workflows.profiling import LEVELS, MODEL_DRAWS, MOST_ROWS_AT_ONCE
from mdmot.workflows.progress import Progress, Show

MODEL_ROWS = 16
"""Rows of a call of a model whose memory is not known."""

if TYPE_CHECKING:
    from mdmot.information import Profile


def profile_of_model(of: Any, data: Any, seed: int, show: Show | None) -> "Profile":
    """The information profile of a `Model`, or of what `mdmot.load` returned, in JAX's current precision.

    Args:
      of: The model.
      data: Clean tokens [sequences, length]; of what has a vocabulary also the path of a text.
      seed: Seed of all draws.
      show: Called as batches end.

    Raises:
      InputError: If there are no data, or no tokens of the model.
    """
    import numpy as np

    from mdmot.information import default_levels, estimate_profile, estimated_profile, jax_scorer
    from mdmot.models import Named

    if data is None:
        raise InputError(
            "a model in memory is profiled on data; pass data=, rows of clean tokens or a text"
        )
    model, batch_size = (
        (of.model, of.rows_at_once(MOST_ROWS_AT_ONCE)) if isinstance(of, Named) else (of, MODEL_ROWS)
    )
    if isinstance(data, str | os.PathLike):
        if not isinstance(of, Named):
            raise InputError(
                "a Model has no vocabulary to read a text with; pass rows of clean tokens as data"
            )
        from mdmot.data import read_corpus
        from mdmot.workflows.texts import text_rows

        rows = text_rows(of, read_corpus(pathlib.Path(data)), of.length, "pass a longer text").tokens
    else:
        rows = np.asarray(data)
        if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.integer) or rows.shape[1] < 2:
            raise InputError(
                f"data are {rows.dtype}{list(rows.shape)}; pass clean tokens as whole numbers "
                "[sequences, length], and the number of steps as steps="
            )

    def report(done: int, total: int) -> None:
        if show is not None:
            show(Progress("profile", done, total, f"{done:,} of {total:,} batches"))

    found = estimate_profile(
        seed,
        jax_scorer(model),
        rows,
        draws=MODEL_DRAWS,
        batch_size=batch_size,
        levels=default_levels(rows.shape[1], LEVELS),
        progress=report,
    )
    about = {"command": "mdmot tune", "source": repr(of), "seed": seed, "versions": versions()}
    with computing_in("float64"):
        return estimated_profile(found, about | {"method": "measured", "draws": MODEL_DRAWS})
