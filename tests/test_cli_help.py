"""Help in groups, completion in the shell, and what is said of this machine and of folders."""

import importlib.metadata
import json
import os
import subprocess
import sys

import pytest

from mdmot.cli import main
from mdmot.cli.knobs import KNOBS
from mdmot.cli.options import print_table
from mdmot.cli.samplers import SAMPLERS, knob_sections
from mdmot.plans import Fixed, Plan, write_plan


def run(capsys, *arguments):
    status = main.status([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def headings(text):
    """The lines below each heading of a help."""
    found, heading = {}, None
    for line in text.splitlines():
        if line and not line.startswith(" "):
            heading = line.removesuffix(":")
            found[heading] = []
        elif line.startswith("  ") and not line.startswith("   ") and heading:
            found[heading].append(line.split()[0])
    return found


def test_commands_are_shown_in_groups(capsys):
    found = headings(run(capsys, "--help")[1])
    assert found["Decide how to sample"] == ["compare", "profile", "tune"]
    assert found["This machine"] == ["doctor"]
    shown = [name for names in main.SECTIONS.values() for name in names]
    assert sorted(shown) == sorted(main.commands.commands)
    assert all(found[heading] == list(names) for heading, names in main.SECTIONS.items())


def test_options_of_sample_are_shown_by_sampler(capsys):
    found = headings(run(capsys, "sample", "--help")[1])
    assert found["Of remdm-loop"] == ["--loop-start", "--loop-stop", "--loop-alpha"]
    assert found["Of klass, punt"] == ["--divergence"]
    assert "--steps" in found["In which steps"]
    everything = [name for names in found.values() for name in names if name.startswith("-")]
    options = [option for option in main.commands.commands["sample"].params if option.opts[0][:2] == "--"]
    assert sorted(set(everything)) == sorted({*(option.opts[0] for option in options), "-h,"})
    for heading, options in knob_sections().items():
        if heading.startswith("Of ") and "several" not in heading:
            for name in heading.removeprefix("Of ").split(", "):
                assert set(options) <= set(SAMPLERS[name].reads)
                assert set(options) <= set(KNOBS)


def test_the_shell_completes_commands():
    environment = os.environ | {
        "_MDMOT_COMPLETE": "bash_complete",
        "COMP_WORDS": "mdmot do",
        "COMP_CWORD": "1",
    }
    script = "from mdmot.cli.main import main; import sys; main(); print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout == "plain,doctor\n", done.stderr


def test_the_doctor_names_versions_devices_and_precision(capsys):
    status, out, _ = run(capsys, "doctor", "--json")
    found = json.loads(out)
    assert status == 0
    assert found["versions"]["jax"] == importlib.metadata.version("jax")
    assert found["devices"][0]["platform"] == "cpu"
    assert found["x64"] is True
    assert found["problems"] == []
    status, out, _ = run(capsys, "doctor")
    assert (status, out.splitlines()[-1]) == (0, "all is well")
    assert "double precision: there" in out


def test_the_doctor_says_what_is_wrong(capsys, monkeypatch):
    monkeypatch.setattr("mdmot.models.bundled_model", lambda: "gone")
    status, out, _ = run(capsys, "doctor")
    assert status == 1
    assert "PROBLEM the model that comes with mdmot does not load: model gone" in out


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "law.txt").write_text("ab\nba\n")
    write_plan(tmp_path / "plan.json", Plan(3, Fixed([1, 2])))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"model_type": "bert"}')
    return tmp_path


def test_inspection_says_what_a_name_stands_for_and_whether_it_loads(capsys, folder):
    def inspected(*arguments):
        status, out, _ = run(capsys, "inspect", *arguments, "--json")
        found = json.loads(out)
        assert status == (0 if found["loads"] else 1)
        return found

    own = inspected()
    assert (own["kind"], own["loads"]) == ("model that mdmot saved", True)
    assert (own["about"]["tokens"], own["about"]["weights"]) == (256, 2361600)
    assert inspected(folder / "law.txt")["kind"] == "law"
    plan = inspected(folder / "plan.json")
    assert (plan["kind"], plan["about"]["steps"], plan["about"]["counts"]) == ("plan", 2, [1, 2])
    broken = inspected(folder / "broken")
    assert (broken["kind"], broken["loads"]) == ("folder of bert", False)
    status, out, _ = run(capsys, "inspect", folder / "broken")
    assert (status, out.splitlines()[0].endswith(broken["error"])) == (1, True)
    status, out, _ = run(capsys, "inspect", folder / "law.txt")
    assert "law.txt: law, loads\n" in out


def test_what_is_written_says_what_comes_next(capsys, folder):
    law, plan, profile = folder / "law.txt", folder / "a plan.json", folder / "profile.json"
    said = run(capsys, "tune", law, "--steps", 1, "--out", plan)[2]
    assert said == f"wrote {plan}; next: mdmot sample {law} --schedule '{plan}'\n"
    said = run(capsys, "profile", law, "--out", profile, "--plots", folder / "plots")[2]
    assert said == f"wrote {profile}; next: mdmot tune {profile} --steps 2\nwrote {folder / 'plots'}\n"
    said = run(capsys, "tune", profile, "--steps", 1, "--out", plan)[2]
    assert said == f"wrote {plan}; next: mdmot inspect '{plan}'\n"


def test_numbers_are_not_cut_in_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    print_table(("quantity", "value"), [("kl, nats", "0.123456789123")])
    out = capsys.readouterr().out
    assert "…" not in out
    cells = [line.split("│") for line in out.splitlines() if line.startswith("│")]
    assert "".join(cell[2].strip() for cell in cells) == "0.123456789123"
