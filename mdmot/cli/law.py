"""`mdmot law`: the exact law of a K-step sampler."""

import pathlib
from typing import Any

import click
from rich.table import Table

from mdmot.cli.options import CONSOLE, common, print_json, use_precision


@click.command()
@click.argument("law_path", metavar="LAW", type=click.Path(path_type=pathlib.Path))
@click.option(
    "--schedule",
    "schedule_text",
    required=True,
    metavar="SPEC",
    help="Mask schedule: linear, sine, squared-sine, cosine, poly:N, beta:A,B or a plan's .json.",
)
@click.option("--steps", required=True, type=int, metavar="K", help="Number of sampling steps, at least 1.")
@click.option(
    "--reveal",
    type=click.Choice(["bernoulli", "fixed"]),
    help="Reveal each token with probability r_k, or a fixed number.  [default: a plan's, or bernoulli]",
)
@common
def law(
    law_path: pathlib.Path, schedule_text: str, steps: int, reveal: str | None, seed: int, as_json: bool
) -> None:
    r"""Print how far the K-step parallel sampler is from LAW, exactly.

    LAW is a text file with one sequence a line, optionally followed by a tab and a weight. If any line has
    a blank inside its sequence all lines are blank-separated tokens, else characters. The sampler knows the
    exact conditionals of LAW, so all of its error comes from revealing tokens in parallel.

    \b
    Example:
      printf 'aaaaa\nbbbbb\n' > two.txt
      mdmot law two.txt --schedule squared-sine --steps 3
    """
    use_precision("float64")
    from mdmot.cli.specs import parse_schedule
    from mdmot.distributions import read_law

    schedule = parse_schedule(schedule_text)
    result = _result(read_law(law_path), schedule, schedule_text, steps, reveal)
    result["seed"] = seed
    if as_json:
        print_json(result)
        return
    table = Table("quantity", "value")
    for name in (
        "length",
        "vocabulary",
        "support",
        "legal_mass",
        "total_variation",
        "kl",
        "path_kl",
        "entropy",
    ):
        value = result[name]
        table.add_row(name, f"{value:.9g}" if isinstance(value, float) else str(value))
    table.add_row("alpha", " ".join(f"{alpha:.6g}" for alpha in result["alpha"]))
    if result["counts"] is not None:
        table.add_row("counts", " ".join(map(str, result["counts"])))
    table.add_row("information_profile", " ".join(f"{h:.6g}" for h in result["information_profile"]))
    CONSOLE.print(table)


def _result(file: Any, schedule: Any, schedule_text: str, steps: int, reveal: str | None) -> dict[str, Any]:
    import jax.numpy as jnp

    from mdmot import information
    from mdmot import law as exact
    from mdmot.distributions import entropy
    from mdmot.errors import InputError
    from mdmot.schedules import counts, step_grid
    from mdmot.schedules.plans import Plan

    length, vocab_size = file.law.sequences.shape[1], len(file.vocabulary)
    if isinstance(schedule, Plan):
        if (schedule.length, schedule.grid.reveal.size) != (length, steps):
            raise InputError(
                f"plan {schedule_text} has {schedule.length} tokens in {schedule.grid.reveal.size} steps; "
                f"the law has {length} tokens and --steps is {steps}"
            )
        grid, reveal = schedule.grid, reveal or schedule.reveal
    else:
        grid, reveal = step_grid(schedule, steps), reveal or "bernoulli"
    profile = information.information_profile(file.law)
    if reveal == "fixed":
        has_counts = isinstance(schedule, Plan) and schedule.counts is not None
        revealed = jnp.asarray(schedule.counts) if has_counts else counts(grid.alpha, length)
        prob = exact.fixed_law(file.law, vocab_size, revealed, file.law.sequences)
        path_kl = information.fixed_path_kl(profile, revealed)
    else:
        revealed = None
        prob = exact.bernoulli_law(file.law, vocab_size, grid.reveal, file.law.sequences)
        path_kl = information.bernoulli_path_kl(profile, grid.alpha)
    found = exact.sampler_law(file.law, prob, path_kl)
    return {
        "length": length,
        "vocabulary": vocab_size,
        "support": file.law.sequences.shape[0],
        "steps": steps,
        "reveal": reveal,
        "alpha": grid.alpha.tolist(),
        "counts": None if revealed is None else revealed.tolist(),
        "legal_mass": float(found.legal_mass),
        "total_variation": float(found.total_variation),
        "kl": float(found.kl),
        "path_kl": float(found.path_kl),
        "entropy": float(entropy(file.law)),
        "information_profile": profile.tolist(),
    }
