"""The command line: its JSON to the letter, its exit status, and one line for bad input."""

import importlib.metadata
import json
import subprocess
import sys
import types
import warnings

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mdmot
from mdmot.checks.check import Check
from mdmot.checks.learned import LearnedOptima
from mdmot.checks.learned_flow import Optimum
from mdmot.cli import main
from mdmot.errors import InputError, InputWarning
from mdmot.experiments import data_to_schedule, text_model, text_schedules, toy_laws, which_decoder
from mdmot.files import alone_in, write_atomically
from mdmot.pages.page import render
from mdmot.pages.report_state import Done, read_state, write_state
from mdmot.plans import parse_interpolation, parse_mask_schedule
from mdmot.workflows import computing_in, laws, reporting


@pytest.fixture
def two_words(tmp_path):
    path = tmp_path / "two.txt"
    path.write_text("aaaaa\nbbbbb\n")
    return str(path)


def run(capsys, *arguments):
    status = main.status(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


WHERE = ("versions", "device")
"""What every JSON says."""


def test_energy_json(capsys):
    status, out, _ = run(capsys, "energy", "--schedule", "beta:0.7,0.9", "--gamma", "beta:1,1", "--json")
    found = json.loads(out)
    assert status == 0
    assert set(found) == {"schedule", "gamma", "energy", "energy_over_minimum", "seed", *WHERE}
    assert found["versions"]["mdmot"] == importlib.metadata.version("mdmot")
    assert found["device"] == f"{jax.local_device_count()} {jax.local_devices()[0].device_kind}"
    assert found["energy_over_minimum"] == pytest.approx(1.167005518609, rel=1e-12)
    assert found["energy"] == pytest.approx(np.pi**2 * 1.167005518609, rel=1e-12)


def test_infinite_energy_is_a_string(capsys):
    status, out, _ = run(capsys, "energy", "--schedule", "linear", "--gamma", "linear", "--json")
    assert status == 0
    assert json.loads(out)["energy"] == "inf"


LAW_FIELDS = {
    *("length", "vocabulary", "support", "steps", "reveal", "alpha", "counts", "legal_mass"),
    *("total_variation", "kl", "path_kl", "entropy", "information_profile"),
}
"""As the contracts have them."""


def test_law_json(capsys, two_words):
    arguments = ["law", two_words, "--schedule", "beta:1,1", "--steps", "3", "--json", "--seed", "7"]
    status, out, _ = run(capsys, *arguments, "--reveal", "bernoulli")
    found = json.loads(out)
    assert status == 0
    assert set(found) == {*LAW_FIELDS, "schedule", "seed", *WHERE}
    assert (found["schedule"], found["seed"]) == ("beta:1,1", 7)
    assert (found["length"], found["vocabulary"], found["support"], found["counts"]) == (5, 2, 2, None)
    assert found["legal_mass"] == pytest.approx(0.611816, abs=5e-7)
    assert found["kl"] == pytest.approx(0.491323, abs=5e-7)
    assert found["path_kl"] == pytest.approx(0.724962, abs=5e-7)
    np.testing.assert_allclose(found["alpha"], [0, 0.25, 0.75, 1], atol=1e-14)
    np.testing.assert_allclose(found["information_profile"], [np.log(2), 0, 0, 0, 0], atol=1e-12)


def test_law_with_fixed_reveals(capsys, two_words):
    arguments = ["law", two_words, "--schedule", "cosine", "--steps", "3", "--json"]
    found = json.loads(run(capsys, *arguments)[1])
    assert found["reveal"] == "fixed"  # as in `mdmot tune`
    assert found["counts"] == [1, 1, 3]  # round(5 (1 - cos(pi k / 6))) = 0.67, 2.5 -> 2, 5
    assert found["legal_mass"] == pytest.approx(1.0)


def test_law_of_several_schedules_is_a_table_of_all(capsys, two_words):
    common = {"length", "vocabulary", "support", "entropy", "information_profile"}
    names = ("cosine", "linear")
    each = [["--schedule", name] for name in names]
    table = [*each[0], *each[1], "--steps", "3"]
    found = json.loads(run(capsys, "law", two_words, *table, "--json")[1])
    assert set(found) == {*common, "rows", "seed", *WHERE}
    for name, row in zip(names, found["rows"], strict=True):
        assert set(row) == LAW_FIELDS - common | {"schedule"}
        alone = json.loads(run(capsys, "law", two_words, "--schedule", name, "--steps", "3", "--json")[1])
        assert row | {key: found[key] for key in (*common, *WHERE)} | {"seed": 0} == alone
    lines = run(capsys, "law", two_words, *table)[1].splitlines()
    assert all(words in lines[1] for words in ("reveal", "kl, nats"))
    assert [line.split()[1:6:2] for line in lines[3:5]] == [
        ["cosine", "3", "fixed"],
        ["linear", "3", "fixed"],
    ]


def test_a_law_that_is_stopped_prints_the_schedules_that_are_done(capsys, two_words, monkeypatch):
    distances = laws._distances

    def stopped(table, vocab_size, reveals, *rest):
        if reveals.counts == (2, 3):
            raise KeyboardInterrupt
        return distances(table, vocab_size, reveals, *rest)

    monkeypatch.setattr(laws, "_distances", stopped)
    schedules = ["--schedule", "cosine", "--schedule", "linear"]
    status, out, err = run(capsys, "law", two_words, *schedules, "--steps", "2", "--json")
    assert (status, err.splitlines()[-1]) == (130, "mdmot: interrupted")
    assert [row["schedule"] for row in json.loads(out)["rows"]] == ["cosine"]


def test_law_of_a_plan(capsys, two_words, tmp_path):
    plan = {"kind": "plan", "version": 1, "length": 5, "steps": 2, "reveal": "fixed"}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan | {"counts": [1, 4], "alpha": [0, 0.2, 1]}))
    found = json.loads(run(capsys, "law", two_words, "--schedule", str(path), "--json")[1])
    assert (found["reveal"], found["steps"], found["counts"]) == ("fixed", 2, [1, 4])
    assert found["legal_mass"] == pytest.approx(1.0)
    status, _, err = run(capsys, "law", two_words, "--schedule", str(path), "--steps", "3")
    assert status == 2
    assert "the plan has 2 steps, and 3 are asked for; leave the number out, or tune a plan of 3" in err
    beside = json.loads(
        run(capsys, "law", two_words, "--schedule", str(path), "--schedule", "linear", "--json")[1]
    )
    assert [row["counts"] for row in beside["rows"]] == [[1, 4], [2, 3]]
    path.with_name("one.json").write_text(json.dumps(plan | {"steps": 1, "counts": [5], "alpha": [0, 1]}))
    plans = ["--schedule", str(path), "--schedule", str(path.with_name("one.json"))]
    rows = json.loads(run(capsys, "law", two_words, *plans, "--json")[1])["rows"]
    assert [row["steps"] for row in rows] == [2, 1]
    status, _, err = run(capsys, "law", two_words, *plans, "--schedule", "linear")
    assert (status, "the plans have [1, 2] steps" in err) == (2, True)
    status, _, err = run(capsys, "law", two_words, "--schedule", "linear")
    assert (status, "Missing option '--steps'" in err) == (2, True)


def test_profile_is_not_negative(capsys, two_words):
    out = run(capsys, "law", two_words, "--schedule", "linear", "--steps", "2", "--json")[1]
    profile = np.array(json.loads(out)["information_profile"])
    assert (profile >= 0).all()
    assert not np.signbit(profile).any()


def test_rounding_is_no_entry_of_a_profile(capsys, two_words):
    arguments = ["permutations:length=6", "--schedule", "linear", "--steps", "2"]
    found = json.loads(run(capsys, "law", *arguments, "--json")[1])["information_profile"]
    assert found[-1] == 0  # what 1, 2, ..., 5 leave of six is certain
    assert json.loads(run(capsys, "profile", two_words, "--json")[1])["entropy_per_token"][1:] == 4 * [0]
    # Sums over 720 sequences, of which each may be off by the last digit of the entropy.
    np.testing.assert_allclose(found[:-1], np.log([6, 5, 4, 3, 2]), atol=720 * 6.6 * 2.2e-16)


def test_law_in_batches(capsys, monkeypatch, tmp_path):
    path = tmp_path / "five.txt"
    path.write_text("aab\nbba\nabc\t2\ncca\nccc\n")
    arguments = ["law", str(path), "--schedule", "linear", "--steps", "2", "--json"]
    whole = json.loads(run(capsys, *arguments)[1])
    monkeypatch.setattr("mdmot.workflows.laws.BATCH_TERMS", 2 * 2 * 3**3)
    monkeypatch.setattr("mdmot.cli.progress.QUIET_SECONDS", 0)
    _, out, err = run(capsys, *arguments)  # batches of 2, 2 and 1
    parts = json.loads(out)
    assert parts.pop("kl") == pytest.approx(whole.pop("kl"), rel=1e-14)  # sums of five terms
    for name in ("legal_mass", "total_variation"):
        assert parts.pop(name) == pytest.approx(whole.pop(name), rel=1e-14)
    assert parts == whole
    assert "law: information profile (1 of 4, 0 s)" in err


def test_long_grids_are_cut_in_the_table_only(capsys, tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("a\nb\n")
    arguments = ["law", str(path), "--schedule", "linear", "--steps", "50"]
    assert "(51 values, all in --json)" in run(capsys, *arguments)[1]
    assert len(json.loads(run(capsys, *arguments, "--json")[1])["alpha"]) == 51


def test_an_infeasible_size_is_refused_before_anything_is_computed(capsys, monkeypatch, two_words):
    def refuse(*arguments):
        raise AssertionError("computed too early")

    monkeypatch.setattr("mdmot.schedules.step_grid", refuse)
    monkeypatch.setattr("mdmot.information.information_profile", refuse)
    for steps in ("1000000000", "1" + 400 * "0"):
        status, _, err = run(capsys, "law", two_words, "--schedule", "linear", "--steps", steps)
        assert (status, err.count("\n")) == (2, 1)
        assert "more than the limit" in err


def test_human_output(capsys, two_words):
    assert "energy inf" in run(capsys, "energy", "--schedule", "linear", "--gamma", "linear")[1]
    assert "legal_mass" in run(capsys, "law", two_words, "--schedule", "linear", "--steps", "2")[1]


CHECK = Check("name", "statement", "source", "scope", 1.0, np.inf, np.inf, 0.0, False)


def optimum(*distances):
    """Optima of two networks whose schedules are at these distances from the squared sine."""
    gamma = jnp.tile(jnp.linspace(0, 1, 5), (2, 1))
    distance = jnp.asarray(distances)
    return Optimum(jnp.sin(jnp.pi / 2 * gamma) ** 2 + distance[:, None], gamma, distance, 10 * distance)


OPTIMA = LearnedOptima(
    optimum(0.1, 0.2),
    optimum(0.0, 0.0),
    (100, 1000),
    (optimum(0.01, 0.04), optimum(0.001, 0.002)),
    np.asarray([1.0, 1.3]),
)


def test_verify_reports_a_failure_and_exits_with_1(capsys, monkeypatch):
    monkeypatch.setattr("mdmot.checks.CHECKS", (lambda: [CHECK],))
    monkeypatch.setattr("mdmot.checks.run_checks", lambda *_: [CHECK, CHECK._replace(passed=True)])
    status, out, _ = run(capsys, "verify", "--json")
    found = json.loads(out)
    assert status == 1
    assert set(found) == {"checks", "passed", "precision", "seed", *WHERE}
    assert set(found["checks"][0]) == set(Check._fields)
    assert found["checks"][0]["measured"] == "inf"
    assert not found["passed"]
    assert "FAIL name" in run(capsys, "verify")[1]


def test_pipes_get_the_text_as_it_is_on_one_line(capsys, monkeypatch):
    statement = "alpha on [e, 1-e] is [bold]best[/bold] :smile: " + 30 * "and so on "
    check = CHECK._replace(name="[e, 1-e] " + 100 * "x", statement=statement)
    monkeypatch.setattr("mdmot.checks.run_checks", lambda *_: [check])
    lines = run(capsys, "verify")[1].splitlines()
    assert f"FAIL {check.name}: {statement} (source; scope)" in lines
    assert sum(check.name in line and "inf" in line for line in lines) == 1  # its row of the table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["energy", "--schedule", "lienar", "--gamma", "linear"], ["'lienar'", "squared-sine", "beta:A,B"]),
        (["energy", "--schedule", "linear", "--gamma", "cosine"], ["'cosine'", "linear or beta:A,B"]),
        (["energy", "--schedule", "beta:0,1", "--gamma", "linear"], ["A = 0", "positive"]),
        (["energy", "--schedule", "beta:nan,1", "--gamma", "linear"], ["A = nan", "positive"]),
        (["energy", "--schedule", "beta:1", "--gamma", "linear"], ["needs 2 numbers"]),
        (["energy", "--schedule", "poly:x", "--gamma", "linear"], ["needs 1 number"]),
        (["energy", "--schedule", "linear:", "--gamma", "linear"], ["'linear:' is not known"]),
        (["energy", "--schedule", "linear", "--gamma", "linear:"], ["'linear:' is not known"]),
        (["verify", "--seed", str(10**23)], ["--seed", "0<=x<=4294967295"]),
        (["verify", "--seed", "-1"], ["--seed", "0<=x<=4294967295"]),
        (["energy", "--schedule", "gone.json", "--gamma", "linear"], ["gone.json", "cannot be read"]),
        (["energy", "--gamma", "linear"], ["Missing option", "--help"]),
        (["law", "gone.txt", "--schedule", "linear", "--steps", "2"], ["gone.txt"]),
        (["law", "markow:stay=.9", "--schedule", "linear", "--steps", "2"], ["test bed", "markov"]),
        (["law", "LAW", "--schedule", "linear", "--steps", "0"], ["0 is not in the range x>=1"]),
        (["law", "LAW", "--schedule", "linear", "--steps", "two"], ["'two'"]),
        (
            ["law", "LAW", "--schedule", "linear", "--steps", "9999999"],
            ["9999999 steps", "more than the limit"],
        ),
        (["verify", "--precision", "float16"], ["float16"]),
        (["nonsense"], ["nonsense"]),
    ],
)
def test_bad_input_is_one_line_and_status_2(capsys, two_words, arguments, words):
    status, out, err = run(capsys, *[two_words if a == "LAW" else a for a in arguments])
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    for word in words:
        assert word in err


@hypothesis.settings(max_examples=100, deadline=None, derandomize=True)
@hypothesis.given(
    st.one_of(
        st.text(max_size=12),
        st.builds("beta:{},{}".format, st.floats(), st.floats()),
        st.builds("poly:{}".format, st.floats()),
    )
)
def test_any_text_is_a_schedule_or_refused_in_one_line(text):
    """Whatever stands behind --schedule or --gamma: no other exception, no message of two lines."""
    messages = []
    for parse in (parse_mask_schedule, parse_interpolation):
        try:
            parse(text)
        except InputError as error:
            messages.append(str(error))
    assert all(len(message.splitlines()) == 1 for message in messages)


def test_unwritable_output_folder_is_refused_before_any_work(capsys, tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    status, _, err = run(capsys, "report", "--out", str(file / "below"))
    assert status == 2
    assert "cannot be written" in err
    assert file.read_text() == "kept"


def test_missing_text_points_to_the_option(capsys, tmp_path):
    out = tmp_path / "out"
    status, _, err = run(capsys, "report", "--out", str(out), "--text", str(tmp_path / "gone"))
    assert status == 2
    assert "gone" in err
    assert "--text" in err
    assert not out.exists()


def test_too_short_a_text_is_refused_before_the_folder_is_made(capsys, tmp_path):
    out, text = tmp_path / "out", tmp_path / "text.txt"
    text.write_text("short")
    status, _, err = run(capsys, "report", "--out", str(out), "--text", str(text))
    assert (status, err.count("\n")) == (2, 1)
    assert "5 tokens" in err
    assert not out.exists()


def test_a_vanished_output_folder_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_atomically(tmp_path / "gone" / "report.html", "page")


def test_interruption(capsys, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(main.commands, "main", interrupt)
    status, _, err = run(capsys, "verify")
    assert status == 130
    assert "interrupted" in err


def test_version_and_module(capsys):
    installed = importlib.metadata.version("mdmot")
    for command in ([], ["verify"], ["energy"], ["law"], ["profile"], ["tune"], ["sample"], ["report"]):
        assert run(capsys, *command, "--version")[:2] == (0, f"mdmot, version {installed}\n")
    done = subprocess.run(
        [sys.executable, "-m", "mdmot", "--help"], capture_output=True, text=True, check=True
    )
    for command in ("verify", "energy", "law", "profile", "tune", "sample", "report"):
        assert command in done.stdout


def told_content(content, figures, is_told):
    """What the page is made of, with or without a gain beyond its error."""
    laws = [law | {"figure": figures[law["name"]]} for law in content["toy_laws"]]
    study = content["data_to_schedule"]
    study = study | {"text": study["text"] | {"gain_is_told": is_told}}
    return content | {"toy_laws": laws, "data_to_schedule": study}


def reported(capsys, out, *options):
    with computing_in("float32"):  # as it is in a process of its own
        return run(capsys, "report", "--out", str(out), *options)


def test_a_report_is_written_by_sections_and_goes_on(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(toy_laws, "PAPER_GRID", (0.5, 1.0))
    monkeypatch.setattr("mdmot.checks.CHECKS", (lambda: [CHECK],))
    calls = []

    def stopped(*_):
        calls.append("checks")
        if calls.count("checks") == 1:
            raise KeyboardInterrupt
        return [CHECK._replace(passed=True)]

    def judged(text):
        tokens = types.SimpleNamespace(tokens=np.zeros(4, np.uint8))
        return reporting.JudgedText(None, "a text", tokens, np.ones(256))

    def found(text, seed, show):
        calls.append("laws")
        return toy_laws.toy_laws()

    sections = {name: reporting.SECTIONS[name] for name in ("laws", "checks", "samples")}
    sections["laws"] = sections["laws"]._replace(find=found)
    monkeypatch.setattr("mdmot.pages.reporting.SECTIONS", sections)
    monkeypatch.setattr("mdmot.pages.reporting.judged_text", judged)
    monkeypatch.setattr("mdmot.checks.run_checks", stopped)
    status, _, err = reported(capsys, tmp_path, "--quick")
    assert (status, calls) == (130, ["laws", "checks"])
    assert "report: laws written, 1 of 2 sections" in err
    page, content = (
        (tmp_path / "report.html").read_text(),
        json.loads((tmp_path / "report.json").read_text()),
    )
    assert "6. What a schedule does to samples" in page
    assert "checks passed" not in page
    assert content["toy_laws"][0]["sampled"]
    assert "verify" not in content
    status, out, err = reported(capsys, tmp_path, "--quick")
    assert (status, calls) == (0, ["laws", "checks", "checks"])  # the laws are not computed again
    assert "report: goes on, with laws done" in err
    assert out.startswith("1 of 1 checks passed\nwrote ")
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "report.json"}
    whole = json.loads((tmp_path / "report.json").read_text())
    assert (whole["toy_laws"], whole["verify"]["passed"]) == (content["toy_laws"], True)
    assert "1 of 1 checks passed" in " ".join((tmp_path / "report.html").read_text().split())


def test_a_report_goes_on_only_where_all_is_as_it_was(tmp_path):
    done = {"laws": Done({"a": 1}, {"b": "<svg>"}, 2.0)}
    path = tmp_path / "report.state"
    assert read_state(path, {"seed": 0}) == {}
    write_state(path, {"seed": 0}, done)
    assert read_state(path, {"seed": 0}) == done
    assert read_state(path, {"seed": 1}) == {}
    for damage in ("", "[]", '{"of": {"seed": 0}, "sections": {"laws": {"a": 1}}}'):
        path.write_text(damage)
        assert read_state(path, {"seed": 0}) == {}


@pytest.mark.slow
def test_report_writes_one_self_contained_page(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(data_to_schedule, "STICKY_CHAINS", ((0.9, 40),))
    monkeypatch.setattr(data_to_schedule, "STUDIED_CHAIN", (0.9, 40))
    monkeypatch.setattr(toy_laws, "PAPER_GRID", (0.5, 1.0))
    small = (
        ("CHAIN", "markov:states=2,length=16"),
        ("CHAIN_DRAWS", 4),
        ("TEXT_LENGTH", 16),
        ("TEXT_WINDOWS", 4),
    )
    for name, value in (*small, ("TEXT_DECODERS", {"random": (4, 8), "bisection": (4, 8)})):
        monkeypatch.setattr(which_decoder, name, value)
    for name, number in (("LENGTH", 16), ("NUM_LEVELS", 5), ("DRAWS", 20), ("JUDGING_DRAWS", 4)):
        monkeypatch.setattr(text_schedules, name, number)
    monkeypatch.setattr(text_model, "NUM_WINDOWS", 4)
    monkeypatch.setattr(text_model, "SAMPLE_STEPS", 3)
    monkeypatch.setattr("mdmot.checks.CHECKS", (lambda: [CHECK],))
    monkeypatch.setattr("mdmot.checks.run_checks", lambda *_: [CHECK._replace(passed=True)])
    monkeypatch.setattr("mdmot.checks.learned.learned_optima", lambda: OPTIMA)
    page_figures, done = {}, []

    def counted_report(*arguments, **options):
        done.append(mdmot.report(*arguments, **options))
        return done[0]

    def kept(content, figures):
        page_figures.update(figures)
        return render(content, figures)

    monkeypatch.setattr("mdmot.pages.page.render", kept)
    source = tmp_path / "text"
    source.mkdir()
    (source / "a.py").write_text("print('<b> & more')\n" * 200)
    out = tmp_path / "out"
    out.mkdir()
    (out / "kept.txt").write_text("kept")
    monkeypatch.setattr("mdmot.cli.report.write_report", counted_report)
    status, said, err = reported(capsys, out, "--text", str(source))
    assert status == 0, err
    assert {path.name for path in out.iterdir()} == {"report.html", "report.json", "kept.txt"}
    assert repr(done[0]).startswith("Report(1 of 1 checks passed; the bundled model: ")
    page = (out / "report.html").read_text()
    content = json.loads((out / "report.json").read_text())
    assert content == json.loads(json.dumps(done[0].to_json()))
    text = content["data_to_schedule"]["text"]
    low, high = text["gain_interval"]
    assert low <= text["gain"] <= high
    # Four figures of plans are shown of a text whose plans are told from linear steps, else its profile.
    told, untold = (
        render(told_content(content, page_figures, is_told), page_figures) for is_told in (True, False)
    )
    assert (told.count("<svg"), untold.count("<svg")) == (15, 12)
    assert page == (told if text["gain_is_told"] else untold)
    assert "linear steps are as good" in untold
    assert "linear steps are as good" not in told
    shown = untold.partition("Real text, as a model sees it")[2]
    assert " ".join(map(str, text["plans"][-1]["counts"])) not in shown
    assert "linear ones" not in shown
    assert all(plan["path_kl"] <= plan["bounds"]["upper"] + 1e-9 for plan in text["plans"])
    for outside in ("<script", 'src="http', 'href="http', "<link"):
        assert outside not in page.replace('href="http://www.w3.org', "")
    model = content["text_model"]
    assert (model["bytes"], model["windows"], len(model["samples"])) == (4000, 4, 6)
    assert model["provenance"]["data"]["train"]["licence"] == "PSF-2.0"
    assert f"{model['bits_per_byte']:.3f}" in page
    assert f"{model['bits_per_byte']:.3f}" in said
    chain, judged = (content["which_decoder"][name] for name in ("chain", "text"))
    chain = {(each["decoder"], each["steps"]): each for each in chain["points"]}
    # Five halvings of sixteen are exact; a random order is what its profile says.
    assert chain["bisection+own", 8]["loss"] < 1e-9 < chain["bisection", 8]["loss"]
    linear = mdmot.tune("markov:states=2,length=16", steps=8).tuning.linear.path_kl
    assert chain["random", 8]["loss"] == pytest.approx(linear, rel=1e-9)
    assert [round(chain[name, 32]["network_calls"], 9) for name in ("entropy", "random")] == [16, 16]
    first, *_ = judged["points"]
    assert (first["decoder"], first["steps"], first["difference"]) == ("random", 4, 0)
    assert judged["sequences"] == 4
    schedules = content["data_to_schedule"]
    assert (
        schedules["sticky_chains"][0]["optimal_path_kl"]
        < schedules["sticky_chains"][0]["path_kl"]["linear"]
    )
    assert [sum(plan["counts"]) for plan in schedules["text"]["plans"]] == 4 * [16]
    assert len(schedules["text"]["held_out_path_kl"]) == 4
    assert content["toy_laws"][0]["sampled"][1]["legal_mass"] == pytest.approx(0.611816, abs=5e-7)
    assert "∞" in page or "inf" in page
    assert content["learned_optima"]["sampled"] == [[0.01, 0.04], [0.001, 0.002]]
    assert "as the power\n-1.15 &plusmn; 0.15" in page


def test_a_folder_has_one_process_at_a_time(tmp_path):
    with alone_in(tmp_path), pytest.raises(InputError, match="in use"), alone_in(tmp_path):
        pass
    with alone_in(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_warnings_are_one_line_each_as_they_come(capsys, monkeypatch):
    def warn(*arguments, **options):
        for name in ("a\x1b.png", "a\x1b.png"):
            warnings.warn(f"left out {name}: binary", InputWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(main.commands, "main", warn)
    status, out, err = run(capsys, "verify")
    assert (status, out, err) == (0, "", 2 * "mdmot: left out a\\x1b.png: binary\n")
