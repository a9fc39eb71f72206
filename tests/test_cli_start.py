"""What the command line says without loading JAX: help, versions and what it makes of a slip."""

import contextlib
import json
import subprocess
import sys

import click
import pytest

from mdmot import names
from mdmot.cli.main import commands
from mdmot.data import LANGUAGES
from mdmot.data.traces import TASKS
from mdmot.decoders.adaptive import FAMILIES
from mdmot.decoders.names import SUREST, parse_decoder
from mdmot.distributions import LAWS
from mdmot.errors import InputError
from mdmot.orders import parse_order
from mdmot.plans import named_schedules, parse_interpolation, parse_schedule
from mdmot.training import PRESETS

SAID = """
import contextlib, io, json, sys
from mdmot.cli.main import status
statuses, errors = [], []
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as error:
        statuses.append(status(words))
    errors.append(error.getvalue())
loaded = [name for name in ("jax", "flax", "scipy", "matplotlib") if name in sys.modules]
print(json.dumps({"statuses": statuses, "errors": errors, "loaded": loaded}))
"""


def said(arguments, folder=None):
    """What some commands say on standard error, their exit statuses, and what they have loaded."""
    command = [sys.executable, "-c", SAID, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return json.loads(done.stdout)


def test_help_and_versions_load_no_jax():
    arguments = [[], ["--help"], ["--version"], *([name, "--help"] for name in commands.commands)]
    found = said(arguments)
    assert (found["statuses"], found["loaded"]) == ([2] + [0] * (len(arguments) - 1), [])


def test_a_mistyped_option_or_command_loads_no_jax():
    arguments = [["smaple"], ["--vresion"], ["sample", "--steps", "many"]]
    arguments += [[name, "--nonsense"] for name in commands.commands]
    found = said(arguments)
    assert (found["statuses"], found["loaded"]) == ([2] * len(arguments), [])


def test_an_option_of_one_value_is_given_once():
    tried = set()
    for name, command in commands.commands.items():
        for option in command.params:
            if isinstance(option, click.Option) and not option.is_flag and not option.multiple:
                flag = option.opts[0]
                for words, values in (([flag, "1", f"{flag}=2"], "'1' and '2'"), ([flag, "x"] * 3, THRICE)):
                    with pytest.raises(InputError) as caught:
                        command.parse_args(click.Context(command), words)
                    assert str(caught.value) == f"{flag} is given as {values}; pass it once"
                tried.add((name, flag))
    assert tried >= {("sample", "--prompt"), ("sample", "--steps"), ("tune", "--steps"), ("train", "--out")}
    found = said([["sample", "--prompt", "A", "--prompt", "B"]])
    errors = ["mdmot: --prompt is given as 'A' and 'B'; pass it once\n"]
    assert found == {"statuses": [2], "errors": errors, "loaded": []}


THRICE = "'x', 'x' and 'x'"


def test_flags_and_options_of_many_values_may_be_repeated():
    tried = set()
    for command in commands.commands.values():
        for option in command.params:
            is_many = isinstance(option, click.Option) and (option.is_flag or option.multiple)
            if not is_many or option.is_eager:
                continue
            word = [option.opts[0]] if option.is_flag else [option.opts[0], "linear"]
            context = click.Context(command, resilient_parsing=False)
            with contextlib.suppress(click.MissingParameter):  # of what else the command needs
                command.parse_args(context, [*word, *word])
                assert context.params[option.name] == (True if option.is_flag else ("linear", "linear"))
                tried.add(option.opts[0])
    assert tried >= {"--json", "--chat", "--forbid", "--weight"}
    # Who asks for help gets it, whatever else is written.
    found = said([["sample", "--steps", "4", "--steps", "8", "--help"]])
    assert (found["statuses"], found["errors"]) == ([0], [""])


NAMES = [
    ("energy --schedule liner --gamma linear", "schedule 'liner' is not known (did you mean linear?)"),
    (
        "energy --schedule linear --gamma bata:1,1",
        "interpolation 'bata:1,1' is not known (did you mean beta?)",
    ),
    ("energy --schedule poly:-1 --gamma linear", "schedule 'poly:-1': N = -1 is not positive"),
    ("law two.txt --schedule beta:1 --steps 2", "'beta:1' needs 2 numbers"),
    (
        "law tow.txt --schedule linear --steps 2",
        "tow.txt: no such file or folder (did you mean two.txt?)",
    ),
    ("law markow:stay=.9 --schedule linear --steps 2", "'markow' is not known (did you mean markov?)"),
    ("sample no-such-model", "no such file or folder; expected the folder of a model, a law file or"),
    ("sample --schedule cosin", "'cosin' is not known (did you mean cosine?)"),
    (
        "sample --schedule plam.json",
        "plan plam.json: cannot be read (no such file or folder) (did you mean",
    ),
    ("sample --sampler entropi", "sampler 'entropi' is not known (did you mean entropy?)"),
    (
        "sample --sampler fixed --order bisecton",
        "order 'bisecton' is not known (did you mean bisection?)",
    ),
    ("sample --sampler threshold --score margn", "score 'margn' is not known (did you mean margin?)"),
    ("sample --template tow.txt", "--template tow.txt: cannot be read"),
    ("sample --num 1.5", "'1.5' is not a whole number from 1 to 1000000"),
    ("profile no-such.json", "no such file or folder; expected a saved profile, the folder of a model"),
    ("tune two.txt --steps 2 --order left-right", "(did you mean left-to-right?)"),
    ("tune two.txt --steps 2 --reveal fixt", "'fixt' is not known (did you mean fixed?)"),
    (
        "compare two.txt --decoders random,entrpy",
        "decoder 'entrpy' is not known (did you mean entropy?)",
    ),
    ("train --preset tini", "--preset 'tini' is not known (did you mean tiny?)"),
    ("train --language sudoko", "'sudoko' is not known (did you mean sudoku?)"),
    ("train --levels fited", "--levels 'fited' is not known (did you mean fitted?)"),
    (
        "train --text tow.txt",
        "--text tow.txt: cannot be read (no such file or folder) (did you mean two.txt?)",
    ),
    ("evaluate --text tow.txt", "--text tow.txt: cannot be read"),
    ("report --text tow.txt", "--text tow.txt: cannot be read"),
    ("export plam.json --for llada", "(did you mean plan.json?)"),
    ("export plan.json --for lada", "'lada' is not known (did you mean llada?)"),
]


def test_a_mistyped_name_loads_no_jax_and_is_told_what_was_meant(tmp_path):
    (tmp_path / "two.txt").write_text("ab\nba\n")
    (tmp_path / "plan.json").write_text("{}")
    found = said([words.split() for words, _ in NAMES], tmp_path)
    assert found["statuses"] == [2] * len(NAMES)
    for (words, meant), line in zip(NAMES, found["errors"], strict=True):
        assert meant in line, words
        assert line.count("\n") == 1
    assert found["loaded"] == []


def test_names_are_those_of_the_rooms():
    assert tuple(LAWS) == names.BEDS
    assert tuple(LANGUAGES) == names.LANGUAGES
    assert tuple(TASKS) == names.TASKS
    assert not {*LANGUAGES} & {*TASKS}  # either may stand behind --language
    assert tuple(PRESETS) == names.PRESETS
    assert tuple(SUREST) == names.SUREST
    assert set(FAMILIES) == set(names.ADAPTIVE)
    assert tuple(named_schedules.MASKS) == tuple(names.SCHEDULES)
    assert tuple(named_schedules.INTERPOLATIONS) == tuple(names.INTERPOLATIONS)
    for name in names.ORDERS:
        assert parse_order(name).name == name
        assert parse_decoder(name).name == name
    for known, parse in ((names.SCHEDULES, parse_schedule), (names.INTERPOLATIONS, parse_interpolation)):
        for name, numbers in known.items():
            parse(f"{name}:{numbers.example}" if numbers.example else name)
