"""Samplers by name: the one place where the command line's words become unmasking rules."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mdmot.cli.knobs import KNOBS, Field, Given, Values, flag, named
from mdmot.errors import InputError
from mdmot.names import is_plan_file

if TYPE_CHECKING:
    from mdmot.plans import Plan
    from mdmot.samplers import Rule, SemiAutoregressive
    from mdmot.samplers.presets import Preset
    from mdmot.schedules import StepGrid


@dataclasses.dataclass(frozen=True)
class Sampler:
    """A sampler of the command line.

    Attributes:
      about: What it reveals, in words that follow "reveals".
      reads: The options that it reads, with their values if they are not given. With a `schedule` of
        None it finds its own steps unless it is given a schedule or a number of steps.
      make: `make(samplers, values)`: the rule, of `mdmot.samplers`, or a preset with its own grid.
    """

    about: str
    reads: Mapping[str, Any]
    make: "Callable[[Any, Values], Rule | Preset]"

    def defaults(self) -> dict[str, Any]:
        """The options that it reads, with their values."""
        return {
            option: default.value() if isinstance(default, Field) else default
            for option, default in self.reads.items()
        }


def _fields(owner: str, *options: str, **renamed: str) -> dict[str, Any]:
    """Options whose defaults are those of the owner's fields, by their names or by other ones."""
    names = {option: option for option in options} | renamed
    return {option: Field(f"{owner}.{name}") for option, name in names.items()}


def _ranked(score: str) -> "Callable[[Any, Values], Rule]":
    def make(s: Any, v: Values) -> "Rule":
        rule: Rule = s.Ranked(s.Scheduled(v.word("counts")), getattr(s, score)(), v.choice, v.noise)
        return rule

    return make


DRAWN = {"steps": None, "temperature": 1.0, "top_k": None, "top_p": None, "forbid": ()}
LIKELIEST = {**DRAWN, "temperature": 0.0}
SCHEDULED = {"schedule": "linear", **DRAWN}
ADAPTIVE = {"schedule": None, **DRAWN}
RANKED = {**SCHEDULED, "noise": None, "counts": "rounded"}
REMASKED = "each position by chance, and masks it again by chance"


def _remasking(rule: str, about: str) -> Sampler:
    def make(s: Any, v: Values) -> "Rule":
        made: Rule = s.RemaskingUnmasking(getattr(s, rule)(v["eta"]), v.choice)
        return made

    return Sampler(f"{REMASKED}, {about}", {**SCHEDULED, **_fields(rule, "eta")}, make)


def _preset(name: str, about: str, reads: Mapping[str, Any], *own: str) -> Sampler:
    """A preset of `mdmot.samplers.presets`; `own` are the options that it has for itself."""
    words = [option for option in ("schedule", "score") if option in reads]

    def make(s: Any, v: Values) -> "Preset":
        arguments = {option: v.argument(option) for option in (*words, *own)}
        if name == "dream":
            # Its noise adds to the probability, not to the logarithm, and it makes the score itself.
            arguments["score"] = s.Probability if v["score"] == "probability" else v.word("score")
        made: Preset = getattr(s.presets, name)(v["steps"], choice=v.choice, **arguments)
        return made

    return Sampler(about, {**reads, **_fields(f"presets.{name}", *own)}, make)


SAMPLERS: dict[str, Sampler] = {
    "bernoulli": Sampler(
        "each position by chance, as the schedule has it",
        SCHEDULED,
        lambda s, v: s.BernoulliUnmasking(v.choice),
    ),
    "fixed": Sampler(
        "as many positions a step as the schedule has it, in an order that does not read the network",
        {**SCHEDULED, "order": "random", "counts": "rounded"},
        lambda s, v: s.FixedUnmasking(v.choice, v.order, v.word("counts")),
    ),
    "confidence": Sampler(
        "the positions with the likeliest tokens first", RANKED, _ranked("MaxProbability")
    ),
    "max-probability": Sampler(
        "the positions of largest probability first, whatever token is drawn there",
        RANKED,
        _ranked("LargestProbability"),
    ),
    "margin": Sampler(
        "the positions whose token leads most over the second first", RANKED, _ranked("Margin")
    ),
    "entropy": Sampler("the positions of least entropy first", RANKED, _ranked("NegativeEntropy")),
    "threshold": Sampler(
        "all positions whose token has at least some probability",
        {**ADAPTIVE, **_fields("Threshold", "threshold"), "score": "probability"},
        lambda s, v: s.Ranked(s.Threshold(v["threshold"]), v.score, v.choice),
    ),
    "factor": Sampler(
        "as many of the surest positions as their probabilities allow together",
        {**ADAPTIVE, **_fields("Factor", "factor"), "score": "probability"},
        lambda s, v: s.Ranked(s.Factor(v["factor"]), v.score, v.choice),
    ),
    "entropy-bound": Sampler(
        "as many of the surest positions as a bound on their entropies allows",
        {**ADAPTIVE, **_fields("EntropyBound", entropy_bound="bound"), "score": "entropy"},
        lambda s, v: s.Ranked(s.EntropyBound(v["entropy_bound"]), v.score, v.choice),
    ),
    "entropy-bound-random": Sampler(
        "as many positions in random order as a bound on their entropies allows",
        {**ADAPTIVE, **_fields("EntropyBound", entropy_bound="bound")},
        lambda s, v: s.Ranked(
            s.EntropyBound(v["entropy_bound"]), s.Indifferent(), v.choice, s.ConstantNoise(1.0)
        ),
    ),
    "klass": Sampler(
        "all positions that are sure and have stopped changing",
        {**ADAPTIVE, **_fields("Stable", "confidence", "divergence", "history", "fallback")},
        lambda s, v: s.Ranked(
            s.Stable(v["confidence"], v["divergence"], v["history"], v["fallback"]),
            s.LargestProbability(),
            v.choice,
        ),
    ),
    "punt": Sampler(
        "the surest positions of which none changes what the network says of a less sure one",
        {**ADAPTIVE, **_fields("IndependentUnmasking", "divergence"), "score": "probability"},
        lambda s, v: s.IndependentUnmasking(v["divergence"], v.score, v.choice),
    ),
    "bisection": Sampler(
        "the middle of each gap between revealed positions",
        ADAPTIVE,
        lambda s, v: s.BisectionUnmasking(v.choice),
    ),
    "remdm-cap": _remasking("Cap", "with probability eta at most"),
    "remdm-rescale": _remasking("Rescale", "eta times what the schedule allows"),
    "remdm-conf": _remasking("ByConfidence", "the more readily the less sure it was"),
    "remdm-loop": Sampler(
        f"{REMASKED}, while the number of masks stands still",
        {
            **DRAWN,
            **_fields("Loop", "eta"),
            **_fields("loop_grid", loop_start="start", loop_stop="stop", loop_alpha="alpha"),
        },
        lambda s, v: s.presets.Preset(
            s.RemaskingUnmasking(s.Loop(v["eta"]), v.choice),
            s.loop_grid(v["steps"], v["loop_start"], v["loop_stop"], v["loop_alpha"]),
        ),
    ),
    "forward-backward": Sampler(
        f"{REMASKED}, as many as the step adds",
        SCHEDULED,
        lambda s, v: s.RemaskingUnmasking(s.ForwardBackward(), v.choice),
    ),
    "dfm": Sampler(
        f"{REMASKED}, as a corrector asks, in more than --steps steps",
        {**DRAWN, **_fields("DFMCorrector", "scale", "power")},
        lambda s, v: s.presets.Preset(
            s.RemaskingUnmasking(s.DFMCorrector(v["scale"], v["power"]), v.choice),
            s.dfm_grid(v["steps"], s.DFMCorrector(v["scale"], v["power"])),
        ),
    ),
    "p2": Sampler(
        "the surest positions, and masks those again that are the least sure by now",
        {**SCHEDULED, **_fields("SelfPlanning", "eta"), "score": "probability", "counts": "floored"},
        lambda s, v: s.SelfPlanning(v["eta"], v.choice, v.score, v.word("counts")),
    ),
    "first-hitting": Sampler(
        "one position after the other, at the times of the continuous process",
        ADAPTIVE,
        lambda s, v: s.FirstHitting(v.choice),
    ),
    "theta-trapezoidal": Sampler(
        "each position by chance, in two stages a step, the second corrected",
        {**SCHEDULED, **_fields("ThetaTrapezoidal", "theta"), "split": "alpha"},
        lambda s, v: s.ThetaTrapezoidal(v["theta"], v.choice, v.word("split")),
    ),
    "mdlm": _preset("mdlm", "as MDLM does, and the rest in one more step", DRAWN),
    "md4": _preset("md4", "as MD4 does, and the rest in one more step", {"schedule": "cosine", **DRAWN}),
    "maskgit": _preset("maskgit", "as MaskGIT does", {"schedule": "cosine", **DRAWN}, "choice_temperature"),
    "llada": _preset(
        "llada", "as LLaDA does with low-confidence remasking", {**LIKELIEST, "score": "probability"}
    ),
    "llada-random": _preset("llada_random", "as LLaDA does with random remasking", LIKELIEST),
    "dllm": _preset(
        "dllm", "as the library dllm does", {"schedule": "linear", **LIKELIEST, "score": "probability"}
    ),
    "dream": _preset(
        "dream", "as Dream does by confidence", {**LIKELIEST, "score": "probability"}, "alg_temp", "eps"
    ),
    "dream-origin": _preset("dream_origin", "as Dream does by chance", LIKELIEST, "eps"),
}


MOST_IN_A_HEADING = 4
"""Samplers that are named above the options that they alone read."""


def knob_sections() -> dict[str, list[str]]:
    """The options that not all samplers read, below the names of those that do."""
    readers = {
        option: tuple(name for name, sampler in SAMPLERS.items() if option in sampler.reads)
        for option in KNOBS
    }
    found: dict[str, list[str]] = {}
    for option, names in sorted(readers.items(), key=lambda item: -len(item[1])):
        if len(names) < len(SAMPLERS) - 1:
            few = len(names) <= MOST_IN_A_HEADING
            heading = f"Of {', '.join(names)}" if few else "Of several samplers; --samplers says which"
            found.setdefault(heading, []).append(option)
    return found


class Run(NamedTuple):
    """A rule and its steps.

    Attributes:
      rule: The rule.
      grid: Its steps, of each block if in blocks; None if it finds them itself.
      schedule: The option --schedule, given or not; None if there is none.
      steps: The option --steps, given or not; None if there is none. A grid may have more.
      plan: The plan that the grid is of; None if it is of none.
    """

    rule: "Rule | SemiAutoregressive"
    grid: "StepGrid | None"
    schedule: str | None
    steps: int | None
    plan: "Plan | None" = None


def default_sampler(schedule: str | None) -> str:
    """The sampler that a saved plan was made for; without one the plain random one."""
    if schedule is None or not is_plan_file(schedule):
        return "bernoulli"
    from mdmot.plans import read_plan

    return read_plan(schedule).reveal.name


def sampler_named(name: str, given: Given) -> Sampler:
    """The sampler of this name, once it is sure that it reads all options given.

    Raises:
      InputError: If there is no such sampler (the known ones are listed), or it does not read an option.
    """
    sampler: Sampler = named("sampler", name, SAMPLERS)
    for option in given:
        if option not in sampler.reads:
            raise InputError(
                f"{flag(option)} is no option of sampler {name}, which reads "
                f"{', '.join(map(flag, sampler.reads))}"
            )
    return sampler


def make_run(
    sampler: Sampler,
    num_masked: int,
    given: Given,
    block_length: int | None = None,
    steps_only: bool = False,
) -> Run:
    """The sampler's run with the options given, in blocks if they have a length.

    Unless it is told otherwise, a run has as many steps as there are masked positions, `num_masked` of a
    sequence or a block. A plan is for a rule that reveals as it does, or else for its steps only.

    Raises:
      InputError: If the options make no run.
    """
    from mdmot import samplers
    from mdmot.orders import RandomOrder
    from mdmot.plans import Plan, parse_schedule
    from mdmot.samplers.planned import assert_made_for

    options = {**sampler.defaults(), **given}
    text, steps = options.get("schedule"), options["steps"]
    if text is None and steps is not None and "schedule" in options:
        text = "linear"
    schedule = None if text is None else parse_schedule(text)
    if steps is None and (schedule is not None or "schedule" not in options):
        steps = schedule.steps if isinstance(schedule, Plan) else num_masked
    if isinstance(schedule, Plan):
        if steps_only:
            # Its order is not looked at, and need not fit the rows.
            schedule = dataclasses.replace(schedule, order=RandomOrder())
        elif "order" in sampler.reads and "order" not in given:
            options["order"] = schedule.order
    values = Values({**options, "steps": steps}, schedule)
    made = sampler.make(samplers, values)
    rule, grid = made if isinstance(made, samplers.presets.Preset) else (made, values.grid())
    if block_length is not None:
        assert not isinstance(rule, samplers.SemiAutoregressive)
        rule = samplers.SemiAutoregressive(rule, block_length)
    if not isinstance(grid, Plan):
        return Run(rule, grid, text, steps)
    if not steps_only:
        try:
            names = (f"--sampler {name}" for name, each in SAMPLERS.items() if each is sampler)
            assert_made_for(grid, rule, next(names, None))
        except InputError as error:
            advice = "; pass another --sampler or --order, or --steps-only"
            raise InputError(f"--schedule {text}: {str(error).partition(';')[0]}{advice}") from None
    return Run(rule, grid.grid(), text, steps, grid)


def list_samplers() -> None:
    """Prints all samplers with the options that they read and their defaults."""
    for name, sampler in SAMPLERS.items():
        click.echo(f"{name}: reveals {sampler.about}")
        defaults = sampler.defaults().items()
        options = (flag(option) + (f" {value}" if value else "") for option, value in defaults)
        click.echo(f"  {' '.join(options)}")
