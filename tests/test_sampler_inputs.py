"""What samplers accept: values at the ends of their ranges, tokens that just fit; and one step beyond."""

import json
import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot.denoisers import WithoutToken
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.samplers import (
    AnnealedNoise,
    BernoulliUnmasking,
    Categorical,
    ConstantNoise,
    EntropyBound,
    Factor,
    FixedUnmasking,
    Forbid,
    LargestProbability,
    Likeliest,
    NegativeEntropy,
    Ranked,
    RemaskingUnmasking,
    SelfPlanning,
    SemiAutoregressive,
    Stable,
    StepInput,
    Temperature,
    ThetaTrapezoidal,
    Threshold,
    TopK,
    TopP,
    log_likelihood,
    sample,
)
from mdmot.samplers.admission import assert_inputs
from mdmot.samplers.preset_grids import even_grid, shares
from mdmot.samplers.remasking_grids import dfm_grid, loop_grid
from mdmot.samplers.remasking_rules import ByConfidence, Cap, DFMCorrector, ForwardBackward, Loop, Rescale
from mdmot.samplers.selection import root
from mdmot.samplers.self_planning import floored
from mdmot.schedules import StepGrid, grid_from_alpha
from mdmot.training import evaluate

GRID, TOKENS = grid_from_alpha([0.0, 0.5, 1.0]), jnp.full((2, 3), 4)


def flat(params, tokens):
    return jnp.zeros((*tokens.shape, 4))


FLAT = Model(flat, None, 4)


def accept(rule, grid=GRID, tokens=TOKENS, model=FLAT):
    assert_inputs(jax.random.key(0), rule, model, grid, tokens)


def choosing(*transforms):
    return FixedUnmasking(Categorical(transforms))


def remasking(rule):
    return RemaskingUnmasking(rule)


@pytest.mark.parametrize(
    "sampler",
    [
        *(choosing(Temperature(0)), choosing(TopK(1)), choosing(TopP(1)), choosing(TopP(1e-9))),
        *(choosing(Forbid([0])), choosing(Forbid([3])), FixedUnmasking(Likeliest((TopK(4),)))),
        *(remasking(rule(eta)) for rule in (Cap, Rescale, Loop, ByConfidence) for eta in (0, 1)),
        *(remasking(DFMCorrector(0, 0)), remasking(ForwardBackward())),
        *(SelfPlanning(0), SelfPlanning(7.5)),
        *(Ranked(Threshold(0)), Ranked(Threshold(1))),
        *(Ranked(Factor(0)), Ranked(Factor(math.inf))),
        *(
            Ranked(EntropyBound(0), score=NegativeEntropy(), choice=Categorical()),
            Ranked(EntropyBound(math.inf), score=NegativeEntropy(), choice=Categorical()),
        ),
        Ranked(Stable(confidence=0, divergence=0, history=1, fallback=1), score=LargestProbability()),
        Ranked(Stable(confidence=1, divergence=math.inf), score=LargestProbability()),
        *(ThetaTrapezoidal(1e-6), ThetaTrapezoidal(0.999)),
        *(SemiAutoregressive(choosing(), 1), SemiAutoregressive(choosing(), 99, end_id=0)),
        SemiAutoregressive(choosing(), 2, end_id=3),
    ],
)
def test_values_at_the_ends_of_their_ranges_are_accepted(sampler):
    accept(sampler)


@pytest.mark.parametrize(
    "model",
    [Model(WithoutToken(flat, 3), None, 3), *(Model(flat, None, mask_id) for mask_id in (4, -1, 5))],
)
def test_masks_are_any_token_that_is_not_clean_or_cannot_come(model):
    accept(FixedUnmasking(), tokens=jnp.full((2, 3), model.mask_id), model=model)


@pytest.mark.parametrize("noise", [ConstantNoise(0), ConstantNoise(2.5), AnnealedNoise(0)])
def test_noise_of_no_scale_is_accepted(noise):
    noise.assert_values()


@pytest.mark.parametrize(
    "sampler",
    [
        choosing(Forbid([4])),
        SemiAutoregressive(choosing(), 1, end_id=-1),
    ],
)
def test_values_just_beyond_are_refused(sampler):
    with pytest.raises(InputError):
        accept(sampler)


def wide(params, tokens):
    return jnp.zeros((*tokens.shape, params.size))


@pytest.mark.parametrize(("dtype", "largest"), [(jnp.int8, 127), (jnp.uint8, 255)])
def test_small_integers_hold_as_many_tokens_as_they_can(dtype, largest):
    """The largest clean token, or a mask beyond the clean ones, is the largest number of the type."""

    def check(mask_id, vocab_size):
        tokens = jnp.full((1, 2), min(mask_id, largest), dtype)
        model = Model(wide, jnp.zeros(vocab_size), mask_id)
        accept(BernoulliUnmasking(), tokens=tokens, model=model)

    check(largest, largest)
    if dtype == jnp.int8:
        check(-1, largest + 1)
        check(-128, largest + 1)
    for mask_id, vocab_size in ((largest + 1, largest + 1), (0, largest + 2)):
        with pytest.raises(InputError, match=r"cast them to int32|clean tokens; use an id"):
            check(mask_id, vocab_size)


def test_rows_of_blocks_need_a_number_for_what_comes_later():
    blocks = SemiAutoregressive(FixedUnmasking(), 1)
    accept(blocks, tokens=jnp.full((1, 2), 4, jnp.int8))
    with pytest.raises(InputError, match="cannot hold -1"):
        accept(blocks, tokens=jnp.full((1, 2), 4, jnp.uint8))


@pytest.mark.parametrize(
    ("alpha", "reveal"),
    [([0.0, 1.0], [1.0]), ([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0]), ([0.0, 0.25, 1.0], [0.25, 1.0])],
)
def test_grids_may_stand_still(alpha, reveal):
    accept(choosing(), StepGrid(jnp.asarray(alpha), jnp.asarray(reveal)))


@pytest.mark.parametrize(
    ("alpha", "reveal"),
    [([0.0], []), ([0.0, 1.0], [1.0, 1.0]), ([0.0, 0.5, 0.9], [0.5, 1.0]), ([0.0, 1.0, 1.0], [1.0, -0.1])],
)
def test_grids_that_are_none_are_refused(alpha, reveal):
    with pytest.raises(InputError, match="grid"):
        accept(choosing(), StepGrid(jnp.asarray(alpha), jnp.asarray(reveal)))


def test_given_tokens_are_any_clean_ones():
    accept(choosing(), tokens=jnp.asarray([[0, 3, 4]]))
    # What was found right is not looked at again, what is another array is.
    with pytest.raises(InputError, match="token 5 in row 0, position 1"):
        accept(choosing(), tokens=jnp.asarray([[0, 5, 4]]))


def test_root_is_rounded_up():
    assert [root(n) for n in range(1, 200)] == [math.ceil(math.sqrt(n)) for n in range(1, 200)]


def test_shares_where_nothing_is_left():
    np.testing.assert_array_equal(shares(np.array([1.0, 0.5, 0.5, 0.0, 0.0])), [0.5, 0.0, 1.0, 0.0])


@pytest.mark.parametrize("make", [even_grid, loop_grid, dfm_grid])
def test_one_step_is_enough_and_none_too_few(make):
    make(1)
    for num_steps in (0, True, -1):
        with pytest.raises(InputError, match="is not a whole number of at least 1"):
            make(num_steps)


def test_a_grid_that_stands_still_may_do_so_at_one_step():
    assert loop_grid(4, start=0.5, stop=0.5).alpha.tolist() == pytest.approx([0, 0.45, 0.9, 0.95, 1])
    for wrong in ({"start": 0.0}, {"stop": 1.0}, {"start": 0.6, "stop": 0.5}, {"alpha": 0.0}):
        with pytest.raises(InputError, match="pass 0 < start <= stop < 1"):
            loop_grid(4, **wrong)


@pytest.mark.parametrize(("above", "revealed"), [(0.0, 4), (0.75 * 2.0**-22, 4), (1.5 * 2.0**-22, 5)])
def test_a_whole_number_is_lost_to_more_than_rounding_only(above, revealed):
    """Of 8 tokens half stay masked, also where alpha is a rounding of float32 above one half."""
    step = StepInput(*map(jnp.asarray, (0.0, 0.5 + above, 0.5 + above, 0, 3)))
    eight = jnp.asarray([8], jnp.int32)
    assert floored(step, eight, eight).tolist() == [revealed]


CURVES = [
    *(f"energies.{name}({{}}, {{}})" for name in ("energy", "excess_energy", "quadrature_energy")),
    "energies.is_finite_energy({}, {})",
    "energies.log_power_density({}, {}, None)",
    "energies.enumerated_energies(TABLE, {}, {})",
    "energies.conditional_energy_estimate(jax.random.key(0), {}, {}, 3, 9)",
]
"""Functions of alpha and gamma."""

NO_ALPHA = {
    "'linear'": "the text 'linear'; pass a value, as mdmot.plans.parse_schedule('linear')",
    "interpolations.linear()": "an interpolation gamma; pass an alpha",
    "masks.linear": "the function linear; call it for its value",
    "GRID": "a grid of steps already",
}
NO_GAMMA = {
    "'linear'": "the text 'linear'; pass a value, as mdmot.plans.parse_interpolation('linear')",
    "masks.sine()": "a mask schedule alpha; pass a gamma",
    "1.0": "of type float; pass a value such as interpolations.linear()",
}

SLIPS = [
    (
        "drawn(masks.linear())",
        "the grid is a schedule, which has no steps yet; pass step_grid(schedule, num",
    ),
    (
        "judged(masks.linear())",
        "the grid is a schedule, which has no steps yet; pass step_grid(schedule, num",
    ),
    ("drawn(masks.linear)", "the grid is the function linear; call it"),
    ("drawn('linear')", "the grid is the text 'linear'"),
    ("drawn(3)", "the grid is of type int; pass a value such as masks.linear(), or step_grid"),
    ("step_grid(GRID, 3)", "the schedule is a grid of steps already; pass it where steps are asked for"),
    ("step_grid(masks.beta, 3)", "the schedule is the function beta; call it"),
    ("step_grid('cosine', 3)", "the schedule is the text 'cosine'; pass a value, as mdmot.plans.parse_"),
    ("step_grid(0.5, 3)", "the schedule is of type float"),
    ("step_grid(interpolations.linear(), 3)", "the schedule is an interpolation gamma; pass an alpha"),
    ("step_grid(PLAN, 3)", "the schedule is a plan of separate steps; pass a curve in time"),
    (
        "masks.optimal('linear')",
        "the interpolation is the text 'linear'; pass a value",
    ),
    ("masks.optimal(masks.sine())", "the interpolation is a mask schedule alpha; pass a gamma"),
    (
        "masks.optimal(interpolations.beta)",
        "the interpolation is the function beta; call it for its value, as",
    ),
    ("usual_starts(3, mine='linear')", "the grid is the text 'linear'; pass a value"),
    ("scheduled_plan(jnp.ones(3), 'linear', 2, Fixed)", "the schedule is the text 'linear'"),
    ("spline_logits('linear', 3)", "the schedule is the text 'linear'"),
    *(
        (call.format(wrong, "interpolations.linear()"), f"the schedule is {what}")
        for call in CURVES
        for wrong, what in NO_ALPHA.items()
    ),
    *(
        (call.format("masks.sine()", wrong), f"the interpolation is {what}")
        for call in CURVES
        for wrong, what in NO_GAMMA.items()
    ),
    ("mdmot.law('permutations:length=3', GRID, 2)", "the schedule is a grid of steps already"),
    (
        "scored(flat)",
        "the scorer is a function; expected a Scorer, which knows its mask: pass jax_scorer(Mod",
    ),
    (
        "scored(FLAT)",
        "the scorer is a Model; expected a Scorer, which knows its mask: pass jax_scorer(Model(",
    ),
    ("scored(Scorer(FLAT, 4))", "a Model is no function of NumPy tokens; pass jax_scorer(model)"),
    ("scored(callable_scorer(flat, 4))", "the function does not take 1 argument; expected predict(tokens)"),
    ("Scorer(lambda tokens: tokens, 4)", "the function does not take 2 arguments; expected losses"),
    ("Scorer(3, 4)", "a int is no function; expected losses"),
    ("jax_scorer(flat)", "the model is a function; pass mdmot.Model(denoiser, params, mask_id)"),
]

SAID = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
import mdmot
from mdmot import FixedUnmasking, Model, masks, step_grid
from mdmot import energies
from mdmot.plans import Fixed, Plan
from mdmot.schedules import interpolations
from mdmot.tuning import scheduled_plan, spline_logits, usual_starts
from mdmot.information import Scorer, callable_scorer, estimate_profile, jax_scorer

def flat(params, tokens):
    return jnp.zeros((*tokens.shape, 4))

FLAT, GRID, TOKENS = Model(flat, None, 4), step_grid(masks.linear(), 2), jnp.full((2, 3), 4)

PLAN, TABLE = Plan(3, Fixed([1, 2])), jnp.ones((2, 2))

def drawn(grid):
    mdmot.sample(jax.random.key(0), FixedUnmasking(), FLAT, grid, TOKENS)

def judged(grid):
    mdmot.log_likelihood(jax.random.key(0), FixedUnmasking(), FLAT, grid, 0 * TOKENS)

def scored(scorer):
    estimate_profile(0, scorer, np.zeros((4, 3), int), draws=2, batch_size=2)

for slip in json.loads(sys.argv[1]):
    try:
        eval(slip)
    except mdmot.InputError as error:
        print(error)
"""


def test_what_is_passed_for_something_else_is_named():
    """In a process of its own: here annotations are checked, which nobody's program does."""
    command = [sys.executable, "-c", SAID, json.dumps([slip for slip, _ in SLIPS])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for (slip, message), line in zip(SLIPS, done.stdout.splitlines(), strict=True):
        assert line.startswith(message), slip


def test_logits_with_a_column_for_the_mask_are_named():
    def wide(params, tokens):
        return jnp.zeros((*tokens.shape, 5))

    for call in (sample, log_likelihood):
        with pytest.raises(
            InputError, match=r"mask_id 4 is one of the denoiser's 5 clean tokens; .*WithoutTo"
        ):
            call(jax.random.key(0), FixedUnmasking(), Model(wide, None, 4), GRID, TOKENS)
    with pytest.raises(InputError, match="mask"):
        evaluate(jax.random.key(0), Model(wide, None, 4), np.zeros((4, 3), int), batch_size=2)
