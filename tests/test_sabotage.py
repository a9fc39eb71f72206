"""Every check of `mdmot verify` is seen failing: each sabotage breaks the checks that it names."""

import functools
import importlib
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from mdmot import checks as verification
from mdmot import energies, transport
from mdmot.checks import (
    CHECKS,
    any_order,
    draws,
    edits,
    insertion,
    learned,
    learned_networks,
    minimum,
    parity,
    rates,
    write_once,
)
from mdmot.schedules import interpolations, masks
from mdmot.training import loss

pytestmark = pytest.mark.slow

BERNOULLI = importlib.import_module("mdmot.samplers.bernoulli")

LEARNED = verification.check_learned_optimum

Patch = Callable[[pytest.MonkeyPatch], None]


class Sabotage(NamedTuple):
    """One thing done wrong, the group of checks that looks at it, and those of them that must notice."""

    what: str
    check: str
    broken: tuple[str, ...]  # how their names begin
    apply: Patch


def replaced(owner: object, name: str, by: Callable) -> Patch:
    """The attribute's value is what `by` makes of it."""
    return lambda patch: patch.setattr(owner, name, by(getattr(owner, name)))


def scaled(owner: object, name: str, factor: float) -> Patch:
    """The function's result is off by a factor."""
    return replaced(owner, name, lambda right: lambda *args, **more: factor * right(*args, **more))


def both(*patches: Patch) -> Patch:
    def apply(patch: pytest.MonkeyPatch) -> None:
        for one in patches:
            one(patch)

    return apply


def one_percent_off(gamma: interpolations.Interpolation) -> interpolations.Interpolation:
    """The interpolation with its shape, or its logits, 1 % larger."""
    curve = gamma.curve
    if hasattr(curve, "logits"):
        return interpolations.spline(1.01 * curve.logits)
    return jax.tree.map(lambda shape: 1.01 * shape, gamma)


def chords_one_percent_off(right: Callable) -> Callable:
    """Angles inside that are 1 % larger, the ends as they are."""
    return lambda gamma: right(gamma).at[1:-1].multiply(1.01)


def coarse_bernoulli(keys: jax.Array, prob: jax.Array, length: int) -> jax.Array:
    """A draw whose uniform has ten bits: the rate 1e-3 becomes 2^-9."""
    uniform = jax.vmap(lambda key: jax.random.uniform(key, (length,), jnp.float16))(keys)
    return uniform < prob.astype(jnp.float16)


def few_seeds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(learned_networks, "NUM_SEEDS", 2)


def untrained_on_samples(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(learned_networks, "train_on_samples", lambda denoiser, params, *_: params)


def not_fitted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(learned_networks, "fit_to_law", lambda denoiser, params: params)


def truncated_energy(schedule: masks.MaskSchedule, gamma: interpolations.Interpolation) -> jax.Array:
    """A quadrature that never asks whether the energy is finite."""
    nodes = energies.log_odds_nodes(201, jnp.zeros(()).dtype)
    return jnp.exp(energies.log_power_density(schedule, gamma, nodes)).sum()


def sharper(right: Callable) -> Callable:
    """Conditionals whose odds are squared."""

    def squared(*args):
        zero, one = (p * p for p in right(*args))
        return zero / (zero + one), one / (zero + one)

    return squared


def no_deletion(right: Callable) -> Callable:
    return lambda: right()._replace(delete=np.float32(-1.0))


NOISE = 1 + 1e-12  # far below anything that a figure shows, fifty times the tolerances of rounding

SABOTAGES = [
    Sabotage(
        "J off by 1e-12 of itself",
        "proportionality",
        ("kinetic energy", "conditional energy", "geodesic energy"),
        scaled(energies, "energy", NOISE),
    ),
    Sabotage(
        "J of a schedule that is 1 % off",
        "proportionality",
        ("kinetic energy, n=1", "geodesic energy, n=3, d=2, support"),
        replaced(
            energies,
            "energy",
            lambda right: lambda schedule, gamma: right(schedule, one_percent_off(gamma)),
        ),
    ),
    Sabotage(
        "rates from the target to the source",
        "proportionality",
        ("conditional density",),
        replaced(transport, "flux_from_rates", lambda right: lambda prob, rates: right(prob, rates.T)),
    ),
    Sabotage(
        "half the Fisher information",
        "proportionality",
        ("geodesic density",),
        scaled(transport, "fisher_information", 0.5),
    ),
    Sabotage(
        "the constant of full support for every law",
        "support_constant",
        ("C_k, support {aaa, bbb}", "C_k, a point mass"),
        replaced(energies, "support_kinetic_constant", lambda _: lambda table: 27.0),
    ),
    Sabotage(
        "sites counted instead of masks",
        "support_constant",
        ("C_k, full support",),
        replaced(
            energies, "support_kinetic_constant", lambda _: lambda table: table.ndim * (table > 0).sum()
        ),
    ),
    Sabotage(
        "J off by 1e-12 of itself", "value", ("minimum",), scaled(energies, "quadrature_energy", NOISE)
    ),
    Sabotage(
        "the optimum of a gamma that is 1 % off",
        "value",
        ("minimum",),
        replaced(masks, "optimal", lambda right: lambda gamma: right(one_percent_off(gamma))),
    ),
    Sabotage(
        "a gradient 1 % away from the optimum",
        "gradient",
        ("zero gradient, Beta plane", "zero gradient, spline"),
        both(
            replaced(energies, "beta_energy", lambda right: lambda a, *rest: right(1.01 * a, *rest)),
            replaced(
                minimum,
                "_spline_value_and_grad",
                lambda right: lambda logits, gamma: right(1.01 * logits, gamma),
            ),
        ),
    ),
    Sabotage(
        "J off by 1e-12 of itself",
        "second_variation",
        ("second variation, gamma",),
        scaled(energies, "beta_energy", NOISE),
    ),
    Sabotage(
        "a curvature 1 % away from the optimum, and an energy that sees the shift",
        "second_variation",
        ("second variation, spline, shift", "second variation, spline, others"),
        replaced(
            minimum,
            "_spline_excess",
            lambda right: lambda logits, gamma: right(1.01 * logits, gamma) + 1e-3 * logits.sum() ** 2,
        ),
    ),
    Sabotage(
        "one step of descent",
        "descent",
        ("descent, Beta plane", "descent, spline"),
        replaced(
            scipy.optimize,
            "minimize",
            lambda right: lambda *args, **more: right(*args, **(more | {"options": {"maxiter": 1}})),
        ),
    ),
    Sabotage(
        "the optimum of a gamma that is 1 % off",
        "beta_schedules",
        ("alpha of gamma = beta:0.5", "alpha of gamma = beta:1"),
        replaced(masks, "optimal", lambda right: lambda gamma: right(one_percent_off(gamma))),
    ),
    Sabotage(
        "alpha' off by 1e-12 of itself",
        "rate_integral",
        ("rates generate alpha",),
        scaled(masks.MaskSchedule, "alpha_dot", NOISE),
    ),
    Sabotage(
        "all numbers of unmasked tokens weigh the same",
        "elbo_invariance",
        ("ELBO under",),
        replaced(loss, "_beta_weight", lambda _: lambda s, length: 1.0 / length),
    ),
    Sabotage(
        "arcs for chords",
        "even_steps",
        ("chord minimum",),
        replaced(energies, "chord_energy", lambda _: energies.arc_energy),
    ),
    Sabotage(
        "chords for arcs",
        "uneven_steps",
        ("arc minimum",),
        replaced(energies, "arc_energy", lambda _: energies.chord_energy),
    ),
    Sabotage(
        "the proportional rule for the chord minimiser",
        "uneven_steps",
        ("chord minimum, uneven", "counterexample, uneven chords"),
        replaced(energies, "chord_minimiser", lambda _: energies.arc_minimiser),
    ),
    Sabotage(
        "a minimiser that is 1 % off",
        "chord_limit",
        ("chord limit",),
        replaced(energies, "chord_minimiser", chords_one_percent_off),
    ),
    Sabotage(
        "masked rates that are 1e-12 too fast",
        "rate_optimality",
        ("masked rate is optimal",),
        scaled(rates, "_energy", NOISE),
    ),
    Sabotage(
        "a solver that finds the masked rate",
        "rate_counterexample",
        ("counterexample",),
        replaced(rates, "_restricted", lambda _: lambda flow, allowed: rates._energy(flow)),
    ),
    Sabotage(
        "the optimal flux off by 1e-12 of itself",
        "rate_counterexample",
        ("optimum over all pairs",),
        scaled(transport, "kinetic_optimal_flux", NOISE),
    ),
    Sabotage(
        "a quadrature that decides by itself",
        "infinite_linear",
        ("linear is infinite", "near linear"),
        replaced(energies, "energy", lambda _: truncated_energy),
    ),
    Sabotage(
        "a power density off by 1e-12 of itself",
        "infinite_linear",
        ("linear, truncated",),
        replaced(
            energies,
            "log_power_density",
            lambda right: lambda *args: right(*args) + np.log(NOISE),
        ),
    ),
    Sabotage(
        "Fisher information off by 1e-12 of itself",
        "fisher_information",
        ("constant Fisher information",),
        scaled(transport, "fisher_information", NOISE),
    ),
    Sabotage(
        "a Gumbel with more bits",
        "unmask_rate",
        ("the default Gumbel's values",),
        both(
            replaced(
                jax.random,
                "gumbel",
                lambda right: lambda *args, **more: right(*args, **more, mode="high"),
            ),
            lambda patch: patch.setattr(draws, "NUM_ROWS", 1),
        ),
    ),
    Sabotage(
        "a vocabulary of ten tokens, and a coin of ten bits",
        "unmask_rate",
        ("one default draw loses the tail", "two-stage draw keeps the rate"),
        both(
            lambda patch: patch.setattr(draws, "VOCAB_SIZE", 10),
            replaced(BERNOULLI, "bernoulli", lambda _: coarse_bernoulli),
        ),
    ),
    Sabotage(
        "networks that start without a look at the time, and are not trained",
        "learned_optimum",
        ("learned optimum, before training", "learned optimum, from samples"),
        both(
            few_seeds,
            not_fitted,
            untrained_on_samples,
            lambda patch: patch.setattr(learned_networks, "LEAN", 0.0),
        ),
    ),
    Sabotage(
        "untrained networks",
        "learned_optimum",
        ("learned conditionals", "learned optimum, after training", "learned optimum, from samples"),
        both(few_seeds, not_fitted, untrained_on_samples),
    ),
    Sabotage(
        "a target without its logarithm",
        "learned_optimum",
        ("learned conditionals",),
        both(
            few_seeds,
            untrained_on_samples,
            lambda patch: patch.setattr(learned_networks, "TRAINED_NODES", 9),  # quicker
            replaced(learned_networks, "target_log_odds", lambda right: lambda: jnp.tanh(right() / 2)),
        ),
    ),
    Sabotage(
        "a quarter of the training",
        "learned_optimum",
        ("learned conditionals",),
        both(
            few_seeds,
            untrained_on_samples,
            replaced(
                learned_networks,
                "fit_to_law",
                lambda right: functools.partial(right, num_iterations=learned_networks.NUM_ITERATIONS // 4),
            ),
        ),
    ),
    Sabotage(
        "as few samples whatever their number is said to be",
        "learned_optimum",
        ("learned optimum, from samples",),
        both(
            few_seeds,
            not_fitted,
            replaced(
                learned_networks,
                "train_on_samples",
                lambda right: lambda *args: right(*args[:3], jnp.int32(learned.SAMPLE_STEPS[0])),
            ),
        ),
    ),
    Sabotage(
        "a network that reads the time for one that does not",
        "learned_optimum",
        ("learned optimum, network without time",),
        both(
            few_seeds,
            not_fitted,
            untrained_on_samples,
            replaced(
                learned,
                "untimed_optimum",
                lambda _: lambda: jax.tree.map(lambda leaf: leaf[0], learned.learned_optima().before),
            ),
        ),
    ),
    Sabotage(
        "conditionals that are sharper than the law's",
        "any_order",
        ("any order, the same law", "counterexample, the surest of what was drawn"),
        replaced(any_order, "conditionals", sharper),
    ),
    Sabotage(
        "a network that is 1e-5 off",
        "any_order",
        ("any order, surest first",),
        replaced(
            any_order,
            "tabular_denoiser",
            lambda right: lambda size: lambda *args: (1 + 1e-5) * right(size)(*args),
        ),
    ),
    Sabotage(
        "no deletion where a mask is inserted",
        "edit_step",
        ("edits, rows with room", "edits, rows without room"),
        replaced(
            edits,
            "edited",
            lambda right: (
                lambda tokens, asked, *ids: right(
                    tokens, asked._replace(delete=asked.delete & ~asked.insert), *ids
                )
            ),
        ),
    ),
    Sabotage(
        "a row that does not fit tells the length of its buffer",
        "edit_step",
        ("edits, rows without room",),
        replaced(
            edits,
            "edited",
            lambda right: (
                lambda tokens, *args: right(tokens, *args)._replace(
                    length=jnp.minimum(right(tokens, *args).length, tokens.shape[1])
                )
            ),
        ),
    ),
    Sabotage(
        "a network of a law that is not the data's",
        "insertion",
        ("insertion, bound", "insertion, two steps"),
        replaced(
            insertion,
            "exact_model",
            lambda right: (
                lambda law, size: right(
                    law._replace(log_prob=jnp.log(jnp.asarray([0.49, 0.51], law.log_prob.dtype))), size
                )
            ),
        ),
    ),
    Sabotage(
        "a tenth of what is to be inserted never comes",
        "insertion",
        ("insertion, two steps", "insertion, many steps"),
        replaced(
            insertion,
            "insertion_grid",
            lambda right: lambda *steps: right(*steps)._replace(insert=0.9 * right(*steps).insert),
        ),
    ),
    Sabotage(
        "the law of the data for that of the steps",
        "insertion",
        ("counterexample, exact numbers in few steps",),
        replaced(insertion, "insertion_law", lambda _: lambda law, *_: jnp.exp(law.log_prob)),
    ),
    Sabotage(
        "weights that make the seven steps, and no others",
        "parity",
        ("parity, every string", "parity, every length"),
        replaced(parity, "parity_weights", lambda _: parity.blind_weights),
    ),
    Sabotage(
        "masks that become tokens",
        "parity",
        (
            "parity, the seven steps",
            "parity, network calls",
            "counterexample, the seven steps with other weights",
        ),
        both(
            replaced(parity, "parity_weights", no_deletion), replaced(parity, "blind_weights", no_deletion)
        ),
    ),
    Sabotage(
        "the right weights for the wrong ones",
        "parity",
        ("counterexample, three ones are even",),
        replaced(parity, "blind_weights", lambda _: parity.parity_weights),
    ),
    Sabotage(
        "a letter that may become another",
        "write_once",
        ("writing once, steps", "writing once, functions"),
        replaced(write_once, "ONCE", lambda right: {**right, 0: (0, 1)}),
    ),
    Sabotage(
        "no remask, and rows in the order of their numbers",
        "write_once",
        ("editing, steps", "editing, functions"),
        both(
            replaced(write_once, "EDITING", lambda _: write_once.ONCE),
            replaced(
                write_once,
                "reflected",
                lambda _: lambda length: list(itertools.product((0, write_once.MASK, 1), repeat=length)),
            ),
        ),
    ),
    Sabotage(
        "a mask that sees all bits, and no more",
        "write_once",
        ("writing once, bits out of sight", "writing once, a mask a bit"),
        replaced(
            write_once,
            "_written_once",
            lambda _: lambda row, table: (*row[:-1], sum(row[:-1]) % 2),
        ),
    ),
]


@functools.cache
def outcome(number: int) -> dict[str, bool]:
    """The names of the group's checks under a sabotage, and whether each of them passed."""
    sabotage = SABOTAGES[number]
    clear()
    with pytest.MonkeyPatch.context() as patch:
        sabotage.apply(patch)
        with jax.numpy_dtype_promotion("standard"):  # optax relies on it
            found = getattr(verification, f"check_{sabotage.check}")()
    clear()
    return {check.name: check.passed for check in found}


def clear() -> None:
    """Forgets compiled programs: they hold the functions that they were traced with."""
    jax.clear_caches()
    learned._learned_optima.cache_clear()


@pytest.mark.parametrize(
    "number",
    range(len(SABOTAGES)),
    ids=[f"{sabotage.check}: {sabotage.what}" for sabotage in SABOTAGES],
)
def test_a_sabotage_is_noticed(number):
    passed = outcome(number)
    for start in SABOTAGES[number].broken:
        named = [name for name in passed if name.startswith(start)]
        assert named, f"no check is called {start}..."
        assert not [name for name in named if passed[name]]


def test_checks_pass_and_their_tolerances_bite():
    """No tolerance is more than 100 times the error, or a rounding if that is larger, but for a reason."""
    reasons = {
        "zero gradient, spline": "derivatives of size 10 cancel",
        "second variation, gamma = beta": "second derivatives cancel to a tenth of their size and less",
        "descent": "an optimiser stops anywhere within its own tolerance",
        "masked rate is optimal": "a solver stops anywhere within its own tolerance",
        "constant Fisher information": "a sum over 27 states of squares over probabilities down to 1e-4",
        "chord minimum, uneven steps": "a slope: differences of angles over steps, squared",
    }
    clear()
    for check in itertools.chain.from_iterable(run() for run in CHECKS if run is not LEARNED):
        assert check.passed, check
        factor = 100 if not any(check.name.startswith(name) for name in reasons) else 1000
        assert check.tolerance <= factor * max(check.error, np.finfo(float).eps), check


def test_every_check_is_broken_by_some_sabotage():
    assert {f"check_{sabotage.check}" for sabotage in SABOTAGES} == {check.__name__ for check in CHECKS}
    outcomes = [outcome(number) for number in range(len(SABOTAGES))]
    never_broken = set().union(*outcomes)
    for passed in outcomes:
        never_broken -= {name for name, did_pass in passed.items() if not did_pass}
    assert not never_broken
