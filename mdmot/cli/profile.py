"""`mdmot profile`: what a data set tells about schedules, as a model or a law sees it."""

import pathlib
from typing import TYPE_CHECKING, Any

import click

from mdmot.cli.gains import gain_line
from mdmot.cli.once import Command
from mdmot.cli.options import (
    common,
    model_argument,
    path_option,
    plots_option,
    print_json,
    print_table,
    steps_option,
)
from mdmot.cli.outputs import (
    assert_outputs,
    beside_output,
    is_standard_output,
    kept_until_written,
    output_file,
    say,
    say_written,
)
from mdmot.cli.profiling import profiling
from mdmot.cli.progress import progress_shown
from mdmot.workflows.precision import computing_in
from mdmot.workflows.profiling import profile as profile_of

if TYPE_CHECKING:
    from mdmot.experiments.data_to_schedule import Saving
    from mdmot.information import Profile
    from mdmot.tuning import Gain

SHOWN_LEVELS, PLOTS = 13, ("profile",)

EXAMPLES = """\b
Examples:
  mdmot profile markov:stay=.99,states=4,length=256
  mdmot profile --length 64 --draws 100
  mdmot profile my-model --draws 4000 --out profile.json
  mdmot profile hmm:stay=.95,length=64 --steps 16 --plots plots
"""


@click.command(epilog=EXAMPLES, cls=Command)
@model_argument("MODEL|LAW|PROFILE")
@steps_option("Number of steps for which to print what tuning gains.", default=32, show_default=True)
@path_option("--out", "FILE", "Write the profile, for `mdmot tune`; - is standard output.")
@plots_option(PLOTS)
@profiling
@common
def profile(
    model: pathlib.Path | None,
    steps: int,
    out: pathlib.Path | None,
    plots: pathlib.Path | None,
    resume: pathlib.Path | None,
    seed: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Measure the information profile: the uncertainty of one more token, by how many are known.

    It decides what parallel steps cost, and so which steps are best. MODEL is the folder of a model that
    mdmot saved or of a pretrained one, measured on a text without generating any; LAW is a law file or a
    test bed (--beds lists them), whose profile is computed if it can be and measured with the exact
    conditionals if not; PROFILE is a saved profile, which is shown again. Without any of them, the model
    that comes with mdmot is measured.

    Before a long measurement the command says how much time and memory it takes. After an interruption the
    same command goes on.
    """
    assert_outputs(out, plots, PLOTS, as_json)
    with kept_until_written(resume, out) as state:
        with progress_shown() as show:
            found = profile_of(model, resume=resume, kept=state, seed=seed, show=show, tell=say, **given)
        if out is not None:
            from mdmot.information import write_profile

            with output_file(out) as path:
                write_profile(path, found)
    if out is not None and not is_standard_output(out):
        say_written(out, "tune", str(out), "--steps", str(min(steps, found.length)))
    if plots is not None:
        from mdmot.files import prepare_folder, write_atomically
        from mdmot.pages import figures

        write_atomically(prepare_folder(plots) / "profile.svg", figures.profile(found))
        say_written(plots)
    if as_json:
        print_json(found.to_json() | {"seed": seed})
        return
    from mdmot.experiments.data_to_schedule import saving
    from mdmot.plans import Fixed
    from mdmot.tuning import profile_gain

    steps = min(steps, found.length)
    with computing_in("float64"), beside_output(out):
        _show(found, saving(found, steps), profile_gain(found, steps, Fixed))


def _show(found: "Profile", value: "Saving", gain: "Gain") -> None:
    import numpy as np

    chosen = np.unique(np.linspace(0, len(found.levels) - 1, SHOWN_LEVELS).round().astype(int))
    print_table(
        ("known tokens", "nats a token", "standard error", "fitted"),
        (
            (
                f"{found.levels[k]} of {found.length}",
                f"{found.entropy_per_token[k]:.6g}",
                f"{found.standard_error[k]:.2g}",
                f"{found.fitted[found.levels[k]]:.6g}",
            )
            for k in chosen
        ),
    )
    click.echo(
        f"entropy {found.entropy:.6g} nats; total correlation {found.total_correlation:.6g}, "
        f"dual total correlation {found.dual_total_correlation:.6g}"
    )
    low, high = value.interval
    bounds = "" if found.is_exact else f" ({low} to {high})"
    predicted = "" if found.is_exact else "by the fit, "
    if gain.is_told or found.is_exact:
        click.echo(
            f"{predicted}in {value.steps} steps the optimal plan loses {value.optimal_path_kl:.4g} nats, "
            f"linear steps {value.linear_path_kl:.4g}; it takes {value.linear_steps}{bounds} linear steps "
            "to lose as little"
        )
    else:
        click.echo(f"{predicted}{value.steps} linear steps lose {value.linear_path_kl:.4g} nats")
    click.echo(gain_line(gain, value.steps))
    least, most = found.step_ratio_interval
    bounds = "" if found.is_exact else f" ({least:.2f} to {most:.2f})"
    click.echo(
        f"{predicted}in the limit of many steps, one of the optimal plan is worth "
        f"{found.step_ratio:.2f}{bounds} linear ones"
    )
    if not found.is_exact:
        click.echo("intervals in parentheses: 95%")
