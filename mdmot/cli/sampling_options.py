"""The options of `mdmot evaluate` that say which sampler is judged, and on how much."""

from collections.abc import Callable
from typing import Any, NamedTuple

import click

from mdmot.cli.sample import WHOLE
from mdmot.errors import InputError

MOST_STEPS, LEAST_SAMPLES = 32, 4
SAMPLES, TEXT_SAMPLES = 256, 32
LEAST_ORDERS, MOST_ORDERS, TEXT_ORDERS = 8, 32, 1
TOKENS = 2**20
"""Tokens of all states of all orders, beyond which there are no more orders than the least."""


class Sampling(NamedTuple):
    """The options of the sampler; None is a default.

    Attributes:
      schedule: Mask schedule or plan, as the user wrote it.
      steps: K.
      reveal: "bernoulli" or "fixed".
      num: Samples, and sequences whose likelihood is measured; 0 for none.
      orders: Orders that the likelihood of a sequence is averaged over.
    """

    schedule: str | None
    steps: int | None
    reveal: str | None
    num: int | None
    orders: int | None


def sampling(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of the sampler."""
    options = (
        click.option(
            "--num",
            type=click.IntRange(0, 10**6),
            metavar="N",
            help="Samples to judge, and sequences whose likelihood is measured; 0 for none.  "
            f"[default: {SAMPLES} of a law or a language, {TEXT_SAMPLES} of Python, else 0]",
        ),
        click.option(
            "--steps",
            type=WHOLE,
            metavar="K",
            help=f"Sampling steps.  [default: a plan's, or one a token, {MOST_STEPS} at most]",
        ),
        click.option(
            "--schedule",
            metavar="SPEC",
            help="Mask schedule of the sampler, as in `mdmot sample`.  [default: linear]",
        ),
        click.option(
            "--reveal",
            type=click.Choice(["bernoulli", "fixed"]),
            help="How its steps reveal tokens.  [default: a plan's, or fixed]",
        ),
        click.option(
            "--orders",
            type=WHOLE,
            metavar="N",
            help="Random orders that the likelihood of a sequence is averaged over; the more, the closer "
            f"the bound.  [default: {LEAST_ORDERS} to {MOST_ORDERS}, by the length; of text {TEXT_ORDERS}]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


class Settled(NamedTuple):
    """The sampler that is judged, and on how much.

    Attributes:
      reveal: "bernoulli" or "fixed".
      given: The schedule and the steps, as options of the command line's sampler.
      num: Samples, and sequences whose likelihood is measured.
      orders: Orders that the likelihood of a sequence is averaged over.
    """

    reveal: str
    given: dict[str, Any]
    num: int
    orders: int


def settle(options: Sampling, length: int, is_text: bool, is_python: bool) -> Settled | None:
    """The options with their defaults, refused before any long work if they do not fit together.

    Args:
      options: As they were given.
      length: Tokens of a sequence.
      is_text: Whether samples are of text, which nothing decides.
      is_python: Whether of Python.

    Returns:
      The sampler; None if no sample is to be drawn.

    Raises:
      InputError: If they do not.
    """
    from mdmot.cli.specs import parse_schedule
    from mdmot.plans import Plan

    text = options.schedule or "linear"
    schedule = parse_schedule(text)
    reveal, steps = options.reveal or "fixed", options.steps or min(length, MOST_STEPS)
    if isinstance(schedule, Plan):
        reveal, steps = options.reveal or schedule.reveal.name, options.steps or schedule.steps
        if (schedule.length, schedule.steps) != (length, steps):
            raise InputError(
                f"--schedule {text}: the plan has {schedule.length} tokens in {schedule.steps} steps; what "
                f"is sampled has {length} tokens in {steps} steps"
            )
    num = options.num
    if num is None:
        is_asked = any(value is not None for value in options)
        num = (TEXT_SAMPLES if is_python or is_asked else 0) if is_text else SAMPLES
    if num == 0:
        return None
    if num < LEAST_SAMPLES:
        raise InputError(f"--num {num}: errors take at least {LEAST_SAMPLES} samples; pass 0 for none")
    usual = min(max(LEAST_ORDERS, TOKENS // (num * length * steps)), MOST_ORDERS)
    orders = options.orders or (TEXT_ORDERS if is_text else usual)
    return Settled(reveal, {"schedule": text, "steps": steps}, num, orders)
