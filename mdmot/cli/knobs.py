"""Options of samplers: how they are written, what their words stand for, and where their defaults stand.

Nothing here imports JAX before a sampler is made: the help of a command has no use for it.
"""

import inspect
import math
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mdmot.cli.options import NUMBER, SHARE, WHOLE, Number, combined
from mdmot.errors import InputError, unknown
from mdmot.names import assert_order

if TYPE_CHECKING:
    from mdmot.orders import Order
    from mdmot.plans import Plan
    from mdmot.samplers import Choice, ScoreRule
    from mdmot.samplers.scores import ChoiceNoise
    from mdmot.schedules import MaskSchedule, StepGrid

WORDS = {
    "score": {
        "probability": "MaxProbability",
        "largest-probability": "LargestProbability",
        "margin": "Margin",
        "entropy": "NegativeEntropy",
    },
    "counts": {
        "rounded": "counts.rounded",
        "even": "counts.even",
        "rounded-share": "counts.rounded_share",
        "truncated-share": "counts.truncated_share",
        "floored-rest": "counts.floored_rest",
        "floored": "self_planning.floored",
    },
    "split": {"alpha": "trapezoidal.by_alpha", "hazard": "trapezoidal.by_hazard"},
}
"""The words of an option, and what of `mdmot.samplers` each stands for."""


def _listed(option: str) -> str:
    *first, last = WORDS[option]
    return f"{', '.join(first)} or {last}"


KNOBS: dict[str, tuple[click.ParamType, str, str]] = {
    "temperature": (NUMBER, "T", "Temperature of the draws; 0 takes the likeliest token."),
    "top_k": (WHOLE, "N", "Draw from the N likeliest tokens."),
    "top_p": (NUMBER, "P", "Draw from the likeliest tokens that have probability P together."),
    "order": (
        click.STRING,
        "NAME|FILE",
        "Order of the positions: random, left-to-right, bisection, low-discrepancy, van-der-corput, "
        "stride:S, or a .json file with every position once; any but random with +shift, which moves it "
        "by a random number.",
    ),
    "counts": (
        click.STRING,
        "NAME",
        f"How the number of positions of each step is rounded: {_listed('counts')}.",
    ),
    "score": (click.STRING, "NAME", f"By what positions are ranked, the surest first: {_listed('score')}."),
    "noise": (
        click.STRING,
        "SPEC",
        "Gumbel noise on the scores: a SCALE, or annealed:SCALE, which falls to 0.",
    ),
    "choice_temperature": (NUMBER, "T", "Scale of MaskGIT's noise on the scores, which falls to 0."),
    "alg_temp": (NUMBER, "T", "Temperature of Dream's noise on the scores."),
    "eps": (SHARE, "T", "Time before the end at which Dream's steps stop."),
    "threshold": (NUMBER, "P", "Reveal each position whose token has probability P or more."),
    "factor": (NUMBER, "F", "Reveal the n surest while (n + 1)(1 - P of the last) is at most F."),
    "entropy_bound": (
        NUMBER,
        "NATS",
        "Reveal the surest positions while their entropies, but for the largest, sum to at most NATS.",
    ),
    "confidence": (NUMBER, "P", "Probability above which a token is sure."),
    "divergence": (NUMBER, "NATS", "KL divergence up to which a distribution counts as unchanged."),
    "history": (WHOLE, "N", "Number of steps in a row in which a position must stay unchanged."),
    "fallback": (WHOLE, "N", "Positions that are revealed in a step in which none is ready."),
    "eta": (NUMBER, "E", "How readily revealed tokens are masked again; 0 never does."),
    "loop_start": (
        NUMBER,
        "S",
        "Share of the steps after which the share of unmasked tokens stands still.",
    ),
    "loop_stop": (NUMBER, "S", "Share of the steps after which it rises again."),
    "loop_alpha": (NUMBER, "A", "Share of unmasked tokens in between."),
    "scale": (
        Number(0, 1000),
        "B",
        "Mask again B (alpha (1 - alpha))^P times as many tokens as a step adds.",
    ),
    "power": (NUMBER, "P", "The exponent P in the formula of --scale."),
    "theta": (NUMBER, "T", "Share of a step that its first stage takes."),
    "split": (click.STRING, "NAME", f"What --theta is a share of: {_listed('split')}, -log(1 - alpha)."),
}
"""The options of samplers: kind, what stands for a value, help."""

knobs = combined(
    *(
        click.option("--" + name.replace("_", "-"), type=kind, metavar=metavar, help=text)
        for name, (kind, metavar, text) in KNOBS.items()
    )
)
"""Adds the options of the samplers; what is not given is None."""

Given = Mapping[str, Any]
"""Values of options by their names in Python."""


def assert_words(given: Given) -> None:
    """Raises InputError for a word that no option has; what has numbers is not looked at."""
    for option in WORDS.keys() & given.keys():
        named(option, given[option], WORDS[option])
    if "order" in given:
        assert_order(given["order"])


class Values:
    """The options of a sampler, given or not, and what their words stand for."""

    def __init__(self, options: Given, schedule: "MaskSchedule | Plan | None") -> None:
        self.options, self.schedule = options, schedule

    def __getitem__(self, option: str) -> Any:
        return self.options[option]

    def word(self, option: str) -> Any:
        """What the word of an option stands for.

        Raises:
          InputError: If it is unknown; the known ones are listed.
        """
        return _attribute(named(option, self.options[option], WORDS[option]))

    @property
    def score(self) -> "ScoreRule":
        """What --score says makes a position sure."""
        score: ScoreRule = self.word("score")()
        return score

    @property
    def choice(self) -> "Choice":
        """A draw from the network's distribution, or its likeliest token at temperature 0.

        --forbid, --temperature, --top-k and --top-p change the distribution in this order.
        """
        from mdmot.samplers import Categorical, Forbid, Likeliest, Temperature, TopK, TopP, Transform

        temperature = self["temperature"]
        transforms: list[Transform] = [Forbid(self["forbid"])] if self["forbid"] else []
        if temperature not in (0, 1):
            transforms.append(Temperature(temperature))
        if self["top_k"] is not None:
            transforms.append(TopK(self["top_k"]))
        if self["top_p"] is not None:
            transforms.append(TopP(self["top_p"]))
        return Likeliest(tuple(transforms)) if temperature == 0 else Categorical(tuple(transforms))

    @property
    def order(self) -> "Order":
        """The order that --order names, or that of a plan.

        Raises:
          InputError: If it names none.
        """
        from mdmot.orders import Order, parse_order

        order = self["order"]
        return order if isinstance(order, Order) else parse_order(order)

    @property
    def noise(self) -> "ChoiceNoise | None":
        """The noise on scores: SCALE, or annealed:SCALE.

        Raises:
          InputError: If it is neither.
        """
        from mdmot.samplers import AnnealedNoise, ConstantNoise

        text = self["noise"]
        if text is None:
            return None
        kind, _, number = text.rpartition(":")
        try:
            scale = float(number)
        except ValueError:
            scale = -1.0
        if kind not in ("", "annealed") or not 0 <= scale < math.inf:
            raise InputError(f"--noise {text!r} is not known; pass a scale such as 0.5, or annealed:4.5")
        return AnnealedNoise(scale) if kind else ConstantNoise(scale)

    def argument(self, option: str) -> Any:
        """What a preset is given for an option: a curve for its schedule, as a plan will not do."""
        from mdmot.plans import as_mask_schedule

        if option == "schedule":
            assert self.schedule is not None
            return as_mask_schedule(self.schedule)
        return self.score if option == "score" else self[option]

    def grid(self) -> "StepGrid | Plan | None":
        """The steps of the schedule; None without one."""
        from mdmot.plans import Plan
        from mdmot.schedules import step_grid

        schedule, steps = self.schedule, self["steps"]
        if schedule is None:
            return None
        if not isinstance(schedule, Plan):
            return step_grid(schedule, steps)
        if schedule.steps != steps:
            raise InputError(
                f"the plan has {schedule.steps} steps, and --steps is {steps}; leave --steps out"
            )
        return schedule


class Field(NamedTuple):
    """A default that stands in the library.

    Attributes:
      path: A parameter of something in `mdmot.samplers`, as Cap.eta.
    """

    path: str

    def value(self) -> Any:
        """Its value."""
        owner, _, parameter = self.path.rpartition(".")
        return inspect.signature(_attribute(owner)).parameters[parameter].default


def flag(option: str) -> str:
    """An option as it is written on the command line."""
    return "--" + option.replace("_", "-")


def named(what: str, name: str, known: Mapping[str, Any]) -> Any:
    """What a word stands for.

    Raises:
      InputError: If it is unknown; the known ones are listed.
    """
    if name not in known:
        raise unknown(what, name, known, ", ".join(known))
    return known[name]


def _attribute(path: str) -> Any:
    from mdmot import samplers

    return operator.attrgetter(path)(samplers)
