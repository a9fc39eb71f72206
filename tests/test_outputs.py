"""Outputs destroy nothing: links, devices and pipes stay what they are, and a refusal leaves no trace."""

import contextlib
import json
import os
import pathlib
import stat
import subprocess
import sys
import threading

import pytest

from mdmot.cli import main
from mdmot.errors import InputError
from mdmot.files import assert_writable, write_atomically

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, devices and modes of POSIX")

LAW = "markov:stay=.9,states=2,length=4"


def run(capsys, *arguments):
    status = main.status([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_links_are_written_through(tmp_path):
    (tmp_path / "there").mkdir()
    target, link, second = tmp_path / "there" / "plan", tmp_path / "link", tmp_path / "second"
    link.symlink_to("there/plan")
    second.symlink_to("link")
    for content in ("new", "again"):  # of a link that leads nowhere yet, too
        write_atomically(second, content)
        assert (link.is_symlink(), second.is_symlink(), target.is_symlink()) == (True, True, False)
        assert target.read_text() == content
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link", "plan", "second", "there"]
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    for refuse in (assert_writable, lambda path: write_atomically(path, "x")):
        with pytest.raises(InputError, match="cannot be written"):
            refuse(loop)
    assert loop.is_symlink()


def test_modes_are_kept(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("old")
    old.chmod(0o640)
    before = os.umask(0o077)
    try:
        write_atomically(old, "x")
        write_atomically(new, "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    write_atomically(tmp_path / ("n" * 250), "x")


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everything")
def test_protected_files_are_refused(tmp_path):
    path = tmp_path / "protected"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(InputError, match="Permission denied"):
        write_atomically(path, "new")
    assert path.read_text() == "old"


def test_devices_stay_devices(tmp_path, capsys):
    link = tmp_path / "null"
    link.symlink_to(os.devnull)
    for path in (pathlib.Path(os.devnull), link):
        assert run(capsys, "tune", LAW, "--steps", 2, "--out", path)[0] == 0
        assert stat.S_ISCHR(path.stat().st_mode)
    assert (link.is_symlink(), list(tmp_path.iterdir())) == (True, [link])


def test_pipes_get_what_is_whole(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    assert_writable(pipe)  # without opening it
    write_atomically(pipe, "x" * 10**6)
    reader.join()
    assert (got, stat.S_ISFIFO(pipe.stat().st_mode)) == ([b"x" * 10**6], True)


def test_standard_output_by_its_name_as_a_device(tmp_path):
    code = "import pathlib; from mdmot.files import write_atomically as write; print('a');"
    code += "write(pathlib.Path('/dev/stdout'), 'b\\n'); print('c')"
    out = tmp_path / "out"
    with out.open("wb") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert out.read_text() == "a\nb\nc\n"
    piped = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert piped.stdout == b"a\nb\nc\n"


def test_folders_and_sockets_are_refused(tmp_path):
    import socket

    path = tmp_path / "socket"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(path))
        for refuse in (assert_writable, lambda path: write_atomically(path, "x")):
            for what in (path, tmp_path):
                with pytest.raises(InputError, match="cannot be written"):
                    refuse(what)
        assert stat.S_ISSOCK(path.stat().st_mode)


@pytest.mark.parametrize("command", [("tune", "--steps", 2), ("profile",)])
def test_a_dash_is_standard_output(capsys, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, *options = command
    status, out, err = run(capsys, name, LAW, *options, "--out", "-")
    assert status == 0
    assert json.loads(out)["kind"] == ("plan" if name == "tune" else "profile")
    assert "lose" in err
    status, out, err = run(capsys, name, LAW, *options, "--out", "-", "--json")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "--out - and --json" in err
    assert not list(tmp_path.iterdir())


def test_a_refused_training_leaves_nothing(capsys, tmp_path):
    text = tmp_path / "text"
    text.mkdir()
    for number in range(40):
        (text / f"{number}.txt").write_text("some words\n")
    before = {"text"}

    def refused(out, *options):
        status, _, err = run(capsys, "train", "--preset", "tiny", "--text", text, "--out", out, *options)
        assert (status, err.count("\n")) == (2, 1), err
        assert {path.name for path in tmp_path.iterdir()} == before
        return err

    assert "pass a longer" in refused(tmp_path / "new" / "deep", "--length", 64)
    before.add("shared")  # others may be at work in it
    refused(tmp_path / "new", "--length", 64, "--cache", tmp_path / "shared")
    assert list((tmp_path / "shared").iterdir())
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    before.add("foreign")
    for name in ("weights.safetensors", "metrics.jsonl"):
        (foreign / name).write_text("mine")
        assert f"{name} is not of a training run and would be lost" in refused(foreign, "--length", 4)
        assert [(path.name, path.read_text()) for path in foreign.iterdir()] == [(name, "mine")]
        (foreign / name).unlink()
    (foreign / "notes").write_text("mine")
    assert "pass a longer" in refused(foreign, "--length", 64)
    assert [path.name for path in foreign.iterdir()] == ["notes"]


def test_a_run_of_another_process_is_left_alone(capsys, tmp_path):
    from mdmot.files import alone_in
    from mdmot.training.run_folder import nothing_left_if_refused

    out = tmp_path / "run"

    def refused(other):
        with nothing_left_if_refused(out, out / "tokens"):
            out.mkdir()
            other.enter_context(alone_in(out))
            (out / "config.json").write_text("the other's")
            raise InputError("in use")

    with contextlib.ExitStack() as other, pytest.raises(InputError, match="in use"):
        refused(other)
    assert (out / "config.json").read_text() == "the other's"


@pytest.mark.parametrize(
    "arguments",
    [
        ("tune", "gone.txt", "--steps", 2, "--out", "new/deep/plan.json", "--plots", "plots/deep"),
        ("profile", "gone.txt", "--out", "new/deep/profile.json", "--plots", "plots/deep"),
        ("report", "--text", "gone.txt", "--out", "new/deep"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_refused_command_makes_no_folder(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, *arguments)
    assert (status, err.count("\n")) == (2, 1)
    assert "gone.txt" in err
    assert not list(tmp_path.iterdir())


def test_folders_are_made_for_what_is_written(capsys, tmp_path):
    plan, plots = tmp_path / "new" / "plan.json", tmp_path / "deep" / "plots"
    assert run(capsys, "profile", LAW, "--out", plan, "--plots", plots)[0] == 0
    assert plan.is_file()
    assert [path.name for path in plots.iterdir()] == ["profile.svg"]


@pytest.mark.parametrize(
    ("taken", "arguments"),
    [
        ("plots/data_gamma.svg", ("tune", LAW, "--steps", 2, "--plots", "plots")),
        ("plots/profile.svg", ("profile", LAW, "--plots", "plots")),
        ("out/report.json", ("report", "--out", "out")),
    ],
)
def test_a_folder_in_the_place_of_a_file_is_refused_before_any_work(
    capsys, tmp_path, monkeypatch, taken, arguments
):
    def compute(*_, **__):
        raise AssertionError("computed too early")

    for name in ("cli.tune.profile_of", "cli.profile.profile_of", "pages.reporting.judged_text"):
        monkeypatch.setattr(f"mdmot.{name}", compute)
    monkeypatch.chdir(tmp_path)
    (tmp_path / taken).mkdir(parents=True)
    status, out, err = run(capsys, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"{taken} cannot be written (Is a directory)" in err


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
@pytest.mark.parametrize("command", ["train", "report"])
def test_standard_output_is_no_folder(capsys, tmp_path, monkeypatch, name, command):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, command, "--out", name)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"--out {name} is standard output, expected a folder" in err
    assert not list(tmp_path.iterdir())


def test_the_device_of_standard_output_does_not_mix_with_json(capsys):
    status, out, err = run(capsys, "tune", LAW, "--steps", 2, "--out", "/dev/stdout", "--json")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "--out /dev/stdout and --json" in err


def test_a_running_training_keeps_its_files(capsys, tmp_path):
    from mdmot.files import alone_in

    out, text = tmp_path / "run", tmp_path / "text"
    for folder in (out, text):
        folder.mkdir()
    for number in range(40):
        (text / f"{number}.txt").write_text("some words\n" * 20)
    with alone_in(out):
        status, _, err = run(capsys, "train", "--preset", "tiny", "--text", text, "--out", out)
    assert (status, err.count("\n")) == (2, 1)
    assert "is in use by another process" in err
    assert not list(out.iterdir())


def test_a_state_may_lie_in_a_new_folder(capsys, tmp_path):
    state = tmp_path / "new" / "state.json"
    options = ("--estimate", "--draws", 8, "--levels", 3, "--batch", 8, "--resume", state)
    assert run(capsys, "profile", LAW, *options)[0] == 0
    assert json.loads(state.read_text())["kind"] == "profile-run"
