"""Sphinx configuration."""

from importlib.metadata import version

project = "mdmot"
author = "The mdmot developers"
copyright = "2026, the mdmot developers"
release = version("mdmot")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "deflist"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "imported-members": True}
html_theme = "furo"
html_title = "mdmot"
exclude_patterns = ["_build"]
suppress_warnings = ["ref.python"]
