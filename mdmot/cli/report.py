"""`mdmot report`: everything, on one page."""

import json
import pathlib
import time
from typing import Any

import click

from mdmot.cli.options import common, jsonable, print_json, progress, use_precision, versions


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
    help="Text file or folder to train the toy model on.  [default: Python's own library sources]",
)
@common
def report(out: pathlib.Path, text_path: pathlib.Path | None, seed: int, as_json: bool) -> int:
    """Find the schedules that data ask for, verify the theory, and show all of it on one page.

    The data are chains known exactly, and real text as a toy model trained on it sees it.

    Writes report.html (self-contained, plots inline) and report.json. Takes about three minutes on two
    cores. Exit status 1 if a check failed; the report is written all the same.
    """
    start = time.monotonic()
    use_precision("float64")
    from mdmot.files import prepare_folder, write_atomically

    _require_text(text_path)
    prepare_folder(out)
    content, figures = _experiments(text_path, seed)
    content |= {"seconds": time.monotonic() - start, "seed": seed, "command": "mdmot report"}

    from mdmot.report.page import render

    laws = [law | {"figure": figures[law["name"]]} for law in content["toy_laws"]]
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
            f"toy text model: {model['bits_per_byte']:.3f} +- {model['standard_error']:.3f} bits per byte "
            f"held out (byte frequencies {model['unigram_bits_per_byte']:.3f})"
        )
        click.echo(f"wrote {out / 'report.html'} and {out / 'report.json'} in {content['seconds']:.0f} s")
    return 0 if passed else 1


def _require_text(text_path: pathlib.Path | None) -> None:
    """Refuses a text that cannot be trained on before anything is written."""
    from mdmot.experiments.text_model import HELD_OUT_EVERY, MAX_BYTES, SETTING
    from mdmot.training import byte_windows, hold_out, read_text

    hold_out(byte_windows(read_text(text_path, MAX_BYTES), SETTING.config.length), HELD_OUT_EVERY)


def _experiments(text_path: pathlib.Path | None, seed: int) -> tuple[dict[str, Any], dict[str, str]]:
    from mdmot.cli.profiling import warnings_as_lines
    from mdmot.errors import InputError
    from mdmot.experiments.data_to_schedule import chain_study, sticky_chains
    from mdmot.experiments.energy_plane import energy_planes, schedule_pairs
    from mdmot.experiments.text_model import SETTING, text_model, train_text_model
    from mdmot.experiments.text_schedules import text_schedules
    from mdmot.experiments.toy_laws import toy_laws
    from mdmot.report import figures
    from mdmot.training import DivergenceError
    from mdmot.verify import CHECKS, run_checks

    num_steps = SETTING.num_steps
    with progress(num_steps, "train the toy model") as advance:
        try:
            trained = train_text_model(
                seed, text_path, SETTING, lambda step, loss: advance(f"loss {loss:.2f}")
            )
        except DivergenceError as error:
            raise InputError(
                f"training the toy model diverged in step {error.step}, expected a finite loss; "
                "pass another --seed or --text"
            ) from None
    with progress(3, "from data to schedule") as advance:
        chains, chain = sticky_chains(), chain_study()
        advance("chains")
        with warnings_as_lines():
            text = text_schedules(seed, trained)
        advance("text")
        model = text_model(seed, trained)
        advance("samples")
    with progress(len(CHECKS), "verify") as advance:
        checks = run_checks(advance)
    with progress(3, "figures") as advance:
        planes, pairs, laws = energy_planes(), schedule_pairs(), toy_laws()
        advance("numbers")
        drawn = {
            "energy_planes": figures.energy_planes(planes),
            "schedule_pairs": figures.schedule_pairs(pairs),
            "training_curve": figures.training_curve(
                model.losses, model.bits_per_byte, model.unigram_bits_per_byte
            ),
        }
        for name, profile, study in (
            ("chain", chain.profile, chain.study),
            ("text", text.profile, text.study),
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
    source = "Python's standard library" if text_path is None else str(text_path)
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
            "text": _study(text.study, text.saving)
            | {
                "profile": text.profile.to_json(),
                "held_out_path_kl": text.path_kl,
                "standard_error": text.standard_error,
                "gain": text.gain,
                "gain_error": text.gain_error,
            },
        },
        "energy_planes": [plane._asdict() for plane in planes],
        "schedule_pairs": [pair._asdict() for pair in pairs],
        "toy_laws": [law._asdict() | {"sampled": [row._asdict() for row in law.sampled]} for law in laws],
        "text_model": model._asdict()
        | {
            "samples": [sample._asdict() for sample in model.samples],
            "source": source,
            "steps": num_steps,
            "sample_length": SETTING.config.length,
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
        }
        for each in study.plans
    ]
    curves = {name: getattr(study, name) for name in ("sweep", "path_kl", "times", "gammas")}
    return {"plans": plans, "saving": saving._asdict(), **curves}
