"""The folders of runs: what is compared of two of them, and what no run takes."""

import pathlib

from mdmot.training import read_metrics

SPEEDS = {"tokens_per_second", "updates_per_second"}

WRONG_SETTINGS = (
    {"keep": 1},
    {"learning_rate": 0.0},
    {"weight_decay": -1.0},
    {"clip_norm": 0.0},
    {"average_decay": 1.0},
    {"seed": -1},
    {"batch_size": 0},
    {"num_warm_up": -1},
    {"log_every": 3, "save_every": 10},
)


class KilledError(BaseException):
    """What nothing catches."""


def killed_at(step):
    """What to show a run so that it is killed after a step."""

    def show(at):
        if at.done == step:
            raise KilledError

    return show


def weights(folder):
    """The file of the weights."""
    return pathlib.Path(folder, "weights.safetensors").read_bytes()


def numbers(folder):
    """The metrics but for the speed."""
    lines = read_metrics(pathlib.Path(folder, "metrics.jsonl"))
    return [{name: value for name, value in line.items() if name not in SPEEDS} for line in lines]
