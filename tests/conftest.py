"""Strict numerics for every test: double precision, no silent promotion, checked shapes."""

import atexit
import os
import pathlib
import shutil
import tempfile

# Tests compile many small programs and run each for microseconds: half the time is LLVM's optimiser.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0".strip()

import jax
import pytest
from jaxtyping import install_import_hook

# A command that a test starts keeps what JAX compiles in the user's cache folder: here one of the tests'
# own, which all of them share. Matplotlib's is left where it was, as its list of fonts takes long.
caches = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
os.environ.setdefault("MPLCONFIGDIR", str(caches / "matplotlib"))
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="mdmot-tests-")
    atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Checks the annotated shapes and dtypes of every mdmot function while it is traced.
# An int may stand for a float, as type checkers have it (PEP 484).
install_import_hook("mdmot", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With MDMOT_NO_SKIPS set, as .ci/full sets it, a run that skips a test has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("MDMOT_NO_SKIPS") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
