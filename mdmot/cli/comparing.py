"""Decoders in lists and tables: the output of `mdmot compare`."""

import math
from typing import TYPE_CHECKING

import click

from mdmot.cli.decoders import needs_plan_file, sample_command
from mdmot.cli.options import few, print_table
from mdmot.workflows.agreed import AgreementRow, Agreements
from mdmot.workflows.compared import Comparison, Row
from mdmot.workflows.comparing import AT_ZERO, DECODERS
from mdmot.workflows.naming import Name

if TYPE_CHECKING:
    from mdmot.decoders import Mean

MOST_SHOWN, NOTHING = 40, 1e-6
"""Numbers on a line, and what rounding leaves of a loss of 0."""

DECODERS_HELP = (
    "Decoders, as --list-decoders has them: orders with even steps (bisection) or with their own plan "
    "(bisection+own), surest first (entropy), adaptive rules with a knob or without (threshold:.9, "
    f"threshold), each in blocks (@block:N).  [default: {','.join(DECODERS)}; at temperature 0 "
    f"{','.join(AT_ZERO)}]"
)

KINDS = (
    (
        "orders, with even steps",
        "random, left-to-right, bisection, low-discrepancy, van-der-corput, stride:S, the .json file of a "
        "permutation; any but random with +shift, which moves it by a random number",
    ),
    ("orders, with their own optimal plan", "any of these with +own, as bisection+own"),
    ("surest first, with even steps", "entropy, max-probability, margin"),
    (
        "as many as the network is sure of",
        "threshold:P, factor:F, entropy-bound:NATS, entropy-bound-random:NATS (in random order), "
        "klass:P[,NATS]; without the number it is found, for as many network calls as others take",
    ),
    ("in blocks from left to right", "any but +own with @block:N, as entropy@block:32"),
)
"""All decoders, in words."""


def list_decoders() -> None:
    """Prints the decoders that there are."""
    for about, names in KINDS:
        click.echo(f"{about}:\n  {names}")


def show_comparison(model: Name, found: Comparison, out: str | None, unit: str) -> None:
    """Prints the table of a comparison, and what to take.

    Args:
      model: What the user called it.
      found: The comparison.
      out: File that a plan was asked to be written to; None for none.
      unit: Of the target.
    """
    what = "loss" if found.is_of_law else "-log q"
    headings = ["", "decoder", "steps", "calls", f"{what}, nats", "bits a token", "against random order"]
    kinds = [("bits a byte", any(row.bits_per_byte is not None for row in found.rows))]
    kinds += [("KL, nats", found.is_of_law), ("impossible", any(row.impossible for row in found.rows))]
    headings += [name for name, is_shown in kinds if is_shown]
    table = []
    for number, row in enumerate(found.rows):
        kl = row.kl
        more = [
            "" if row.bits_per_byte is None else f"{row.bits_per_byte:.4g}",
            "" if kl is None else _with_error(kl),
            f"{row.impossible:.1%}" if row.impossible else "",
        ]
        table.append(
            [
                "*" if number in found.pareto else "",
                row.name
                if row.decoder.name == row.name
                else f"{row.name} ({row.decoder.name.partition(':')[2]})",
                "" if row.steps is None else str(row.steps),
                f"{row.network_calls:.4g}",
                _with_error(row.loss),
                f"{row.bits_per_token:.4g}" if abs(row.bits_per_token) > NOTHING else "0",
                "" if row.difference is None else _signed(row.difference),
                *(cell for cell, (_, is_shown) in zip(more, kinds, strict=True) if is_shown),
            ]
        )
    print_table(headings, table)
    for line in lines_of(model, found, out, unit):
        click.echo(line)


def lines_of(model: Name, found: Comparison, out: str | None, unit: str) -> list[str]:
    """What a comparison says in words."""
    of = f"all {found.sequences:,} sequences" if found.is_exact else f"{found.sequences:,} sequences"
    lines = [
        f"* on the Pareto front: told to be better than all with fewer calls; on {of}, +- standard error"
    ]
    if found.is_of_law:
        lines.append(f"loss is beyond the entropy of the law, {found.entropy:.6g} nats a sequence")
    elif found.one_at_a_time:
        parts = ", ".join(
            f"{each.decoder} "
            f"{_with_error(each.loss) if each.difference is None else _signed(each.difference)}"
            for each in found.one_at_a_time
        )
        lines.append(
            f"one position at a time, on {found.one_at_a_time[0].sequences} of them, -log q is {parts} "
            "(with a sign: against random): the model's own part, which no number of steps takes away"
        )
    if found.target is not None:
        lines.append(_target_line(found, unit))
    elif found.choice is not None:
        sure = "" if found.choice.is_sure else ", which is not told from the next best"
        lines.append(f"least loss: {found.rows[found.choice.number].name}{sure}")
    if found.choice is not None:
        lines += _how_to_run(model, found, out)
    return lines


def _target_line(found: Comparison, unit: str) -> str:
    assert found.target is not None
    tokens = found.rows[0].tokens
    target = f"{found.target:.6g} nats"
    if unit == "bits":
        target = f"{found.target / tokens / math.log(2):.6g} bits a token ({target})"
    if found.choice is None:
        able = [row for row in found.rows if row.impossible == 0]
        least = min(able, key=lambda row: row.loss.value, default=None)
        said = (
            "" if least is None else f": the least loss is {_with_error(least.loss)}, of {_in_calls(least)}"
        )
        return f"no decoder reaches {target}{said}"
    row = found.rows[found.choice.number]
    sure = "beyond its error" if found.choice.is_sure else "by its mean, but not beyond its error"
    return f"the cheapest that reaches {target}: {_in_calls(row)}, {_with_error(row.loss)} nats, {sure}"


def _how_to_run(model: Name, found: Comparison, out: str | None) -> list[str]:
    """The commands that sample with the choice, and with the plan if that is another one."""
    assert found.choice is not None
    chosen = found.rows[found.choice.number]
    lines = []
    if chosen.run.counts is not None:
        lines.append(f"tokens a step: {few([str(count) for count in chosen.run.counts], MOST_SHOWN)}")
    first = "" if out is not None or not needs_plan_file(chosen.decoder) else "--out plan.json, then "
    lines.append(f"sample with it: {first}{command_of(model, found, chosen, out)}")
    if chosen.plan is None and found.plan_choice is not None:
        plan = found.rows[found.plan_choice.number]
        lines.append(
            "it has no plan, as it looks at the network; of orders with their steps the best is "
            f"{_in_calls(plan)}, {_with_error(plan.loss)} nats: {command_of(model, found, plan, out)}"
        )
    return lines


def command_of(model: Name, found: Comparison, row: Row, out: str | None) -> str:
    """The command that samples with a row's decoder."""
    grid = row.run.grid
    return sample_command(
        model,
        row.decoder,
        None if grid is None else len(grid.reveal),
        plan=out if row.plan is not None and out != "-" else None,
        temperature=found.settings["temperature"],
        top_p=found.settings["top_p"],
    )


def show_agreements(found: Agreements) -> None:
    """Prints the table of decoders at temperature 0."""
    is_judged, is_led = found.right is not None, any(row.found.no_law.value for row in found.rows)
    headings = ["decoder", "steps", "calls", "same tokens", "same sequences"]
    headings += ["right", "right one at a time"] if is_judged else []
    headings += ["no law"] if is_led else []
    print_table(headings, (_agreement_cells(row, is_led) for row in found.rows))
    click.echo(
        f"same: as the same ranking writes one position at a time, on {found.sequences:,} sequences of "
        f"which {found.settings['positions']} of {found.settings['length']} tokens are written"
    )
    beginnings = found.settings["beginnings"]
    if beginnings < found.sequences:
        click.echo(
            f"only {beginnings:,} of their beginnings are different: what begins alike is written alike by "
            "decoders without chance, so that errors are larger than +- says"
        )
    if is_judged:
        click.echo(f"right: {found.right}; agreement is not correctness, and often moves the other way")
    if is_led:
        click.echo("no law: led into a state of probability 0, where nothing that follows can be right")


def _agreement_cells(row: AgreementRow, is_led: bool) -> list[str]:
    found, name = row.found, row.asked.name
    knob = "" if row.decoder.name == name else f" ({row.decoder.name.partition(':')[2]})"
    cells = [
        name + knob,
        "" if row.steps is None else str(row.steps),
        f"{found.network_calls:.4g}",
        f"{found.tokens:.4f}",
        f"{found.sequences.value:.3f} +- {found.sequences.standard_error:.2g}",
    ]
    if found.right is not None and found.reference_right is not None:
        cells += [f"{found.right.value:.3f} +- {found.right.standard_error:.2g}"]
        cells += [f"{found.reference_right.value:.3f}"]
    return cells + ([f"{found.no_law.value:.3f}"] if is_led else [])


def _in_calls(row: Row) -> str:
    return f"{row.decoder.name} in {row.network_calls:.4g} calls"


def _with_error(mean: "Mean") -> str:
    if max(abs(mean.value), mean.standard_error) < NOTHING:
        return "0"
    value = f"{mean.value:.6g}" if mean.standard_error == 0 else _rounded(mean)
    return value if mean.standard_error == 0 else f"{value} +- {mean.standard_error:.2g}"


def _signed(mean: "Mean") -> str:
    sign = "+" if mean.value > 0 else ""
    return sign + _with_error(mean)


def _rounded(mean: "Mean") -> str:
    """As many digits as the error leaves."""
    if not 0 < mean.standard_error < math.inf:
        return f"{mean.value:.4g}"
    places = max(0, 1 - math.floor(math.log10(mean.standard_error)))
    value = round(mean.value, places) + 0.0
    return f"{value:.{min(places, 6)}f}"
