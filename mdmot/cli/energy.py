"""`mdmot energy`: the energy of a mask schedule."""

import click

from mdmot.cli.once import Command
from mdmot.cli.options import common, gamma_option, print_json, schedule_option
from mdmot.workflows.precision import computing_in

EXAMPLES = """\b
Examples:
  mdmot energy --schedule squared-sine --gamma linear
  mdmot energy --schedule beta:0.7,0.9 --gamma beta:1,1 --json"""


@click.command(epilog=EXAMPLES, cls=Command)
@schedule_option("Mask schedule: linear, sine, squared-sine, cosine, poly:N or beta:A,B.", required=True)
@gamma_option("Interpolation that weighs the energy: linear or beta:A,B.")
@common
def energy(schedule_text: str, gamma_text: str, seed: int, as_json: bool) -> None:
    """Print the energy per token of a mask schedule under an interpolation.

    The three energies of the paper are this number times constants that no schedule changes. Its minimum
    is pi^2, at alpha = sin^2(pi/2 gamma). It is infinite where alpha leaves 0 or reaches 1 only as fast
    as gamma does, as for a linear schedule under a linear interpolation.
    """
    from mdmot import energies
    from mdmot.plans import parse_interpolation, parse_mask_schedule

    with computing_in("float64"):
        schedule, interpolation = parse_mask_schedule(schedule_text), parse_interpolation(gamma_text)
        value = float(energies.energy(schedule, interpolation))
    result = {
        "schedule": schedule_text,
        "gamma": gamma_text,
        "energy": value,
        "energy_over_minimum": value / energies.MINIMUM,
        "seed": seed,
    }
    if as_json:
        print_json(result)
    else:
        click.echo(
            f"energy {value:.12g} per token = {value / energies.MINIMUM:.12g} x the minimum pi^2 "
            f"(schedule {schedule_text}, gamma {gamma_text})"
        )
