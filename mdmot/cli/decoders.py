"""Decoders as `mdmot sample` runs them."""

import shlex
from typing import TYPE_CHECKING

from mdmot.workflows.naming import Name

if TYPE_CHECKING:
    from mdmot.decoders import Adaptive, Decoder

SCORED = ("--score", "largest-probability")
"""For rules that would look at the drawn token else."""


def sample_command(
    name: Name,
    decoder: "Decoder",
    steps: int | None,
    plan: str | None = None,
    temperature: float = 1.0,
    top_p: float | None = None,
) -> str:
    """The command that samples with a decoder.

    Args:
      name: Model or law; None for the model that comes with mdmot.
      decoder: The decoder; an adaptive one with its knob.
      steps: Number of steps; not looked at if the decoder finds its own.
      plan: File of the plan of the order with its steps; None for none.
      temperature: Of the draws.
      top_p: Draws from the likeliest tokens that have this probability together; None for all.

    Returns:
      The command as it is typed into a shell.

    Example:
      >>> from mdmot.decoders import parse_decoder
      >>> sample_command("my-model", parse_decoder("threshold:.9"), None)
      'mdmot sample my-model --sampler threshold --threshold 0.9 --score largest-probability'
    """
    from mdmot.decoders import InOrder, Surest

    words, kind = ["mdmot", "sample", *([] if name is None else [str(name)])], decoder.kind
    if isinstance(kind, InOrder) and (plan or needs_plan_file(decoder)):
        words += ["--schedule", plan or "plan.json"]
    elif isinstance(kind, InOrder | Surest):
        order = ["fixed", "--order", kind.order.name] if isinstance(kind, InOrder) else [kind.name]
        words += ["--sampler", *order, "--steps", str(steps)]
    else:
        words += ["--sampler", kind.family.name, *_numbers(kind)]
    if decoder.block is not None:
        words += ["--block-length", str(decoder.block)]
    if temperature != 1:
        words += ["--temperature", f"{temperature:g}"]
    if top_p is not None:
        words += ["--top-p", f"{top_p:g}"]
    return shlex.join(words)


def needs_plan_file(decoder: "Decoder") -> bool:
    """Whether no option of `mdmot sample` says its order and its steps."""
    from mdmot.decoders import InOrder
    from mdmot.orders import Permutation

    kind = decoder.kind
    return isinstance(kind, InOrder) and (kind.own or isinstance(kind.order, Permutation))


def _numbers(kind: "Adaptive") -> list[str]:
    """The options of an adaptive rule."""
    rest = kind.family.rest[len(kind.numbers) - 1 :]
    first, *others = (f"{number:.12g}" for number in (*kind.numbers, *rest))
    match kind.family.name:
        case "klass":
            return ["--confidence", first, "--divergence", *others]
        case "threshold" | "factor":
            return [f"--{kind.family.name}", first, *SCORED]
        case _:
            return ["--entropy-bound", first]
