"""`mdmot.report`: everything, on one page."""

import dataclasses
import hashlib
import json
import os
import pathlib
import time
from typing import Any

from mdmot.files import assert_writable, prepare_folder, write_atomically
from mdmot.pages.report_state import Done, read_state, write_state
from mdmot.provenance import versions
from mdmot.workflows.precision import computing_in
from mdmot.workflows.progress import Show, Tell, silent
from mdmot.workflows.reporting import SECTIONS, Section, content_of, found_in, judged_text

PAGE_FILE, CONTENT_FILE, STATE_FILE = "report.html", "report.json", "report.state"


@dataclasses.dataclass(frozen=True, repr=False)
class Report:
    """A report that is written.

    Attributes:
      folder: Where report.html and report.json are.
      content: What report.json holds.
    """

    folder: pathlib.Path
    content: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether all checks passed that were made."""
        return bool(self.content["verify"]["passed"]) if "verify" in self.content else True

    def __str__(self) -> str:
        lines = []
        if "verify" in self.content:
            checks = self.content["verify"]["checks"]
            lines.append(f"{sum(each['passed'] for each in checks)} of {len(checks)} checks passed")
        if "text_model" in self.content:
            model = self.content["text_model"]
            bits, error = model["bits_per_byte"], model["standard_error"]
            lines.append(
                f"the bundled model: {bits:.3f} +- {error:.3f} bits per byte of {model['source']} (byte "
                f"frequencies {model['unigram_bits_per_byte']:.3f})"
            )
        page, content = self.folder / PAGE_FILE, self.folder / CONTENT_FILE
        took = f"in {self.content['seconds']:.0f} s"
        return "\n".join([*lines, f"wrote {page} and {content} {took}; next: open the first"])

    def __repr__(self) -> str:
        return f"Report({'; '.join(str(self).splitlines())})"

    def to_json(self) -> dict[str, Any]:
        """What report.json holds."""
        return self.content


def report(
    out: str | os.PathLike[str] = "mdmot-report",
    *,
    text: str | os.PathLike[str] | None = None,
    quick: bool = False,
    seed: int = 0,
    show: Show | None = None,
    tell: Tell = silent,
) -> Report:
    """Compares decoders, finds the schedules that data ask for, verifies the theory, all on one page.

    The data are chains known exactly, and real text as the model that comes with mdmot sees it. It takes
    a minute or two on two cores. The page is written again after every section, those that take seconds
    first; after an interruption the same call goes on with the sections that are missing.

    Args:
      out: Folder for report.html (self-contained, plots inline) and report.json; made if absent, its other
        files left alone.
      text: Text file or folder to measure the model on; None for the sources of Python's library that its
        training held out.
      quick: Whether to leave out the sections that ask a network for much.
      seed: Of every random draw.
      show: Called as each part ends.
      tell: Called with a line as each section is written.

    Returns:
      What was found; that a check has failed is no error.

    Raises:
      InputError: If there is too little text, or the files cannot be written; before anything is computed.
    """
    folder = pathlib.Path(out)
    for name in (PAGE_FILE, CONTENT_FILE, STATE_FILE):
        assert_writable(folder / name)
    judged = judged_text(text)
    prepare_folder(folder)
    digest = hashlib.sha256(judged.tokens.tokens.tobytes()).hexdigest()
    of = {"seed": seed, "text": judged.name, "sha256": digest, "versions": versions()}
    asked = {name: section for name, section in SECTIONS.items() if section.is_quick or not quick}
    done = {name: each for name, each in read_state(folder / STATE_FILE, of).items() if name in asked}
    if done:
        tell(f"report: goes on, with {', '.join(done)} done")
    for name, section in asked.items():
        if name in done:
            continue
        start = time.monotonic()
        found = found_in(section, judged, seed=seed, show=show)
        with computing_in("float64"):
            drawn = _drawn(section, found)
        done[name] = Done(content_of(section, found), drawn, time.monotonic() - start)
        _write(folder, done, seed)
        write_state(folder / STATE_FILE, of, done)
        tell(f"report: {name} written, {len(done)} of {len(asked)} sections, {done[name].seconds:.0f} s")
    content = _write(folder, done, seed)
    (folder / STATE_FILE).unlink(missing_ok=True)
    return Report(folder, content)


def _write(folder: pathlib.Path, done: dict[str, Done], seed: int) -> dict[str, Any]:
    """Writes the page and its numbers, as far as they are known, and returns the numbers."""
    from mdmot.pages.page import render

    content: dict[str, Any] = {}
    drawn: dict[str, str] = {}
    for section in done.values():
        content |= section.content
        drawn |= section.figures
    seconds = sum(section.seconds for section in done.values())
    content |= {"seed": seed, "versions": versions(), "seconds": seconds, "command": "mdmot report"}
    shown = content
    if "toy_laws" in content:
        laws = [law | {"figure": drawn[law["name"]]} for law in content["toy_laws"]]
        shown = content | {"toy_laws": laws}
    write_atomically(folder / PAGE_FILE, render(shown, drawn))
    write_atomically(folder / CONTENT_FILE, json.dumps(content, indent=1, allow_nan=False))
    return content


def _drawn(section: Section, found: Any) -> dict[str, str]:
    """The plots of a section as SVG, by name."""
    from mdmot.pages import figures

    if section.name == "decoders":
        return {
            "decoder_losses": figures.decoder_losses(found),
            "order_steps": figures.order_steps(found.plans),
        }
    if section.name == "energies":
        return {
            "energy_planes": figures.energy_planes(found.planes),
            "schedule_pairs": figures.schedule_pairs(found.pairs),
        }
    if section.name == "optima":
        return {"learned_optima": figures.learned_optima(found)}
    if section.name == "laws":
        return {law.name: figures.toy_law(law) for law in found}
    if section.name != "data":
        return {}
    drawn: dict[str, str] = {}
    for name, profile, study in (
        ("chain", found.chain.profile, found.chain.study),
        ("text", found.text.profile, found.text.study),
    ):
        drawn |= {
            f"{name}_profile": figures.profile(profile),
            f"{name}_plans": figures.step_plans(study),
            f"{name}_path_kl": figures.path_kl_against_steps(study),
            f"{name}_gamma": figures.data_gamma(study),
        }
    return drawn
