"""Plans of an order: as files, played, stretched, and refused where only random order is meant."""

import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mdmot
from mdmot import orders, plans, samplers
from mdmot.errors import InputError
from mdmot.export import llada2
from mdmot.model import Model
from mdmot.workflows.right import of_law

PROFILE = np.array([0.7, 0.65, 0.6, 0.5, 0.4])
SHIFTED = orders.Permutation([3, 1, 0, 2, 4], shift=True)


@pytest.mark.parametrize("order", [orders.RandomOrder(), orders.Bisection(), orders.Stride(2), SHIFTED])
def test_plans_of_an_order_are_files(tmp_path, order):
    path = tmp_path / "plan.json"
    plan = plans.Plan(5, plans.Fixed([2, 3]), order=order)
    plans.write_plan(path, plan)
    assert plans.read_plan(path) == plan
    assert (plan == plans.Plan(5, plans.Fixed([2, 3]))) == (order == orders.RandomOrder())
    content = json.loads(path.read_text())
    assert content["version"] == 2
    expected = {"kind": "permutation" if order == SHIFTED else order.name, "shift": order == SHIFTED}
    assert content["order"] == expected | ({"permutation": [3, 1, 0, 2, 4]} if order == SHIFTED else {})


def test_files_without_an_order_are_of_plans_of_random_order(tmp_path):
    path = tmp_path / "plan.json"
    plan = plans.Plan(5, plans.Fixed([2, 3]))
    plans.write_plan(path, plan)
    content = json.loads(path.read_text())
    del content["order"]
    for version in (1, 2):
        path.write_text(json.dumps(content | {"version": version}))
        assert plans.read_plan(path) == plan


def unchecked(cls, *arguments):
    """Made as it is without the checks of types that this suite adds to annotated functions."""
    made = object.__new__(cls)
    inspect.unwrap(cls.__init__)(made, *arguments)
    return made


def test_plans_that_no_order_goes_with():
    fixed, by_chance = plans.Fixed([2, 3]), plans.Bernoulli([0.0, 0.4, 1.0])
    with pytest.raises(
        InputError, match=r"^bernoulli reveals are in random order and not in order stride:2; "
    ):
        plans.Plan(5, by_chance, order=orders.Stride(2))
    with pytest.raises(
        InputError, match=r"^the permutation has 2 positions and 5 are masked; pass one of 5$"
    ):
        plans.Plan(5, fixed, order=orders.Permutation([1, 0]))
    with pytest.raises(
        InputError, match=r"^order = .*Bisection'> is no order; pass one of mdmot\.orders, "
    ):
        unchecked(plans.Plan, 5, fixed, None, {}, orders.Bisection)
    with pytest.raises(InputError, match=r"^order = 'bisection' is no order; "):
        unchecked(plans.Plan, 5, fixed, None, {}, "bisection")


def test_stretched_plans_keep_their_order_unless_it_is_a_permutation():
    plan = plans.Plan(5, plans.Fixed([2, 3]), order=orders.LowDiscrepancy(shift=True))
    assert plan.for_length(10) == plans.Plan(
        10, plans.Fixed([4, 6]), order=orders.LowDiscrepancy(shift=True)
    )
    own = plans.Plan(5, plans.Fixed([2, 3]), order=SHIFTED)
    assert own.for_length(5) is own
    assert own.stretched_note(5) is None
    for stretch in (own.for_length, own.stretched_note):
        with pytest.raises(InputError, match=r"^the permutation has 5 positions and 6 are masked; .* 6$"):
            stretch(6)


def opened(rule, grid, tokens):
    """The step in which each position of the first row is revealed."""

    def denoiser(params, tokens):
        return jnp.zeros((*tokens.shape, 2)) + params

    model = Model(denoiser, jnp.zeros(()), 2)
    _, path = samplers.sample_trajectory(jax.random.key(0), rule, model, grid, tokens)
    return (np.asarray(path)[:, 0] == 2).sum(axis=0).tolist()


@pytest.mark.parametrize("order", [orders.Bisection(), orders.Permutation([4, 1, 0, 3, 2])])
def test_a_plan_is_played_in_its_order_and_in_no_other(order):
    plan = plans.Plan(5, plans.Fixed([2, 0, 3]), order=order)
    rule = samplers.rule_for(plan)
    assert rule == samplers.FixedUnmasking(order=order)
    tokens = jnp.full((1, 7), 2).at[0, [0, 3]].set(1)
    first = np.array([1, 2, 4, 5, 6])[orders.order_of(order, 5)[:2]]
    expected = [0 if i in (0, 3) else 1 if i in first else 3 for i in range(7)]
    assert opened(rule, plan, tokens) == expected
    blocks = samplers.SemiAutoregressive(rule, 5)
    assert opened(blocks, plan, jnp.full((1, 5), 2)) == opened(rule, plan, jnp.full((1, 5), 2))
    others = {
        "FixedUnmasking reveals in order random": samplers.FixedUnmasking(),
        "FixedUnmasking reveals in order left-to-right": samplers.FixedUnmasking(
            order=orders.LeftToRight()
        ),
        "Ranked by Scheduled reveals in its own order": samplers.Ranked(),
        "SelfPlanning reveals in its own order": samplers.SelfPlanning(),
        "Ranked by Scheduled in blocks reveals in its own order": samplers.SemiAutoregressive(
            samplers.Ranked(), 5
        ),
        "FixedUnmasking in blocks reveals in order random": samplers.SemiAutoregressive(
            samplers.FixedUnmasking(), 5
        ),
    }
    for words, other in others.items():
        message = f"^the plan is of order {order.name}, and {words}; pass rule_for\\(plan\\), or plan.grid"
        with pytest.raises(InputError, match=message):
            opened(other, plan, tokens)
    assert sorted(opened(others["FixedUnmasking reveals in order random"], plan.grid(), tokens)) == [
        *(0, 0),
        *(1, 1),
        *(3, 3, 3),
    ]


def test_a_plan_of_random_order_and_two_permutations():
    plan = plans.Plan(3, plans.Fixed([1, 2]))
    with pytest.raises(
        InputError, match="of order random, and FixedUnmasking reveals in order bisection; "
    ):
        opened(samplers.FixedUnmasking(order=orders.Bisection()), plan, jnp.full((1, 3), 2))
    plan = plans.Plan(3, plans.Fixed([1, 2]), order=orders.Permutation([2, 0, 1]))
    rule = samplers.FixedUnmasking(order=orders.Permutation([2, 1, 0]))
    with pytest.raises(
        InputError,
        match=r"order permutation-\w{8}, and FixedUnmasking reveals in order permutation-\w{8}",
    ):
        opened(rule, plan, jnp.full((1, 3), 2))
    with pytest.raises(InputError, match=r"^the permutation has 3 positions and 2 are masked; "):
        opened(samplers.rule_for(plan), plan, jnp.full((1, 3), 2).at[0, 0].set(1))


def test_evaluate_judges_a_plan_in_its_order():
    """The likelihood along the order, from losses on the host, is that of the loop that samples."""
    plan = plans.Plan(5, plans.Fixed([2, 3]), order=orders.LeftToRight())
    name = "markov:stay=.9,states=2,length=5"
    found = mdmot.evaluate(name, schedule=plan, num=64).sampler
    assert (found.orders, found.num) == (1, 64)
    named = mdmot.load(name)
    rows = np.asarray(of_law(named, 0, None).spread(64), np.int32)
    rule = samplers.rule_for(plan)
    log_q = samplers.log_likelihood(jax.random.key(0), rule, named.model, plan, jnp.asarray(rows)).log_prob
    assert found.token_error_rate.value == pytest.approx(float(jnp.exp(-log_q.mean() / 5)), rel=1e-5)
    divergence = named.log_prob(rows) - log_q
    assert found.kl_to_sampler.value == pytest.approx(float(divergence.mean()), abs=1e-5)


def test_what_is_of_random_order_refuses_other_plans():
    plan = plans.Plan(5, plans.Fixed([2, 3]), order=orders.Bisection())
    message = r"^the bounds are of random order, and the plan is of order bisection; pass a random one$"
    with pytest.raises(InputError, match=message):
        plans.plan_bounds(PROFILE, plan)
    with pytest.raises(
        InputError, match=r"^the law is that of random order, and the plan is of order bisect"
    ):
        mdmot.law("permutations:length=5", plan)
    with pytest.raises(InputError, match=r"^the plan is of order bisection, and this loop has its "):
        llada2(plan)
