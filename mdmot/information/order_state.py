"""The state of a measurement of order tables in a file: the losses so far."""

import base64
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from mdmot.errors import InputError
from mdmot.files import write_atomically
from mdmot.information.resume import CURE, assert_same_model, read_content

KIND, VERSION = "order-run", 1


def write_order_state(
    path: pathlib.Path,
    fingerprint: dict[str, Any],
    done: int,
    losses: Float[np.ndarray, "calls levels"],
) -> None:
    """Replaces the file by the state after some batches.

    Args:
      path: The file.
      fingerprint: What a run must have in common to continue from it.
      done: Batches done.
      losses: Of their rows.
    """
    # As bytes, which are read back as they were and stay short where there are many.
    text = base64.b64encode(losses.astype("<f8").tobytes()).decode()
    content = {"kind": KIND, "version": VERSION, "run": fingerprint, "batches": done, "losses": text}
    write_atomically(path, json.dumps(content))


def read_order_state(
    path: pathlib.Path,
    fingerprint: dict[str, Any],
    losses: Float[np.ndarray, "calls levels"],
    batch_size: int,
    probes: int,
    score: Callable[[int], Float[np.ndarray, "batch levels"]],
) -> int:
    """Fills in the losses of the batches that are done, and says how many are.

    Args:
      path: The file.
      fingerprint: What the runs must have in common.
      losses: Of all rows of the run; filled in.
      batch_size: Rows of a batch.
      probes: First batches, which are scored again to see that the model is the same.
      score: Scores a batch.

    Returns:
      Batches done.

    Raises:
      InputError: If the file cannot be read, is damaged, or belongs to another run or another model.
    """
    content = read_content(path, fingerprint, KIND, VERSION)
    batches = -(-len(losses) // batch_size)
    done, text = content.get("batches"), content.get("losses")
    if type(done) is not int or not 0 <= done <= batches:
        raise InputError(f"resume file {path} counts {done} of {batches} batches; {CURE}")
    try:
        found = np.frombuffer(base64.b64decode(str(text), validate=True), "<f8")
        known = found.reshape(min(done * batch_size, len(losses)), losses.shape[1])
        if not np.isfinite(known).all():
            raise ValueError
    except (ValueError, TypeError):
        raise InputError(
            f"resume file {path} holds other losses than those of {done} batches; {CURE}"
        ) from None
    losses[: len(known)] = known
    shown = [score(batch) for batch in range(min(done, probes))]
    now = np.concatenate([losses[:0], *shown]).sum(axis=1) / fingerprint["length"]
    before = known[: now.size].sum(axis=1) / fingerprint["length"]
    assert_same_model(path, before.tolist(), now.tolist())
    return done
