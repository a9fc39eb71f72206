"""Tables for the loops of others, against plain implementations of the rules that these publish."""

import fractions
import itertools
import json
import math
import pathlib
import re
import sys
import types

import numpy as np
import pytest

from mdmot import InputError, export
from mdmot.cli import main
from mdmot.orders import Bisection, Permutation
from mdmot.plans import Bernoulli, Fixed, Plan, write_plan

ROOT = pathlib.Path(__file__).parents[1]
RNG = np.random.default_rng(0)
COUNTS = [
    [1],
    [5],
    [1, 2, 0, 4, 9],
    [1] * 40,
    [30, 0, 0, 1, 1],
    np.bincount(RNG.integers(0, 40, 4096) ** 2 // 40, minlength=40).tolist(),
    [100_000, 1, 1, 200_000, 0, 3],
]


def block_loop(table, masked, rule):
    """Counts of a loop that reveals the surest of what is masked: `rule(step, confidence)` says which."""
    is_masked, revealed = np.ones(masked, bool), []
    for i in range(len(table)):
        confidence = np.where(is_masked, RNG.random(masked), -np.inf)
        chosen = rule(table[i], confidence) & is_masked
        is_masked &= ~chosen
        revealed.append(int(chosen.sum()))
    assert not is_masked.any()
    return revealed


def llada_rule(number, confidence):
    chosen = np.zeros(confidence.size, bool)
    chosen[np.argsort(-confidence)[:number]] = True
    return chosen


def llada2_rule(number, confidence, threshold=2.0):
    high = confidence > threshold
    return high if high.sum() >= number else llada_rule(number, confidence)


def dream_loop(timesteps, masked):
    """Dream's counts with the float32 numbers that it reads and no further rounding."""
    times = [fractions.Fraction(float(np.float32(t))) for t in timesteps]
    left, revealed = masked, []
    for i, (t, s) in enumerate(itertools.pairwise(times)):
        number = math.floor(left * (1 - s / t)) if i < len(times) - 2 else left
        left -= number
        revealed.append(number)
    return revealed


def amused_loop(ratios, length):
    """How many of equal tokens `mask_by_random_topk` leaves masked, step by step."""
    steps, is_masked, revealed = len(ratios), np.ones(length, bool), []
    for k, ratio in enumerate(ratios):
        before = int(is_masked.sum())
        if k == steps - 1:
            is_masked[:] = False
        else:
            share = fractions.Fraction(float(np.float32(ratio))) * (1 - fractions.Fraction(k + 1, steps))
            number = max(1, min(before - 1, math.floor(length * share)))
            confidence = np.where(is_masked, RNG.random(length), np.inf)
            is_masked = confidence < np.sort(confidence)[number]
        revealed.append(before - int(is_masked.sum()))
    return revealed


@pytest.mark.parametrize("counts", COUNTS, ids=lambda counts: f"{sum(counts)}-{len(counts)}")
def test_the_published_rules_reveal_the_numbers_of_the_plan(counts):
    plan, length, expected = Plan(sum(counts), Fixed(counts)), sum(counts), [n for n in counts if n]
    for table in (export.llada(plan), export.llada2(plan), export.dream(plan), export.amused(plan)):
        assert (table.length, table.steps, [*table.tokens_per_step]) == (length, len(expected), expected)
    assert block_loop(export.llada(plan).tokens_per_step, length, llada_rule) == expected
    assert block_loop(export.llada2(plan).tokens_per_step, length, llada2_rule) == expected
    timesteps = export.dream(plan).timesteps
    assert dream_loop(timesteps, length) == export.dream_counts(timesteps, length) == expected
    assert timesteps[0] == 1
    assert timesteps[-1] == 0
    assert (np.diff(timesteps) < 0).all()
    ratios = export.amused(plan).starting_mask_ratios
    assert amused_loop(ratios, length) == export.amused_counts(ratios, length) == expected


def test_the_rules_are_those_that_are_published():
    # What Dream's docstring and the peers' own defaults make, counted by hand from their rules.
    assert export.dream_counts(np.linspace(1, 1e-3, 9), 8) == [0, 1, 1, 1, 1, 1, 1, 2]
    assert dream_loop(np.linspace(1, 1e-3, 5), 8) == [1, 2, 2, 3]
    assert amused_loop([1.0] * 4, 10) == export.amused_counts([1.0] * 4, 10) == [3, 2, 3, 2]


def plain_bisection(length):
    """Gaps level after level, inside a level by their way with its bits reversed."""
    order, level = [], [("", 0, length)]
    while level:
        level.sort(key=lambda gap: gap[0][::-1])
        order += [(a + b) // 2 for _, a, b in level]
        halves = [(way + turn, *ends) for way, a, b in level for turn, ends in parts(a, b)]
        level = [half for half in halves if half[1] < half[2]]
    return order


def parts(a, b):
    middle = (a + b) // 2
    return (("0", (a, middle)), ("1", (middle + 1, b)))


@pytest.mark.parametrize("length", [1, 8, 37])
def test_a_loop_that_ranks_minus_the_turns_reveals_the_order_of_the_plan(length):
    counts = [1] * min(3, length) + ([length - 3] if length > 3 else [])
    order = [range(length)[::-1], plain_bisection(length)]
    kinds = (Permutation(tuple(order[0])), Bisection())
    for positions, kind in zip(order, kinds, strict=True):
        plan = Plan(length, Fixed(counts), order=kind)
        for table in (export.llada(plan), export.dream(plan)):
            confidence, start = -np.array(table.turns, float), 0
            for count in table.tokens_per_step:
                chosen = np.argsort(-confidence)[:count]
                assert sorted(chosen) == sorted(positions[start : start + count])
                confidence[chosen], start = -np.inf, start + count
    assert export.llada(Plan(length, Fixed(counts))).turns is None


def test_an_order_that_a_loop_cannot_be_told_is_refused():
    plan = Plan(6, Fixed([2, 4]), order=Bisection())
    for make in (export.llada2, export.amused):
        with pytest.raises(InputError, match="of order bisection, and this loop has its own"):
            make(plan)
    for make in (export.llada, export.dream):
        with pytest.raises(InputError, match=r"bisection\+shift is drawn anew for each row"):
            make(Plan(6, Fixed([2, 4]), order=Bisection(shift=True)))


def test_the_chances_of_dreams_origin_are_those_of_the_plan():
    alpha = np.sort(np.append(RNG.random(20), [0.0, 0.3, 0.3, 1.0]))
    table = export.dream_origin(Plan(7, Bernoulli(alpha)))
    steps = alpha[np.append(True, np.diff(alpha) > 0)]
    # P(unmasked) after each step, from Dream's own reveal probability 1 - s/t, 1 at the end.
    chance = [1 - s / t for t, s in itertools.pairwise(table.timesteps)]
    np.testing.assert_allclose(1 - np.cumprod(1 - np.array(chance)), steps[1:], rtol=1e-12, atol=1e-15)
    assert chance[-1] == 1
    assert table.steps == len(chance)
    assert table.tokens_per_step is None


def test_a_plan_that_a_loop_cannot_run_is_refused_in_one_line():
    by_chance, fixed = Plan(6, Bernoulli([0.0, 0.5, 1.0])), Plan(6, Fixed([2, 4]))
    for make in (export.llada, export.llada2, export.dream, export.amused):
        with pytest.raises(InputError, match=r"bernoulli draws.*--reveal fixed"):
            make(by_chance)
    with pytest.raises(InputError, match=r"fixed numbers.*--reveal bernoulli"):
        export.dream_origin(fixed)
    # Half a token of 2^26 is less than float32 holds.
    large = Plan(2**26, Fixed([2**25 + 1, 2**25 - 1]))
    for make in (export.dream, export.amused):
        with pytest.raises(InputError, match="more than the float32"):
            make(large)


def test_the_command_writes_what_the_functions_make(tmp_path, capsys):
    plan, out = Plan(15, Fixed([1, 2, 0, 12])), tmp_path / "new" / "table.json"
    write_plan(tmp_path / "plan.json", plan)
    for loop, make in (("llada", export.llada), ("dream", export.dream), ("amused", export.amused)):
        arguments = ["export", str(tmp_path / "plan.json"), "--for", loop]
        assert main.status([*arguments, "--out", str(out), "--json"]) == 0
        printed, said = capsys.readouterr()
        table = json.loads(out.read_text())
        found = json.loads(printed)
        assert found | table == found
        assert found["seed"] == 0
        assert said == f"wrote {out}\n"
        assert table == json.loads(json.dumps(make(plan).to_json()))
        assert table["kind"] == "loop table"
        assert table["loop"] == loop
        assert main.status([*arguments, "--length", "30"]) == 0
        printed, said = capsys.readouterr()
        assert re.search(r"tokens_per_step +│ 2 4 24 ", printed)
        assert "stretched" in said
    assert main.status([*arguments[:-1], "dream-origin"]) == 2
    assert "--reveal bernoulli" in capsys.readouterr().err


def snippet(name):
    return re.search(rf"```python torch-{name}\n(.*?)```", (ROOT / "docs" / "export.md").read_text(), re.S)[
        1
    ]


def test_the_snippets_for_pytorch_reveal_the_numbers_of_the_plan(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    plan = Plan(15, Fixed([1, 2, 0, 3, 9]))
    seen = []

    def generate(model, prompt, *, steps, gen_length, block_length, temperature, remasking):
        assert (gen_length, block_length, temperature, remasking) == (15, 15, 1.0, "random")
        is_masked = torch.ones((2, gen_length), dtype=torch.bool)
        numbers = sys.modules["generate"].get_num_transfer_tokens(is_masked, steps)
        for i in range(steps):
            for row in range(2):
                surest = torch.where(is_masked[row], torch.rand(gen_length), -torch.inf)
                is_masked[row, torch.topk(surest, k=numbers[row, i]).indices] = False
            seen.append(int((~is_masked).sum()) // 2 - sum(seen))

    monkeypatch.setitem(sys.modules, "generate", types.SimpleNamespace(generate=generate))
    export.write_loop_table("llada.json", export.llada(plan))
    exec(snippet("llada"), {"model": None, "prompt": None})
    assert seen == [1, 2, 3, 9]

    names = {
        "torch": torch,
        "x": torch.zeros(1, dtype=torch.long),
        "table": export.dream(plan).to_json(),
    }
    exec(snippet("dream"), names)
    left = torch.ones((2, 15)).sum() / 2
    times, seen = names["timesteps"], []
    for i in range(4):
        seen.append(int(left * (1 - times[i + 1] / times[i])) if i < 3 else int(left))
        left = left - seen[-1]
    assert seen == [1, 2, 3, 9]

    order = plain_bisection(15)
    table = export.dream(Plan(15, Fixed([1, 2, 0, 3, 9]), order=Bisection())).to_json()
    x0 = torch.zeros((2, 34), dtype=torch.long)
    names = {"torch": torch, "x0": x0, "prompt": x0[:, :4], "num_blocks": 2, "table": table}
    exec(snippet("llada-order"), names)
    ranked = [names["x0_p"][0, 4 + 15 * block :][:15].argsort(descending=True) for block in (0, 1)]
    assert [block.tolist() for block in ranked] == [order, order]

    def diffusion_generate(prompt, *, max_new_tokens, steps, generation_tokens_hook_func):
        """Dream's loop, which reveals from the right, and in the last step all."""
        x = torch.nn.functional.pad(prompt, (0, max_new_tokens), value=9)
        x = generation_tokens_hook_func(None, x, None)
        for i in range(steps):
            masked = (x[0] == 9).nonzero()[:, 0]
            seen.append(masked.tolist())
            x[:, masked if i == steps - 1 else masked[-1:]] = 8
            logits = torch.full((*x.shape, 10), -torch.inf)
            logits[..., i] = 0.0
            x = generation_tokens_hook_func(i, x, logits)
        return x

    seen = []
    model = types.SimpleNamespace(diffusion_generate=diffusion_generate)
    prompt = torch.full((2, 3), 7)
    names = {"torch": torch, "table": table, "temperature": 1.0, "model": model, "prompt": prompt}
    exec(snippet("dream-order"), names)
    assert seen == [sorted(3 + i for i in order[known:]) for known in (0, 1, 3, 6)]
    steps = np.repeat(np.arange(4), [1, 2, 3, 9])[np.argsort(order)]
    assert names["out"].tolist() == [[7, 7, 7, *steps]] * 2

    class BlockRefinementScheduler:
        def __init__(self, config=None):
            self.config = config

        from_config = classmethod(lambda cls, config: cls(config))

    class AmusedScheduler:
        def __init__(self, *, mask_token_id, masking_schedule):
            self.mask_id = mask_token_id
            assert masking_schedule == "linear"

        def set_timesteps(self, steps):
            self.timesteps = torch.arange(steps).flip(0)

        def step(self, logits, timestep, tokens, starting_mask_ratio=1):
            ratio = (len(self.timesteps) - timestep) / len(self.timesteps)
            number = (tokens.shape[1] * (starting_mask_ratio * (1 - ratio))).floor().long()
            order = torch.where(tokens == self.mask_id, torch.rand(tokens.shape), 2.0).argsort(dim=1)
            clean = torch.where(tokens == self.mask_id, logits.argmax(-1), tokens)
            if timestep > 0:
                clean = clean.scatter(1, order[:, :number], self.mask_id)
            seen.append(int(((clean != self.mask_id) & (tokens == self.mask_id)).sum()) // len(tokens))
            return types.SimpleNamespace(prev_sample=clean)

    diffusers = types.SimpleNamespace(
        BlockRefinementScheduler=BlockRefinementScheduler, AmusedScheduler=AmusedScheduler
    )
    monkeypatch.setitem(sys.modules, "diffusers", diffusers)

    class Pipe:
        scheduler = BlockRefinementScheduler("config")

        def __call__(self, prompt, **knobs):
            assert (knobs["threshold"], knobs["editing_threshold"], knobs["block_length"]) == (2, None, 15)
            return self.scheduler.get_num_transfer_tokens(15, knobs["num_inference_steps"]).tolist()

    names = {"pipe": Pipe(), "prompt": None, "table": export.llada2(plan).to_json()}
    exec(snippet("llada2"), names)
    assert names["out"] == [1, 2, 3, 9]
    assert names["pipe"].scheduler.config == "config"

    seen = []
    names = {
        "table": export.amused(plan).to_json(),
        "MASK_ID": 4,
        "batch": 2,
        "model": lambda tokens: torch.zeros((*tokens.shape, 4)),
    }
    exec(snippet("amused"), names)
    assert seen == [1, 2, 3, 9]
    assert (names["tokens"] == 0).all()
