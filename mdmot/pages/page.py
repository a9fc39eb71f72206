"""The report as one self-contained HTML page."""

import math
import statistics
from typing import Any

import jinja2


def render(content: dict[str, Any], figures: dict[str, str]) -> str:
    """The page.

    Args:
      content: What `report.json` holds, and each toy law's `figure`; chapters that are not in it are left
        out.
      figures: SVG elements by name.

    Returns:
      HTML that refers to nothing outside itself.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mdmot", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "short": _short}
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for check in content["verify"]["checks"] if "verify" in content else ():
        groups.setdefault((check["statement"], check["source"]), []).append(check)
    template = environment.get_template("page.html.j2")
    shorter: dict[str, Any] = {}
    if "which_decoder" in content:
        shorter["decoders"] = content["which_decoder"]
    if "learned_optima" in content:
        shorter["decay"] = _mean(content["learned_optima"]["decay"])
    if "data_to_schedule" in content:
        found = content["data_to_schedule"]
        shorter |= {"chains": found["sticky_chains"], "chain": found["chain"], "text": found["text"]}
    return template.render(content, figures=figures, groups=groups.values(), **shorter)


def _mean(values: list[float]) -> dict[str, float]:
    return {"mean": statistics.mean(values), "error": statistics.stdev(values) / len(values) ** 0.5}


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else _infinity(value, f"{value:.6g}")


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else _infinity(value, f"{value:.2g}")


def _infinity(value: float, text: str) -> str:
    return text if math.isfinite(value) else text.replace("inf", "∞")
