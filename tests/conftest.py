"""Strict numerics for every test: double precision, no silent promotion, checked shapes."""

import os

# Tests compile many small programs and run each for microseconds: half the time is LLVM's optimiser.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0".strip()

import jax
import pytest
from jaxtyping import install_import_hook

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
