"""`mdmot law`: the exact law of a K-step sampler."""

import pathlib

import click

from mdmot.cli.options import (
    PATH,
    common,
    few,
    print_json,
    print_table,
    reveal_option,
    schedule_option,
    steps_option,
)
from mdmot.cli.outputs import say
from mdmot.cli.progress import progress_shown
from mdmot.workflows.laws import law as exact_law

MOST_SHOWN = 20

EXAMPLES = """\b
Examples:
  printf 'aaaaa\\nbbbbb\\n' > two.txt
  mdmot law two.txt --schedule squared-sine --steps 3
  mdmot law permutations:length=6 --schedule linear --steps 3 --reveal fixed"""


@click.command(epilog=EXAMPLES)
@click.argument("law_path", metavar="LAW", type=PATH)
@schedule_option(
    "Mask schedule: linear, sine, squared-sine, cosine, poly:N, beta:A,B or a plan's .json.", required=True
)
@steps_option("Number of sampling steps.", required=True)
@reveal_option(
    "Reveal each token by chance, or a fixed number a step.  [default: the plan's, or bernoulli]"
)
@common
def law(
    law_path: pathlib.Path, schedule_text: str, steps: int, reveal: str | None, seed: int, as_json: bool
) -> None:
    """Print how far the K-step parallel sampler is from LAW, exactly.

    LAW is a text file with one sequence a line, optionally followed by a tab and a weight. Each character
    is a token; but if any sequence has a blank inside, blanks separate the tokens of all. LAW may also
    name a test bed, such as markov:stay=.9,states=2,length=8 (see `mdmot profile --beds`). The sampler
    knows the exact conditionals of LAW, so all of its error comes from revealing tokens in parallel.
    """
    from mdmot.plans import REVEALS, parse_schedule
    from mdmot.workflows.precision import computing_in

    with computing_in("float64"):
        schedule = parse_schedule(schedule_text)
    with progress_shown() as show:
        found = exact_law(
            law_path,
            schedule,
            steps,
            reveal=None if reveal is None else REVEALS[reveal],
            show=show,
            tell=say,
        )
    if as_json:
        print_json(found.to_json() | {"seed": seed})
        return
    numbers = ("legal_mass", "total_variation", "kl", "path_kl", "entropy")
    rows = [(name, str(getattr(found, name))) for name in ("length", "vocabulary", "support")]
    rows += [(name, f"{getattr(found, name):.9g}") for name in numbers]
    rows += [
        (name, few([f"{value:.6g}" for value in getattr(found, name)], MOST_SHOWN))
        for name in ("alpha", "counts", "information_profile")
        if getattr(found, name) is not None
    ]
    print_table(("quantity", "value"), rows)
