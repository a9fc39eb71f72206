"""Settings of a run as JSON beside what the run writes, and what a resumed run is checked against."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from mdmot.errors import InputError
from mdmot.files import write_atomically
from mdmot.models import EditingConfig, InsertionConfig, TransformerConfig
from mdmot.training.editor_config import EditorTrainConfig
from mdmot.training.epr_levels import EprLevels
from mdmot.training.given_spans import GivenSpans
from mdmot.training.inserter_config import InserterTrainConfig
from mdmot.training.levels import EvenLevels, FittedLevels
from mdmot.training.marks import Answers, TokenWeight
from mdmot.training.masks import CountedMasks, IndependentMasks, ReweightedMasks
from mdmot.training.objective import ControlVariate
from mdmot.training.orders import LearnedOrder, RandomOrder
from mdmot.training.presets import TrainConfig
from mdmot.training.spread import Antithetic, Independent, Shifted, Stratified

RunConfig: TypeAlias = TrainConfig | EditorTrainConfig | InserterTrainConfig
"""The settings of a run, by what it trains."""

MAY_CHANGE = ("num_steps", "num_microbatches")
"""What a run may go on with other values of."""

KIND, VERSION = "training", 1
CLASSES = {
    found.__name__: found
    for found in (
        TrainConfig,
        TransformerConfig,
        EditorTrainConfig,
        EditingConfig,
        InserterTrainConfig,
        InsertionConfig,
        GivenSpans,
        EvenLevels,
        FittedLevels,
        EprLevels,
        CountedMasks,
        IndependentMasks,
        ReweightedMasks,
        ControlVariate,
        Answers,
        TokenWeight,
        RandomOrder,
        LearnedOrder,
        Antithetic,
        Independent,
        Shifted,
        Stratified,
    )
}


class Stage(NamedTuple):
    """A part of a run that was meant to have another length: its learning rates were of that length.

    Attributes:
      until: Steps of the run at its end.
      num_steps: Updates that were planned then.
    """

    until: int
    num_steps: int


def write_config(
    path: pathlib.Path, config: RunConfig, data: dict[str, Any], stages: Sequence[Stage] = ()
) -> None:
    """Saves the settings of a run and a description of its data.

    Args:
      path: The file.
      config: The settings.
      data: In JSON's types: what tells these data from others.
      stages: What came before the settings were last changed, in order.

    Raises:
      InputError: If the file cannot be written.

    Example:
      >>> import tempfile
      >>> from mdmot.training.presets import PRESETS
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder, "config.json")
      ...     write_config(path, PRESETS["tiny"], {"name": "some text"})
      ...     read_config(path)[0] == PRESETS["tiny"]
      True
    """
    content = {"kind": KIND, "version": VERSION, "config": _plain(config), "data": data}
    if stages:
        content["stages"] = [stage._asdict() for stage in stages]
    write_atomically(path, json.dumps(content, indent=1))


def read_config(path: pathlib.Path) -> tuple[RunConfig, dict[str, Any]]:
    """The settings of a run and the description of its data.

    Args:
      path: What `write_config` wrote.

    Raises:
      InputError: If it cannot be read or understood.
    """
    config, data, _ = _read(path)
    return config, data


def read_stages(path: pathlib.Path) -> tuple[Stage, ...]:
    """What came before the settings of a run were last changed, in order; most often nothing.

    Args:
      path: What `write_config` wrote.

    Raises:
      InputError: If it cannot be read or understood.
    """
    return _read(path)[2]


def note_extension(path: pathlib.Path, config: RunConfig, step: int) -> None:
    """Writes down that a run goes on with another number of steps than was planned, if it does.

    Args:
      path: What `write_config` wrote when the run began.
      config: The settings now, which differ in `num_steps` alone.
      step: Steps already taken.

    Raises:
      InputError: If the file cannot be read or written.
    """
    begun, data, before = _read(path)
    is_extended = begun.num_steps != config.num_steps
    planned = (*before, Stage(step, begun.num_steps)) if is_extended else before
    # A damaged checkpoint may have sent the run back to a step before the end of a stage.
    clipped = [stage._replace(until=min(stage.until, step)) for stage in planned]
    ends = [0, *(stage.until for stage in clipped)]
    stages = tuple(stage for stage, begin in zip(clipped, ends, strict=False) if stage.until > begin)
    if is_extended or stages != before:
        write_config(path, config, data, stages)


def is_config(path: pathlib.Path) -> bool:
    """Whether a file says that it holds the settings of a training, even such that cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def assert_same_run(path: pathlib.Path, config: RunConfig, data: dict[str, Any]) -> None:
    """Refuses to resume a run with other settings or on other data than it was begun with.

    The number of steps may change, see `note_extension`, and that of microbatches, which are a matter of
    memory alone.

    Args:
      path: What `write_config` wrote when the run began.
      config: The settings now.
      data: The data now.

    Raises:
      InputError: If they differ, with the names of what differs.
    """
    begun, begun_data = read_config(path)
    if type(begun) is type(config):
        now_too = {name: getattr(config, name) for name in MAY_CHANGE if hasattr(config, name)}
        begun = dataclasses.replace(begun, **now_too)
    before = _flat({"": _plain(begun), "data": begun_data})
    now = _flat({"": _plain(config), "data": json.loads(json.dumps(data))})
    differing = [
        f"{name.lstrip('.').removeprefix('model.')} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if differing:
        raise InputError(
            f"{path}: cannot resume: {'; '.join(differing[:3])}; use the same settings or another folder"
        )


def _read(path: pathlib.Path) -> tuple[RunConfig, dict[str, Any], tuple[Stage, ...]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["kind"], content["version"]) != (KIND, VERSION):
            raise InputError(f"{path}: expected kind {KIND} and version {VERSION}; start again elsewhere")
        config = _object(content["config"])
        if not isinstance(config, RunConfig) or not isinstance(content["data"], dict):
            raise ValueError("no settings of a run")
        stages = content.get("stages", ())
        return config, content["data"], tuple(Stage(int(s["until"]), int(s["num_steps"])) for s in stages)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); pass a folder of a run") from None
    except InputError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged or of another version ({error}); start again") from None


def _plain(value: Any) -> Any:
    """A frozen dataclass as an object of JSON with its class."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"class": type(value).__name__, **fields}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _object(value: Any) -> Any:
    if isinstance(value, dict):
        fields = {name: _object(part) for name, part in value.items() if name != "class"}
        return CLASSES[value["class"]](**fields)
    return tuple(_object(part) for part in value) if isinstance(value, list) else value


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    return {k: v for part in value for k, v in _flat(value[part], f"{name}.{part}").items()}
