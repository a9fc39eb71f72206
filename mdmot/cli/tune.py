"""`mdmot tune`: the best steps for a data set and a budget."""

import pathlib
from typing import TYPE_CHECKING, Any

import click

from mdmot.cli.options import common, print_json, print_table, versions
from mdmot.cli.outputs import assert_outputs, beside_output, is_standard_output, output_file
from mdmot.cli.profiling import Request, kept_until_written, obtain_profile, profiling
from mdmot.cli.searching import require_task, searched_plan, searching

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
    divergence of the samples, in nats a sequence. The plan is its exact minimum.
    """
    require_task(model, trials, task, storage)
    assert_outputs(out, plots, PLOTS, as_json)
    with kept_until_written(resume, out) as state:
        request = Request("tune", model, resume=resume, state=state, seed=seed, **given)
        profile = obtain_profile(request)
        tuned = _tuned(profile, steps, reveal)
        plan, result = tuned.plan, _content(tuned)
        if trials is not None:
            paper = (tuned.paper_grid.a, tuned.paper_grid.b)
            plan, found = searched_plan(model, plan, paper, trials, task, storage, seed)
            plan = _with_path_kl(plan, profile)
            result |= _steps_of(plan) | {"search": found}
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
            _show(plan, result)
    if out is not None and not is_standard_output(out):
        click.echo(f"wrote {out}", err=True)


def _tuned(profile: "Profile", steps: int, reveal: str) -> "Tuning":
    import jax.numpy as jnp

    from mdmot.tuning import tune

    return tune(jnp.asarray(profile.fitted), steps, reveal)


def _content(tuned: "Tuning") -> dict[str, Any]:
    learned, best = tuned.beta, tuned.paper_grid
    return {
        **_steps_of(tuned.plan),
        "beta": {"a": learned.a, "b": learned.b, "path_kl": _not_negative(learned.path_kl)},
        "paper_grid": {"a": best.a, "b": best.b, "path_kl": _not_negative(best.path_kl)},
        "baselines": {name: _not_negative(loss) for name, loss in tuned.baselines.items()},
        "equivalent_linear_steps": tuned.equivalent_linear_steps,
    }


def _steps_of(plan: "Plan") -> dict[str, Any]:
    names = ("steps", "reveal", "counts", "alpha", "path_kl", "gamma")
    return {name: getattr(plan, name) for name in names}


def _with_path_kl(plan: "Plan", profile: "Profile") -> "Plan":
    """The plan with the loss that the profile predicts."""
    from mdmot.plans import bernoulli_plan, fixed_plan

    if plan.counts is not None:
        return fixed_plan(profile.fitted, list(plan.counts))
    return bernoulli_plan(profile.fitted, plan.alpha)


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
    from mdmot.report import figures

    study = schedule_study(profile.fitted, tuned.plan.steps, tuned.plan.reveal, tuned)
    drawn = (
        figures.profile(profile),
        figures.step_plans(study),
        figures.path_kl_against_steps(study),
        figures.data_gamma(study),
    )
    prepare_folder(folder)
    for name, svg in zip(PLOTS, drawn, strict=True):
        write_atomically(folder / f"{name}.svg", svg)


def _show(plan: "Plan", result: dict[str, Any]) -> None:
    rows = [(name, value) for name, value in result["baselines"].items()]
    for name, label in (("paper_grid", "best of the paper's grid"), ("beta", "learned")):
        found = result[name]
        rows.append((f"beta:{found['a']:.4g},{found['b']:.4g}  {label}", found["path_kl"]))
    rows.append(("found by the search" if _is_searched(result) else "optimal", result["path_kl"]))
    print_table(
        ("schedule", f"loss in {plan.steps} steps, nats"), ((name, f"{loss:.6g}") for name, loss in rows)
    )
    click.echo(f"linear steps that lose as little as the optimal plan: {result['equivalent_linear_steps']}")
    if "search" in result:
        found = result["search"]
        click.echo(
            f"{found['task']} of {found['examples']} fresh samples: {found['score']:.4g} +- "
            f"{found['standard_error']:.2g} for the best of {found['trials']} trials, "
            f"{found['profile_score']:.4g} +- {found['profile_standard_error']:.2g} for the optimal plan"
        )
    if plan.counts is not None:
        click.echo(f"tokens a step: {_line([str(count) for count in plan.counts])}")
    else:
        click.echo(f"alpha: {_line([f'{alpha:.4g}' for alpha in plan.alpha])}")


def _is_searched(result: dict[str, Any]) -> bool:
    return "search" in result and result["search"]["kept"] == "search"


def _line(words: list[str]) -> str:
    if len(words) <= MOST_SHOWN:
        return " ".join(words)
    return f"{' '.join(words[: MOST_SHOWN - 1])} ... {words[-1]} ({len(words)} numbers, all in --json)"
