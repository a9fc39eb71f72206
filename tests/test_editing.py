"""Any-process generation: against the rule in plain Python, by hand, and by an editor that is a program."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdmot.editing import (
    Controls,
    Edits,
    Stop,
    Thresholds,
    edited,
    editor_model,
    raise_if_unfinished,
    write,
    write_trajectory,
)
from mdmot.errors import InputError
from mdmot.samplers import Categorical

KEY = jax.random.key(0)
ZERO, ONE, BEGIN, MASK, PAD = range(5)


def in_python(row, y, remask, insert, delete, mask):
    """The rule of the paper, position by position."""
    out = []
    for i, token in enumerate(row):
        if delete[i] and token == mask:
            continue
        if remask[i]:
            out.append(mask)
        elif token == mask:
            out.append(y[i])
        else:
            out.append(token)
        if insert[i]:
            out.append(mask)
    return out


def buffers(rows, room, pad=PAD):
    return np.array([[*row, *[pad] * (room - len(row))] for row in rows], np.int32)


def bits(text):
    return [{"0": ZERO, "1": ONE, "B": BEGIN, "M": MASK}[sign] for sign in text]


def text(row):
    return "".join("01BM."[token] for token in row).rstrip(".")


@pytest.mark.parametrize("seed", range(3))
def test_a_step_is_the_rule_of_the_paper(seed):
    rng = np.random.default_rng(seed)
    num, room = 400, 9
    lengths = rng.integers(0, room + 1, num)
    rows = [rng.integers(0, 4, n).tolist() for n in lengths]
    tokens = buffers(rows, room)
    # Also beyond the row, where nothing may be looked at.
    y = rng.integers(0, 3, (num, room))
    marks = rng.random((3, num, room)) < rng.random((3, num, 1))
    found = jax.jit(edited, static_argnums=(2, 3))(
        tokens, Edits(jnp.asarray(y), *map(jnp.asarray, marks)), MASK, PAD
    )
    overflows = 0
    for i, row in enumerate(rows):
        right = in_python(row, y[i], *marks[:, i], MASK)
        assert found.length[i] == len(right)
        overflows += len(right) > room
        kept = row if len(right) > room else right
        np.testing.assert_array_equal(found.tokens[i], buffers([kept], room)[0])
    assert overflows > 10


# A clean token that is to be deleted stays; a mask that is to be deleted and remasked, or behind which one
# is to be inserted, goes.
BY_HAND = [
    # row, remask, insert, delete, what it becomes if every y is 1
    ("0M1", "", "", "", "011"),
    ("0M1", "", "", "012", "01"),
    ("0M1", "012", "", "", "MMM"),
    ("0M1", "012", "", "012", "MM"),
    ("0M1", "", "012", "", "0M1M1M"),
    ("0M1", "", "012", "012", "0M1M"),
    ("0M1", "012", "012", "1", "MMMM"),
    ("M", "", "", "0", ""),
    ("MM", "1", "0", "", "1MM"),
]


@pytest.mark.parametrize(("row", "remask", "insert", "delete", "right"), BY_HAND)
def test_deletion_comes_before_a_remask_and_that_before_a_token(row, remask, insert, delete, right):
    marks = (jnp.asarray([[str(i) in where for i in range(7)]]) for where in (remask, insert, delete))
    found = edited(jnp.asarray(buffers([bits(row)], 7)), Edits(jnp.full((1, 7), ONE), *marks), MASK, PAD)
    assert text(found.tokens[0]) == right
    assert found.length.tolist() == [len(right)]


# --- the parity of bits, by an editor that is a program: the first two bits behind B are looked at

SAMPLES = {
    "B01": "BM1",
    "BM1": "B1",
    "B10": "B1M",
    "B1M": "B1",
    "B00": "BMM",
    "B11": "BMM",
    "BMM": "B",
}


def shifted(tokens, by):
    """The token that many positions to the right of each."""
    padded = jnp.pad(tokens, ((0, 0), (max(-by, 0), max(by, 0))), constant_values=PAD)
    return padded[:, max(by, 0) :][:, : tokens.shape[1]]


def parity(nothing, tokens):
    is_first, is_second = shifted(tokens, -1) == BEGIN, shifted(tokens, -2) == BEGIN
    other = jnp.where(is_first, shifted(tokens, 1), shifted(tokens, -1))
    is_bit = lambda x: (x == ZERO) | (x == ONE)  # noqa: E731
    # A bit without another one is done.
    goes = (tokens == ZERO) | ((tokens == ONE) & (other == ONE))
    remask = (is_first | is_second) & is_bit(tokens) & is_bit(other) & goes
    delete = (is_first | is_second) & (tokens == MASK)
    odds = lambda yes: jnp.where(yes, 1.0, -1.0)  # noqa: E731
    logits = jnp.zeros((*tokens.shape, 3))
    return Controls(
        logits + jnp.asarray(nothing, logits.dtype), odds(remask), odds(tokens < 0), odds(delete)
    )


MODEL = editor_model(parity, 0.0, mask_id=MASK, pad_id=PAD)


def test_the_samples_of_parity_come_out_to_the_token():
    start = jnp.asarray(buffers([bits(row) for row in SAMPLES], 8))
    found, path = write_trajectory(KEY, MODEL, start, max_steps=1)
    assert [text(row) for row in path[1]] == list(SAMPLES.values())
    assert found.stop.tolist() == [Stop.STEPS] * len(SAMPLES)
    # What is left of two bits stands still, and a step finds that out.
    ends = write(KEY, MODEL, start, max_steps=8)
    assert {text(row) for row in ends.tokens} == {"B", "B1"}
    assert ends.stop.tolist() == [Stop.STILL] * len(SAMPLES)
    assert ends.network_calls.tolist() == [3, 2, 3, 2, 3, 3, 2]


def test_an_editor_that_is_a_program_finds_the_parity_of_any_number_of_bits():
    rng = np.random.default_rng(0)
    rows = [[BEGIN, *rng.integers(0, 2, n)] for n in (1, 2, 9, 10, 100, 399, 400)]
    start = jnp.asarray(buffers(rows, 401))
    found = write(KEY, MODEL, start, max_steps=801)
    raise_if_unfinished(found, 801)
    for i, row in enumerate(rows):
        ones = sum(row[1:])
        # A last bit that is alone is never looked at: a zero then stays.
        assert text(found.tokens[i]) in (("B1",) if ones % 2 else ("B", "B0"))
    # Two steps for the first two bits, then for what one bit more, or two, leave; one that finds the end.
    calls = found.network_calls.tolist()
    assert calls == sorted(calls)
    assert calls[-1] <= 2 * 399 + 1


def test_a_row_is_the_same_in_every_batch_and_jitted_and_mapped():
    rng = np.random.default_rng(1)
    rows = [[BEGIN, *rng.integers(0, 2, n)] for n in (3, 8, 5, 0)]
    start = jnp.asarray(buffers(rows, 10))
    keys = jax.random.split(KEY, 4)
    together = write(keys, MODEL, start, max_steps=30)
    for i in (0, 1, 3):
        alone = write(keys[i : i + 1], MODEL, start[i : i + 1], max_steps=30)
        jax.tree.map(lambda a, b, i=i: np.testing.assert_array_equal(a[0], b[i]), alone, together)
    inside = jax.jit(lambda model, start: write(keys, model, start, max_steps=30))(MODEL, start)
    jax.tree.map(np.testing.assert_array_equal, inside, together)
    mapped = jax.vmap(lambda key, row: write(key[None], MODEL, row[None], max_steps=30))(keys, start)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[:, 0], b), mapped, together)
    followed, path = write_trajectory(keys, MODEL, start, max_steps=30)
    jax.tree.map(np.testing.assert_array_equal, followed, together)
    np.testing.assert_array_equal(path[0], start)
    np.testing.assert_array_equal(path[-1], together.tokens)
    # The states between are those of one step each.
    for before, after in itertools.pairwise(path):
        np.testing.assert_array_equal(write(keys, MODEL, before, max_steps=1).tokens, after)


# --- why rows stop

GROWING_END = 2


def growing(rate, tokens):
    """Letters a and b and the end e: a grows at its end, b goes round between b and a mask, e ends."""
    is_last = (shifted(tokens, 1) == PAD) & (tokens != PAD)
    odds = lambda yes: jnp.where(yes, 1.0, -1.0)  # noqa: E731
    logits = jnp.broadcast_to(jnp.asarray(rate), (*tokens.shape, 3))
    return Controls(logits, odds(tokens == 1), odds(is_last & (tokens == 0)), odds(tokens < 0))


def grows(logits, end_id=GROWING_END):
    return editor_model(growing, jnp.asarray(logits), mask_id=MASK, pad_id=PAD, end_id=end_id)


def test_rows_stop_for_four_reasons_and_say_which():
    start = jnp.asarray(buffers([[0], [1], [2], [0, MASK], [0, 2]], 4))
    to_b, to_a = grows([0.0, 9.0, 0.0]), grows([9.0, 0.0, 0.0])
    found = write(KEY, to_b, start, max_steps=6)
    # a gets a mask, which becomes b, which becomes a mask, and so on.
    assert [Stop(int(stop)).name for stop in found.stop] == ["STEPS", "STEPS", "END", "STEPS", "END"]
    assert found.network_calls.tolist() == [6, 6, 0, 6, 0]
    found = write(KEY, to_a, start, max_steps=20)
    assert [Stop(int(stop)).name for stop in found.stop] == ["ROOM", "ROOM", "END", "ROOM", "END"]
    # a, aM, aa, aaM, aaa, aaaM, aaaa, and the next mask is one too many: the row stays as it was.
    assert text(found.tokens[0]) == "0000"
    assert (found.length.tolist(), found.network_calls.tolist()) == ([5, 5, 1, 5, 2], [7, 9, 0, 6, 0])
    with pytest.raises(InputError, match=r"4 tokens are too small for rows 0 \(5\), 1 \(5\), 3 \(5\)"):
        raise_if_unfinished(found, 20)
    with pytest.raises(InputError, match=r"rows \[0, 1, 3\] were not done after 6 steps"):
        raise_if_unfinished(write(KEY, to_b, start, max_steps=6), 6)


def test_a_row_with_a_mask_has_not_ended_yet():
    start = jnp.asarray(buffers([[0, 2, MASK]], 4))
    found = write(KEY, grows([0.0, 0.0, 9.0]), start, max_steps=6)
    assert (text(found.tokens[0]), found.stop.tolist(), found.network_calls.tolist()) == (
        "0BB",
        [Stop.END],
        [1],
    )
    without = write(KEY, grows([0.0, 0.0, 9.0], end_id=None), start, max_steps=6)
    assert (without.stop.tolist(), without.network_calls.tolist()) == ([Stop.STILL], [2])


def test_tokens_are_drawn_from_the_law_of_the_logits():
    """A chi-square of 3 kinds has mean 2 and variance 4; one in 10^6 is above 27.6."""
    p = np.array([0.2, 0.5, 0.3])
    start = jnp.full((4000, 3), MASK)
    model = editor_model(growing, jnp.log(jnp.asarray(p)), mask_id=MASK, pad_id=PAD)
    drawn = write(KEY, model, start, max_steps=1, choice=Categorical()).tokens
    counts = np.bincount(np.asarray(drawn).ravel(), minlength=3)
    expected = p * drawn.size
    assert ((counts - expected) ** 2 / expected).sum() < 27.6


def test_a_row_that_drew_what_it_was_does_not_stand_still():
    """M a M: the first goes, a is remasked, and the last one becomes a or b with a mask behind it."""
    row = jnp.asarray([[3, 0, 3]] * 64)

    def editor(params, tokens):
        place = jnp.broadcast_to(jnp.arange(3), tokens.shape)
        odds = [jnp.where(place == at, 1.0, -1.0) for at in (1, 2, 0)]
        return Controls(jnp.zeros((*tokens.shape, 2)), *odds)

    model = editor_model(editor, None, mask_id=3, pad_id=PAD)
    drawn, path = write_trajectory(KEY, model, row, max_steps=6, choice=Categorical())
    assert (drawn.stop == Stop.STEPS).all()
    assert (drawn.network_calls == 6).all()
    assert (path[:, :, [0, 2]] == 3).all()
    # 384 fair coins: within five standard errors of 9.8.
    assert abs(int(path[1:, :, 1].sum()) - 192) < 49
    # The likeliest is a every time, so that is the end.
    still = write(KEY, model, row, max_steps=6)
    assert (still.stop == Stop.STILL).all()
    assert (still.network_calls == 1).all()


def test_logits_of_a_mask_that_goes_are_not_looked_at():
    def broken(deletes, tokens):
        controls = growing(jnp.zeros(3), tokens)
        odds = jnp.where(deletes & (tokens == MASK), 1.0, -1.0)
        return controls._replace(logits=controls.logits + jnp.nan, insert=-jnp.ones_like(odds), delete=odds)

    row = jnp.asarray([[0, MASK]])
    for deletes in (True, False):
        model = editor_model(broken, jnp.asarray(deletes), mask_id=MASK, pad_id=PAD)
        assert write(KEY, model, row, max_steps=1).finite.tolist() == [deletes]


def test_what_is_no_number_is_told():
    def broken(where, tokens):
        controls = growing(jnp.zeros(3), tokens)
        bad = jnp.where(where[None, :] & (tokens == 0), jnp.nan, 0.0)
        return controls._replace(delete=controls.delete + bad)

    start = jnp.asarray(buffers([[0, 0], [1, 1], [2, 2]], 2))
    model = editor_model(broken, jnp.asarray([False, True]), mask_id=MASK, pad_id=PAD)
    found = write(KEY, model, start, max_steps=1)
    assert found.finite.tolist() == [False, True, True]
    with pytest.raises(InputError, match=r"no numbers in rows \[0\]"):
        raise_if_unfinished(found, 1)
    nothing = grows([-jnp.inf] * 3, end_id=None)
    masks = jnp.asarray(buffers([[MASK], [0]], 2))
    assert write(KEY, nothing, masks, max_steps=1).finite.tolist() == [False, True]


def test_rows_that_are_none_are_refused(monkeypatch):
    for start, message in (
        ([[0, 1], [PAD, PAD]], r"rows \[1\] are empty"),
        ([[0, PAD, 1]], r"rows \[0\] .* padding \(4\) before a token"),
    ):
        with pytest.raises(InputError, match=message):
            write(KEY, MODEL, jnp.asarray(start), max_steps=2)
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)  # as users have it
    for start in (jnp.asarray([0, 1]), jnp.asarray([[0.5]])):
        with pytest.raises(InputError, match=r"\]; pass integers \[batch, length\]"):
            write(KEY, MODEL, start, max_steps=2)


def test_special_tokens_are_different_ones():
    for numbers in ({"mask_id": 3, "pad_id": 3}, {"mask_id": 3, "pad_id": 4, "end_id": 4}):
        with pytest.raises(InputError, match="pass different tokens"):
            editor_model(parity, None, **numbers)
    with pytest.raises(InputError, match="max_steps"):
        write(KEY, MODEL, jnp.asarray(buffers([[0]], 1)), max_steps=0)


def test_a_control_is_taken_above_its_threshold():
    """Log-odds log(p / (1 - p)) of p = 0.6, 0.7 and 0.8, asked for at thresholds on both sides of each."""
    chances = [0.6, 0.7, 0.8]

    def editor(params, tokens):
        odds = [jnp.full(tokens.shape, np.log(p / (1 - p))) for p in chances]
        return Controls(jnp.zeros((*tokens.shape, 2)), *odds)

    model = editor_model(editor, None, mask_id=2, pad_id=3)
    row = jnp.asarray([[2, 0, 3, 3, 3, 3]])
    for below in itertools.product((True, False), repeat=3):
        limits = Thresholds(*(p + (-0.01 if b else 0.01) for p, b in zip(chances, below, strict=True)))
        found = write(jax.random.key(0), model, row, max_steps=1, thresholds=limits)
        edits = Edits(jnp.zeros_like(row), *(jnp.full(row.shape, bool(b)) & (row != 3) for b in below))
        expected = edited(row, edits, 2, 3)
        assert found.length[0] == expected.length[0]
        np.testing.assert_array_equal(found.tokens, expected.tokens)
    with pytest.raises(InputError, match="threshold of insert = 1"):
        write(jax.random.key(0), model, row, max_steps=1, thresholds=Thresholds(insert=1.0))
