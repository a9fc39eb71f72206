"""`mdmot export`: a plan as the decoding loop of another system reads it."""

import pathlib

import click

from mdmot.cli.kinds import Whole, Words, assert_found, checked
from mdmot.cli.once import Command
from mdmot.cli.options import PATH, common, few, path_option, print_json, print_table
from mdmot.cli.outputs import (
    assert_outputs,
    beside_output,
    is_standard_output,
    output_file,
    say,
    say_written,
)

MOST_SHOWN = 40


def _assert_plan(path: pathlib.Path) -> None:
    assert_found(path, "plan", "pass a saved plan")


LOOPS = ("llada", "dream", "dream-origin", "llada2", "amused")

EXAMPLES = """\b
Examples:
  mdmot tune --steps 16 --out plan.json
  mdmot export plan.json --for llada --out llada.json
  mdmot export plan.json --for dream --length 64 --json"""


@click.command(epilog=EXAMPLES, cls=Command)
@click.argument("plan_path", metavar="PLAN", type=PATH, callback=checked(_assert_plan))
@click.option("--for", "loop", type=Words(LOOPS), required=True, help="The loop that is to run it.")
@click.option(
    "--length",
    type=Whole(1),
    metavar="N",
    help="Stretch the plan to so many masked tokens.  [default: the plan's]",
)
@path_option("--out", "FILE", "Write the table as JSON; - is standard output.")
@common
def export(
    plan_path: pathlib.Path,
    loop: str,
    length: int | None,
    out: pathlib.Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Turn PLAN, a file of `mdmot tune --out`, into the table that another decoding loop takes.

    Loops: llada is LLaDA's generate (tokens a step of a block); dream is Dream's diffusion_generate with an
    alg that ranks (timesteps whose rounding reveals the plan's numbers), dream-origin the same with
    alg="origin"; llada2 is the scheduler of diffusers' LLaDA2Pipeline, amused that of its aMUSEd pipelines.
    The first two can be told the order of the plan too, the last two have their own.
    How each takes its table is shown in the documentation, on the page about export.
    """
    from mdmot import export as tables
    from mdmot.plans import read_plan

    makers = {
        "llada": tables.llada,
        "dream": tables.dream,
        "dream-origin": tables.dream_origin,
        "llada2": tables.llada2,
        "amused": tables.amused,
    }
    assert_outputs(out, None, (), as_json)
    plan = read_plan(plan_path)
    if length is not None:
        if (note := plan.stretched_note(length)) is not None:
            say(f"note: {note}")
        plan = plan.for_length(length)
    table = makers[loop](plan)
    if out is not None:
        with output_file(out) as path:
            tables.write_loop_table(path, table)
    if as_json:
        print_json(table.to_json() | {"seed": seed})
    else:
        with beside_output(out):
            rows = [("loop", table.loop), ("length", str(table.length)), ("steps", str(table.steps))]
            for name in ("tokens_per_step", "turns", "timesteps", "starting_mask_ratios"):
                if (values := getattr(table, name)) is not None:
                    rows.append((name, few([f"{value:.6g}" for value in values], MOST_SHOWN)))
            print_table(("quantity", "value"), rows)
    if out is not None and not is_standard_output(out):
        say_written(out)
