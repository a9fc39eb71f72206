"""`mdmot tune`: the best steps for a data set and a budget."""

import pathlib
from typing import TYPE_CHECKING, Any

import click

from mdmot.cli.gains import bounds_content, bounds_line, gain_content, gain_line
from mdmot.cli.options import common, print_json, print_table
from mdmot.cli.outputs import assert_outputs, beside_output, is_standard_output, output_file
from mdmot.cli.profiling import Request, kept_until_written, obtain_profile, profiling
from mdmot.cli.searching import require_task, search_lines, searched_plan, searching
from mdmot.provenance import versions

if TYPE_CHECKING:
    from mdmot.information import Profile
    from mdmot.plans import Plan
    from mdmot.tuning import Tuning

EXAMPLES = """\b
Examples:
  mdmot tune --steps 32
  mdmot tune markov:stay=.99,states=4,length=256 --steps 32 --out plan.json
  mdmot sample markov:stay=.99,states=4,length=256 --schedule plan.json
  mdmot tune profile.json --steps 16 --reveal bernoulli --plots plots
  mdmot tune my-model --steps 16 --out plan.json
  mdmot tune ngram:length=64 --steps 8 --trials 40 --out plan.json
"""

PLOTS = ("profile", "step_plans", "path_kl_against_steps", "data_gamma")
MOST_SHOWN = 40

PLANS = {
    "optimal": "the optimal one",
    "linear": "linear steps; --force takes the optimal one",
    "search": "what the search found",
}
"""What is taken and written, in words."""


@click.command(epilog=EXAMPLES)
@click.argument(
    "model", metavar="[MODEL|LAW|PROFILE]", required=False, type=click.Path(path_type=pathlib.Path)
)
@click.option(
    "--steps", required=True, type=click.IntRange(min=1), metavar="K", help="Number of sampling steps."
)
@click.option(
    "--reveal",
    type=click.Choice(["bernoulli", "fixed"]),
    default="fixed",
    show_default=True,
    help="Reveal each token by chance, or a fixed number a step.",
)
@click.option(
    "--out",
    type=click.Path(path_type=pathlib.Path),
    metavar="FILE",
    help="Write the plan, for `mdmot sample` and `mdmot law`; - is standard output.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Take the optimal plan even where its gain over linear steps is within its error or unknown.",
)
@click.option(
    "--plots",
    type=click.Path(path_type=pathlib.Path),
    metavar="DIR",
    help=f"Write {', '.join(f'{name}.svg' for name in PLOTS)} there; made if absent.",
)
@searching
@profiling
@common
def tune(
    model: pathlib.Path | None,
    steps: int,
    reveal: str,
    out: pathlib.Path | None,
    force: bool,
    plots: pathlib.Path | None,
    trials: int | None,
    task: str | None,
    storage: str | None,
    resume: pathlib.Path | None,
    seed: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Find the steps that lose least, for a data set and a number of steps.

    MODEL is the folder of a model that mdmot saved or of a pretrained one, LAW a law file or a test bed
    (--beds lists them) and PROFILE a file from `mdmot profile`; the model that comes with mdmot, if all are
    left out, brings its profile. The information profile, which is measured first if there is none yet,
    predicts what any steps lose in tokens that are revealed at the same time in random order: the expected
    divergence of the samples, in nats a sequence. The optimal plan is its exact minimum.

    An optimum fitted to noise looks better than it is. So of a profile that was measured the gain over as
    many linear steps is that of plans fitted to one half of the sequences and judged on the other; where it
    is within its error, linear steps are taken and written, unless --force is given.
    """
    require_task(model, trials, task, storage, given["length"])
    assert_outputs(out, plots, PLOTS, as_json)
    with kept_until_written(resume, out) as state:
        request = Request("tune", model, resume=resume, state=state, seed=seed, **given)
        profile = obtain_profile(request)
        tuned = _tuned(profile, steps, reveal)
        plan = tuned.plan if force else tuned.taken
        result = _content(tuned, plan)
        if trials is not None:
            paper = (tuned.paper_grid.a, tuned.paper_grid.b)
            plan, found = searched_plan(model, plan, paper, trials, task, storage, seed)
            plan = _with_path_kl(plan, profile)
            kept = "search" if found["kept"] == "search" else result["plan"]
            result |= _steps_of(plan) | {"search": found, "plan": kept}
        if out is not None:
            with output_file(out) as path:
                _write(path, plan, profile, seed)
    if request.is_shipped:
        click.echo(
            f"planned by the profile that came with {request.name}; --text, --length or --draws "
            "measures anew",
            err=True,
        )
    if plots is not None:
        _draw(plots, profile, tuned)
    if as_json:
        print_json(result | {"seed": seed})
    else:
        with beside_output(out):
            _show(plan, result, tuned)
    if out is not None and not is_standard_output(out):
        click.echo(f"wrote {out}", err=True)


def _tuned(profile: "Profile", steps: int, reveal: str) -> "Tuning":
    from mdmot.plans import REVEALS
    from mdmot.tuning import tune

    return tune(profile, steps, REVEALS[reveal])


def _content(tuned: "Tuning", plan: "Plan") -> dict[str, Any]:
    learned, best = tuned.beta, tuned.paper_grid
    is_optimal = plan is tuned.plan
    lower = _lower(tuned)
    return {
        **_steps_of(plan),
        "beta": {"a": learned.a, "b": learned.b, "path_kl": _not_negative(learned.path_kl)},
        "paper_grid": {"a": best.a, "b": best.b, "path_kl": _not_negative(best.path_kl)},
        "baselines": {name: _not_negative(loss) for name, loss in tuned.baselines.items()},
        "equivalent_linear_steps": tuned.equivalent_linear_steps if is_optimal else plan.steps,
        "plan": "optimal" if is_optimal else "linear",
        "gain": gain_content(tuned.gain),
        "bounds": bounds_content(
            tuned.bounds if is_optimal else tuned.linear_bounds, lower, tuned.is_exact
        ),
        "optimal": _steps_of(tuned.plan) | {"bounds": bounds_content(tuned.bounds, lower, tuned.is_exact)},
    }


def _lower(tuned: "Tuning") -> float:
    """What no plan of as many steps is below: the optimal one's own loss."""
    return tuned.plan.path_kl or 0.0


def _steps_of(plan: "Plan") -> dict[str, Any]:
    names = ("counts", "alpha", "path_kl", "gamma")
    return {"steps": plan.steps, "reveal": plan.reveal.name} | {name: getattr(plan, name) for name in names}


def _with_path_kl(plan: "Plan", profile: "Profile") -> "Plan":
    """The plan with the loss that the profile predicts."""
    from mdmot.plans import predicted_plan

    return predicted_plan(profile.fitted, plan.reveal)


def _not_negative(value: float) -> float:
    """0 for what rounding leaves below it."""
    return max(value, 0.0)


def _write(out: pathlib.Path, plan: "Plan", profile: "Profile", seed: int) -> None:
    import dataclasses

    from mdmot.plans import write_plan

    provenance = {
        "command": "mdmot tune",
        "seed": seed,
        "versions": versions(),
        "profile": profile.provenance,
    }
    write_plan(out, dataclasses.replace(plan, provenance=provenance))


def _draw(folder: pathlib.Path, profile: "Profile", tuned: "Tuning") -> None:
    from mdmot.experiments.data_to_schedule import schedule_study
    from mdmot.files import prepare_folder, write_atomically
    from mdmot.pages import figures

    study = schedule_study(profile.fitted, tuned.plan.steps, type(tuned.plan.reveal), tuned)
    drawn = (
        figures.profile(profile),
        figures.step_plans(study),
        figures.path_kl_against_steps(study),
        figures.data_gamma(study),
    )
    prepare_folder(folder)
    for name, svg in zip(PLOTS, drawn, strict=True):
        write_atomically(folder / f"{name}.svg", svg)


def _show(plan: "Plan", result: dict[str, Any], tuned: "Tuning") -> None:
    rows = [(name, value) for name, value in result["baselines"].items()]
    for name, label in (("paper_grid", "best of the paper's grid"), ("beta", "learned")):
        found = result[name]
        rows.append((f"beta:{found['a']:.4g},{found['b']:.4g}  {label}", found["path_kl"]))
    rows.append(("optimal", _lower(tuned)))
    if result["plan"] == "search":
        rows.append(("found by the search", result["path_kl"]))
    predicted = "loss" if tuned.is_exact else "loss by the fit"
    print_table(
        ("schedule", f"{predicted} in {plan.steps} steps, nats"),
        ((name, f"{loss:.6g}") for name, loss in rows),
    )
    click.echo(gain_line(tuned.gain, plan.steps))
    if result["plan"] == "optimal":
        click.echo(
            f"linear steps that lose as little as the optimal plan: {result['equivalent_linear_steps']}"
        )
        click.echo(bounds_line("optimal", tuned.bounds, _lower(tuned), tuned.is_exact))
    elif result["plan"] == "linear":
        click.echo(bounds_line("linear", tuned.linear_bounds, _lower(tuned), tuned.is_exact))
    if "search" in result:
        for line in search_lines(result["search"]):
            click.echo(line)
    click.echo(f"plan: {PLANS[result['plan']]}")
    if plan.counts is not None:
        click.echo(f"tokens a step: {_line([str(count) for count in plan.counts])}")
    else:
        click.echo(f"alpha: {_line([f'{alpha:.4g}' for alpha in plan.alpha])}")


def _line(words: list[str]) -> str:
    if len(words) <= MOST_SHOWN:
        return " ".join(words)
    return f"{' '.join(words[: MOST_SHOWN - 1])} ... {words[-1]} ({len(words)} numbers, all in --json)"
