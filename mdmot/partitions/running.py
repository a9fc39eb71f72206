"""A search run to the end of its evaluations, from a file's state on if there is one."""

import pathlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int

from mdmot.information.estimate import SAVE_SECONDS
from mdmot.information.resume import assert_same_model
from mdmot.partitions.losses import ForcedLosses
from mdmot.partitions.search import PartitionSearch, SearchState
from mdmot.partitions.state_file import read_search_state, write_search_state


def run_search(
    seed: int,
    losses: ForcedLosses,
    first: Int[np.ndarray, " length"],
    evaluations: int,
    path: pathlib.Path | None,
    fingerprint: dict[str, Any],
    progress: Callable[[int, int], None] | None,
) -> PartitionSearch:
    """Searches until it has made so many evaluations.

    Args:
      seed: Of the proposals.
      losses: The rows to search on.
      first: The step of each position at the start, from 0; no step is empty.
      evaluations: Losses of a part of the rows that judge proposals.
      path: Where the state is kept; replaced every few seconds, and when anything ends the search.
      fingerprint: What a run must have in common to continue from it.
      progress: Called as `progress(evaluations done, those in all)`.

    Returns:
      The search.

    Raises:
      InputError: If the file cannot be written or read, is damaged, or belongs to another run or model.
    """
    num_steps = int(first.max()) + 1
    state = SearchState(tuple(first.tolist()))
    # What the last step of the start costs the first rows, by which the model is known again.
    probe = losses.of_part(0, first < num_steps - 1).mean(axis=1).tolist()
    if path is not None and path.exists():
        state, before = read_search_state(path, fingerprint, first.size, num_steps, len(probe))
        assert_same_model(path, before, probe)
    search = PartitionSearch(seed, losses, num_steps, state)

    def save() -> None:
        if path is not None:
            write_search_state(path, fingerprint, search.state, probe)

    # Before any long work: fails where the file cannot be written.
    save()
    saved = time.monotonic()
    try:
        # There is nothing to move where all positions are of one step.
        while num_steps > 1 and search.state.evaluations < evaluations:
            search.advance()
            if time.monotonic() - saved >= SAVE_SECONDS:
                save()
                saved = time.monotonic()
            if progress is not None:
                progress(min(search.state.evaluations, evaluations), evaluations)
    finally:
        save()
    return search
