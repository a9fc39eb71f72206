"""The words of the sampler options, and what they stand for."""

from collections.abc import Callable, Mapping
from typing import Any

from mdmot.errors import InputError
from mdmot.samplers import counts, orders, scores
from mdmot.samplers.choice import Categorical, Choice, Forbid, Likeliest, Temperature, TopK, TopP, Transform
from mdmot.samplers.self_planning import floored
from mdmot.samplers.trapezoidal import Split, by_alpha, by_hazard

Given = Mapping[str, Any]
"""Values of options by their names in Python."""

SCORES: dict[str, Callable[..., scores.ScoreRule]] = {
    "probability": scores.MaxProbability,
    "margin": scores.Margin,
    "entropy": scores.NegativeEntropy,
}
DREAM_SCORES = {**SCORES, "probability": scores.Probability}
ORDERS: dict[str, orders.Order] = {
    "random": orders.RandomOrder(),
    "left-to-right": orders.LeftToRight(),
    "bisection": orders.Bisection(),
}
COUNTS: dict[str, counts.CountRule] = {
    "rounded": counts.rounded,
    "even": counts.even,
    "rounded-share": counts.rounded_share,
    "truncated-share": counts.truncated_share,
    "floored-rest": counts.floored_rest,
    "floored": floored,
}
SPLITS: dict[str, Split] = {"hazard": by_hazard, "alpha": by_alpha}


def choice_of(given: Given) -> Choice:
    """A draw from the network's distribution, or its likeliest token at temperature 0.

    --forbid, --temperature, --top-k and --top-p change the distribution in this order.
    """
    temperature = given["temperature"]
    transforms: list[Transform] = [Forbid(given["forbid"])] if given["forbid"] else []
    if temperature not in (0, 1):
        transforms.append(Temperature(temperature))
    if given["top_k"] is not None:
        transforms.append(TopK(given["top_k"]))
    if given["top_p"] is not None:
        transforms.append(TopP(given["top_p"]))
    return Likeliest(tuple(transforms)) if temperature == 0 else Categorical(tuple(transforms))


def parse_noise(text: str | None) -> scores.ChoiceNoise | None:
    """The noise on scores that `text` gives: SCALE, or annealed:SCALE.

    Raises:
      InputError: If it is neither.
    """
    if text is None:
        return None
    kind, _, number = text.rpartition(":")
    try:
        scale = float(number)
    except ValueError:
        scale = -1.0
    if kind not in ("", "annealed") or not 0 <= scale < float("inf"):
        raise InputError(f"--noise {text!r} is not known; pass a scale such as 0.5, or annealed:4.5")
    return scores.AnnealedNoise(scale) if kind else scores.ConstantNoise(scale)


def score_of(given: Given) -> scores.ScoreRule:
    """What --score says makes a position sure."""
    return named("score", given["score"], SCORES)()


def named(what: str, name: str, known: Mapping[str, Any]) -> Any:
    """What a word stands for.

    Raises:
      InputError: If it is unknown; the known ones are listed.
    """
    if name not in known:
        raise InputError(f"{what} {name!r} is not known; use {', '.join(known)}")
    return known[name]
