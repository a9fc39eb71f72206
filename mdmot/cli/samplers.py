"""Samplers by name: the one place where the command line's words become samplers."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mdmot._types import Denoiser, TimedDenoiser
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
from mdmot.samplers import presets
from mdmot.samplers.bisection import BisectionUnmasking
from mdmot.samplers.blocks import SemiAutoregressive
from mdmot.samplers.confidence import ConfidenceUnmasking
from mdmot.samplers.entropy_bound import EntropyBoundUnmasking
from mdmot.samplers.first_hitting import FirstHitting
from mdmot.samplers.klass import KLASSUnmasking
from mdmot.samplers.random_order import BernoulliUnmasking, FixedUnmasking
from mdmot.samplers.remasking import RemaskingUnmasking
from mdmot.samplers.remasking_grids import dfm_grid, loop_grid
from mdmot.samplers.remasking_rules import (
    ByConfidence,
    Cap,
    DFMCorrector,
    ForwardBackward,
    Loop,
    RemaskRule,
    Rescale,
)
from mdmot.samplers.self_planning import SelfPlanning
from mdmot.samplers.threshold import FactorUnmasking, ThresholdUnmasking
from mdmot.samplers.trapezoidal import ThetaTrapezoidal
from mdmot.schedules import StepGrid, step_grid


class Network(NamedTuple):
    """What a sampler calls, and the room that it has.

    Attributes:
      denoiser: `denoiser(params, tokens)`.
      timed_denoiser: `timed_denoiser(params, tokens, t)`.
      mask_id: The token of a masked position.
      vocab_size: Number of clean tokens.
      length: Tokens of a sequence, or of a block if it is sampled in blocks.
      num_masked: Most masked positions of a sequence or a block, at least 1.
    """

    denoiser: Denoiser
    timed_denoiser: TimedDenoiser
    mask_id: int
    vocab_size: int
    length: int
    num_masked: int


class Run(NamedTuple):
    """A sampler and its steps.

    Attributes:
      sampler: The sampler.
      grid: Its steps, of each block if in blocks; None if it finds them itself.
      schedule: The option --schedule, given or not; None if there is none.
      steps: The option --steps, given or not; None if there is none. A grid may have more.
    """

    sampler: Any
    grid: StepGrid | None
    schedule: str | None
    steps: int | None


Build = Callable[[Network, Given], tuple[Any, StepGrid | None]]
"""`build(network, given)`: sampler and grid, from all options of the rule, the schedule parsed."""


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


def grid_of(network: Network, given: Given) -> StepGrid | None:
    """The steps of a schedule, None without one."""
    schedule, steps = given["schedule"], given["steps"]
    if not isinstance(schedule, Plan):
        return None if schedule is None else step_grid(schedule, steps)
    if (schedule.length, len(schedule.alpha) - 1) != (network.length, steps):
        raise InputError(
            f"the plan has {schedule.length} tokens in {len(schedule.alpha) - 1} steps; "
            f"what is sampled has {network.length} tokens in {steps} steps"
        )
    return schedule.grid()


def _ranked(score: str) -> Build:
    def build(n: Network, g: Given) -> tuple[Any, StepGrid | None]:
        count, noise = named("counts", g["counts"], COUNTS), parse_noise(g["noise"])
        sampler = ConfidenceUnmasking(n.denoiser, n.mask_id, choice_of(g), SCORES[score](), noise, count)
        return sampler, grid_of(n, g)

    return build


def _remasking(rule: Callable[[Given], RemaskRule]) -> Build:
    def build(n: Network, g: Given) -> tuple[Any, StepGrid | None]:
        return RemaskingUnmasking(n.denoiser, n.mask_id, rule(g), choice_of(g)), grid_of(n, g)

    return build


def _remdm_loop(n: Network, g: Given) -> tuple[Any, StepGrid | None]:
    grid = loop_grid(g["steps"], g["loop_start"], g["loop_stop"], g["loop_alpha"])
    return RemaskingUnmasking(n.denoiser, n.mask_id, Loop(g["eta"]), choice_of(g)), grid


def _dfm(n: Network, g: Given) -> tuple[Any, StepGrid | None]:
    corrector = DFMCorrector(g["scale"], g["power"])
    sampler = RemaskingUnmasking(n.denoiser, n.mask_id, corrector, choice_of(g))
    return sampler, dfm_grid(g["steps"], corrector)


def _klass(n: Network, g: Given) -> tuple[Any, StepGrid | None]:
    limits = (g["confidence"], g["divergence"], g["history"], g["fallback"])
    return KLASSUnmasking(n.denoiser, n.mask_id, n.vocab_size, *limits, choice_of(g)), grid_of(n, g)


def _fixed(n: Network, g: Given) -> tuple[Any, StepGrid | None]:
    order, count = named("order", g["order"], ORDERS), named("counts", g["counts"], COUNTS)
    return FixedUnmasking(n.denoiser, n.mask_id, choice_of(g), order, count), grid_of(n, g)


def _p2(n: Network, g: Given) -> tuple[Any, StepGrid | None]:
    count = named("counts", g["counts"], COUNTS)
    return SelfPlanning(n.denoiser, n.mask_id, g["eta"], choice_of(g), score_of(g), count), grid_of(n, g)


def _trapezoidal(n: Network, g: Given) -> tuple[Any, StepGrid | None]:
    split = named("split", g["split"], SPLITS)
    return ThetaTrapezoidal(n.timed_denoiser, n.mask_id, g["theta"], choice_of(g), split), grid_of(n, g)


DRAWN = {"steps": None, "temperature": 1.0, "top_k": None, "top_p": None, "forbid": ()}
LIKELIEST = {**DRAWN, "temperature": 0.0}
SCHEDULED = {"schedule": "linear", **DRAWN}
ADAPTIVE = {"schedule": None, **DRAWN}
RANKED = {**SCHEDULED, "noise": None, "counts": "rounded"}
REMASKED = "each position by chance, and masks it again by chance"

RULES: dict[str, Rule] = {
    "bernoulli": Rule(
        "each position by chance, as the schedule has it",
        lambda n, g: (BernoulliUnmasking(n.denoiser, n.mask_id, choice_of(g)), grid_of(n, g)),
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
        lambda n, g: (
            ThresholdUnmasking(n.denoiser, n.mask_id, g["threshold"], choice_of(g), score_of(g)),
            grid_of(n, g),
        ),
        {**ADAPTIVE, "threshold": 0.9, "score": "probability"},
    ),
    "factor": Rule(
        "as many as their probabilities allow together",
        lambda n, g: (
            FactorUnmasking(n.denoiser, n.mask_id, g["factor"], choice_of(g), score_of(g)),
            grid_of(n, g),
        ),
        {**ADAPTIVE, "factor": 1.0, "score": "probability"},
    ),
    "entropy-bound": Rule(
        "as many as a bound on their entropies allows",
        lambda n, g: (
            EntropyBoundUnmasking(n.denoiser, n.mask_id, g["entropy_bound"], choice_of(g), score_of(g)),
            grid_of(n, g),
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
        lambda n, g: (BisectionUnmasking(n.denoiser, n.mask_id, choice_of(g)), grid_of(n, g)),
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
        lambda n, g: (FirstHitting(n.timed_denoiser, n.mask_id, choice_of(g)), grid_of(n, g)),
        ADAPTIVE,
    ),
    "theta-trapezoidal": Rule(
        "each position by chance, in two stages a step, the second corrected",
        _trapezoidal,
        {**SCHEDULED, "theta": 0.5, "split": "alpha"},
    ),
    "mdlm": Rule(
        "as MDLM does, and the rest in one more step",
        lambda n, g: presets.mdlm(n.denoiser, n.mask_id, g["steps"], choice=choice_of(g)),
        DRAWN,
    ),
    "md4": Rule(
        "as MD4 does, and the rest in one more step",
        lambda n, g: presets.md4(
            n.denoiser, n.mask_id, g["steps"], schedule=as_mask_schedule(g["schedule"]), choice=choice_of(g)
        ),
        {"schedule": "cosine", **DRAWN},
    ),
    "maskgit": Rule(
        "as MaskGIT does",
        lambda n, g: presets.maskgit(
            n.denoiser,
            n.mask_id,
            g["steps"],
            choice_temperature=g["choice_temperature"],
            schedule=as_mask_schedule(g["schedule"]),
            choice=choice_of(g),
        ),
        {"schedule": "cosine", **DRAWN, "choice_temperature": 1.0},
    ),
    "llada": Rule(
        "as LLaDA does with low-confidence remasking",
        lambda n, g: presets.llada(
            n.denoiser, n.mask_id, g["steps"], choice=choice_of(g), score=score_of(g)
        ),
        {**LIKELIEST, "score": "probability"},
    ),
    "llada-random": Rule(
        "as LLaDA does with random remasking",
        lambda n, g: presets.llada_random(n.denoiser, n.mask_id, g["steps"], choice=choice_of(g)),
        LIKELIEST,
    ),
    "dllm": Rule(
        "as the library dllm does",
        lambda n, g: presets.dllm(
            n.denoiser,
            n.mask_id,
            g["steps"],
            schedule=as_mask_schedule(g["schedule"]),
            choice=choice_of(g),
            score=score_of(g),
        ),
        {"schedule": "linear", **LIKELIEST, "score": "probability"},
    ),
    "dream": Rule(
        "as Dream does by confidence",
        lambda n, g: presets.dream(
            n.denoiser,
            n.mask_id,
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
        lambda n, g: presets.dream_origin(
            n.denoiser, n.mask_id, g["steps"], choice=choice_of(g), eps=g["eps"]
        ),
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


def make_run(rule: Rule, network: Network, given: Given, block_length: int | None) -> Run:
    """The rule's run with the options given, in blocks if they have a length.

    Unless it is told otherwise, a run has as many steps as there are masked positions.
    """
    options = {**rule.defaults, **given}
    text, steps = options.get("schedule"), options["steps"]
    if text is None and steps is not None and "schedule" in options:
        text = "linear"
    schedule = None if text is None else parse_schedule(text)
    if steps is None and (schedule is not None or "schedule" not in options):
        steps = len(schedule.alpha) - 1 if isinstance(schedule, Plan) else network.num_masked
    sampler, grid = rule.build(network, {**options, "schedule": schedule, "steps": steps})
    if block_length is not None:
        sampler = SemiAutoregressive(sampler, block_length)
    return Run(sampler, grid, text, steps)


def flag(option: str) -> str:
    """An option as it is written on the command line."""
    return "--" + option.replace("_", "-")
