"""The best plan of an order and the best of several orders: held out, against loops and by simulation."""

import dataclasses
import itertools
import json

import jax
import numpy as np
import pytest
from scipy.stats import binom, t

import mdmot
from mdmot.cli import main
from mdmot.distributions import read_law
from mdmot.errors import InputError
from mdmot.information import OrderTable, exact_levels, exact_order_table
from mdmot.orders import Bisection, LeftToRight, LowDiscrepancy, Permutation, RandomOrder
from mdmot.plans import Bernoulli, Fixed, cheapest_counts, even_counts, optimal_path_kls, read_plan
from mdmot.tuning import choose_order, tune_order
from mdmot.workflows.order_tuning import tune_orders

STICKY = "markov:stay=.97,states=4,length=64"
LEVELS, LENGTH = np.array([0, 1, 3, 4, 5]), 8


def table_of(costs, order=None, log_prob=None):
    rows = len(costs)
    weights = np.full(rows, 1 / rows)
    order = LeftToRight() if order is None else order
    return OrderTable(order, LENGTH, LEVELS, costs, weights, np.arange(rows), log_prob)


def noise(seed, rows, spread=1.0, signal=0.0):
    """Costs of rows: what each token loses is noise, and what the steps cost on average."""
    rng = np.random.default_rng(seed)
    between = signal + spread * rng.normal(size=(rows, LEVELS.size, LEVELS.size))
    return np.triu(np.cumsum(np.triu(between), axis=2))


def cost(costs, counts):
    """Of a plan in one row, step by step."""
    total, known = 0.0, 0
    ends = [*LEVELS[1:].tolist(), LENGTH]
    for count in counts:
        total += costs[LEVELS.tolist().index(known), ends.index(known + count)]
        known += count
    return total


def cheapest(costs, num_steps):
    """The cheapest of all plans, by trying them."""
    plans = []
    for inner in itertools.combinations(LEVELS[1:].tolist(), num_steps - 1):
        plans.append(np.diff([0, *inner, LENGTH]).tolist())
    return min(plans, key=lambda counts: cost(costs, counts))


# --- one order


@pytest.mark.parametrize("rows", [4, 11])
def test_the_gain_is_held_out_both_ways(rows):
    costs = noise(1, rows, signal=2.0)
    log_prob = np.random.default_rng(2).normal(size=rows)
    tuned = tune_order(table_of(costs, log_prob=log_prob), 2)
    first, second = list(range(rows // 2)), list(range(rows // 2, rows))
    even = [4, 4]
    held_out, errors = np.zeros(rows), []
    for fit, judge in ((first, second), (second, first)):
        counts = cheapest(costs[fit].mean(axis=0), 2)
        for r in judge:
            held_out[r] = cost(costs[r], counts) + log_prob[r]
    even_losses = np.array([cost(costs[r], even) + log_prob[r] for r in range(rows)])
    differences = even_losses - held_out
    for part in (first, second):
        errors.append(differences[part].std(ddof=1) / np.sqrt(len(part)))
    nats = (differences[first].mean() + differences[second].mean()) / 2
    margin = t.ppf(0.975, rows // 2 - 1) * np.mean(errors)
    np.testing.assert_allclose(tuned.held_out_losses, held_out, rtol=1e-12)
    np.testing.assert_allclose(tuned.even_losses, even_losses, rtol=1e-12)
    np.testing.assert_allclose(tuned.gain.nats, nats, rtol=1e-9)
    np.testing.assert_allclose(tuned.gain.interval, (nats - margin, nats + margin), rtol=1e-9)
    assert list(tuned.fitted) == cheapest(costs.mean(axis=0), 2)
    assert list(tuned.even) == even
    np.testing.assert_allclose(
        tuned.predicted, cost(costs.mean(axis=0), tuned.fitted) + log_prob.mean(), rtol=1e-12
    )
    halves = (held_out[first].mean() + held_out[second].mean()) / 2
    np.testing.assert_allclose(tuned.held_out_loss.nats, halves, rtol=1e-12)
    np.testing.assert_allclose(tuned.optimism, halves - tuned.predicted, rtol=1e-9)
    np.testing.assert_allclose(tuned.even_loss.nats, even_losses.mean(), rtol=1e-12)
    error = even_losses.std(ddof=1) / rows**0.5
    np.testing.assert_allclose(tuned.even_loss.standard_error, error, rtol=1e-12)


def test_plans_fitted_to_noise_are_optimistic_and_not_taken():
    # All plans lose the same on average: steps of two levels and more have noise of their own.
    tunings = [tune_order(table_of(noise(seed, 40)), 3) for seed in range(300)]
    told = sum(tuned.is_fitted for tuned in tunings)
    # At most 2.5% each, were the means normal: 5.4 errors above by a fair margin.
    assert told <= binom.isf(1e-4, 300, 0.025)
    optimism = [tuned.optimism for tuned in tunings]
    assert np.mean(optimism) > 10 * np.std(optimism) / np.sqrt(300)


def test_a_plan_that_is_better_is_told():
    costs = noise(3, 60, spread=0.1)
    costs[:, 0] += 5.0 * (LEVELS >= 3)
    tuned = tune_order(table_of(costs), 2)
    assert tuned.is_fitted
    assert tuned.counts == tuned.fitted
    assert tuned.counts[0] <= 3
    assert tuned.loss == tuned.held_out_loss
    assert tuned.gain.verdict == "better than linear"


def test_force_takes_the_fitted_plan():
    table = table_of(noise(0, 40))
    assert tune_order(table, 3).counts == even_counts(LENGTH, 3)
    forced = tune_order(table, 3, force=True)
    assert forced.counts == forced.fitted
    assert forced.loss == forced.held_out_loss


def test_too_few_rows_tell_nothing():
    tuned = tune_order(table_of(noise(0, 3)), 2)
    assert tuned.gain.basis == "unknown"
    assert not tuned.is_fitted


@pytest.mark.parametrize(
    ("order", "steps", "loss", "even"), [(Bisection(), 8, 0, 4.774), (RandomOrder(), 4, 5.570, 15.686)]
)
def test_exact_tables_are_judged_exactly(order, steps, loss, even):
    tuned = tune_order(exact_order_table(read_law(STICKY), order), steps)
    # Rounding of sums of some 90 nats.
    np.testing.assert_allclose(tuned.loss, (loss, 0), rtol=1e-3, atol=1e-10)
    np.testing.assert_allclose(tuned.even_loss, (even, 0), rtol=1e-3)
    assert tuned.gain.basis == "exact"
    assert tuned.is_fitted
    assert tuned.optimism == 0


def test_even_steps_that_lose_as_little():
    table = exact_order_table(read_law("markov:stay=.9,states=3,length=12"), Bisection())
    tuned = tune_order(table, 4)
    even = {k: float((table.costs_of(even_counts(12, k)) + table.log_prob)[0]) for k in range(4, 13)}
    assert tuned.equivalent_even_steps == min(k for k in even if even[k] <= tuned.loss.nats + 1e-8)
    # Of independent tokens all plans lose nothing: as many even steps do.
    table = exact_order_table(read_law("markov:stay=.5,states=2,length=6"), Bisection())
    assert tune_order(table, 3).equivalent_even_steps == 3
    assert tune_order(table_of(noise(0, 5)), 2).equivalent_even_steps is None


# --- several orders


def test_orders_are_told_apart_on_the_same_rows():
    # Rows differ by far more than orders do: only the differences row by row tell.
    rows = 40
    of_rows = (
        10 * np.random.default_rng(5).normal(size=(rows, 1, 1)) * np.ones((1, LEVELS.size, LEVELS.size))
    )
    tables = [
        table_of(np.triu(of_rows + shift) + noise(seed, rows, spread=0.01), order)
        for seed, (order, shift) in enumerate(
            ((Bisection(), -0.2), (LowDiscrepancy(), -0.1), (RandomOrder(), 0.0))
        )
    ]
    choice = choose_order(tables, 2)
    names = [tuned.table.order.name for tuned in choice.tunings]
    assert names == ["random", "bisection", "low-discrepancy"]
    assert choice.best == 1
    assert [gain.is_told for gain in choice.gains] == [False, True, True]
    even = [np.array([cost(c, (4, 4)) for c in tables[i].costs]) for i in (2, 0)]
    difference = even[0] - even[1]
    assert not any(tuned.is_fitted for tuned in choice.tunings)
    margin = t.ppf(1 - 0.025 / 2, rows - 1) * difference.std(ddof=1) / rows**0.5
    np.testing.assert_allclose(
        choice.gains[1].interval, (difference.mean() - margin, difference.mean() + margin), rtol=1e-6
    )


def test_random_order_is_taken_unless_another_is_told_to_be_better():
    orders = (RandomOrder(), LeftToRight(), Bisection(), LowDiscrepancy())
    others = sum(
        choose_order([table_of(noise(4 * seed + i, 40), o) for i, o in enumerate(orders)], 2).best > 0
        for seed in range(200)
    )
    # All are alike: one in 40 at most is told by chance.
    assert others <= binom.isf(1e-4, 200, 0.025)


def test_of_exact_orders_that_are_equal_the_first_is_taken():
    law = read_law("parity:length=6")
    tables = [exact_order_table(law, order) for order in (Bisection(), RandomOrder(), LeftToRight())]
    assert choose_order(tables, 3).best == 0
    chain = read_law("markov:stay=.9,states=2,length=7")
    orders = (RandomOrder(), LeftToRight(), Bisection(), Permutation([3, 5, 1, 0, 2, 4, 6]))
    choice = choose_order([exact_order_table(chain, order) for order in orders], 3)
    np.testing.assert_allclose([tuned.loss.nats for tuned in choice.tunings[2:]], 0, atol=1e-12)
    assert choice.taken.table.order == Bisection()
    # One that is less by rounding is no better.
    random, bisection = (exact_order_table(chain, order) for order in orders[::2])
    less = dataclasses.replace(bisection, order=LeftToRight(), costs=bisection.costs * (1 - 1e-14))
    assert choose_order([random, bisection, less], 3).taken.table is bisection


def test_tables_that_do_not_go_together_are_refused():
    with pytest.raises(InputError, match="no tables"):
        choose_order([], 2)
    first, other = table_of(noise(0, 5), RandomOrder()), table_of(noise(1, 5))
    for wrong in (
        dataclasses.replace(other, row=np.arange(5)[::-1]),
        table_of(noise(0, 4)),
        dataclasses.replace(other, is_exact=True),
    ):
        with pytest.raises(InputError, match="not of the same rows; measure them together"):
            choose_order([first, wrong], 2)


# --- mdmot.tune


def test_tune_with_an_order_is_the_cheapest_plan_of_its_exact_table():
    found = mdmot.tune(STICKY, steps=8, order="bisection")
    table = exact_order_table(read_law(STICKY), Bisection())
    assert found.plan.counts == cheapest_counts(table.mean_costs, table.levels, 64, 8)
    assert found.plan.order == found.order == Bisection()
    assert found.plan.path_kl < 1e-10
    assert found.kept == "optimal"
    assert repr(found).startswith("OrderTuned(8 steps of 64 tokens, order bisection, optimal: ")
    given = mdmot.tune(steps=8, order=mdmot.order_tables(STICKY, Bisection(), 8))
    assert given.plan == found.plan


def test_best_compares_four_orders():
    found = mdmot.tune("markov:stay=.9,states=3,length=16", steps=4, order="best")
    assert [tuned.table.order.name for tuned in found.choice.tunings] == [
        "random",
        "left-to-right",
        "bisection",
        "low-discrepancy",
    ]
    losses = [tuned.loss.nats for tuned in found.choice.tunings]
    assert found.loss.nats == min(losses)
    profile = read_law("markov:stay=.9,states=3,length=16").profile()
    assert losses[0] == pytest.approx(float(optimal_path_kls(profile, 4)[-1]), rel=1e-10)


def test_a_law_without_a_formula_is_measured_with_what_is_known_of_it():
    law = "hmm:states=2,symbols=2,length=24"
    tables = mdmot.order_tables(law, "best", [3, 5], draws=60, levels=5, batch=64, seed=4)
    assert [len(table.costs) for table in tables] == [60] * 4
    assert {0, 5, 8, 10, 14, 16, 19, 23} <= {*tables[0].levels.tolist()}
    rows = np.asarray(mdmot.load(law).drawn(4, 60))
    log_prob = np.asarray(read_law(law).log_prob(jax.numpy.asarray(rows)))
    np.testing.assert_allclose(tables[2].log_prob, log_prob[tables[2].row], rtol=1e-12)
    found = tune_orders(tables, 3)
    assert found.is_of_law
    assert found.plan.path_kl == max(found.loss.nats, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reveal": Bernoulli}, "bernoulli reveals"),
        ({"trials": 4}, "--trials is of a search"),
        ({"profile": mdmot.profile("parity:length=4")}, "a profile knows random order only"),
        ({"of": [0.7, 0.3, 0.1]}, "a profile knows random order only"),
        ({"of": "profile.json"}, "profile.json is a profile"),
        ({"order": "nonsense"}, "order 'nonsense' is not known"),
        ({"order": Permutation([1, 0])}, "2 positions and 8 are masked"),
        ({"steps": 9}, "9 steps reveal one token each at least, and there are 8; pass at most 8 steps"),
    ],
)
def test_what_does_not_go_with_an_order_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        mdmot.tune(
            **{"of": "markov:length=8", "steps": 2, "order": "bisection", "reveal": Fixed, **arguments}
        )


# --- the command


@pytest.fixture
def run(capsys):
    def run_command(*words):
        status = main.status([str(word) for word in words])
        return status, *capsys.readouterr()

    yield run_command
    jax.config.update("jax_enable_x64", True)


FIELDS = {
    *(
        "steps",
        "reveal",
        "counts",
        "alpha",
        "path_kl",
        "gamma",
        "order",
        "plan",
        "loss",
        "baselines",
        "seed",
    ),
    *("equivalent_linear_steps", "gain", "optimal", "sequences", "orders"),
    *("versions", "device"),
}


def test_the_command_writes_a_plan_with_its_order(run, tmp_path):
    out, plots = tmp_path / "plan.json", tmp_path / "plots"
    arguments = ("tune", STICKY, "--steps", 8, "--order", "best", "--out", out)
    status, text, err = run(*arguments, "--plots", plots, "--json")
    assert status == 0
    found = json.loads(text)
    assert {*found} == FIELDS
    assert found["order"] == {"kind": "bisection", "shift": False}
    assert found["plan"] == "optimal"
    assert found["loss"]["nats"] == pytest.approx(0, abs=1e-10)
    assert (found["loss"]["above_entropy"], found["loss"]["bits_per_token"]) == (True, None)
    assert [row["order"] for row in found["orders"]][:2] == ["random", "left-to-right"]
    assert found["orders"][0]["nats"] == pytest.approx(2.0017, abs=1e-4)
    assert found["orders"][2]["linear"]["nats"] == pytest.approx(found["baselines"]["linear"], rel=1e-12)
    plan = read_plan(out)
    assert (plan.order, list(plan.counts)) == (Bisection(), found["counts"])
    assert {path.name for path in plots.iterdir()} == {"order_losses.svg", "order_steps.svg"}
    status, text, err = run("sample", STICKY, "--schedule", out, "--num", 2, "--json")
    assert status == 0, err
    assert [sample["network_calls"] for sample in json.loads(text)["samples"]] == [8, 8]
    status, text, _ = run(*arguments[:-2])
    assert status == 0
    assert "order: bisection, better than random by 2.002 nats" in text
    assert "tokens a step: 1 1 1 1 4 8 16 32" in text


def test_the_command_takes_a_permutation(run, tmp_path):
    path = tmp_path / "order.json"
    path.write_text("[3, 1, 5, 0, 2, 4, 6]")
    words = ("tune", "markov:stay=.9,states=2,length=7", "--steps", 3, "--json", "--order")
    status, text, _ = run(*words, path)
    assert status == 0
    found = json.loads(text)
    assert found["order"] == {"kind": "permutation", "shift": False, "permutation": [3, 1, 5, 0, 2, 4, 6]}
    # Level by level a chain loses nothing.
    assert (found["counts"], found["loss"]["nats"]) == ([1, 2, 4], pytest.approx(0, abs=1e-12))
    path.write_text("[0, 1]")
    assert run(*words, path)[::2] == (
        2,
        f"mdmot: the permutation of {path} has 2 positions and 7 are masked; pass one of 7\n",
    )


LONG, LONG_STEPS = "repeated-bit:flip=.2,length=600", 7


def binary(p):
    return -p * np.log(p) - (1 - p) * np.log1p(-p)


def repeated_bit_loss(counts, flip=0.2):
    """KL of steps for a fair bit that each token repeats or flips: any order, by the predictive law."""
    lost = known = 0
    for count in counts:
        # Of so many known ones k are 1, with the bit 0 or 1: the next is 1 with the posterior's mean.
        k = np.arange(known + 1)
        law = 0.5 * (binom.pmf(k, known, flip) + binom.pmf(k, known, 1 - flip))
        odds = (2 * k - known) * np.log((1 - flip) / flip)
        is_one = np.exp(-np.logaddexp(0, -odds))
        lost += count * float(law @ binary(flip + (1 - 2 * flip) * is_one))
        known += count
    k = np.arange(known + 1)
    log_prob = np.logaddexp(
        k * np.log(flip) + (known - k) * np.log1p(-flip), k * np.log1p(-flip) + (known - k) * np.log(flip)
    ) + np.log(0.5)
    law = 0.5 * (binom.pmf(k, known, flip) + binom.pmf(k, known, 1 - flip))
    return lost + float(law @ log_prob)


@pytest.mark.parametrize("order", [Bisection(), RandomOrder()])
def test_long_laws_are_tuned_against_even_steps_between_their_levels(order):
    """Of 600 positions only 129 are levels, and seven even steps start at others: the table has both."""
    (table,) = mdmot.order_tables(LONG, order, LONG_STEPS)
    assert table.is_exact
    even = even_counts(600, LONG_STEPS)
    starts = np.cumsum(even)[:-1]
    assert not np.isin(starts, exact_levels(600)).all()
    assert np.isin(starts, table.levels).all()
    assert 129 <= len(table.levels) < 200
    # Sums of 600 entropies.
    lost = float((table.costs_of(even) + table.log_prob)[0])
    assert lost == pytest.approx(repeated_bit_loss(even), abs=1e-9)
    tuned = mdmot.tune(steps=LONG_STEPS, order=(table,))
    assert tuned.plan.path_kl == pytest.approx(repeated_bit_loss(tuned.plan.counts), abs=1e-9)
    assert tuned.plan.path_kl < lost - 1


def test_a_measurement_goes_on_from_its_state(run, tmp_path, monkeypatch):
    state = tmp_path / "state"
    words = ("tune", "hmm:states=2,symbols=2,length=24", "--steps", 3, "--order", "best", "--json")
    words += ("--draws", 40, "--levels", 4, "--batch", 64, "--seed", 1)
    status, whole, _ = run(*words)
    assert status == 0
    from mdmot import information

    estimate = information.estimate_order_tables

    def interrupted(*arguments, progress, **settings):
        def stop(done, total):
            progress(done, total)
            raise KeyboardInterrupt

        return estimate(*arguments, progress=stop, **settings)

    monkeypatch.setattr(information.order_estimate, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(information, "estimate_order_tables", interrupted)
    status, _, err = run(*words, "--resume", state)
    assert status == 130
    assert f"kept in {state}" in err
    assert json.loads(state.read_text())["batches"] == 1
    monkeypatch.setattr(information, "estimate_order_tables", estimate)
    status, text, _ = run(*words, "--resume", state)
    assert (status, text) == (0, whole)


def test_the_bundled_model_is_measured_on_a_text(run, tmp_path):
    (tmp_path / "text.py").write_text("def f(x):\n    return x\n" * 40)
    words = ("tune", "--text", tmp_path, "--steps", 2, "--order", "bisection+shift", "--length", 16)
    words += ("--draws", 6, "--levels", 3)
    status, text, err = run(*words, "--json")
    assert status == 0, err
    found = json.loads(text)
    assert found["path_kl"] is None
    assert found["order"] == {"kind": "bisection", "shift": True}
    assert found["sequences"] == 6
    assert not found["loss"]["above_entropy"]
    assert found["loss"]["bits_per_token"] == pytest.approx(found["loss"]["nats"] / 16 / np.log(2))
    status, text, _ = run(*words)
    assert "-log-likelihood in 2 steps, nats" in text
    assert "the optimal plan loses" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--order bisection --reveal bernoulli", "bernoulli reveals are at random positions"),
        ("--order bisection --trials 4", "--trials is of a search in random order"),
        ("--order bisection --task legal", "--task is of a search in random order"),
        ("--order bisection --text .", "--text is not read for markov:length=8"),
        ("--order bisection --draws 9", "its losses are known exactly"),
        ("--order stride:0", "stride"),
        ("--order bisection --steps 9", "pass at most 8 steps"),
    ],
)
def test_careless_words_are_one_line_and_status_2(run, words, message):
    steps = () if "--steps" in words else ("--steps", 2)
    status, out, err = run("tune", "markov:length=8", *steps, *words.split())
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
