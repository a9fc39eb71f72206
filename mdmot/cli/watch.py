"""Sampled text for human eyes, as it is unmasked."""

import time
from collections.abc import Sequence

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from mdmot.readable import one_line, printable

SECONDS, SECONDS_A_FRAME = 5.0, 0.2
"""How long a film takes, unless its frames are so few that each would stand too long."""


def film(frames: Sequence[Sequence[str]], numbers: Sequence[int], mask_sign: str) -> None:
    """Shows sequences as they are unmasked, on standard error: a film on a terminal, else line by line.

    Args:
      frames: The texts of all sequences before the first step, between steps and after the last.
      numbers: The number of each sequence.
      mask_sign: What stands for a mask in the texts.
    """
    # A sampler without a grid may be done long before its last step.
    last = max((k for k in range(1, len(frames)) if frames[k] != frames[k - 1]), default=0)
    frames = frames[: last + 1]
    messages = Console(stderr=True, highlight=False)
    if not messages.is_terminal:
        for step, texts in enumerate(frames):
            if step and texts == frames[step - 1]:
                continue
            for number, text in zip(numbers, texts, strict=True):
                click.echo(f"sample {number}, step {step}: {one_line(text)}", err=True)
        return
    with Live(console=messages, auto_refresh=False, transient=True) as live:
        for step, texts in enumerate(frames):
            shown = Text(f"step {step} of {last}\n" + "\n".join(map(printable, texts)))
            shown.highlight_words([mask_sign], style="dim")
            live.update(shown, refresh=True)
            time.sleep(min(SECONDS_A_FRAME, SECONDS / len(frames)))
