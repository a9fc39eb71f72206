"""`mdmot.report`: everything, on one page."""

import dataclasses
import json
import os
import pathlib
import time
from typing import TYPE_CHECKING, Any

from mdmot.files import assert_writable, prepare_folder, write_atomically
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Show, counted
from mdmot.workflows.reporting import findings, judged_text

if TYPE_CHECKING:
    from mdmot.workflows.reporting import Findings

PAGE_FILE, CONTENT_FILE = "report.html", "report.json"


@dataclasses.dataclass(frozen=True, repr=False)
class Report:
    """A report that is written.

    Attributes:
      folder: Where report.html and report.json are.
      findings: What they show.
      seconds: That it took.
    """

    folder: pathlib.Path
    findings: "Findings"
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether all checks passed."""
        return self.findings.verification.passed

    def __str__(self) -> str:
        page, content = self.folder / PAGE_FILE, self.folder / CONTENT_FILE
        return f"{self.findings}\nwrote {page} and {content} in {self.seconds:.0f} s"

    def __repr__(self) -> str:
        return f"Report({'; '.join(str(self).splitlines())})"

    def to_json(self) -> dict[str, Any]:
        """What report.json holds."""
        return self.findings.to_json() | {"seconds": self.seconds, "command": "mdmot report"}


def report(
    out: str | os.PathLike[str] = "mdmot-report",
    *,
    text: str | os.PathLike[str] | None = None,
    seed: int = 0,
    show: Show | None = None,
) -> Report:
    """Compares decoders, finds the schedules that data ask for, verifies the theory, all on one page.

    The data are chains known exactly, and real text as the model that comes with mdmot sees it. It takes
    a minute or two on two cores.

    Args:
      out: Folder for report.html (self-contained, plots inline) and report.json; made if absent, its other
        files left alone.
      text: Text file or folder to measure the model on; None for the sources of Python's library that its
        training held out.
      seed: Of every random draw.
      show: Called as each part ends.

    Returns:
      What was found; that a check has failed is no error.

    Raises:
      InputError: If there is too little text, or the files cannot be written; before anything is computed.
    """
    start = time.monotonic()
    folder = pathlib.Path(out)
    for name in (PAGE_FILE, CONTENT_FILE):
        assert_writable(folder / name)
    found = findings(judged_text(text), seed=seed, show=show)
    with computing_in("float64"):
        drawn = figures_of(found, show)
    done = Report(folder, found, time.monotonic() - start)
    from mdmot.pages.page import render

    content = done.to_json()
    laws = [law | {"figure": drawn[law["name"]]} for law in content["toy_laws"]]
    prepare_folder(folder)
    write_atomically(folder / PAGE_FILE, render(content | {"toy_laws": laws}, drawn))
    write_atomically(folder / CONTENT_FILE, json.dumps(content, indent=1, allow_nan=False))
    return done


def figures_of(found: "Findings", show: Show | None = None) -> dict[str, str]:
    """The plots of the report as SVG, by name.

    Args:
      found: What they show.
      show: Called as each chapter is drawn.
    """
    from mdmot.pages import figures

    advance = counted(show, "figures", 3)
    drawn = {
        "energy_planes": figures.energy_planes(found.planes),
        "schedule_pairs": figures.schedule_pairs(found.pairs),
        "learned_optima": figures.learned_optima(found.optima),
        "decoder_losses": figures.decoder_losses(found.decoders),
        "order_steps": figures.order_steps(found.decoders.plans),
    }
    advance("theory")
    for name, profile, study in (
        ("chain", found.chain.profile, found.chain.study),
        ("text", found.asked.profile, found.asked.study),
    ):
        drawn |= {
            f"{name}_profile": figures.profile(profile),
            f"{name}_plans": figures.step_plans(study),
            f"{name}_path_kl": figures.path_kl_against_steps(study),
            f"{name}_gamma": figures.data_gamma(study),
        }
    advance("plans")
    drawn |= {law.name: figures.toy_law(law) for law in found.laws}
    advance("laws")
    return drawn
