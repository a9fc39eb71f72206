"""What a run can be told beside its sizes: each option reaches the steps, and resumes bit for bit."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from run_folders import numbers

from mdmot.errors import InputError
from mdmot.model import Model
from mdmot.models import TransformerConfig
from mdmot.training import (
    Answers,
    Antithetic,
    ControlVariate,
    EprLevels,
    LearnedOrder,
    NelboObjective,
    OrderedParams,
    ReweightedMasks,
    TokenWeight,
    TrainConfig,
    TrainData,
    evaluate,
    even_order,
    isad,
    marked,
    read_config,
    read_metrics,
    run,
    syrm,
)

pytestmark = pytest.mark.slow  # many small programs to compile

VOCAB, LENGTH, EQUALS = 4, 6, 3
CONFIG = TrainConfig(
    TransformerConfig(vocab_size=VOCAB, length=LENGTH, width=8, depth=1, heads=2),
    num_steps=8,
    batch_size=8,
    learning_rate=0.05,
    num_warm_up=2,
    average_decay=0.9,
    log_every=2,
    save_every=4,
    num_evaluated=8,
)
RNG = np.random.default_rng(0)
ROWS = RNG.integers(0, EQUALS, (40, LENGTH)).astype(np.uint8)
ROWS[:, 2] = EQUALS
ROWS[::5] = 0  # windows without an answer
DATA = TrainData(ROWS[:32], ROWS[32:], {"name": "random"})
PARAMS = {
    "left": RNG.normal(size=(VOCAB + 1, VOCAB)).astype(np.float32),
    "bias": np.zeros((VOCAB,), np.float32),
}
GIVEN = dataclasses.replace(CONFIG, answers=Answers((EQUALS,)))
OPTIONS = {
    "learned order": dataclasses.replace(CONFIG, order=LearnedOrder()),
    "control variate": dataclasses.replace(CONFIG, control=ControlVariate(num_bins=4)),
    "isad": isad(CONFIG, (EQUALS,), power=0.3),
    "syrm": syrm(GIVEN, (0,)),
    "token weights": dataclasses.replace(CONFIG, token_weights=(TokenWeight((1, 2), 0.4),)),
    "answers": GIVEN,
    "law of levels": dataclasses.replace(CONFIG, levels=EprLevels(1.0, 2.0, 0.5, 0.7, 0.3, -1.0, 1.5)),
    "together": dataclasses.replace(
        isad(syrm(GIVEN, (0,)), (EQUALS,)),
        levels=EprLevels(1.0, 2.0, 0.5, 0.7, 0.3, -1.0, 1.5),
        control=ControlVariate(num_bins=4),
        num_patterns=2,
        spread=Antithetic(),
        num_microbatches=2,
    ),
}


def denoiser(params, tokens):
    """Logits from the token on the left."""
    return params["left"][jnp.roll(tokens, 1, axis=1)] + params["bias"][None, None]


def trained(folder, config, **options):
    with jax.numpy_dtype_promotion("standard"):  # optax takes floats to the power of its int32 steps
        return run(config, Model(denoiser, PARAMS, VOCAB), DATA, folder, **options)


def stopped(step, loss):
    if step == 5:
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The run without options."""
    return trained(tmp_path_factory.mktemp("plain"), CONFIG).state


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_resumes_bit_for_bit(tmp_path, plain, name):
    config = OPTIONS[name]
    whole = trained(tmp_path / "whole", config)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "parts", config, progress=stopped)
    parts = trained(tmp_path / "parts", config, resume=True)
    assert (parts.resumed_from, int(parts.state.step)) == (4, 8)
    assert jax.tree.structure(parts.state) == jax.tree.structure(whole.state)
    jax.tree.map(np.testing.assert_array_equal, parts.state, whole.state)
    assert numbers(tmp_path / "parts") == numbers(tmp_path / "whole")
    assert read_config(tmp_path / "whole" / "config.json")[0] == config
    # The option is none that does nothing; the control variate changes what is measured alone.
    network = config.order.network(whole.state.params)
    is_same = all(np.array_equal(network[name], plain.params[name]) for name in network)
    assert is_same == (name == "control variate")


def test_what_an_option_has_learned_is_in_the_checkpoint(tmp_path):
    config = OPTIONS["learned order"]
    state = trained(tmp_path / "order", config).state
    assert isinstance(state.params, OrderedParams)
    assert np.abs(state.params.order - even_order(LENGTH)).max() > 0.01
    some = DATA.held_out[np.arange(8)]
    found = evaluate(
        jax.random.key(0), Model(denoiser, state.best_params.network, VOCAB), some, batch_size=8,
        log_weights=config.order.log_weights(state.best_params),
    )  # fmt: skip
    measured = read_metrics(tmp_path / "order" / "metrics.jsonl")[-1]["held_out_bits_per_token"]
    assert measured == found.nats_per_token / np.log(2.0)
    config = OPTIONS["control variate"]
    control = trained(tmp_path / "control", config).state.objective.control
    # 8 updates of 8 windows, of which each fades by .99 at every later one.
    assert float(control.number.sum()) == pytest.approx(sum(8 * 0.99**i for i in range(8)), rel=1e-6)


def test_prompts_are_never_masked_and_not_counted(tmp_path):
    """A network that fails if a token of a prompt is hidden, and knows the answers."""
    rows = np.tile(np.array([[1, 2, EQUALS, 2, 1, 0]], np.uint8), (16, 1))

    def knowing(params, tokens):
        is_hidden = (tokens[:, :3] == VOCAB).any(axis=1)
        logits = 50.0 * jax.nn.one_hot(jnp.asarray(rows[0]), VOCAB)[None] + 0.0 * params["bias"][None, None]
        return jnp.where(is_hidden[:, None, None], jnp.nan, logits)

    data = TrainData(rows, rows, {"name": "one"})
    with jax.numpy_dtype_promotion("standard"):
        metrics = run(GIVEN, Model(knowing, PARAMS, VOCAB), data, tmp_path).metrics
        assert 0 <= metrics["held_out_bits_per_token"] < 1e-6
        assert 0 <= metrics["nats_per_token"] < 1e-6
    batch = marked(jnp.asarray(rows, jnp.int32), GIVEN.answers, maskable=(1,))
    assert (~np.asarray(batch.is_given)).nonzero()[1].reshape(16, 4).tolist() == [[0, 3, 4, 5]] * 16


def test_a_loss_is_taken_over_the_answers_of_all_windows():
    lengths = np.arange(6)  # of the answers, none in the first row
    rows = np.zeros((6, LENGTH), np.int32)
    for row, length in enumerate(lengths):
        rows[row, LENGTH - 1 - length] = EQUALS
    answers, key = Answers((EQUALS,)), jax.random.key(0)
    bias = jnp.asarray([0.3, -0.1, 0.2, 1.0], jnp.float32)

    def even(params, tokens):
        return jnp.broadcast_to(params, (*tokens.shape, VOCAB))

    found = evaluate(key, Model(even, bias, VOCAB), rows, batch_size=4, answers=answers)
    # All tokens of the answers are alike, so that nothing is left to chance but float32.
    expected = float(jax.nn.logsumexp(bias) - bias[0])
    assert found.nats_per_token == pytest.approx(expected, rel=1e-6)
    assert found.standard_error == pytest.approx(0, abs=1e-6)
    with pytest.raises(InputError, match="no window has an answer"):
        evaluate(key, Model(even, bias, VOCAB), rows[:1].repeat(2, axis=0), batch_size=2, answers=answers)


@pytest.mark.parametrize(
    ("answers", "row", "expected"),
    [
        (Answers((9,)), [1, 9, 2, 9, 3], [1, 1, 0, 0, 0]),
        (Answers((9,)), [1, 2, 3, 4, 5], [1, 1, 1, 1, 1]),
        (Answers((9,), (0,)), [4, 0, 1, 9, 2], [1, 1, 1, 1, 0]),
        (Answers((9,), (0,)), [9, 2, 0, 1, 9], [1, 0, 0, 1, 1]),
        (Answers((8, 9)), [9, 8, 1, 8, 9], [1, 1, 1, 1, 1]),
        (Answers((8, 9)), [9, 8, 9, 8, 9], [1, 1, 1, 0, 0]),
        (Answers((9,), (0, 0)), [9, 0, 1, 0, 0], [1, 0, 0, 0, 0]),
        (Answers((9,) * 9), [9] * 5, [1] * 5),
    ],
)
def test_answers_lie_between_their_marks(answers, row, expected):
    assert np.asarray(answers.is_given(jnp.asarray([row], jnp.int32)))[0].tolist() == expected


def test_weights_go_by_tokens():
    weights = (TokenWeight((1, 2), 0.5), TokenWeight((2,), 3.0))
    batch = marked(jnp.asarray([[0, 1, 2, 1]], jnp.int32), weights=weights)
    np.testing.assert_allclose(np.exp(batch.log_weights), [[1.0, 0.5, 3.0, 0.5]], rtol=1e-6)
    assert batch.is_given is None
    assert marked(batch.tokens).log_weights is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"order": LearnedOrder(), "control": ControlVariate()}, "has no use for control"),
        ({"order": LearnedOrder(), "num_patterns": 2}, "has no use for num_patterns"),
        ({"order": LearnedOrder(), "masks": ReweightedMasks()}, "has no use for masks"),
        ({"order": LearnedOrder(), "answers": Answers((3,))}, "has no use for answers"),
        ({"order": LearnedOrder(), "token_weights": (TokenWeight((1,), 0.5),)}, "no use for token_weights"),
        ({"maskable": (1,)}, "all tokens are maskable where answers = None"),
        ({"masks": ReweightedMasks(), "token_weights": (TokenWeight((1,), 2.0),)}, "as much as 1e.06"),
        ({"answers": Answers((4,))}, "answers: token 4, but the model's clean tokens are 0 to 3"),
        ({"answers": Answers((1,)), "maskable": (7,)}, "token 7, but"),
        ({"token_weights": (TokenWeight((-1,), 0.5),)}, "token -1, but"),
    ],
)
def test_settings_that_make_no_sense_together_are_refused(change, words):
    with pytest.raises(InputError, match=words) as error:
        dataclasses.replace(CONFIG, **change)
    assert "\n" not in str(error.value)


def test_settings_of_another_kind_are_refused():
    for name, value in (("order", None), ("answers", (3,)), ("levels", "fitted")):
        config = dataclasses.replace(CONFIG)
        object.__setattr__(config, name, value)  # which the checks of this test suite would refuse before
        with pytest.raises(InputError, match=f"{name} = .*; pass an object of mdmot.training"):
            config._assert_together()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Answers(()),
        lambda: TokenWeight((), 0.5),
        lambda: TokenWeight((1,), 0.0),
        lambda: TokenWeight((1,), float("inf")),
        lambda: ReweightedMasks(0.0),
        lambda: isad(CONFIG, (1,), power=1.5),
        lambda: isad(CONFIG, ()),
        lambda: syrm(CONFIG, (1,)),
    ],
)
def test_options_out_of_range_are_refused(make):
    with pytest.raises(InputError, match="pass") as error:
        make()
    assert "\n" not in str(error.value)


def test_data_without_answers_are_refused(tmp_path):
    for change, words in (
        ({"windows": np.zeros_like(ROWS)}, r"no window has tokens \[3\] and an answer"),
        ({"held_out": np.zeros_like(ROWS)}, "0 held-out windows have an answer"),
    ):
        with pytest.raises(InputError, match=words):
            run(GIVEN, Model(denoiser, PARAMS, VOCAB), DATA._replace(**change), tmp_path)
    assert not any(tmp_path.iterdir())


def test_settings_of_runs_begun_before_these_options_are_read(tmp_path):
    path = tmp_path / "config.json"
    trained(tmp_path, dataclasses.replace(CONFIG, num_steps=4))
    content = json.loads(path.read_text())
    for name in ("masks", "control", "answers", "maskable", "token_weights", "order"):
        del content["config"][name]
    path.write_text(json.dumps(content))
    assert read_config(path)[0] == dataclasses.replace(CONFIG, num_steps=4)
    assert trained(tmp_path, CONFIG, resume=True).resumed_from == 4
    with pytest.raises(InputError, match=r"answers\.after was None and is \[3\]"):
        trained(tmp_path, GIVEN, resume=True)


def test_the_objective_of_a_run_is_the_one_that_its_settings_say():
    config = OPTIONS["together"]
    objective = config.nelbo(denoiser)
    assert isinstance(objective, NelboObjective)
    for name in ("levels", "masks", "num_patterns", "spread", "control"):
        assert getattr(objective, name) == getattr(config, name)
