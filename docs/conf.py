"""Sphinx configuration."""

import importlib.metadata
import os
import re
from typing import Any

from mdmot.compilation_cache import keep_programs

project = "mdmot"
author = "The mdmot developers"
copyright = "2026, the mdmot developers"
release = version = importlib.metadata.version("mdmot")
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "deflist"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "imported-members": True}
napoleon_use_ivar = True
html_theme = "furo"
html_title = "mdmot"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
exclude_patterns = ["_build", "jupyter_execute"]  # the latter is made beside the folder of the pages
suppress_warnings = ["ref.python"]

# The notebooks of gallery/ run whenever they are built: a kept result would not be that of this mdmot.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 300  # seconds a cell, on a busy machine
nb_merge_streams = True
nb_output_stderr = "warn"  # what a notebook warns of is an error with -W
os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the numbers are those of any machine
keep_programs()  # the notebooks of a build, and of the next one, share what they compile


def escape_bars(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Lets docstrings write |S| and p^* as text; reStructuredText would look for markup in them."""
    del app, what, name, obj, options
    is_code = re.compile(r"\s*(>>>|\.\.)|.*`")
    lines[:] = [line if is_code.match(line) else re.sub(r"[|*]", r"\\\g<0>", line) for line in lines]


def setup(app: Any) -> None:
    """Registers the hook; before napoleon (priority 500), which adds markup of its own."""
    app.connect("autodoc-process-docstring", escape_bars, priority=400)
