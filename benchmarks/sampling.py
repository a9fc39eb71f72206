"""Wall time of whole sampling runs beside the network calls alone, ours and PyTorch loops of the peers.

Prints one JSON object a line, each measured in a process of its own; without --json, also a table on
standard error. `floor_s` is a compiled loop of as many bare forward calls, with an argmax over the
logits and nothing else, run in turn with the sampler; `overhead` is run_s / floor_s. Both are medians.
PyTorch rows have the floor of PyTorch, and are absent where it is not installed.
"""

import argparse
import functools
import importlib.util
import json
import platform
import resource
import statistics
import subprocess
import sys
import time

from bert import CASES, denoiser, random_params

OURS = ("bernoulli", "fixed", "fixed-padded", "confidence", "margin", "entropy")
EVERYWHERE = "fixed-everywhere"
TORCH = ("torch-mdlm", "torch-fixed", "torch-llada")
REPEATS = {"toy": 41, "small": 9, "medium": 3, "big-vocabulary": 5}
STEPS = {"toy": 16, "small": 8, "medium": 8, "big-vocabulary": 8}
SETTINGS = {"toy": 20, "small": 20, "medium": 2, "big-vocabulary": 2}
"""Further schedules (a, b), in the padded row of several K, for the count of compilations."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, action="append", help="default: all")
    parser.add_argument("--steps", type=int, metavar="K")
    parser.add_argument("--json", action="store_true", help="no table on standard error")
    parser.add_argument("--row", help="measure this rule in this process")
    arguments = parser.parse_args()
    cases = arguments.case or list(CASES)
    if arguments.row:
        measure = torch_row if arguments.row in TORCH else jax_row
        (case,) = cases
        print(json.dumps(measure(case, arguments.row, arguments.steps or STEPS[case])))
        return
    rows = []
    for case in cases:
        for name in names(case):
            command = [sys.executable, __file__, "--case", case, "--row", name]
            command += ["--steps", str(arguments.steps)] if arguments.steps else []
            line = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            rows.append(json.loads(line))
            print(line, end="", flush=True)
    if not arguments.json:
        print_table(rows)


def names(case: str) -> list[str]:
    ours = [*OURS, *([EVERYWHERE] if case == "big-vocabulary" else [])]
    return [*ours, *(TORCH if importlib.util.find_spec("torch") else ())]


def print_table(rows: list[dict]) -> None:
    line = "{:16}{:18}{:>6}{:>10}{:>11}{:>10}{:>9}{:>6}{:>7}"
    heads = ("case", "sampler", "steps", "compile s", "ms a step", "overhead", "MB", "comp.", "calls")
    print(line.format(*heads), file=sys.stderr)
    for row in rows:
        cells = (
            row["case"],
            row["sampler"],
            row["steps"],
            f"{row['compile_s']:.1f}",
            f"{1e3 * row['run_s'] / row['steps']:.2f}",
            f"{row['overhead']:.2f}",
            f"{row['peak_rss_mb']:.0f}",
            row["compilations"],
            row["network_calls"],
        )
        print(line.format(*cells), file=sys.stderr)


def in_turn(first, second, repeats: int) -> tuple[float, float]:
    """Medians of the seconds that two functions take, called in turn."""
    times = [], []
    for _ in range(repeats):
        for taken, function in zip(times, (first, second), strict=True):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def jax_row(case: str, name: str, steps: int) -> dict:
    import jax
    import jax.numpy as jnp

    from mdmot.model import Model
    from mdmot.samplers import sample
    from mdmot.samplers.sampling import _sample
    from mdmot.schedules import masks, pad_grid, step_grid

    shape = CASES[case]
    network = denoiser(shape)
    params = jax.tree.map(jnp.asarray, random_params(shape))
    tokens = jnp.full((shape.batch, shape.length), shape.vocab, jnp.int32)
    rule, model = rule_named(name), Model(network, params, shape.vocab)
    is_padded = name == "fixed-padded"
    key = jax.random.key(0)

    def grid_of(a: float, b: float, num_steps: int):
        grid = step_grid(masks.beta(a, b), num_steps)
        return pad_grid(grid, 2 * steps) if is_padded else grid

    grid = grid_of(0.5, 0.5, steps)

    def run():
        return jax.block_until_ready(sample(key, rule, model, grid, tokens))

    start = time.perf_counter()
    result = run()
    first_s = time.perf_counter() - start
    calls = int(result.network_calls.max())
    floor = functools.partial(jax_floor(network, shape.vocab, calls), params, tokens)
    jax.block_until_ready(floor())
    run_s, floor_s = in_turn(run, lambda: jax.block_until_ready(floor()), REPEATS[case])
    for i in range(SETTINGS[case]):
        num_steps = 1 + i % (2 * steps) if is_padded else steps
        sample(key, rule, model, grid_of(0.3 + 0.05 * i, 1.2 - 0.04 * i, num_steps), tokens)
    return {
        **figures(case, name, steps, calls, first_s - run_s, run_s, floor_s),
        "compilations": _sample._cache_size(),
        "device": jax.devices()[0].device_kind,
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
    }


def rule_named(name: str):
    from mdmot import samplers

    scores = {
        "confidence": samplers.MaxProbability(),
        "margin": samplers.Margin(),
        "entropy": samplers.NegativeEntropy(),
    }
    if name in scores:
        return samplers.Ranked(score=scores[name])
    if name == "bernoulli":
        return samplers.BernoulliUnmasking()
    if name == EVERYWHERE:
        return fixed_everywhere()
    return samplers.FixedUnmasking()


def fixed_everywhere():
    """`FixedUnmasking` as it would be without choosing first: head and draw at every position."""
    import jax.numpy as jnp

    from mdmot.samplers import FixedUnmasking, StepInfo, configuration
    from mdmot.samplers.choice import choose

    @configuration
    class Everywhere(FixedUnmasking):
        def step(self, keys, network, state, step):
            count = self.counts(step, state.num_masked, state.num_left)
            first = state.num_masked - state.num_left
            unmask = (first[:, None] <= state.turn) & (state.turn < (first + count)[:, None])
            drawn = choose(self.choice, state.uniform, network.look(state.tokens)(None)).tokens
            tokens = jnp.where(unmask, drawn.astype(state.tokens.dtype), state.tokens)
            info = StepInfo((count > 0).astype(jnp.int32), jnp.ones_like(count, bool))
            return state._replace(tokens=tokens, num_left=state.num_left - count), info

    return Everywhere()


def jax_floor(network, mask_id: int, calls: int):
    import jax
    import jax.numpy as jnp

    @jax.jit
    def floor(params, tokens):
        def body(tokens, _):
            likeliest = network(params, tokens).argmax(axis=-1).astype(tokens.dtype)
            # Read, so that it is computed, and thrown away: the next call is as this one.
            return jnp.where(tokens == mask_id, tokens, likeliest), likeliest[:, 0]

        return jax.lax.scan(body, tokens, None, length=calls)

    return floor


def torch_row(case: str, name: str, steps: int) -> dict:
    import torch
    from torch_loops import RULES, network

    shape = CASES[case]
    call = network(random_params(shape), shape)
    tokens = torch.full((shape.batch, shape.length), shape.vocab)
    rule = RULES[name.removeprefix("torch-")]
    calls = 0

    def counted(tokens):
        nonlocal calls
        calls += 1
        return call(tokens)

    torch.manual_seed(0)
    with torch.inference_mode():
        start = time.perf_counter()
        rule(counted, tokens, shape.vocab, steps)
        first_s = time.perf_counter() - start

        def floor():
            for _ in range(calls):
                call(tokens).argmax(-1)

        run_s, floor_s = in_turn(lambda: rule(call, tokens, shape.vocab, steps), floor, REPEATS[case])
    return {
        **figures(case, name, steps, calls, max(0.0, first_s - run_s), run_s, floor_s),
        "compilations": 0,
        "device": "cpu",
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def figures(
    case: str, name: str, steps: int, calls: int, compile_s: float, run_s: float, floor_s: float
) -> dict:
    return {
        "case": case,
        "sampler": name,
        "steps": steps,
        "network_calls": calls,
        "compile_s": compile_s,
        "run_s": run_s,
        "floor_s": floor_s,
        "overhead": run_s / floor_s,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()
