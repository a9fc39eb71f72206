"""The plots of a profile or of an order, and of the steps that were tuned for it."""

import pathlib

from mdmot.experiments.data_to_schedule import schedule_study
from mdmot.files import prepare_folder, write_atomically
from mdmot.pages import figures
from mdmot.workflows.order_learning import OrderLearned
from mdmot.workflows.order_tuning import OrderTuned
from mdmot.workflows.precision import computing_in
from mdmot.workflows.tuned import Tuned


def write_plots(folder: pathlib.Path, found: Tuned) -> None:
    """Writes profile, step_plans, path_kl_against_steps and data_gamma as .svg, the folder made if absent.

    Args:
      folder: Where.
      found: What `mdmot.tune` returned.
    """
    tuned = found.tuning
    with computing_in("float64"):
        study = schedule_study(found.profile.fitted, tuned.plan.steps, type(tuned.plan.reveal), tuned)
    drawn = {
        "profile": figures.profile(found.profile),
        "step_plans": figures.step_plans(study),
        "path_kl_against_steps": figures.path_kl_against_steps(study),
        "data_gamma": figures.data_gamma(study),
    }
    _write(folder, drawn)


def write_order_plots(folder: pathlib.Path, found: OrderTuned | OrderLearned) -> None:
    """Writes order_losses and order_steps as .svg, the folder made if absent.

    Args:
      folder: Where.
      found: What `mdmot.tune` returned for an order, or `mdmot.learn_order`.
    """
    drawn = {
        "order_losses": figures.order_losses(found.taken.table),
        "order_steps": figures.order_steps({f"order {found.plan.order.name}": found.plan}),
    }
    _write(folder, drawn)


def _write(folder: pathlib.Path, drawn: dict[str, str]) -> None:
    prepare_folder(folder)
    for name, svg in drawn.items():
        write_atomically(folder / f"{name}.svg", svg)
