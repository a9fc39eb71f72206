"""The state of a search for a partition in a file."""

import dataclasses
import json
import pathlib
from typing import Any

from mdmot.arguments import is_whole
from mdmot.errors import InputError
from mdmot.files import write_atomically
from mdmot.information.resume import CURE, read_content
from mdmot.partitions.search import SearchState

KIND, VERSION = "partition-run", 1


def write_search_state(
    path: pathlib.Path, fingerprint: dict[str, Any], state: SearchState, probe: list[float]
) -> None:
    """Replaces the file by the state after some rounds.

    Args:
      path: The file.
      fingerprint: What a run must have in common to continue from it.
      state: Where the search stands.
      probe: Losses by which the model is known again.
    """
    content = {"kind": KIND, "version": VERSION, "run": fingerprint, "probe": probe}
    write_atomically(path, json.dumps(content | {"state": dataclasses.asdict(state)}))


def read_search_state(
    path: pathlib.Path, fingerprint: dict[str, Any], length: int, num_steps: int, probes: int
) -> tuple[SearchState, list[float]]:
    """The state and the probe.

    Args:
      path: The file.
      fingerprint: What the runs must have in common.
      length: Positions of a partition.
      num_steps: Its steps.
      probes: Losses of the probe.

    Raises:
      InputError: If the file cannot be read, is damaged, or belongs to another run.
    """
    content = read_content(path, fingerprint, KIND, VERSION)
    try:
        fields = dict(content["state"])
        for name in ("step", "best"):
            if fields[name] is not None:
                fields[name] = _partition(fields[name], length, num_steps)
        state = SearchState(**fields)
        numbers = (state.rounds, state.evaluations, state.stalled)
        if not all(is_whole(number, 0) for number in numbers) or state.step is None:
            raise ValueError
        if (state.best is None) != (state.best_loss is None):
            raise ValueError
        probe = [float(loss) for loss in content["probe"]]
        if len(probe) != probes:
            raise ValueError
        return state, probe
    except (ValueError, KeyError, TypeError):
        raise InputError(f"resume file {path} holds no state of a search; {CURE}") from None


def _partition(steps: Any, length: int, num_steps: int) -> tuple[int, ...]:
    if len(steps) != length or {*steps} != {*range(num_steps)} or not all(is_whole(k, 0) for k in steps):
        raise ValueError
    return tuple(steps)
