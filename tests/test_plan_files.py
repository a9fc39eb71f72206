"""Plans as values, as files, and as the tables of other systems."""

import itertools
import json
import math
import pathlib
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot import plans, samplers
from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.orders import Bisection
from mdmot.samplers.counts import even

ULP = np.finfo(np.float64).eps
PROFILE = np.array([0.7, 0.65, 0.6, 0.5, 0.4])


def test_gamma_keeps_its_digits_at_both_ends():
    alpha = (0.0, 1e-30, 0.5, 1 - 2.0**-53, 1.0)
    plan = plans.Plan(8, plans.Bernoulli(alpha))
    expected = [0, 2 / math.pi * 1e-15, 0.5, 1 - 2 / math.pi * 2**-26.5, 1]
    np.testing.assert_allclose(plan.gamma, expected, rtol=4 * ULP)
    assert plan.gamma[0] == 0
    assert plan.gamma[-1] == 1
    assert 1 - plan.gamma[3] == pytest.approx(2 / math.pi * 2**-26.5, rel=1e-7)  # rounded near 1
    assert plan.steps == 4


def test_plans_are_files(tmp_path):
    path = tmp_path / "plan.json"
    for plan in (
        plans.predicted_plan(PROFILE, plans.Fixed([3, 1, 1]), {"seed": 0}),
        plans.predicted_plan(PROFILE, plans.Bernoulli([0.0, 0.5, 0.8, 1.0]), {"data": "five"}),
    ):
        plans.write_plan(path, plan)
        found = plans.read_plan(path)
        assert found == plan
        assert found.provenance == plan.provenance
        content = json.loads(path.read_text())
        assert list(content) == [
            "kind",
            "version",
            "length",
            "provenance",
            "steps",
            "reveal",
            "order",
            "counts",
            "alpha",
            "gamma",
            "path_kl",
        ]
        assert content["steps"] == 3
        assert content["gamma"] == list(plan.gamma)
        assert hash(found) == hash(plan)
        np.testing.assert_array_equal(found.grid().alpha, plan.alpha)
    assert not list(tmp_path.glob(".plan*"))


def test_a_plan_that_cannot_be_saved_leaves_the_old_one(tmp_path):
    path = tmp_path / "plan.json"
    plan = plans.predicted_plan(PROFILE, plans.Fixed([2, 3]))
    plans.write_plan(path, plan)
    for provenance in ({"seed": object()}, {"loss": math.nan}):
        with pytest.raises(InputError, match="provenance"):
            plans.write_plan(path, plans.predicted_plan(PROFILE, plans.Fixed([1, 4]), provenance))
    with pytest.raises(InputError, match="cannot be written"):
        plans.write_plan(tmp_path / "nowhere" / "plan.json", plan)
    assert plans.read_plan(path) == plan


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gamma": [0.0, 0.5, 1.0]}, "gamma[1] is 0.5; alpha[1] makes it 0.43590578"),
        (
            {"alpha": [0.0, 0.6, 1.0]},
            "counts reveal 2 tokens by the end of step 0; alpha[1] of 5 tokens is 3",
        ),
        ({"gamma": [0.0, 1.0]}, "gamma has 2 entries; 2 steps need a list of 3"),
        ({"gamma": None}, "gamma is null; 2 steps need a list of 3"),
        ({"gamma": [0.0, "x", 1.0]}, 'gamma[1] is "x"; expected a number from 0 to 1'),
        ({"path_kl": -1}, "path_kl is -1; expected a number of nats, or null"),
        ({"path_kl": math.nan}, "path_kl is NaN; expected a number of nats, or null"),
        ({"path_kl": math.inf}, "path_kl is Infinity; expected a number of nats, or null"),
        ({"path_kl": "1"}, 'path_kl is "1"; expected a number of nats'),
        ({"provenance": [1]}, "provenance is [1]; expected an object"),
        ({"kind": "profile"}, 'kind is "profile"; expected "plan"'),
        ({"version": 3}, "version 3; this mdmot reads 1 and 2"),
        ({"version": True}, "version true; this mdmot reads 1 and 2"),
        ({"version": 1}, "version 1 has no order; set version to 2, or leave it out"),
        ({"order": None}, 'order is null; expected an object such as {"kind": "bisection"}'),
        (
            {"order": {"kind": "bisecting"}},
            "order 'bisecting' is not known (did you mean bisection?); use ",
        ),
        (
            {"order": {"kind": "permutation", "permutation": [1, 0]}},
            "the permutation has 2 positions and 5 are masked; pass one of 5",
        ),
        ({"length": 0}, "length is 0; expected a whole number from 1 to"),
        ({"length": True}, "length is true; expected a whole number"),
        ({"length": 6}, "counts sum to 5; expected them to sum to 6"),
        ({"steps": 0}, "steps is 0; expected a whole number from 1 to"),
        ({"steps": 3}, "counts has 2 entries; 3 steps need a list of 3"),
        ({"reveal": "none"}, 'reveal is "none"; expected "bernoulli" or "fixed"'),
        ({"reveal": "bernoulli"}, 'reveal "bernoulli" does not go with counts'),
        ({"counts": None}, 'reveal "fixed" does not go with counts null'),
        ({"counts": [-1, 6]}, "counts[0] is -1; expected a whole number from 0 to"),
        ({"counts": [2.0, 3]}, "counts[0] is 2.0; expected a whole number"),
        ({"counts": [2, 4]}, "counts sum to 6; expected them to sum to 5"),
        ({"alpha": [0.0, 1.5, 1.0]}, "alpha[1] is 1.5; expected a number from 0 to 1"),
        ({"alpha": [0.0, -0.5, 1.0]}, "alpha[1] is -0.5; expected a number from 0 to 1"),
        ({"alpha": [0.0, True, 1.0]}, "alpha[1] is true; expected a number from 0 to 1"),
        ({"alpha": [0.1, 0.4, 1.0]}, "alpha"),
    ],
)
def test_plan_files_that_contradict_themselves_are_refused(tmp_path, change, words):
    path = tmp_path / "plan.json"
    plans.write_plan(path, plans.predicted_plan(PROFILE, plans.Fixed([2, 3])))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError) as caught:
        plans.read_plan(path)
    assert words in str(caught.value)


def test_files_that_are_no_plans_are_refused_in_one_line(tmp_path):
    path = tmp_path / "plan.json"
    for text, words in (
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("3", "holds 3"),
    ):
        if text is not None:
            path.write_text(text)
        with pytest.raises(InputError, match=words) as caught:
            plans.read_plan(path)
        assert "\n" not in str(caught.value)


def test_gamma_may_have_lost_a_few_digits(tmp_path):
    path = tmp_path / "plan.json"
    plan = plans.predicted_plan(PROFILE, plans.Fixed([2, 3]))
    plans.write_plan(path, plan)
    written = path.read_text()
    for shift in (9e-7, -9e-7):
        gamma = [0.0, plan.gamma[1] + shift, 1.0]
        path.write_text(json.dumps(json.loads(written) | {"gamma": gamma}))
        assert plans.read_plan(path, length=5) == plan
        gamma[1] = plan.gamma[1] + 1.2 * shift
        path.write_text(json.dumps(json.loads(written) | {"gamma": gamma}))
        with pytest.raises(InputError, match=r"gamma\[1\] is"):
            plans.read_plan(path)
    path.write_text(written)
    with pytest.raises(InputError, match="is for 5 tokens; expected 4"):
        plans.read_plan(path, length=4)


def test_the_alpha_of_counts_may_have_lost_a_few_digits(tmp_path):
    path = tmp_path / "plan.json"
    plan = plans.predicted_plan(PROFILE, plans.Fixed([2, 3]))
    plans.write_plan(path, plan)
    content = json.loads(path.read_text()) | {"alpha": [0.0, 0.42, 1.0]}
    content["gamma"][1] = 2 / math.pi * math.asin(math.sqrt(0.42))
    path.write_text(json.dumps(content))
    assert plans.read_plan(path) == plan


@pytest.mark.parametrize("name", ["length", "steps", "reveal", "counts", "alpha"])
def test_plan_files_without_a_field_are_refused(tmp_path, name):
    path = tmp_path / "plan.json"
    plans.write_plan(path, plans.predicted_plan(PROFILE, plans.Fixed([2, 3])))
    content = json.loads(path.read_text())
    del content[name]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"field '{name}' is missing"):
        plans.read_plan(path)


def test_the_smallest_plans(tmp_path):
    path = tmp_path / "plan.json"
    for plan in (
        plans.Plan(1, plans.Fixed((1,))),
        plans.Plan(3, plans.Fixed((0, 3, 0)), 0.0),
        plans.Plan(1, plans.Bernoulli((0.0, 1.0)), 1e300),
    ):
        plans.write_plan(path, plan)
        assert plans.read_plan(path) == plan


def test_plan_files_need_neither_gamma_nor_the_error(tmp_path):
    path = tmp_path / "plan.json"
    plans.write_plan(path, plans.predicted_plan(PROFILE, plans.Fixed([2, 3])))
    content = json.loads(path.read_text())
    path.write_text(
        json.dumps({k: v for k, v in content.items() if k not in ("gamma", "path_kl", "provenance")})
    )
    assert plans.read_plan(path).path_kl is None


def llada_counts(table, masked):
    """LLaDA's loop on one block: step i reveals the table[i] most confident of the masked positions."""
    rng = np.random.default_rng(0)
    is_masked = np.ones(masked, bool)
    revealed = []
    for count in table:
        confidence = np.where(is_masked, rng.random(masked), -np.inf)
        is_masked[np.argsort(-confidence)[:count]] = False
        revealed.append(masked - is_masked.sum() - sum(revealed))
    assert not is_masked.any()
    return revealed


def dream_counts(timesteps, masked):
    """Dream's loop: int(n (1 - s/t)) of the n masked positions, in float32; in the last step all."""
    tau = np.asarray(timesteps, np.float32)
    left, revealed = masked, []
    for i, (t, s) in enumerate(itertools.pairwise(tau)):
        number = int(np.float32(left) * (1 - s / t)) if i < len(tau) - 2 else int(left)
        left -= number
        revealed.append(number)
    return revealed


def fixed_steps(revealed):
    return plans.Plan(int(revealed.sum()), plans.Fixed(revealed))


def test_the_snippet_makes_the_tables_of_llada_and_dream(tmp_path, monkeypatch):
    snippet = pathlib.Path(__file__).parents[1] / "docs" / "plan_tables.py"
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for length in (1, 7, 64, 4096):
        uneven = np.bincount(rng.integers(0, 40, length) ** 2 // 40, minlength=40)  # with steps of no token
        by_chance = np.asarray(plans.log_odds_alpha(length, 12))
        for revealed, plan in (
            (uneven, fixed_steps(uneven)),
            (np.ones(length, int), fixed_steps(np.ones(length, int))),
            (
                np.diff(np.round(length * by_chance)),
                plans.Plan(length, plans.Bernoulli(by_chance)),
            ),
        ):
            plans.write_plan("plan.json", plan)
            tables = runpy.run_path(str(snippet))
            expected = [int(count) for count in revealed if count]
            assert llada_counts(tables["tokens_per_step"], length) == expected
            assert dream_counts(tables["timesteps"], length) == expected
            assert (np.diff(tables["timesteps"]) < 0).all()
    # Counts do not say an order: a plan that has another than random is not made a table that forgets it.
    plans.write_plan("plan.json", plans.Plan(4, plans.Fixed([1, 3]), order=Bisection()))
    with pytest.raises(SystemExit, match="the plan is of order bisection, which counts alone do not say"):
        runpy.run_path(str(snippet))
    # LLaDA's own table, M//S and one more in the first M % S steps, is the plan of those counts.
    even = [64 // 10 + (i < 64 % 10) for i in range(10)]
    plans.write_plan("plan.json", fixed_steps(np.array(even)))
    assert runpy.run_path(str(snippet))["tokens_per_step"] == even


def test_a_plan_is_a_grid_for_its_own_length_and_reveals_only():
    def denoiser(params, tokens):
        return jnp.zeros((*tokens.shape, 2)) + params

    plan = plans.predicted_plan([0.75, 0.25, 0.0], plans.Fixed([1, 2]))
    rule, key, tokens = samplers.FixedUnmasking(), jax.random.key(0), jnp.full((2, 3), 2)
    model = Model(denoiser, jnp.zeros(()), 2)
    result = samplers.sample(key, rule, model, plan, tokens)
    np.testing.assert_array_equal(result.network_calls, [2, 2])
    # A row without masks needs no plan; one with fewer takes the plan for as many, which is said.
    samplers.sample(key, rule, model, plan, tokens.at[1].set(1))
    fewer = tokens.at[1, 0].set(1)
    with pytest.warns(samplers.PlanStretched, match="for 3 masked tokens and here are 2 to 3: "):
        stretched = samplers.sample(key, rule, model, plan, fewer)
    with pytest.warns(samplers.PlanStretched, match="and here are 2: "):
        alone = samplers.sample(key, rule, model, plan, fewer[1:])
    calls = [sum(count > 0 for count in plan.for_length(2).reveal.counts)]
    assert alone.network_calls.tolist() == stretched.network_calls[1:].tolist() == calls


ONE_OF_EACH = {
    "bernoulli": [
        samplers.BernoulliUnmasking(),
        *(samplers.RemaskingUnmasking(rule) for rule in (samplers.Cap(), samplers.ByConfidence())),
        samplers.ThetaTrapezoidal(),
        samplers.SemiAutoregressive(samplers.BernoulliUnmasking(), 3),
        samplers.SemiAutoregressive(samplers.RemaskingUnmasking(samplers.Cap()), 3),
    ],
    "fixed": [
        samplers.FixedUnmasking(),
        *(samplers.Ranked(), samplers.SelfPlanning()),
        samplers.SemiAutoregressive(samplers.Ranked(), 3),
    ],
    None: [
        *(samplers.Ranked(samplers.Threshold()), samplers.BisectionUnmasking(), samplers.FirstHitting()),
        samplers.FixedUnmasking(counts=even),
        samplers.Ranked(samplers.Scheduled(even)),
        samplers.SemiAutoregressive(samplers.Ranked(samplers.Threshold()), 3),
    ],
}
RULES = [(kind, rule) for kind, rules in ONE_OF_EACH.items() for rule in rules]


@pytest.mark.parametrize(("kind", "rule"), RULES)
def test_a_rule_takes_the_plans_that_it_keeps_to_and_refuses_others(kind, rule):
    def denoiser(params, tokens):
        return jnp.zeros((*tokens.shape, 2)) + params

    made = {
        "fixed": plans.predicted_plan([0.75, 0.25, 0.0], plans.Fixed([1, 2])),
        "bernoulli": plans.predicted_plan([0.75, 0.25, 0.0], plans.Bernoulli([0.0, 0.4, 1.0])),
    }
    for name, plan in made.items():
        arguments = rule, Model(denoiser, jnp.zeros(()), 2), plan, jnp.full((1, 3), 2)
        if name == kind:
            samplers.sample(jax.random.key(0), *arguments)
        else:
            with pytest.raises(InputError, match=f"has {name} reveals, which .*plan.grid") as error:
                samplers.sample(jax.random.key(0), *arguments)
            assert "\n" not in str(error.value)


def test_blocks_are_what_a_plan_in_blocks_is_for():
    def denoiser(params, tokens):
        return jnp.zeros((*tokens.shape, 2)) + params

    plan, model = (
        plans.predicted_plan([0.75, 0.25, 0.0], plans.Fixed([1, 2])),
        Model(denoiser, jnp.zeros(()), 2),
    )
    blocks, key = samplers.SemiAutoregressive(samplers.FixedUnmasking(), 3), jax.random.key(0)
    assert samplers.sample(key, blocks, model, plan, jnp.full((1, 6), 2)).network_calls.tolist() == [4]
    with pytest.warns(samplers.PlanStretched, match="and here are 1 to 3: "):
        samplers.sample(key, blocks, model, plan, jnp.full((1, 7), 2))


@pytest.mark.parametrize("length", [1, 2, 5, 7, 12, 300])
def test_a_stretched_plan_has_the_counts_that_a_sampler_makes_of_its_grid(length):
    def denoiser(params, tokens):
        return jnp.zeros((*tokens.shape, 2)) + params

    plan = plans.predicted_plan(PROFILE, plans.Fixed([1, 0, 3, 1]), {"seed": 3})
    stretched = plan.for_length(length)
    known = np.round(length * np.array([0, 1, 1, 4, 5]) / 5)
    assert stretched.counts == tuple(np.diff(known).astype(int))
    assert stretched.alpha == tuple(known / length)
    rule, key, tokens = samplers.FixedUnmasking(), jax.random.key(0), jnp.full((1, length), 2)
    for grid in (stretched, plan.grid()):
        _, path = samplers.sample_trajectory(key, rule, Model(denoiser, jnp.zeros(()), 2), grid, tokens)
        np.testing.assert_array_equal((np.asarray(path) != 2).sum(axis=(1, 2)), known)


def test_a_stretched_plan_says_what_it_was_stretched_from():
    for plan in (
        plans.predicted_plan(PROFILE, plans.Fixed([3, 1, 1]), {"seed": 0}),
        plans.predicted_plan(PROFILE, plans.Bernoulli([0.0, 0.1, 0.8, 1.0]), {"seed": 0}),
    ):
        assert plan.for_length(5) is plan
        assert plan.stretched_note(5, 5) is None
        stretched = plan.for_length(10)
        assert (stretched.length, stretched.path_kl, stretched.steps) == (10, None, 3)
        assert type(stretched.reveal) is type(plan.reveal)
        was = {"length": 5, "path_kl": plan.path_kl, "provenance": {"seed": 0}}
        assert stretched.provenance == {"stretched_from": was}
        assert plan.alpha == stretched.alpha
        again = stretched.for_length(20).provenance["stretched_from"]
        assert again == {"length": 10, "path_kl": None, "provenance": stretched.provenance}
        assert plan.stretched_note(10).startswith("the plan is for 5 masked tokens and here are 10: its")
        assert "here are 3 to 9:" in plan.stretched_note(5, 9, 4, 3)
        for length in (0, -1):
            with pytest.raises(InputError, match=f"length = {length} is not"):
                plan.for_length(length)


def test_a_plan_that_contradicts_itself_is_not_made():
    for length, reveal in ((4, plans.Fixed([1, 2])), (0, plans.Bernoulli([0.0, 1.0]))):
        with pytest.raises(InputError, match=f"for {length} tokens|length = {length} is not"):
            plans.Plan(length, reveal)
