"""`mdmot law`: the exact law of a K-step sampler."""

import pathlib
from typing import Any

import click

from mdmot.cli.options import common, print_json, print_table, progress, use_precision

BATCH_TERMS = 3 * 10**8
"""Terms between two signs of progress: about two seconds' work."""

MOST_SHOWN = 20

EXAMPLES = """\b
Examples:
  printf 'aaaaa\\nbbbbb\\n' > two.txt
  mdmot law two.txt --schedule squared-sine --steps 3
  mdmot law permutations:length=6 --schedule linear --steps 3 --reveal fixed"""


@click.command(epilog=EXAMPLES)
@click.argument("law_path", metavar="LAW", type=click.Path(path_type=pathlib.Path))
@click.option(
    "--schedule",
    "schedule_text",
    required=True,
    metavar="SPEC",
    help="Mask schedule: linear, sine, squared-sine, cosine, poly:N, beta:A,B or a plan's .json.",
)
@click.option(
    "--steps", required=True, type=click.IntRange(min=1), metavar="K", help="Number of sampling steps."
)
@click.option(
    "--reveal",
    type=click.Choice(["bernoulli", "fixed"]),
    help="Reveal each token with probability r_k, or a fixed number.  [default: a plan's, or bernoulli]",
)
@common
def law(
    law_path: pathlib.Path, schedule_text: str, steps: int, reveal: str | None, seed: int, as_json: bool
) -> None:
    """Print how far the K-step parallel sampler is from LAW, exactly.

    LAW is a text file with one sequence a line, optionally followed by a tab and a weight. If any line has
    a blank inside its sequence all lines are blank-separated tokens, else characters. Or LAW names a test
    bed, as markov:stay=.9,states=2,length=8 (see `mdmot profile --beds`). The sampler knows the exact
    conditionals of LAW, so all of its error comes from revealing tokens in parallel.
    """
    use_precision("float64")
    from mdmot.cli.specs import parse_schedule

    schedule = parse_schedule(schedule_text)
    result = _result(law_path, schedule, schedule_text, steps, reveal)
    result["seed"] = seed
    if as_json:
        print_json(result)
        return
    rows = [(name, str(result[name])) for name in ("length", "vocabulary", "support")]
    rows += [
        (name, f"{result[name]:.9g}")
        for name in ("legal_mass", "total_variation", "kl", "path_kl", "entropy")
    ]
    rows += [
        (name, _line(result[name]))
        for name in ("alpha", "counts", "information_profile")
        if result[name] is not None
    ]
    print_table(("quantity", "value"), rows)


def _result(
    path: pathlib.Path, schedule: Any, schedule_text: str, steps: int, reveal: str | None
) -> dict[str, Any]:
    import jax.numpy as jnp

    from mdmot import exact_law as exact
    from mdmot import information
    from mdmot.distributions import entropy, read_law
    from mdmot.errors import InputError
    from mdmot.plans import REVEALS, Plan
    from mdmot.schedules import step_grid

    target = read_law(path)
    length, vocab_size = target.length, target.vocab_size
    exact.require_feasible(length, steps)
    table = target.table()
    support = len(table.sequences)
    if isinstance(schedule, Plan):
        plan_steps = len(schedule.alpha) - 1
        if (schedule.length, plan_steps) != (length, steps):
            raise InputError(
                f"plan {schedule_text} has {schedule.length} tokens in {plan_steps} steps; "
                f"the law has {length} tokens and --steps is {steps}"
            )
        grid, reveal = schedule.grid(), reveal or schedule.reveal.name
    else:
        grid, reveal = step_grid(schedule, steps), reveal or "bernoulli"
    steps_of = REVEALS[reveal].from_alpha(grid.alpha, length)

    # As even as can be: every size is compiled apart.
    batch = -(-support // -(-support * 3**length * steps // BATCH_TERMS))
    batches = [table.sequences[first : first + batch] for first in range(0, support, batch)]
    with progress(1 + len(batches), "law") as advance:
        profile = information.information_profile(table).block_until_ready()
        advance("information profile")
        parts = []
        for sequences in batches:
            prob = steps_of.law(table, vocab_size, sequences)
            parts.append(prob.block_until_ready())
            advance("sequences")
    found = exact.sampler_law(table, jnp.concatenate(parts), steps_of.path_kl(profile))
    return {
        "length": length,
        "vocabulary": vocab_size,
        "support": support,
        "steps": steps,
        "reveal": reveal,
        "alpha": grid.alpha.tolist(),
        "counts": steps_of.counts,
        "legal_mass": float(found.legal_mass),
        "total_variation": _not_negative(found.total_variation),
        "kl": _not_negative(found.kl),
        "path_kl": _not_negative(found.path_kl),
        "entropy": _not_negative(entropy(table)),
        "information_profile": [_not_negative(h) for h in profile.tolist()],
    }


def _not_negative(value: Any) -> float:
    """0 for -0 and for what rounding leaves below it."""
    return 0.0 if value <= 0 else float(value)


def _line(values: list[Any]) -> str:
    """The values on one line; of many, the first and the last."""
    shown = [f"{value:.6g}" for value in values]
    if len(shown) > MOST_SHOWN:
        shown = [*shown[: MOST_SHOWN - 2], "...", shown[-1], f"({len(shown)} values, all in --json)"]
    return " ".join(shown)
