"""The options of a search by samples, and what it found in words."""

import click

from mdmot.cli.kinds import Whole
from mdmot.cli.options import combined
from mdmot.workflows.searching import DATABASE, Searched
from mdmot.workflows.tasks import TASKS

ABOUT = "; ".join(f"{name}: {task.about}" for name, task in TASKS.items())

searching = combined(
    click.option(
        "--trials",
        type=Whole(1),
        metavar="N",
        help="Then search among Beta schedules, starting from the plan, for the one whose samples score "
        "best, in N trials (needs the extra tune). Finished trials are kept; the same command goes on.",
    ),
    click.option(
        "--task",
        metavar="NAME",
        help=f"What samples are scored by. {ABOUT}.  [default: legal, for a law]",
    ),
    click.option(
        "--storage",
        metavar="URL|FILE",
        help="Database of the trials; workers on many machines may share one by its URL.  "
        f"[default: {DATABASE}]",
    ),
)
"""Adds the options of a search."""

VERDICTS = {
    "better": "more than luck allows: the schedule found is kept",
    "worse": "so that the plan is kept",
    "not told apart": "which does not tell the two apart: the plan is kept",
}


def search_lines(search: Searched) -> list[str]:
    """What a search found, for a person."""
    found = search.to_json()
    return [
        f"{found['task']} of {found['examples']} fresh samples: {found['score']:.4g} +- "
        f"{found['standard_error']:.2g} for the best of {found['trials']} trials, "
        f"{found['profile_score']:.4g} +- {found['profile_standard_error']:.2g} for the plan that it "
        "began with",
        f"difference, sample by sample: {found['difference']:.4g} +- "
        f"{found['difference_standard_error']:.2g}, {VERDICTS[found['verdict']]}",
    ]
