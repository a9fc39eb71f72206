"""Strict numerics for every test: double precision, no silent promotion, checked shapes."""

import atexit
import gc
import importlib.metadata
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator

# Tests compile many small programs and run each for microseconds: most of the time is XLA's. Half of it is
# LLVM's optimiser; two thirds of the rest are the emitters of today, beside which 0.10 has earlier ones; a
# quarter of what is left goes into cutting a program into parts that are compiled side by side.
# JAX 0.12 ends at a flag that it has not: in CI's run with the newest JAX tests compile as users do.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_backend_optimization_level=0",
        *["--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1"]
        * importlib.metadata.version("jaxlib").startswith("0.10."),
    ]
).strip()

import jax
import jax.monitoring
import pytest
from jaxtyping import install_import_hook

# A command that a test starts keeps what JAX compiles in the user's cache folder: here one of the tests'
# own, which all of them share. Matplotlib's is left where it was, as its list of fonts takes long.
caches = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
os.environ.setdefault("MPLCONFIGDIR", str(caches / "matplotlib"))
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="mdmot-tests-")
    atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

# Tracing makes many objects that live on and few cycles: looking for these every 700 is 7 % of the time.
gc.set_threshold(50_000, 20, 100)

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Checks the annotated shapes and dtypes of every mdmot function while it is traced.
# An int may stand for a float, as type checkers have it (PEP 484).
install_import_hook("mdmot", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")


PROGRAMS = 1000
"""After so many, of 2 MB each, a worker forgets what it has compiled; the next file uses little of it."""
compiled = [0]


def count(event: str, seconds: float, **_: object) -> None:
    compiled[0] += event == "/jax/core/compile/backend_compile_duration"


jax.monitoring.register_event_duration_secs_listener(count)


@pytest.fixture(scope="module", autouse=True)
def few_programs() -> Iterator[None]:
    """Keeps the memory of a worker within two or three gigabytes."""
    yield
    if compiled[0] > PROGRAMS:
        jax.clear_caches()
        compiled[0] = 0


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With MDMOT_NO_SKIPS set, as .ci/full sets it, a run that skips a test has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("MDMOT_NO_SKIPS") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="module")
def promotion() -> Iterator[None]:
    """For files that train: optax takes floats to the power of its int32 steps."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """A command line that returns its status, output and messages; it sets the precision of its process."""
    from mdmot.cli import main

    def command(*arguments: object) -> tuple[int, str, str]:
        status = main.status([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    yield command
    jax.config.update("jax_enable_x64", True)
