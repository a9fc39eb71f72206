"""Sphinx configuration."""

import importlib.metadata
import re
from typing import Any

project = "mdmot"
author = "The mdmot developers"
copyright = "2026, the mdmot developers"
release = version = importlib.metadata.version("mdmot")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "deflist"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "imported-members": True}
napoleon_use_ivar = True
html_theme = "furo"
html_title = "mdmot"
exclude_patterns = ["_build"]
suppress_warnings = ["ref.python"]


def escape_bars(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Lets docstrings write |S| and p^* as text; reStructuredText would look for markup in them."""
    del app, what, name, obj, options
    is_code = re.compile(r"\s*(>>>|\.\.)|.*`")
    lines[:] = [line if is_code.match(line) else re.sub(r"[|*]", r"\\\g<0>", line) for line in lines]


def setup(app: Any) -> None:
    """Registers the hook; before napoleon (priority 500), which adds markup of its own."""
    app.connect("autodoc-process-docstring", escape_bars, priority=400)
