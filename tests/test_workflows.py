"""What commands do, as functions: typed values with a form in JSON, progress by a callback."""

import json
import subprocess
import sys

import jax
import pytest

import mdmot
from mdmot.checks import CHECKS
from mdmot.checks.check import Claim, equal
from mdmot.checks.schedules import check_rate_integral
from mdmot.workflows import Progress, computing_in
from mdmot.workflows.progress import counted

WRONG = equal(Claim("half", "1/2 is 1", "nobody", "one number"), 1.0, 0.5, 0.1)


def test_the_claims_are_checked_in_the_precision_asked_for():
    seen, precisions = [], []

    def wrong():
        precisions.append(jax.config.read("jax_enable_x64"))
        return [WRONG]

    found = mdmot.verify("float32", checks=[check_rate_integral, wrong], show=seen.append)
    assert precisions == [False]
    assert jax.config.read("jax_enable_x64")  # as before
    assert [at.done for at in seen] == [0, 1, 2]
    assert seen[1] == Progress("verify", 1, 2, "rate integral")
    assert (found.failed, found.passed, found.precision) == ((WRONG,), False, "float32")
    assert repr(found) == "Verification(1 of 2 checks passed in float32; failed: half)"
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["checks"][1]["measured"] == 0.5
    assert content["versions"]["jax"] == jax.__version__


def test_all_claims_are_checked_unless_some_are_chosen(monkeypatch):
    asked = []
    monkeypatch.setattr("mdmot.checks.run_checks", lambda advance, checks: asked.append(checks) or [])
    mdmot.verify()
    assert asked == [CHECKS]


def test_a_precision_is_undone_after_an_error():
    with pytest.raises(KeyError), computing_in("float32"):
        raise KeyError
    assert jax.config.read("jax_enable_x64")


def test_progress_is_optional():
    counted(None, "work", 1)("done")


def test_workflows_load_jax_when_they_are_called():
    script = "import sys, mdmot.workflows; print('jax' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
