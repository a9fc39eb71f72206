"""Sizes that a file or an option tells cost nothing until something is as large."""

import json
import subprocess
import sys

import numpy as np
import pytest

from mdmot.cli import main
from mdmot.errors import InputError
from mdmot.information import exact_profile, read_profile, write_profile
from mdmot.plans import Fixed, Plan, optimal_alpha, optimal_counts, optimal_path_kls, read_plan, write_plan

SPARE = 2**30
"""Bytes that a process may take beyond what it has when all is loaded."""

UNDER_A_LIMIT = f"""
import pathlib, resource, sys
import mdmot.information, mdmot.plans
pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + {SPARE}
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    mdmot.information.read_profile(sys.argv[1])
except mdmot.InputError as error:
    print(error)
"""


def changed(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return path


@pytest.fixture
def profile(tmp_path):
    write_profile(tmp_path / "profile.json", exact_profile([0.75, 0.25, 0.0]))
    return tmp_path / "profile.json"


@pytest.fixture
def plan(tmp_path):
    write_plan(tmp_path / "plan.json", Plan(3, Fixed([1, 2]), path_kl=0.25))
    return tmp_path / "plan.json"


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit of memory")
def test_the_length_of_a_profile_takes_no_memory(profile):
    changed(profile, length=10**9)
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT, str(profile)], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\n") == 1
    assert "fitted has 3 numbers, expected one for each of 1000000000 tokens" in done.stdout


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"length": 10**400}, "expected one for each of 1000"),
        ({"levels": [0, 1e299, 2]}, "levels are not all whole numbers"),
        ({"levels": [0, 2**62, 2]}, "levels are not all whole numbers"),
        ({"levels": list(range(1000))}, "expected them to increase within 0..2"),
    ],
)
def test_huge_numbers_in_a_profile_are_one_short_line(profile, fields, words):
    with pytest.raises(InputError, match=words) as raised:
        read_profile(changed(profile, **fields))
    assert len(str(raised.value)) < len(str(profile)) + 200


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"length": 10**400, "counts": [0, 10**400]}, "length is 1000"),
        ({"length": 2**63, "counts": [1, 2**63 - 1]}, "length is 9223"),
        ({"steps": 10**400}, "steps is 1000"),
        ({"counts": [1, 10**400]}, r"counts\[1\] is 1000"),
        ({"length": 10**9}, "counts sum to 3"),
        ({"steps": 10**9}, "counts has 2 entries"),
    ],
)
def test_huge_numbers_in_a_plan_are_one_short_line(plan, fields, words):
    with pytest.raises(InputError, match=words) as raised:
        read_plan(changed(plan, **fields))
    assert len(str(raised.value)) < len(str(plan)) + 200


@pytest.mark.parametrize("steps", [6000, 10**9])
def test_steps_whose_plan_would_not_fit_into_memory(capsys, profile, steps):
    assert main.status(["tune", str(profile), "--reveal", "bernoulli", "--steps", str(steps)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"mdmot: {steps} steps over" in err
    assert "more than the limit 2^28; pass fewer steps" in err
    long = np.zeros(2**15)
    for plan_of in (optimal_counts, optimal_path_kls):
        with pytest.raises(InputError, match="more than the limit"):
            plan_of(long, 2**14)
    with pytest.raises(InputError, match="more than the limit"):
        optimal_alpha(long, 2**14)


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes."), True),
        (RuntimeError("a defect"), False),
    ],
)
def test_no_memory_is_one_line(capsys, monkeypatch, error, is_memory):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(main.commands, "main", fail)
    if not is_memory:
        with pytest.raises(RuntimeError, match="a defect"):
            main.status(["verify"])
        return
    assert main.status(["verify"]) == 2
    assert capsys.readouterr().err.startswith("mdmot: out of memory; ask for less")
