"""The parts of `training.py` about variance: where it comes from in a trained model, and what lowers it."""

import math
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

CALLS = 16
"""Rows of the network a batch, for every method alike."""

SEQUENCES, REPEATS, PAIRS = 64, 64, 8
"""Sequences of the moments, batches whose loss is measured, and pairs of batches whose gradient is."""

FITTED_ON = 48
"""Batches from which levels and control variate are fitted."""

QUICK_LENGTH, QUICK_METHODS = 32, ("uniform", "stratified", "P-POTS", "two patterns", "MIRROR")

ERRORS = 4.0
"""Standard errors within which a measured variance agrees with the expected one."""


PARTS = ("A, patterns", "B, levels", "C, sequences")
TOTAL, MAIN_EFFECT = "A + B + C", "of B, alike in all sequences"
LEAST = "least of all laws of the levels, to uniform"
HALF, RHO = "A of a MIRROR pair to A of one pattern, (1 + rho) / 2", "rho of a MIRROR pair"
MIRROR_TO_TWO = "MIRROR to two independent patterns, whole variance"


class Setting(NamedTuple):
    """A trained network and the windows on which its loss is measured."""

    denoiser: Any
    params: Any
    mask_id: int
    windows: np.ndarray
    fitted_on: np.ndarray


class Method(NamedTuple):
    """An estimate of the loss, with what it has been fitted to."""

    objective: Any
    state: Any

    @property
    def rows(self) -> int:
        """Sequences a batch."""
        return CALLS // self.objective.num_patterns


def setting_of(model: str | None, is_quick: bool) -> Setting:
    """The model, and held-out windows of the standard library in random order."""
    import jax
    import jax.numpy as jnp

    from mdmot.data import hold_out_documents, read_corpus, tokenize
    from mdmot.models import bundled_model, load_checkpoint
    from mdmot.vocabulary import Bytes

    named = load_checkpoint(bundled_model() if model is None else pathlib.Path(model))
    _, held_out = hold_out_documents(read_corpus(None))
    windows = tokenize(held_out, Bytes(), None).windows(named.length)
    windows = np.random.default_rng(0).permutation(windows)[:, : QUICK_LENGTH if is_quick else None]
    # Gradients are to be of the numbers that are computed with, however coarsely they are stored.
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), named.model.params)
    half = len(windows) // 2
    mask_id = named.model.mask_id
    return Setting(named.model.denoiser, params, mask_id, windows[:half], windows[half:])


def methods_of(setting: Setting, num_batches: int) -> dict[str, Method]:
    """The estimates that are compared; those that are fitted, fitted to other windows."""
    import jax
    import jax.numpy as jnp

    from mdmot.training import (
        Antithetic,
        Batch,
        ControlVariate,
        EvenLevels,
        FittedLevels,
        Independent,
        NelboObjective,
        Shifted,
        Stratified,
    )
    from mdmot.training.bins import add_to_bins, empty_bins
    from mdmot.training.objective import NelboState

    network = (setting.denoiser, setting.mask_id)
    even = NelboObjective(*network)
    fitted, variate = FittedLevels(Independent()), ControlVariate()
    levels, control = fitted.init(), empty_bins(variate.num_bins)
    estimates = jax.jit(lambda key, params, tokens: even.estimates(key, params, even.init(), Batch(tokens)))
    generator = np.random.default_rng(1)
    for key in jax.random.split(jax.random.key(1), num_batches):
        rows = setting.fitted_on[generator.integers(0, len(setting.fitted_on), CALLS)]
        found = estimates(key, setting.params, jnp.asarray(rows, jnp.int32))
        levels = fitted.update(levels, found.share, found.losses)
        control = add_to_bins(control, found.share, found.losses, variate.decay)

    def with_levels(law: Any, state: Any = (), **options: Any) -> Method:
        seen = control if "control" in options else None
        return Method(NelboObjective(*network, law, **options), NelboState(state, seen))

    uniform = EvenLevels(Independent())
    return {
        "uniform": with_levels(uniform),
        "antithetic": with_levels(EvenLevels(Antithetic())),
        "stratified": with_levels(EvenLevels(Stratified())),
        "even": with_levels(EvenLevels(Shifted())),
        "P-POTS": with_levels(fitted, levels),
        "P-POTS, even": with_levels(FittedLevels(Shifted()), levels),
        "control variate": with_levels(uniform, control=variate),
        "two patterns": with_levels(uniform, num_patterns=2),
        "MIRROR": with_levels(uniform, num_patterns=2, spread=Antithetic()),
        "MIRROR, even": with_levels(EvenLevels(Shifted()), num_patterns=2, spread=Antithetic()),
    }


def variance(is_quick: bool, model: str | None) -> Iterator[dict[str, Any]]:
    """A + B + C, the variance of each method by the formulas, and as it is measured on whole batches."""
    import jax

    from mdmot.training import batch_variance

    setting = setting_of(model, is_quick)
    methods = methods_of(setting, 4 if is_quick else FITTED_ON)
    if is_quick:
        methods = {name: methods[name] for name in QUICK_METHODS}
    expected = expectations(setting, methods, 4 if is_quick else SEQUENCES)
    for name, value in expected.items():
        if name in (*PARTS, TOTAL, MAIN_EFFECT):
            yield {"variance": name, **columns("", value), "share": value.value / expected[TOTAL].value}
    measured = {}
    for name, method in methods.items():
        measured[name] = batch_variance(
            jax.random.key(4),
            method.objective,
            setting.params,
            method.state,
            setting.windows,
            batch_size=method.rows,
            num_repeats=8 if is_quick else REPEATS,
        )
        yield {
            "method": name,
            "batch": f"{method.rows} x {method.objective.num_patterns}",
            **columns("expected_to_uniform", expected[f"{name}, to uniform"]),
            **columns("expected", expected[name]),
            **columns("measured", measured[name]),
            **columns("measured_to_uniform", over(measured[name], measured["uniform"])),
            "holds": is_near(measured[name], expected[name]),
        }
    yield from claims(expected, measured)


def claims(expected: dict[str, Any], measured: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the methods promise, beside what they do."""
    half, rho, pairs = (expected[name] for name in (HALF, RHO, MIRROR_TO_TWO))
    most = 2.0  # standard errors by which an inequality may be missed
    for name, value, bound in ((HALF, half, 0.5), (RHO, rho, 0.0), (MIRROR_TO_TWO, pairs, 1.0)):
        yield {
            "claim": name,
            **columns("", value),
            "wanted": f"at most {bound}",
            "holds": value.value <= bound + most * value.standard_error,
        }
    left = 1 - expected[MAIN_EFFECT].value / expected[TOTAL].value
    stratified = over(measured["stratified"], measured["uniform"])
    error = math.hypot(
        stratified.standard_error, expected["stratified, to uniform"].standard_error
    )  # what is wanted is an estimate too
    yield {
        "claim": "stratified to uniform levels, measured",
        **columns("", stratified),
        "wanted": f"{left:.3f}, all but the levels' main effect",
        "holds": abs(stratified.value - left) <= ERRORS * error,
    }
    fitted = expected["P-POTS, to uniform"]
    yield {
        "claim": "P-POTS to uniform levels, on sequences that it is not fitted to",
        **columns("", fitted),
        "wanted": f"below 1; the least is {expected[LEAST].value:.3f}",
        "holds": fitted.value < 1 - most * fitted.standard_error,
    }


def gradient(is_quick: bool, model: str | None) -> Iterator[dict[str, Any]]:
    """The variance of a batch's gradient, summed over the weights; a control variate does not change it."""
    import jax

    from mdmot.training import gradient_variance

    setting = setting_of(model, is_quick)
    methods = methods_of(setting, 4 if is_quick else FITTED_ON)
    if is_quick:
        methods = {name: methods[name] for name in QUICK_METHODS}
    names = ("uniform", "stratified", "even", "P-POTS", "P-POTS, even", "two patterns", "MIRROR")
    uniform = None
    for name in names[:1] if is_quick else names:
        method = methods[name]
        found = gradient_variance(
            jax.random.key(5),
            method.objective,
            setting.params,
            method.state,
            setting.windows,
            batch_size=method.rows,
            num_pairs=2 if is_quick else PAIRS,
        )
        uniform = uniform or found
        yield {
            "method": name,
            "batch": f"{method.rows} x {method.objective.num_patterns}",
            **columns("measured", found),
            **columns("to_uniform", over(found, uniform)),
        }


def expectations(setting: Setting, methods: dict[str, Method], num: int) -> dict[str, Any]:
    """The parts of the variance and what follows from them, each with its error over sequences."""
    import jax
    from training_moments import Moments, curves_of, jackknife, measured_moments, rule_of, variance_of

    from mdmot.training import Measured

    some = setting.windows[:num]
    moments = measured_moments(jax.random.key(2), setting.denoiser, setting.params, some, setting.mask_id)
    rules = {
        name: rule_of(jax.random.key(3), method.objective, method.state, method.rows, some.shape[1])
        for name, method in methods.items()
    }

    def statistics(moments: Moments) -> dict[str, float]:
        curves = curves_of(moments)
        total = sum(curves.parts)
        second = curves.pattern + curves.between + curves.mean**2
        half = curves.mirror.mean() / curves.pattern.mean()
        found = {name: variance_of(rule, curves) for name, rule in rules.items()}
        return {
            **dict(zip(PARTS, curves.parts, strict=True)),
            TOTAL: total,
            MAIN_EFFECT: curves.mean.var(),
            LEAST: (np.sqrt(second).mean() ** 2 - curves.mean.mean() ** 2) / total,
            HALF: half,
            RHO: 2 * half - 1,
            MIRROR_TO_TWO: found["MIRROR"] / found["two patterns"],
            **found,
            **{f"{name}, to uniform": value / found["uniform"] for name, value in found.items()},
        }

    names = list(statistics(moments))
    values, errors = jackknife(lambda some: np.array(list(statistics(some).values())), moments)
    return {
        name: Measured(float(value), float(error))
        for name, value, error in zip(names, values, errors, strict=True)
    }


def columns(name: str, found: Any) -> dict[str, float]:
    """A number and its error as two columns."""
    prefix = f"{name}_" if name else ""
    return {name or "value": found.value, f"{prefix}standard_error": found.standard_error}


def over(first: Any, second: Any) -> Any:
    """A ratio, whose error takes the two for independent; of a number to itself it is 1."""
    from mdmot.training import Measured

    ratio = first.value / second.value
    if first is second:
        return Measured(1.0, 0.0)
    relative = math.hypot(first.standard_error / first.value, second.standard_error / second.value)
    return Measured(ratio, abs(ratio) * relative)


def is_near(first: Any, second: Any) -> bool:
    """Whether two estimates agree within `ERRORS` of their standard errors together."""
    error = math.hypot(first.standard_error, second.standard_error)
    return abs(first.value - second.value) <= ERRORS * error
