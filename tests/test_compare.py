"""`mdmot.compare` on small laws: exact losses, targets, plans, resumed runs, temperature 0, refusals."""

import dataclasses
import itertools
import json
import re

import numpy as np
import pytest

import mdmot
from mdmot import InputError
from mdmot.decoders import Sequences, calibrate, parse_decoder
from mdmot.distributions import read_law
from mdmot.plans import Fixed, read_plan
from mdmot.workflows import comparing, counting
from mdmot.workflows.comparing import asked_decoders, asked_steps
from mdmot.workflows.comparing_decoders import at_steps
from mdmot.workflows.comparing_how import How
from mdmot.workflows.held_rows import HeldRows
from mdmot.workflows.measuring_decoders import Measurement

CHAIN = "markov:stay=.8,states=2,length=6"
DECODERS = "random,left-to-right,bisection+own,entropy,threshold"
STEPS = (2, 3, 6)

ROW = {
    *("decoder", "steps", "counts", "network_calls", "loss", "standard_error", "mixture_loss", "kl"),
    *("bits_per_token", "bits_per_byte"),
}
FIELDS = {"model", "unit", "sequences", "exact", "entropy", "rows", "pareto", "choice"}


@pytest.fixture(scope="module")
def found():
    return mdmot.compare(CHAIN, STEPS, decoders=DECODERS, orders=64)


@pytest.fixture(scope="module")
def prob():
    """p of each of the 64 sequences, by hand."""
    rows = np.array(list(itertools.product((0, 1), repeat=6)))
    same = (rows[:, 1:] == rows[:, :-1]).sum(axis=1)
    return {tuple(row): 0.5 * 0.8**k * 0.2 ** (5 - k) for row, k in zip(rows.tolist(), same, strict=True)}


def row_of(found, name, steps):
    return next(row for row in found.rows if row.name == name and row.steps == steps)


def kl_of_sets(prob, sets):
    """KL(p || q) of steps that reveal these positions, by sums over all sequences."""

    def marginal(x, known):
        return sum(p for y, p in prob.items() if all(y[i] == x[i] for i in known))

    loss = 0.0
    for x, p in prob.items():
        log_q, known = 0.0, []
        for positions in sets:
            for i in positions:
                log_q += np.log(marginal(x, [*known, i]) / marginal(x, known))
            known += positions
        loss += p * (np.log(p) - log_q)
    return loss


def test_losses_of_orders_are_divergences_by_enumeration(found, prob):
    assert found.is_exact
    assert found.sequences == 64
    assert found.entropy == pytest.approx(-sum(p * np.log(p) for p in prob.values()), abs=1e-12)
    for sets in ([[0, 1, 2], [3, 4, 5]], [[0, 1], [2, 3], [4, 5]]):
        row = row_of(found, "left-to-right", len(sets))
        # Likelihoods are summed in float32.
        assert row.loss.value == pytest.approx(kl_of_sets(prob, sets), abs=1e-6)
        assert row.loss.standard_error == 0
        assert row.kl.value == row.loss.value
    own = row_of(found, "bisection+own", 3)
    order = (3, 1, 5, 0, 2, 4)  # the middles of gaps, and the last level with its bits reversed
    cuts = np.cumsum((0, *own.run.counts))
    sets = [list(order[a:b]) for a, b in itertools.pairwise(cuts)]
    assert own.loss.value == pytest.approx(kl_of_sets(prob, sets), abs=1e-6)
    # Its plan is the best of all in three steps.
    losses = []
    for a, b in itertools.combinations(range(1, 6), 2):
        losses.append(kl_of_sets(prob, [list(order[:a]), list(order[a:b]), list(order[b:])]))
    assert own.loss.value == pytest.approx(min(losses), abs=1e-6)


def test_random_order_is_that_of_the_exact_law(found):
    """Of 64 orders each; within four standard errors, and the mixture is nearer to the data."""
    for steps in (2, 3):
        exact = mdmot.law(CHAIN, mdmot.masks.linear(), steps, reveal=Fixed)
        row = row_of(found, "random", steps)
        assert abs(row.loss.value - exact.path_kl) < 4 * row.loss.standard_error
        assert abs(row.mixture.value - exact.kl) < 4 * row.mixture.standard_error + 0.02  # its bias is 1/M
        assert row.mixture.value < row.loss.value


def test_one_position_at_a_time_loses_nothing(found):
    fixed = [row for row in found.rows if row.steps == 6 and row.name != "threshold"]
    assert all(abs(row.loss.value) < 1e-6 for row in fixed)
    assert all(each.loss.value == 0 for each in found.one_at_a_time)
    names = [each.decoder for each in found.one_at_a_time]
    assert names == ["random", "left-to-right", "bisection", "entropy"]


def test_differences_to_random_order_are_those_of_the_losses(found):
    random, own = row_of(found, "random", 2), row_of(found, "bisection+own", 2)
    assert random.difference is None
    assert own.difference.value == pytest.approx(own.loss.value - random.loss.value, abs=1e-9)


def test_json_is_the_contract(found):
    content = json.loads(json.dumps(found.to_json()))
    assert content.keys() >= FIELDS
    assert (content["unit"], content["model"], content["exact"]) == ("nats", CHAIN, True)
    assert len(content["rows"]) == 15
    for row in content["rows"]:
        assert row.keys() >= ROW
        assert row["bits_per_byte"] is None
        assert row["bits_per_token"] == pytest.approx(row["loss"] / 6 / np.log(2))
        assert row["kl"] == row["mixture_loss"]
    assert content["choice"] is None
    threshold = [row for row in content["rows"] if row["decoder"] == "threshold"]
    assert all(row["counts"] is None and row["run_as"].startswith("threshold:0.") for row in threshold)


def test_the_front_rises_in_calls_and_falls_in_loss(found):
    front = [found.rows[number] for number in found.pareto]
    calls = [row.network_calls for row in front]
    assert calls == sorted(calls)
    assert {row.name for row in front} <= {"bisection+own", "random"}
    for row in found.rows:  # nothing cheaper or as cheap is told to be better than one of the front
        for other in front:
            if row.network_calls <= other.network_calls and row.loss.standard_error == 0:
                assert row.loss.value > other.loss.value - 2 * other.loss.standard_error - 1e-6


@pytest.mark.slow
def test_a_target_is_reached_by_the_cheapest(found):
    loss = row_of(found, "bisection+own", 3).loss.value
    again = mdmot.compare(CHAIN, STEPS, decoders=DECODERS, orders=2, target=loss + 1e-5)
    chosen = again.rows[again.choice.number]
    assert (chosen.name, chosen.steps) == ("bisection+own", 3)
    assert again.choice == again.plan_choice
    assert again.choice.is_sure
    assert again.to_json()["choice"]["decoder"] == "bisection+own"
    in_bits = (loss + 1e-5) / 6 / np.log(2)
    bits = mdmot.compare(CHAIN, 3, decoders="bisection+own", target=in_bits, unit="bits")
    assert bits.target == pytest.approx(loss + 1e-5)
    assert bits.choice is not None
    missed = mdmot.compare(CHAIN, 2, decoders="left-to-right", target=1e-3)
    assert missed.choice is None
    assert "none reaches the target" in repr(missed)
    with pytest.raises(InputError, match="no order at its steps was chosen"):
        missed.best_plan()


def test_of_one_number_of_steps_the_least_loss_is_taken_and_written(tmp_path):
    found = mdmot.compare(CHAIN, 3, decoders="left-to-right,bisection+own")
    assert (found.rows[found.choice.number].name, found.choice.is_sure) == ("bisection+own", True)
    found.write(tmp_path / "plan.json")
    plan = read_plan(tmp_path / "plan.json")
    assert plan == found.best_plan()
    assert (plan.order.name, plan.counts) == ("bisection", found.rows[found.choice.number].run.counts)
    assert plan.path_kl == pytest.approx(found.rows[found.choice.number].loss.value)
    assert plan.provenance["decoder"] == "bisection+own"


def test_an_adaptive_choice_has_no_plan_and_another_is_named():
    found = mdmot.compare("parity:length=4", 3, decoders="left-to-right,threshold:.4", target=10)
    assert found.rows[found.choice.number].name == "threshold:0.4"  # all at once
    assert found.rows[found.plan_choice.number].name == "left-to-right"
    assert found.best_plan().order.name == "left-to-right"


@pytest.mark.slow
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    arguments = {"decoders": "random,bisection+own,threshold", "num": 40, "orders": 2, "batch": 16}
    law = "walk:length=24"  # too large to be listed
    monkeypatch.setitem(comparing.OTHER_ROWS, "law", 40)
    whole = mdmot.compare(law, (2, 4), **arguments).to_json()
    for stop in (1, 7, 3):

        def interrupt(at, stop=stop, seen=iter(range(1000))):  # noqa: B008 counted over all calls
            if next(seen) == stop:
                raise KeyboardInterrupt

        said = []
        with pytest.raises(KeyboardInterrupt):
            mdmot.compare(
                law, (2, 4), **arguments, resume=tmp_path / "state", show=interrupt, tell=said.append
            )
        assert said[-1] == f"kept in {tmp_path / 'state'}; the same command goes on from there"
    resumed = mdmot.compare(law, (2, 4), **arguments, resume=tmp_path / "state").to_json()
    assert resumed == whole
    assert mdmot.compare(law, (2, 4), **arguments, resume=tmp_path / "state").to_json() == whole
    # Other decoders join; another seed, and another law, do not.
    mdmot.compare(law, (2, 4), **arguments | {"decoders": "left-to-right"}, resume=tmp_path / "state")
    with pytest.raises(InputError, match="belongs to a run with other data, seed"):
        mdmot.compare(law, (2, 4), **arguments, seed=1, resume=tmp_path / "state")
    content = json.loads((tmp_path / "state").read_text())
    content["probe"][0] += 1
    (tmp_path / "state").write_text(json.dumps(content))
    with pytest.raises(InputError, match="another model"):
        mdmot.compare(law, (2, 4), **arguments, resume=tmp_path / "state")
    content["probe"][0] -= 1
    content["arrays"] = {name: [["<f8", [2, 2], ""]] for name in content["arrays"]}
    (tmp_path / "state").write_text(json.dumps(content))
    with pytest.raises(InputError, match="holds nothing of random in 2 steps"):
        mdmot.compare(law, (2, 4), **arguments, resume=tmp_path / "state")


def test_impossible_sequences_are_counted_and_never_chosen():
    found = mdmot.compare(CHAIN, 3, decoders="left-to-right,bisection", top_p=0.75)
    for row in found.rows:
        assert 0 < row.impossible < 1
        assert row.loss.infinite == pytest.approx(row.impossible)
        assert row.kl.value == np.inf or row.run.is_random
    assert found.choice is None


def test_of_a_whole_support_all_is_measured_one_position_at_a_time():
    """At another temperature no chain rule holds; six steps are one position at a time."""
    found = mdmot.compare(CHAIN, 6, decoders="left-to-right", temperature=0.6)
    (one,), (row,) = found.one_at_a_time, found.rows
    assert one.sequences == 64
    assert one.loss == row.loss
    assert one.loss.standard_error == 0
    assert one.loss.value > 0.1


def test_the_mixture_decides_whether_the_divergence_is_infinite():
    """Top-p cuts a token off in some orders, and other orders draw the same sequence."""
    found = mdmot.compare(
        "markov:stay=.6,states=2,length=4", 4, decoders="random,left-to-right", top_p=0.65, orders=8
    )
    random, left_to_right = found.rows
    is_infinite = np.isneginf(random.measured.log_q)
    assert is_infinite.any()
    assert not is_infinite.all(axis=0).any()
    assert random.kl == random.measured.kl == random.mixture
    weights = random.measured.sequences.weights
    each = [weights[row].sum() for row in is_infinite]
    assert random.impossible == pytest.approx(np.mean(each))
    assert random.impossible < random.loss.infinite
    assert (left_to_right.impossible == 0) == np.isfinite(left_to_right.kl.value)


SCATTERED = np.array([True, False] * 4)


@pytest.fixture(scope="module")
def scattered():
    """Measures rows of which every second token is given."""
    named = mdmot.load("markov:stay=.8,states=2,length=8")
    tokens = np.array(list(itertools.product((0, 1), repeat=8)))[::16]
    rows = Sequences(tokens, given=np.broadcast_to(SCATTERED, tokens.shape))
    how = How(seed=0, steps=(2, 4), positions=4, orders=1, temperature=1.0, top_p=None, batch=16)
    return Measurement(named, HeldRows(rows, rows, "by hand", None, None), how, None, None)


def test_blocks_of_scattered_positions_share_the_steps(scattered):
    decoder, rows = parse_decoder("left-to-right@block:4"), scattered.rows.judged
    found = scattered.measured("blocks", scattered.run(decoder, 2), 2, rows, 1)
    assert found.calls == 2  # two blocks with two positions to draw in each, at once
    with pytest.raises(InputError, match="2 blocks take at least 2 steps, and 1 were asked"):
        at_steps([decoder], dataclasses.replace(scattered.how, steps=(1,)), rows.span)


def test_knobs_that_were_tried_do_not_use_up_tries(scattered, monkeypatch):
    given = []

    def spied(*arguments, tried=(), **others):
        given.append(tuple(tried))
        return calibrate(*arguments, tried=tried, **others)

    monkeypatch.setattr(counting, "calibrate", spied)
    counted = []
    monkeypatch.setattr(
        scattered.counting, "calls", lambda decoder, rows: counted.append(decoder.name) or 3.3
    )
    for steps in (2, 4):
        scattered.with_knob(parse_decoder("threshold"), steps)
    first, second = given
    assert first == ()
    assert len(second) == len(set(counted)) == len(counted) > 0
    scattered.with_knob(parse_decoder("klass"), 2)
    assert given[2] == ()  # another family


def test_calls_that_are_not_as_many_are_not_compared_with_random_order(found):
    """Of the parity nothing is sure until all but one are known: all at once, or one at a time."""
    far = row_of(mdmot.compare("parity:length=4", 2, decoders="random,threshold"), "threshold", 2)
    assert far.network_calls in (1, 4)
    assert far.difference is None
    assert far.to_json()["difference_to_random"] is None
    near = row_of(found, "threshold", 6)
    assert near.network_calls == pytest.approx(6, rel=0.05)
    assert near.difference.value == pytest.approx(0, abs=1e-6)  # both lose nothing, in float32


@pytest.mark.slow
def test_at_temperature_0_one_position_a_step_agrees_with_itself():
    found = mdmot.compare(
        "ngram:length=12",
        (2, 6),
        decoders="random,bisection,max-probability,threshold",
        temperature=0,
        num=20,
    )
    assert found.settings["positions"] == 6
    for row in found.rows:
        if row.steps == 6 and row.asked.reads_steps:
            assert row.found.tokens == row.found.sequences.value == 1
            assert row.found.right == row.found.reference_right
            assert row.found.network_calls == 6
    fast = next(row for row in found.rows if row.asked.name == "random" and row.steps == 2)
    assert fast.found.sequences.value < 1
    assert fast.found.network_calls == 2
    content = json.loads(json.dumps(found.to_json()))
    assert content["right"] == "the law can make it"
    fields = {"decoder", "steps", "network_calls", "same_tokens", "same_sequences", "right"}
    assert fields <= content["rows"][0].keys()


def test_a_number_of_sequences_that_is_not_read_is_told():
    told = []
    arguments = {"decoders": "left-to-right", "tell": told.append}
    mdmot.compare(CHAIN, 2, num=5, **arguments)
    assert told == ["compare: --num is not read: the law has 64 sequences, and all are judged on"]
    mdmot.compare(CHAIN, 2, **arguments)
    assert len(told) == 1


def test_a_permutation_of_another_length_is_named_by_its_file(tmp_path):
    path = tmp_path / "order.json"
    path.write_text("[2, 0, 1]")
    with pytest.raises(
        InputError, match=re.escape(f"the permutation of {path} has 3 positions and 6 are masked; pass one")
    ):
        mdmot.compare(CHAIN, 2, decoders=f"random,{path}")


def test_names_are_split_at_commas_that_are_not_in_them():
    found = asked_decoders("random, klass:.9,.01 ,stride:4,threshold:.5@block:8")
    names = [decoder.name for decoder in found]
    assert names == ["random", "klass:0.9,0.01", "stride:4", "threshold:0.5@block:8"]
    assert asked_decoders([parse_decoder("margin")])[0].name == "margin"


def test_default_steps_are_those_that_sequences_are_long_enough_for():
    assert asked_steps(None, 20) == (4, 8, 16)
    assert asked_steps(None, 3) == (3,)
    assert asked_steps([8, 2], 9) == (2, 8)


def refused():
    law = read_law(CHAIN)
    yield {"decoders": "nonsense"}, "decoder 'nonsense' is not known; use random"
    yield {"decoders": ""}, "decoders: there is none"
    yield {"decoders": "random,random"}, "random is there twice"
    for text in ("random,,bisection", ",random", "klass:.9,.01,", ","):
        yield {"decoders": text}, f"decoders {text!r}: a comma has no name beside it; pass names"
    yield {"decoders": ""}, "decoders: there is none; pass names"
    yield (
        {"decoders": "stride:0"},
        "order 'stride:0': expected stride:S with a whole number S of at least 1",
    )
    yield {"steps": (2, 3, 2)}, "--steps: 2 is there twice; pass each number once"
    yield {"decoders": "threshold:2"}, "P is '2'; expected a number from 0 to 1"
    yield {"decoders": "bisection+own@block:2"}, "leave out +own or @block"
    yield {"decoders": "entropy@block:2", "steps": 2}, "3 blocks take at least 3 steps, and 2 were asked"
    yield {"steps": 7}, f"--steps: 7 for {law.length} positions that are drawn"
    yield {"steps": (2, 0)}, "--steps: 0 for 6 positions"
    yield {"steps": ()}, "--steps: no number for 6 positions"
    yield {"length": 5}, "--length: 5 tokens; the sequences of the law have 6: make it as many"
    yield {"text": "somewhere"}, "--text is not read for"
    yield {"prompt_length": 6}, "--prompt-length 6 of 6 tokens leaves nothing to draw"
    yield {"temperature": -1.0}, "temperature -1.0 is not a number of at least 0"
    yield {"top_p": 0.0}, "top_p 0.0 is outside (0, 1]"
    only = "nothing is drawn at temperature 0, so that there is no likelihood: leave out "
    yield {"temperature": 0.0, "target": 1.0}, f"{only}--target, or take"
    yield {"temperature": 0.0, "orders": 2, "top_p": 0.5}, f"{only}--top-p and --orders, or take"


@pytest.mark.parametrize(("arguments", "message"), list(refused()))
def test_what_does_not_fit_is_refused_in_a_line(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)) as error:
        mdmot.compare(CHAIN, **{"steps": 2, "decoders": "left-to-right"} | arguments)
    assert "\n" not in str(error.value)
