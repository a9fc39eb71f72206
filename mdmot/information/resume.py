"""The state of an estimate in a file: sums so far, and how the model is known again."""

import json
import pathlib
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mdmot.errors import InputError
from mdmot.files import write_atomically
from mdmot.information.moments import SplitMoments

KIND, VERSION = "profile-run", 2

SAME_MODEL = 1e-3
"""Relative difference up to which the losses of draws count as those of the same model.

A network's sums come out in another order on another device or in another release, which moves its losses
by 1e-6, in half precision by some 1e-4 once averaged over tokens; other weights move them by far more.
"""

CURE = "delete it to start afresh, or name another"


@runtime_checkable
class Sizes(Protocol):
    """The sizes of a run: its levels, all draws, those of a batch, all batches and those that probe."""

    levels: np.ndarray
    total: int
    batch_size: int
    batches: int
    probes: int


def write_state(
    path: pathlib.Path, fingerprint: dict[str, Any], done: int, moments: SplitMoments, probe: list[float]
) -> None:
    """Replaces the file by the state after some batches.

    Args:
      path: The file.
      fingerprint: What a run must have in common to continue from it.
      done: Batches done.
      moments: Their sums.
      probe: Mean losses of the draws of the first batches, by which the model is known again.
    """
    state = {"batches": done, "moments": moments.to_json(), "probe": probe}
    content = {"kind": KIND, "version": VERSION, "run": fingerprint, **state}
    write_atomically(path, json.dumps(content))


def read_state(
    path: pathlib.Path, fingerprint: dict[str, Any], sizes: Sizes
) -> tuple[int, SplitMoments, list[float]]:
    """Batches done, their sums and the probe.

    Raises:
      InputError: If the file cannot be read, is damaged, or belongs to another run.
    """
    content = read_content(path, fingerprint, KIND, VERSION)
    try:
        done, probe = content["batches"], np.array(content["probe"], np.float64)
        moments = SplitMoments.from_json(content["moments"], sizes.levels.size)
    except (ValueError, KeyError, TypeError, OverflowError):
        raise _no_state(path, VERSION) from None
    if type(done) is not int or not 0 <= done <= sizes.batches:
        raise InputError(f"resume file {path} counts {done} of {sizes.batches} batches; {CURE}")
    draws = min(done * sizes.batch_size, sizes.total)
    shown = min(draws, sizes.probes * sizes.batch_size)
    if moments.values != (draws, draws) or probe.shape != (shown,):
        raise InputError(f"resume file {path} holds other draws than those of {done} batches; {CURE}")
    return done, moments, probe.tolist()


def read_content(
    path: pathlib.Path, fingerprint: dict[str, Any], kind: str, version: int
) -> dict[str, Any]:
    """What a file of this kind and version holds, of a run with this fingerprint.

    Raises:
      InputError: If the file cannot be read, is none of that kind and version, or belongs to another run.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["kind"] != kind or content["version"] != version:
            raise ValueError
        found = dict(content["run"])
    except OSError as error:
        raise InputError(f"resume file {path} cannot be read ({error.strerror}); {CURE}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _no_state(path, version) from None
    changed = [name for name in fingerprint if found.get(name) != fingerprint[name]]
    if changed:
        raise InputError(
            f"resume file {path} belongs to a run with other {', '.join(changed)}; repeat that run's"
            f" settings, or {CURE}"
        )
    return dict(content)


def assert_same_model(path: pathlib.Path, before: list[float], now: list[float]) -> None:
    """Raises InputError unless the first draws cost now what the file says they did."""
    old, new = np.array(before), np.array(now)
    # A loss near 0 is as inexact as the larger ones that the same logits make.
    typical = max(1e-3, old.sum() / max(old.size, 1))
    is_other = ~np.isclose(new, old, rtol=SAME_MODEL, atol=SAME_MODEL * typical)
    if is_other.any():
        draw = int(np.argmax(is_other))
        raise InputError(
            f"resume file {path} belongs to a run with another model: draw {draw} cost {old[draw]:.6g}"
            f" nats a token and costs {new[draw]:.6g} now; pass that model, or {CURE}"
        )


def _no_state(path: pathlib.Path, version: int) -> InputError:
    return InputError(f"resume file {path} is not the state of an estimate of version {version}; {CURE}")
