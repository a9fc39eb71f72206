"""What `mdmot evaluate` says of a sampler to a person."""

import math
from typing import Any

import click

from mdmot.cli.options import print_table


def show_judgement(found: dict[str, Any]) -> None:
    """Prints the measures for a person."""
    steps = f"{found['steps']} steps of {found['schedule']}, {found['reveal']} reveals"
    click.echo(f"{found['num']:,} samples in {steps}:")
    rows: list[tuple[str, str, str]] = []
    rate, least = found["token_error_rate"], found["least_token_error_rate"]
    of_law = "" if least is None else f"; the law's own is {least:.4g}"
    rows.append(("token error rate, at most", *_with_error(rate, of_law)))
    if found["kl_to_sampler"] is not None:
        rows.append(("KL(law || sampler), at most, nats", *_with_error(found["kl_to_sampler"])))
    for name, label in (
        ("legal_share", "legal share"),
        ("exact_match", "exact match of answers"),
        ("parse_rate", "samples that parse"),
        ("parse_rate_of_text", "windows of the text that parse"),
    ):
        if found[name] is not None:
            share = found[name]
            rows.append((label, f"{share['value']:.4g}", f"{share['low']:.3g} to {share['high']:.3g}"))
    for name, label in (("kl_to_law", "KL(sampler || law), nats"), ("total_variation", "total variation")):
        if found[name] is not None:
            rows.append((label, *_with_error(found[name])))
    print_table(("measure", "value", "error, or interval of 95 %"), rows)
    if found["unseen"] is not None and found["total_variation"] is None:
        click.echo(
            f"{100 * found['unseen']:.0f} % of what the sampler makes was not drawn: too much to "
            "estimate distances from frequencies; pass a larger --num"
        )


def _with_error(found: dict[str, Any], note: str = "") -> tuple[str, str]:
    error = found["standard_error"]
    return f"{found['value']:.5g}", ("" if math.isnan(error) else f"+- {error:.2g}") + note
