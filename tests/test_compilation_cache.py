"""What the command line keeps of JAX's work from one command to the next: never a word, never a number."""

import os
import pathlib
import subprocess
import sys
import warnings

import pytest

from mdmot import compilation_cache
from mdmot.compilation_cache import keep_programs, user_cache

OURS = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE", *compilation_cache.SETTINGS)


def energy(home, **environment):
    """Standard output and error of a command whose user has an empty or a used cache folder."""
    clean = {name: value for name, value in os.environ.items() if name not in OURS}
    done = subprocess.run(
        [sys.executable, "-m", "mdmot", "energy", "--schedule", "beta:0.7,0.9", "--gamma", "linear"],
        env=clean | {"XDG_CACHE_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, done.stderr


def kept(home):
    """Sizes of the kept programs by name."""
    return {path.name: path.stat().st_size for path in pathlib.Path(home).rglob("*-cache")}


def test_a_second_command_compiles_nothing_and_prints_the_same(tmp_path):
    first = energy(tmp_path)
    programs = kept(tmp_path)
    assert programs
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "mdmot" / "programs").iterdir())
    assert energy(tmp_path, JAX_RAISE_PERSISTENT_CACHE_ERRORS="1") == first
    assert kept(tmp_path) == programs
    assert first[1] == ""


def test_what_is_broken_is_forgotten_without_a_word(tmp_path):
    first = energy(tmp_path)
    programs = kept(tmp_path)
    for path in tmp_path.rglob("*-cache"):
        os.truncate(path, 100)
    assert energy(tmp_path) == first
    energy(tmp_path)
    assert set(kept(tmp_path)) == set(programs)
    assert min(kept(tmp_path).values()) > 100


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path):
    (tmp_path / "file").touch()
    out, err = energy(tmp_path / "file")
    assert out.startswith("energy 11.5")
    assert err == ""


def test_a_folder_in_which_nothing_fits_is_done_without(tmp_path):
    """Every program's place is taken by a folder: as on a full disk, each of them fails to be written."""
    first = energy(tmp_path)
    for path in list(tmp_path.rglob("*-cache")):
        path.unlink()
        path.mkdir()
    assert energy(tmp_path) == first


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """An environment of the user's alone, and a warning's usual way."""
    found = {"XDG_CACHE_HOME": str(tmp_path)}
    monkeypatch.setattr(os, "environ", found)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    return found


def test_the_user_has_the_last_word(environment, tmp_path):
    for word in ("0", "False"):
        environment["JAX_ENABLE_COMPILATION_CACHE"] = word
        keep_programs()
        assert set(environment) & set(OURS) == {"JAX_ENABLE_COMPILATION_CACHE"}
    del environment["JAX_ENABLE_COMPILATION_CACHE"]
    environment["JAX_COMPILATION_CACHE_DIR"] = "elsewhere"
    keep_programs()
    assert {name: environment[name] for name in OURS if name in environment} == {OURS[0]: "elsewhere"}
    del environment["JAX_COMPILATION_CACHE_DIR"]
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "2"
    keep_programs()
    assert environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "2"
    assert pathlib.Path(environment["JAX_COMPILATION_CACHE_DIR"]).is_relative_to(tmp_path)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_nothing_is_kept_where_others_can_write(environment, tmp_path, mode):
    (tmp_path / "mdmot" / "programs").mkdir(parents=True)
    (tmp_path / "mdmot" / "programs").chmod(mode)
    keep_programs()
    assert "JAX_COMPILATION_CACHE_DIR" not in environment


def test_programs_of_another_jaxlib_or_processor_are_apart(environment, monkeypatch):
    def folder():
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        keep_programs()
        return environment.get("JAX_COMPILATION_CACHE_DIR")

    first = folder()
    assert folder() == first
    monkeypatch.setattr("jaxlib.version.__version__", "99.10.0")
    other = folder()
    assert other != first
    monkeypatch.setattr(os, "cpu_count", lambda: 999)
    assert folder() not in (first, other)
    monkeypatch.setattr("jaxlib.version.__version__", "0.10.1")
    assert folder() is None


def test_too_much_is_thrown_away(environment, monkeypatch):
    keep_programs()
    program = pathlib.Path(environment.pop("JAX_COMPILATION_CACHE_DIR")) / "jit_f-cache"
    program.write_bytes(b"0123456789")
    monkeypatch.setattr(compilation_cache, "MOST_BYTES", 10)
    keep_programs()
    assert program.exists()
    del environment["JAX_COMPILATION_CACHE_DIR"]
    monkeypatch.setattr(compilation_cache, "MOST_BYTES", 9)
    keep_programs()
    assert not program.exists()


def test_other_warnings_are_still_shown(environment, monkeypatch):
    shown = []
    monkeypatch.setattr(warnings, "showwarning", lambda *arguments: shown.append(arguments[0]))
    keep_programs()
    for text in ("Error writing persistent compilation cache entry for 'jit_f': full", "something else"):
        warnings.showwarning(UserWarning(text), UserWarning, "file.py", 1)
    assert [str(warning) for warning in shown] == ["something else"]


def test_the_place_is_that_of_the_system(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "environ", {"HOME": str(tmp_path), "XDG_CACHE_HOME": "relative"})
    monkeypatch.setattr(sys, "platform", "linux")
    assert user_cache() == tmp_path / ".cache"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert user_cache() == tmp_path / "Library" / "Caches"
    monkeypatch.setattr(sys, "platform", "win32")
    os.environ["LOCALAPPDATA"] = str(tmp_path / "local")
    assert user_cache() == tmp_path / "local"
    os.environ["XDG_CACHE_HOME"] = str(tmp_path / "xdg")
    assert user_cache() == tmp_path / "xdg"


def test_only_the_command_line_keeps_programs():
    script = (
        "import os; before = dict(os.environ); import mdmot.__main__, mdmot.samplers; "
        "from mdmot.cli.main import status; status(['--version']); print(before == dict(os.environ))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("True\n")
