"""Samplers by name: the one place where the command line's words become samplers."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mdmot.cli.specs import as_mask_schedule, parse_schedule
from mdmot.cli.words import (
    COUNTS,
    DREAM_SCORES,
    ORDERS,
    SCORES,
    SPLITS,
    Given,
    choice_of,
    named,
    parse_noise,
    score_of,
)
from mdmot.errors import InputError
from mdmot.plans import Plan
from mdmot.samplers import (
    BernoulliUnmasking,
    BisectionUnmasking,
    ByConfidence,
    Cap,
    DFMCorrector,
    EntropyBound,
    Factor,
    FirstHitting,
    FixedUnmasking,
    ForwardBackward,
    LargestProbability,
    Loop,
    Ranked,
    RemaskingUnmasking,
    RemaskRule,
    Rescale,
    Scheduled,
    SelfPlanning,
    SemiAutoregressive,
    Stable,
    ThetaTrapezoidal,
    Threshold,
    dfm_grid,
    loop_grid,
    presets,
)
from mdmot.samplers.planned import assert_made_for, masked_numbers
from mdmot.schedules import StepGrid, step_grid


class Run(NamedTuple):
    """A rule and its steps.

    Attributes:
      rule: The rule.
      grid: Its steps, of each block if in blocks; None if it finds them itself.
      schedule: The option --schedule, given or not; None if there is none.
      steps: The option --steps, given or not; None if there is none. A grid may have more.
      plan: The plan that the grid is of; None if it is of none.
    """

    rule: Any
    grid: StepGrid | None
    schedule: str | None
    steps: int | None
    plan: Plan | None = None


Build = Callable[[Given], tuple[Any, StepGrid | Plan | None]]
"""`build(given)`: rule and grid, from all options of the rule, the schedule parsed."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A sampler of the command line.

    Attributes:
      about: What it reveals, in a few words.
      build: How it is made.
      defaults: The options that it reads, with their values if they are not given. With a `schedule` of
        None it finds its own steps unless it is given a schedule or a number of steps.
    """

    about: str
    build: Build
    defaults: Mapping[str, Any]


def grid_of(given: Given) -> StepGrid | Plan | None:
    """The steps of a schedule, None without one."""
    schedule, steps = given["schedule"], given["steps"]
    if schedule is None:
        return None
    if not isinstance(schedule, Plan):
        return step_grid(schedule, steps)
    if schedule.steps != steps:
        raise InputError(f"the plan has {schedule.steps} steps, and --steps is {steps}; leave --steps out")
    return schedule


def _ranked(score: str) -> Build:
    def build(g: Given) -> tuple[Any, StepGrid | Plan | None]:
        count, noise = named("counts", g["counts"], COUNTS), parse_noise(g["noise"])
        return Ranked(Scheduled(count), SCORES[score](), choice_of(g), noise), grid_of(g)

    return build


def _remasking(rule: Callable[[Given], RemaskRule]) -> Build:
    def build(g: Given) -> tuple[Any, StepGrid | Plan | None]:
        return RemaskingUnmasking(rule(g), choice_of(g)), grid_of(g)

    return build


def _remdm_loop(g: Given) -> tuple[Any, StepGrid | Plan | None]:
    grid = loop_grid(g["steps"], g["loop_start"], g["loop_stop"], g["loop_alpha"])
    return RemaskingUnmasking(Loop(g["eta"]), choice_of(g)), grid


def _dfm(g: Given) -> tuple[Any, StepGrid | Plan | None]:
    corrector = DFMCorrector(g["scale"], g["power"])
    return RemaskingUnmasking(corrector, choice_of(g)), dfm_grid(g["steps"], corrector)


def _klass(g: Given) -> tuple[Any, StepGrid | Plan | None]:
    size = Stable(g["confidence"], g["divergence"], g["history"], g["fallback"])
    return Ranked(size, LargestProbability(), choice_of(g)), grid_of(g)


def _fixed(g: Given) -> tuple[Any, StepGrid | Plan | None]:
    order, count = named("order", g["order"], ORDERS), named("counts", g["counts"], COUNTS)
    return FixedUnmasking(choice_of(g), order, count), grid_of(g)


def _p2(g: Given) -> tuple[Any, StepGrid | Plan | None]:
    count = named("counts", g["counts"], COUNTS)
    return SelfPlanning(g["eta"], choice_of(g), score_of(g), count), grid_of(g)


def _trapezoidal(g: Given) -> tuple[Any, StepGrid | Plan | None]:
    split = named("split", g["split"], SPLITS)
    return ThetaTrapezoidal(g["theta"], choice_of(g), split), grid_of(g)


DRAWN = {"steps": None, "temperature": 1.0, "top_k": None, "top_p": None, "forbid": ()}
LIKELIEST = {**DRAWN, "temperature": 0.0}
SCHEDULED = {"schedule": "linear", **DRAWN}
ADAPTIVE = {"schedule": None, **DRAWN}
RANKED = {**SCHEDULED, "noise": None, "counts": "rounded"}
REMASKED = "each position by chance, and masks it again by chance"

RULES: dict[str, Rule] = {
    "bernoulli": Rule(
        "each position by chance, as the schedule has it",
        lambda g: (BernoulliUnmasking(choice_of(g)), grid_of(g)),
        SCHEDULED,
    ),
    "fixed": Rule(
        "as many positions a step as the schedule has it, in a fixed order",
        _fixed,
        {**SCHEDULED, "order": "random", "counts": "rounded"},
    ),
    "confidence": Rule("those with the likeliest tokens first", _ranked("probability"), RANKED),
    "margin": Rule("those with the clearest lead over a second token first", _ranked("margin"), RANKED),
    "entropy": Rule("those of least entropy first", _ranked("entropy"), RANKED),
    "threshold": Rule(
        "all whose token has some probability",
        lambda g: (
            Ranked(Threshold(g["threshold"]), score_of(g), choice_of(g)),
            grid_of(g),
        ),
        {**ADAPTIVE, "threshold": 0.9, "score": "probability"},
    ),
    "factor": Rule(
        "as many as their probabilities allow together",
        lambda g: (
            Ranked(Factor(g["factor"]), score_of(g), choice_of(g)),
            grid_of(g),
        ),
        {**ADAPTIVE, "factor": 1.0, "score": "probability"},
    ),
    "entropy-bound": Rule(
        "as many as a bound on their entropies allows",
        lambda g: (
            Ranked(EntropyBound(g["entropy_bound"]), score_of(g), choice_of(g)),
            grid_of(g),
        ),
        {**ADAPTIVE, "entropy_bound": 0.1, "score": "entropy"},
    ),
    "klass": Rule(
        "all that are sure and have stopped changing",
        _klass,
        {**ADAPTIVE, "confidence": 0.9, "divergence": 0.01, "history": 2, "fallback": 1},
    ),
    "bisection": Rule(
        "the middles between what is open",
        lambda g: (BisectionUnmasking(choice_of(g)), grid_of(g)),
        ADAPTIVE,
    ),
    "remdm-cap": Rule(
        f"{REMASKED}, eta at most",
        _remasking(lambda g: Cap(g["eta"])),
        {**SCHEDULED, "eta": 0.008},
    ),
    "remdm-rescale": Rule(
        f"{REMASKED}, eta times what the schedule allows",
        _remasking(lambda g: Rescale(g["eta"])),
        {**SCHEDULED, "eta": 0.015},
    ),
    "remdm-conf": Rule(
        f"{REMASKED}, the less sure it was the rather",
        _remasking(lambda g: ByConfidence(g["eta"])),
        {**SCHEDULED, "eta": 1.0},
    ),
    "remdm-loop": Rule(
        f"{REMASKED}, while the number of masks stands still",
        _remdm_loop,
        {**DRAWN, "eta": 0.02, "loop_start": 0.45, "loop_stop": 0.95, "loop_alpha": 0.9},
    ),
    "forward-backward": Rule(
        f"{REMASKED}, as many as the step adds",
        _remasking(lambda g: ForwardBackward()),
        SCHEDULED,
    ),
    "dfm": Rule(
        f"{REMASKED}, as a corrector asks, in more than --steps steps",
        _dfm,
        {**DRAWN, "scale": 10.0, "power": 0.25},
    ),
    "p2": Rule(
        "the surest positions, and masks those again that are the least sure by now",
        _p2,
        {**SCHEDULED, "eta": 1.0, "score": "probability", "counts": "floored"},
    ),
    "first-hitting": Rule(
        "one position after the other, at the times of the continuous process",
        lambda g: (FirstHitting(choice_of(g)), grid_of(g)),
        ADAPTIVE,
    ),
    "theta-trapezoidal": Rule(
        "each position by chance, in two stages a step, the second corrected",
        _trapezoidal,
        {**SCHEDULED, "theta": 0.5, "split": "alpha"},
    ),
    "mdlm": Rule(
        "as MDLM does, and the rest in one more step",
        lambda g: presets.mdlm(g["steps"], choice=choice_of(g)),
        DRAWN,
    ),
    "md4": Rule(
        "as MD4 does, and the rest in one more step",
        lambda g: presets.md4(g["steps"], schedule=as_mask_schedule(g["schedule"]), choice=choice_of(g)),
        {"schedule": "cosine", **DRAWN},
    ),
    "maskgit": Rule(
        "as MaskGIT does",
        lambda g: presets.maskgit(
            g["steps"],
            choice_temperature=g["choice_temperature"],
            schedule=as_mask_schedule(g["schedule"]),
            choice=choice_of(g),
        ),
        {"schedule": "cosine", **DRAWN, "choice_temperature": 1.0},
    ),
    "llada": Rule(
        "as LLaDA does with low-confidence remasking",
        lambda g: presets.llada(g["steps"], choice=choice_of(g), score=score_of(g)),
        {**LIKELIEST, "score": "probability"},
    ),
    "llada-random": Rule(
        "as LLaDA does with random remasking",
        lambda g: presets.llada_random(g["steps"], choice=choice_of(g)),
        LIKELIEST,
    ),
    "dllm": Rule(
        "as the library dllm does",
        lambda g: presets.dllm(
            g["steps"],
            schedule=as_mask_schedule(g["schedule"]),
            choice=choice_of(g),
            score=score_of(g),
        ),
        {"schedule": "linear", **LIKELIEST, "score": "probability"},
    ),
    "dream": Rule(
        "as Dream does by confidence",
        lambda g: presets.dream(
            g["steps"],
            choice=choice_of(g),
            score=named("score", g["score"], DREAM_SCORES),
            alg_temp=g["alg_temp"],
            eps=g["eps"],
        ),
        {**LIKELIEST, "score": "probability", "alg_temp": None, "eps": 1e-3},
    ),
    "dream-origin": Rule(
        "as Dream does by chance",
        lambda g: presets.dream_origin(g["steps"], choice=choice_of(g), eps=g["eps"]),
        {**LIKELIEST, "eps": 1e-3},
    ),
}


def default_rule(schedule_text: str | None) -> str:
    """The rule that a saved plan was made for; without one the plain random one."""
    schedule = None if schedule_text is None else parse_schedule(schedule_text)
    return schedule.reveal.name if isinstance(schedule, Plan) else "bernoulli"


def rule_named(name: str, given: Given) -> Rule:
    """The rule of this name, once it is sure that it reads all options given.

    Raises:
      InputError: If there is no such rule (the known ones are listed), or it does not read an option.
    """
    rule: Rule = named("sampler", name, RULES)
    for option in given:
        if option not in rule.defaults:
            raise InputError(
                f"{flag(option)} is no option of sampler {name}, which reads "
                f"{', '.join(map(flag, rule.defaults))}"
            )
    return rule


def make_run(
    rule: Rule, num_masked: int, given: Given, block_length: int | None, steps_only: bool = False
) -> Run:
    """The rule's run with the options given, in blocks if they have a length.

    Unless it is told otherwise, a run has as many steps as there are masked positions, `num_masked` of a
    sequence or a block. A plan is for a rule that reveals as it does, or else for its steps only.
    """
    options = {**rule.defaults, **given}
    text, steps = options.get("schedule"), options["steps"]
    if text is None and steps is not None and "schedule" in options:
        text = "linear"
    schedule = None if text is None else parse_schedule(text)
    if steps is None and (schedule is not None or "schedule" not in options):
        steps = schedule.steps if isinstance(schedule, Plan) else num_masked
    found, grid = rule.build({**options, "schedule": schedule, "steps": steps})
    if block_length is not None:
        found = SemiAutoregressive(found, block_length)
    if not isinstance(grid, Plan):
        return Run(found, grid, text, steps)
    if not steps_only:
        try:
            assert_made_for(grid, found)
        except InputError as error:
            advice = "; pass another --sampler, or --steps-only"
            raise InputError(f"--schedule {text}: {str(error).partition(';')[0]}{advice}") from None
    return Run(found, grid.grid(), text, steps, grid)


def stretched_to(run: Run, starts: Sequence[Sequence[int]], mask_id: int) -> list[int]:
    """The numbers of masked tokens that its plan is stretched to; none if it is for them."""
    if run.plan is None:
        return []
    numbers = set().union(*(masked_numbers(np.array([row]), run.rule, mask_id) for row in starts))
    return sorted(numbers) if numbers - {run.plan.length} else []


def flag(option: str) -> str:
    """An option as it is written on the command line."""
    return "--" + option.replace("_", "-")
