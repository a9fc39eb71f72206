"""`mdmot tune`: the best steps for a data set and a budget."""

import pathlib
from typing import Any

import click

from mdmot.cli.gains import bounds_line, gain_line
from mdmot.cli.once import Command
from mdmot.cli.options import (
    common,
    few,
    model_argument,
    path_option,
    plots_option,
    print_json,
    print_table,
    reveal_option,
    steps_option,
)
from mdmot.cli.orders import ORDER_PLOTS, ordering, refuse_evaluations, show_learned, show_order
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
from mdmot.cli.searching import search_lines, searching
from mdmot.workflows.order_learning import LEARNED, OrderLearned, learn_order
from mdmot.workflows.order_tuning import OrderTuned, refuse_with_order
from mdmot.workflows.ordering import order_tables
from mdmot.workflows.profiling import profile as profile_of
from mdmot.workflows.searching import asked
from mdmot.workflows.tuned import Tuned
from mdmot.workflows.tuning import tune as tuned_steps

EXAMPLES = """\b
Examples:
  mdmot tune --steps 32
  mdmot tune markov:stay=.99,states=4,length=256 --steps 32 --out plan.json
  mdmot sample markov:stay=.99,states=4,length=256 --schedule plan.json
  mdmot tune profile.json --steps 16 --reveal bernoulli --plots plots
  mdmot tune my-model --steps 16 --out plan.json
  mdmot tune markov:stay=.97,states=4,length=64 --steps 8 --order best --out plan.json
  mdmot tune my-model --text PATH --steps 16 --order bisection --out plan.json
  mdmot tune my-sums --steps 2 --order learned --out plan.json
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


@click.command(epilog=EXAMPLES, cls=Command)
@model_argument("MODEL|LAW|PROFILE")
@steps_option("Number of sampling steps.", required=True)
@ordering
@reveal_option("Reveal each token by chance, or a fixed number a step.", default="fixed", show_default=True)
@path_option("--out", "FILE", "Write the plan, for `mdmot sample` and `mdmot law`; - is standard output.")
@click.option(
    "--force",
    is_flag=True,
    help="Take the optimal plan even where its gain over linear steps is within its error or unknown.",
)
@plots_option(PLOTS)
@searching
@profiling
@common
def tune(
    model: pathlib.Path | None,
    steps: int,
    order: str | None,
    evaluations: int | None,
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
    (--beds lists them) and PROFILE a file from `mdmot profile`. Without any of them, the profile of the
    model that comes with mdmot is used. The information profile, which is measured first if need be,
    predicts what is lost by revealing several tokens at the same time, in random order: the expected
    divergence of the samples, in nats a sequence. The optimal plan loses least of all.

    An optimum fitted to noise looks better than it is. For a measured profile, the gain over as many linear
    steps is therefore taken from plans that were fitted to one half of the sequences and judged on the
    other. If it is within its error, linear steps are taken and written, unless --force is given.

    With --order the positions are not revealed in random order but in that one, and what its steps lose
    is computed, or measured like a profile; the plan that is written has its order. A law's loss is what is
    lost beyond its entropy, a model's the whole -log-likelihood of its sampler. --order best takes random
    order unless another one is told to lose less, on the same sequences.
    """
    from mdmot.plans import REVEALS

    refuse_evaluations(order, evaluations)
    if order is not None:
        refuse_with_order(REVEALS[reveal], trials, task, storage)
    asked(model, trials, task, storage, given["length"])
    assert_outputs(out, plots, PLOTS if order is None else ORDER_PLOTS, as_json)
    found: Tuned | OrderTuned | OrderLearned
    is_measured = model is not None or resume is not None or any(given.values())
    with kept_until_written(resume, out) as state:
        with progress_shown() as show:
            shown: dict[str, Any] = {"seed": seed, "show": show, "tell": say}
            if order == LEARNED:
                kept = state if resume is None else resume
                found = learn_order(
                    model, steps, evaluations=evaluations, kept=kept, force=force, **shown, **given
                )
            elif order is not None:
                tables = order_tables(model, order, steps, resume=resume, kept=state, **shown, **given)
                found = tuned_steps(model, steps=steps, order=tables, force=force, **shown)
            else:
                profile = None
                if is_measured:
                    profile = profile_of(model, resume=resume, kept=state, **shown, **given)
                found = tuned_steps(
                    model,
                    steps=steps,
                    reveal=REVEALS[reveal],
                    force=force,
                    profile=profile,
                    trials=trials,
                    task=task,
                    storage=storage,
                    **shown,
                )
        if out is not None:
            with output_file(out) as path:
                found.write(path)
    if plots is not None:
        from mdmot.pages.tuned import write_order_plots, write_plots

        if isinstance(found, Tuned):
            write_plots(plots, found)
        else:
            write_order_plots(plots, found)
        say_written(plots)
    if as_json:
        print_json(found.to_json() | {"seed": seed})
    else:
        with beside_output(out):
            if isinstance(found, Tuned):
                _show(found)
            elif isinstance(found, OrderTuned):
                show_order(found)
            else:
                show_learned(found)
    if out is not None and not is_standard_output(out):
        is_sampled = model is None or model.suffix != ".json"
        of = [] if model is None else [str(model)]
        after = ["sample", *of, "--schedule", str(out)] if is_sampled else ["inspect", str(out)]
        say_written(out, *after)


def _show(found: Tuned) -> None:
    plan, tuned = found.plan, found.tuning
    rows = list(tuned.baselines.items())
    for beta, label in ((tuned.paper_grid, "best of the paper's grid"), (tuned.beta, "learned")):
        rows.append((f"beta:{beta.a:.4g},{beta.b:.4g}  {label}", beta.path_kl))
    rows.append(("optimal", found.least_loss))
    if found.kept == "search":
        rows.append(("found by the search", found.loss))
    predicted = "loss" if tuned.is_exact else "loss by the fit"
    print_table(
        ("schedule", f"{predicted} in {plan.steps} steps, nats"),
        ((name, f"{max(loss, 0.0):.6g}") for name, loss in rows),
    )
    click.echo(gain_line(tuned.gain, plan.steps))
    if found.kept != "search":
        if found.is_optimal:
            click.echo(
                f"linear steps that lose as little as the optimal plan: {found.equivalent_linear_steps}"
            )
        click.echo(bounds_line(found.kept, found.bounds, found.least_loss, tuned.is_exact))
    if found.search is not None:
        for line in search_lines(found.search):
            click.echo(line)
    click.echo(f"plan: {PLANS[found.kept]}")
    if plan.counts is not None:
        click.echo(f"tokens a step: {few([str(count) for count in plan.counts], MOST_SHOWN)}")
    else:
        click.echo(f"alpha: {few([f'{alpha:.4g}' for alpha in plan.alpha], MOST_SHOWN)}")
