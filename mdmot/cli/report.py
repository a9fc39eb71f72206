"""`mdmot report`: everything, on one page."""

import json
import pathlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from mdmot.cli.options import common, print_json, progress, use_precision
from mdmot.cli.outputs import assert_folder
from mdmot.provenance import jsonable, versions

if TYPE_CHECKING:
    from mdmot.data import TokenizedCorpus
    from mdmot.models import Checkpoint


class Text(NamedTuple):
    """What the report's model of text is shown.

    Attributes:
      model: The model.
      name: Of the text, for a person.
      tokens: The text, which the model has not been trained on.
      usual: Frequency of each byte in what it has been trained on.
    """

    model: "Checkpoint"
    name: str
    tokens: "TokenizedCorpus"
    usual: np.ndarray


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=pathlib.Path),
    default=pathlib.Path("mdmot-report"),
    show_default=True,
    help="Folder for report.html and report.json; made if absent, its other files left alone.",
)
@click.option(
    "--text",
    "text_path",
    type=click.Path(path_type=pathlib.Path),
    metavar="PATH",
    help="Text file or folder to measure the model that comes with mdmot on.  "
    "[default: the sources of Python's library that training holds out]",
)
@common
def report(out: pathlib.Path, text_path: pathlib.Path | None, seed: int, as_json: bool) -> int:
    """Find the schedules that data ask for, verify the theory, and show all of it on one page.

    The data are chains known exactly, and real text as the model that comes with mdmot sees it.

    Writes report.html (self-contained, plots inline) and report.json. Takes a minute or two on two
    cores. Exit status 1 if a check failed; the report is written all the same.
    """
    start = time.monotonic()
    use_precision("float64")
    from mdmot.files import prepare_folder, write_atomically

    assert_folder(out, "report.html", "report.json")
    text = _read_text(text_path)
    content, figures = _experiments(text, seed)
    content |= {"seconds": time.monotonic() - start, "seed": seed, "command": "mdmot report"}

    from mdmot.pages.page import render

    laws = [law | {"figure": figures[law["name"]]} for law in content["toy_laws"]]
    prepare_folder(out)
    write_atomically(out / "report.html", render(content | {"toy_laws": laws}, figures))
    write_atomically(out / "report.json", json.dumps(content, indent=1, allow_nan=False))
    passed = content["verify"]["passed"]
    if as_json:
        print_json(content)
    else:
        num_passed = sum(check["passed"] for check in content["verify"]["checks"])
        model = content["text_model"]
        click.echo(f"{num_passed} of {len(content['verify']['checks'])} checks passed")
        click.echo(
            f"the bundled model: {model['bits_per_byte']:.3f} +- {model['standard_error']:.3f} bits per "
            f"byte of {model['source']} (byte frequencies {model['unigram_bits_per_byte']:.3f})"
        )
        click.echo(f"wrote {out / 'report.html'} and {out / 'report.json'} in {content['seconds']:.0f} s")
    return 0 if passed else 1


def _read_text(path: pathlib.Path | None) -> Text:
    """The model and the text; one that is too short is refused before anything is written."""
    from mdmot.data import hold_out_documents, read_corpus, tokenize
    from mdmot.experiments.text_model import byte_frequencies, some_windows
    from mdmot.models import bundled_model, load_checkpoint

    model = load_checkpoint(bundled_model())
    own = None if path is None else read_corpus(path)
    trained, held_out = hold_out_documents(read_corpus(None))
    corpus = held_out if own is None else own
    tokens = tokenize(corpus, model.vocabulary, None)
    some_windows(tokens, model.config.length, 2)
    usual = byte_frequencies(document.content for document in trained.documents())
    name = f"documents held out from the {corpus.name}" if own is None else corpus.name
    return Text(model, name, tokens, usual)


def _experiments(text: Text, seed: int) -> tuple[dict[str, Any], dict[str, str]]:
    from mdmot.checks import CHECKS, run_checks
    from mdmot.checks.learned import learned_optima
    from mdmot.experiments.data_to_schedule import chain_study, sticky_chains
    from mdmot.experiments.energy_plane import energy_planes, schedule_pairs
    from mdmot.experiments.text_model import text_model
    from mdmot.experiments.text_schedules import text_schedules
    from mdmot.experiments.toy_laws import toy_laws
    from mdmot.pages import figures

    with progress(3, "from data to schedule") as advance:
        chains, chain = sticky_chains(), chain_study()
        advance("chains")
        asked = text_schedules(seed, text.model, text.tokens)
        advance("text")
        model = text_model(seed, text.model, text.tokens, text.usual)
        advance("samples")
    with progress(len(CHECKS), "verify") as advance:
        checks = run_checks(advance)
        optima = learned_optima()
    with progress(3, "figures") as advance:
        planes, pairs, laws = energy_planes(), schedule_pairs(), toy_laws()
        advance("numbers")
        drawn = {
            "energy_planes": figures.energy_planes(planes),
            "schedule_pairs": figures.schedule_pairs(pairs),
            "learned_optima": figures.learned_optima(optima),
        }
        for name, profile, study in (
            ("chain", chain.profile, chain.study),
            ("text", asked.profile, asked.study),
        ):
            drawn |= {
                f"{name}_profile": figures.profile(profile),
                f"{name}_plans": figures.step_plans(study),
                f"{name}_path_kl": figures.path_kl_against_steps(study),
                f"{name}_gamma": figures.data_gamma(study),
            }
        advance("plots")
        drawn |= {law.name: figures.toy_law(law) for law in laws}
        advance("laws")
    content = {
        "verify": {
            "checks": [check._asdict() for check in checks],
            "passed": all(check.passed for check in checks),
            "precision": "float64",
            "versions": versions(),
        },
        "data_to_schedule": {
            "sticky_chains": [row._asdict() | {"best_beta": row.best_beta._asdict()} for row in chains],
            "chain": _study(chain.study, chain.saving) | {"profile": chain.profile.to_json()},
            "text": _study(asked.study, asked.saving)
            | {
                "profile": asked.profile.to_json(),
                "held_out_path_kl": asked.path_kl,
                "standard_error": asked.standard_error,
                "gain": asked.gain.nats,
                "gain_error": asked.gain_error,
                "gain_interval": asked.gain.interval,
                "gain_is_told": asked.gain.is_told,
                "gain_verdict": asked.gain.verdict,
            },
        },
        "learned_optima": {
            "before": optima.before.distance,
            "after": optima.after.distance,
            "samples": optima.samples,
            "sampled": [found.distance for found in optima.sampled],
            "decay": optima.decay,
        },
        "energy_planes": [plane._asdict() for plane in planes],
        "schedule_pairs": [pair._asdict() for pair in pairs],
        "toy_laws": [law._asdict() | {"sampled": [row._asdict() for row in law.sampled]} for law in laws],
        "text_model": model._asdict()
        | {
            "samples": [sample._asdict() for sample in model.samples],
            "source": text.name,
            "provenance": text.model.provenance,
        },
    }
    return jsonable(content), drawn


def _study(study: Any, saving: Any) -> dict[str, Any]:
    """A study as the report's JSON has it."""
    plans = [
        {
            "schedule": each.name,
            "counts": each.plan.counts,
            "path_kl": each.plan.path_kl,
            "linear_steps": each.linear_steps,
            "bounds": each.bounds._asdict() | {"upper": each.bounds.least},
        }
        for each in study.plans
    ]
    curves = {name: getattr(study, name) for name in ("sweep", "path_kl", "times", "gammas")}
    return {"plans": plans, "saving": saving._asdict(), **curves}
