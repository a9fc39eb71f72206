"""What may be set of a training, and what it means in a line."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    from mdmot.training import ControlVariate, Levels, Orders, Spread

Dtype: TypeAlias = Literal["float32", "bfloat16"]


class Numbers(TypedDict, total=False):
    """Fields of `TrainConfig` and of its `TransformerConfig` that are numbers or words."""

    length: Annotated[int, "Tokens of a window, and the longest that the model reads."]
    width: Annotated[int, "Features a position."]
    depth: Annotated[int, "Blocks of the network."]
    heads: Annotated[int, "Attention heads; the width is an even multiple of them."]
    dtype: Annotated[Dtype, "What the network computes in.  [default: float32]"]
    num_steps: Annotated[int, "Updates."]
    batch_size: Annotated[int, "Windows an update."]
    num_microbatches: Annotated[int, "Parts of a batch, one by one to save memory."]
    learning_rate: Annotated[float, "The largest, after the warm-up."]
    num_warm_up: Annotated[
        int, "Updates in which the learning rate rises.  [default: the preset's share of the steps]"
    ]
    weight_decay: Annotated[float, "Of AdamW."]
    clip_norm: Annotated[float, "Norm down to which larger gradients are scaled."]
    average_decay: Annotated[float, "What an update leaves of the older mean of the weights."]
    num_patterns: Annotated[int, "Mask patterns of a window in an update."]
    log_every: Annotated[int, "Updates a line of metrics.jsonl."]
    save_every: Annotated[int, "Updates a checkpoint; no more are lost to a kill."]
    keep: Annotated[int, "Checkpoints kept, at least 2."]
    num_evaluated: Annotated[int, "Held-out windows measured at a checkpoint."]


class Settings(Numbers, total=False):
    """What is replaced in the settings of a preset or of a run that goes on: see `TrainConfig`."""

    expansion: int
    kv_heads: "int | None"
    levels: "Levels"
    spread: "Spread"
    control: "ControlVariate | None"
    order: "Orders"
    seed: int
