"""What may be set of a training, and what it means in a line."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    from mdmot.training import ControlVariate, GivenSpans, Levels, Orders, Spread

Dtype: TypeAlias = Literal["float32", "bfloat16"]


class Numbers(TypedDict, total=False):
    """Fields of `TrainConfig` and of its `TransformerConfig` that are numbers or words."""

    length: Annotated[int, "Tokens of a window, the longest sequence that the model can read."]
    width: Annotated[int, "Features of each position."]
    depth: Annotated[int, "Number of blocks of the network."]
    heads: Annotated[int, "Number of attention heads; the width must be an even multiple of it."]
    dtype: Annotated[Dtype, "Number type that the network computes in.  [default: float32]"]
    num_steps: Annotated[int, "Number of updates."]
    batch_size: Annotated[int, "Windows in one update."]
    num_microbatches: Annotated[
        int, "Parts of a batch that are computed one after the other, to save memory."
    ]
    learning_rate: Annotated[float, "Largest learning rate, reached after the warm-up."]
    num_warm_up: Annotated[
        int,
        "Number of updates in which the learning rate rises.  [default: the preset's share of the steps]",
    ]
    weight_decay: Annotated[float, "Weight decay of AdamW."]
    clip_norm: Annotated[float, "Largest norm of a gradient; larger gradients are scaled down to it."]
    average_decay: Annotated[float, "Share of the running mean of the weights that an update keeps."]
    num_patterns: Annotated[int, "Mask patterns drawn for each window in an update."]
    log_every: Annotated[int, "Updates between lines of metrics.jsonl."]
    save_every: Annotated[int, "Updates between checkpoints; a kill loses no more than that."]
    keep: Annotated[int, "Number of checkpoints that are kept, at least 2."]
    num_evaluated: Annotated[int, "Held-out windows that are measured at each checkpoint."]


class EditorNumbers(TypedDict, total=False):
    """Fields of `EditorTrainConfig` and of its `EditingConfig` that no masked model has."""

    window: Annotated[int, "How far to both sides a position of a network that edits sees in each block."]
    num_traces: Annotated[int, "Steps of a task to learn from, at most."]


class EditorSettings(EditorNumbers, total=False):
    """What is replaced in the settings of a task or of a run that goes on: see `EditorTrainConfig`."""

    width: int
    depth: int
    heads: int
    expansion: int
    num_steps: int
    batch_size: "int | None"
    learning_rate: float
    num_warm_up: int
    weight_decay: float
    clip_norm: "float | None"
    average_decay: "float | None"
    log_every: int
    save_every: int
    keep: int
    num_evaluated: int
    seed: int


class InserterSettings(TypedDict, total=False):
    """What is replaced in the settings of a training on records: see `InserterTrainConfig`."""

    length: int
    width: int
    depth: int
    heads: int
    expansion: int
    num_steps: int
    batch_size: int
    learning_rate: float
    num_warm_up: int
    weight_decay: float
    clip_norm: float
    average_decay: float
    given: "GivenSpans"
    log_every: int
    save_every: int
    keep: int
    num_evaluated: int
    seed: int


class Settings(Numbers, total=False):
    """What is replaced in the settings of a preset or of a run that goes on: see `TrainConfig`."""

    expansion: int
    kv_heads: "int | None"
    levels: "Levels"
    spread: "Spread"
    control: "ControlVariate | None"
    order: "Orders"
    seed: int
