"""`mdmot.train`: what `mdmot train` does, from Python."""

import jax
import pytest
from run_folders import weights

import mdmot
from mdmot.errors import InputError
from mdmot.training import EvenLevels, Stratified, TextMarks, read_config

SMALL = {"preset": "tiny", "language": "arithmetic:digits=1", "width": 8, "batch_size": 4, "num_steps": 6}
SMALL |= {"log_every": 1, "save_every": 2, "num_evaluated": 8}


pytestmark = pytest.mark.usefixtures("promotion")


@pytest.mark.slow
def test_a_run_is_stopped_by_its_caller_and_goes_on(tmp_path):
    settings = SMALL | {
        "levels": EvenLevels(Stratified()),
        "marks": TextMarks(answers_after="="),
        "seed": 3,
    }
    whole = mdmot.train(tmp_path / "whole", **settings)
    assert jax.config.read("jax_enable_x64")  # as before
    assert whole.config == read_config(tmp_path / "whole" / "config.json")[0]
    assert (whole.config.levels, whole.config.answers.after) == (EvenLevels(Stratified()), (11,))
    assert (whole.resumed_from, whole.metrics["step"]) == (0, 6)
    assert whole.to_json() == whole.metrics | {"seed": 3}
    assert repr(whole).startswith(f"Training('{tmp_path / 'whole'}'; held out: ")
    assert repr(whole).endswith(" bits a token after 6 steps)")

    seen, told = [], []

    def stop(at):
        seen.append(at.done)
        if at.done == 5:
            raise KeyboardInterrupt

    parts = tmp_path / "my parts"
    with pytest.raises(KeyboardInterrupt):
        mdmot.train(parts, **settings, show=stop, tell=told.append)
    assert seen == [1, 2, 3, 4, 5]
    assert "6 steps of 4 windows of 6 tokens" in told[0]
    assert told[1:] == [
        f"train: stopped; {parts} keeps step 4 of 6; go on with: mdmot train --out '{parts}' --resume"
    ]
    told.clear()
    seen.clear()
    again = mdmot.train(parts, resume=True, show=lambda at: seen.append(at.done), tell=told.append)
    assert (again.resumed_from, again.config, seen) == (4, whole.config, [5, 6])
    assert told[1] == "train: goes on from step 4 of 6"
    assert weights(parts) == weights(tmp_path / "whole")


def test_careless_arguments_are_refused_and_leave_nothing(tmp_path):
    out = tmp_path / "run"
    for given, words in (
        ({"preset": "huge"}, "preset 'huge' is not known; use one of tiny, text, bundled"),
        ({"marks": TextMarks(isad="?")}, "isad: '\\?' not in the vocabulary"),
        ({"marks": TextMarks(isad=(99,))}, "token 99, but the model's clean tokens are 0 to 11"),
        ({"levels_of": tmp_path / "gone"}, "gone/model.json: cannot be read"),
        ({"length": 7}, "length 7: sequences of arithmetic:digits=1"),
        ({"num_steps": 0}, "num_steps = 0"),
        ({"devices": 0}, "devices = 0: this machine has"),
        ({"text": tmp_path}, "language and text are both given"),
    ):
        with pytest.raises(InputError, match=words):
            mdmot.train(out, **SMALL | given)
        assert not out.exists()
    with pytest.raises(InputError, match="answers_until ends answers; pass answers_after"):
        TextMarks(answers_until="a")
