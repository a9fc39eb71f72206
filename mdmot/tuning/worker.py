"""One process at work on a study, and the recovery of trials that died (loaded when a search runs).

A trial is known by its index: 0, 1, 2, ... in the order of first attempts. A trial that died is run again
under its index and at its point, so that a search that was killed and resumed makes the trials it would
have made.
"""

import contextlib
import datetime
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from mdmot.tuning.study import HEARTBEAT_SECONDS, quiet
from mdmot.tuning.suggest import index_of, indices

UNCLAIMED_SECONDS = 15.0
"""So long may pass between the making of a trial and its worker's claim."""

_HERE: set[str] = set()
"""Names of the workers in this process."""


def finished(trials: Sequence[FrozenTrial]) -> dict[int, FrozenTrial]:
    """The finished trial of each index that has one; the first, should a race have made two."""
    done: dict[int, FrozenTrial] = {}
    for index, trial in zip(indices(trials), trials, strict=True):
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            done.setdefault(index, trial)
    return dict(sorted(done.items()))


def has_work(trials: Sequence[FrozenTrial], num_trials: int) -> bool:
    """Whether a trial waits, or one is still to be made."""
    num_first = sum("index" not in trial.user_attrs for trial in trials)
    return num_first < num_trials or any(trial.state == TrialState.WAITING for trial in trials)


class Worker:
    """One process at work on a study.

    Attributes:
      study: The study.
      coordinates: Names of a point's coordinates.
      mark: What the worker's trials carry: host, process and a name that no other worker has.
    """

    def __init__(self, study: optuna.Study, coordinates: Iterable[str]) -> None:
        self.study = study
        self.coordinates = tuple(coordinates)
        self.mark: dict[str, Any] = {
            "host": socket.gethostname(),
            "process": os.getpid(),
            "name": uuid.uuid4().hex,
        }

    def __enter__(self) -> "Worker":
        _HERE.add(self.mark["name"])
        return self

    def __exit__(self, *_: object) -> None:
        _HERE.discard(self.mark["name"])

    def trials(self) -> list[FrozenTrial]:
        """All attempts, in order."""
        return self.study.get_trials(deepcopy=False)

    def at_rung(self, size: int, index: int) -> list[FrozenTrial]:
        """The other trials that have come to this rung, one an index; not those that died."""
        trials = self.trials()
        there = {
            other: trial
            for other, trial in zip(indices(trials), trials, strict=True)
            if size in trial.intermediate_values and trial.state != TrialState.FAIL and other != index
        }
        return list(there.values())

    def recover(self, num_trials: int) -> list[FrozenTrial]:
        """Queues the trials that died before they finished; all attempts, in order."""
        with quiet():
            optuna.storages.fail_stale_trials(self.study)
        for trial in self.trials():
            if trial.state == TrialState.RUNNING and self._is_dead(trial):
                self._fail(trial.number)
        trials = self.trials()
        attempts = list(zip(indices(trials), trials, strict=True))
        alive = {index for index, trial in attempts if trial.state != TrialState.FAIL}
        for index, trial in dict(attempts).items():  # the last attempt at each
            if index < num_trials and index not in alive:
                # A trial that died while its point was drawn draws it again.
                point = trial.params if set(trial.params) == set(self.coordinates) else {}
                self.study.enqueue_trial(point, user_attrs={"index": index})
        return self.trials()

    def run(self, num_trials: int, evaluate: Callable[[Trial, int], tuple[float, bool]]) -> int | None:
        """Runs the next trial: one that waits to be repeated, else a new one.

        Args:
          num_trials: Trials wanted; one too many, which workers may make in a race, is dropped.
          evaluate: Called with the trial and its index; the value, and whether the trial was cut short.

        Returns:
          The trial's index, or None if it was dropped or has been taken over by another worker.
        """
        with quiet():
            trial = self.study.ask()
        try:
            trial.set_user_attr("worker", self.mark)
            index = index_of(self.trials(), trial.number)
            if index >= num_trials:
                self._fail(trial.number)
                return None
            with self._heartbeat(trial):
                value, is_pruned = evaluate(trial, index)
            state = TrialState.PRUNED if is_pruned else TrialState.COMPLETE
            # What a trial that was cut short has reported is its value.
            told = self.study.tell(trial, None if is_pruned else value, state=state, skip_if_finished=True)
            return index if told.state == state else None
        except UpdateFinishedTrialError:
            return None
        except BaseException:
            # If the database is lost as well, the trial is found dead by whoever comes next.
            with contextlib.suppress(Exception):
                self._fail(trial.number)
            raise

    def _fail(self, number: int) -> None:
        with contextlib.suppress(UpdateFinishedTrialError):
            self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    @contextlib.contextmanager
    def _heartbeat(self, trial: Trial) -> Iterator[None]:
        """Tells the others, while it lasts, that the trial is being worked on."""
        storage: Any = self.study._storage
        done = threading.Event()
        storage.record_heartbeat(trial._trial_id)

        def beat() -> None:
            while not done.wait(HEARTBEAT_SECONDS):
                # A beat that fails is like one that is late; the trial's own writes report a lost database.
                with contextlib.suppress(Exception):
                    storage.record_heartbeat(trial._trial_id)
            storage.remove_session()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(HEARTBEAT_SECONDS)

    def _is_dead(self, trial: FrozenTrial) -> bool:
        mark = trial.user_attrs.get("worker")
        if mark is None:
            begun = trial.datetime_start or datetime.datetime.now()
            return (datetime.datetime.now() - begun).total_seconds() > UNCLAIMED_SECONDS
        if mark["host"] != self.mark["host"]:
            return False
        if mark["process"] == self.mark["process"]:
            # Also a process before a restart: a container gives its processes the same numbers again.
            return mark["name"] not in _HERE
        return not _is_alive(mark["process"])


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        return True  # elsewhere a signal 0 is not harmless; the heartbeat will tell
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
