"""The part of `any_process.py` on two-sided brackets: three kinds of networks that write words."""

import functools
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from any_process_common import Recipe, new_editor, num_parameters, trained
from flax import nnx
from jax import Array

from mdmot import FixedUnmasking, Model, sample
from mdmot.data.traces import TwoSidedBrackets
from mdmot.data.traces.two_sided import MOST_TOKENS, cancels, lengths
from mdmot.editing import Stop, write
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx
from mdmot.models.transformer import Body
from mdmot.samplers import Categorical
from mdmot.schedules import masks, step_grid
from mdmot.training import fit

TASK = TwoSidedBrackets(kinds=2, growth=0.9)
LETTERS = 2 * TASK.kinds
LEARNED = MOST_TOKENS // 2
"""Letters of the longest words that others learn from: rows on the way to them have up to twice as many."""

ROOM, MOST_STEPS = 256, 300
"""Tokens of a row, and steps, that writing may take."""

LONGEST = 4 * LEARNED
"""Letters that a word may have to count as one that ended."""

BINS = (2, 10, 18, 33, 65, LONGEST + 1)
"""Where the numbers of letters begin of which shares are told; all below 33 are learned from."""

RECIPE = Recipe(width=32, depth=2, window=1, updates=2000, rate=0.01)
WORDS, STEPS, TRIED, AT_ONCE = 2**14, 20_000, 600, 100


class Causal(nnx.Module):
    """An autoregressive transformer of our blocks, without a table of positions: what comes next."""

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs):
        self.embedding = nnx.Embed(config.vocab_size + 1, config.width, rngs=rngs)
        self.body = Body(config, rngs)
        self.head = nnx.Linear(config.width, config.vocab_size, use_bias=False, rngs=rngs)

    def __call__(self, tokens: Array) -> Array:
        """Logits of the token behind each position, from it and those before."""
        length = tokens.shape[1]
        is_seen = jnp.broadcast_to(jnp.tril(jnp.ones((length, length), bool)), (*tokens.shape, length))
        return self.head(self.body(self.embedding(tokens), is_seen))


def brackets(is_quick: bool) -> Iterator[dict[str, Any]]:
    """Words of each network, of the law of which all have learned."""
    recipe, tried = (RECIPE._replace(updates=5), 20) if is_quick else (RECIPE, TRIED)
    generator = np.random.default_rng(0)
    yield {"model": "the law", **shares(*finished(words(generator, tried, LONGEST)))}
    yield editor_row(recipe, generator, 200 if is_quick else STEPS, tried)
    known = words(np.random.default_rng(1), 200 if is_quick else WORDS, LEARNED)
    yield autoregressive_row(recipe, known, tried)
    yield masked_row(recipe, known, tried)


def words(generator: np.random.Generator, num: int, most: int) -> list[list[int]]:
    """Words of the law that have no more letters than that."""
    found: list[list[int]] = []
    while len(found) < num:
        word = random_word(generator, most)
        if word is not None:
            found.append(word)
    return found


def random_word(generator: np.random.Generator, most: int) -> list[int] | None:
    """A word of the law, from left to right; None if it has more letters than that."""
    word: list[int] = []
    # What is to come, the next one last: a letter, or a place where one may open but that which closes.
    ahead: list[tuple[str, int]] = [("open", -1)]
    while ahead:
        what, letter = ahead.pop()
        if what == "letter":
            word.append(letter)
            continue
        calls = [call for call in range(LETTERS) if call != letter]
        drawn = generator.random() / TASK.chance
        if drawn < len(calls):
            call = calls[int(drawn)]
            close = (call + TASK.kinds) % LETTERS
            ahead += [("open", letter), ("letter", close), ("open", close), ("letter", call)]
        # At least half of what is to come are letters.
        if len(word) + len(ahead) // 2 > most:
            return None
    return word if len(word) <= most else None


def finished(found: Sequence[Sequence[int]]) -> tuple[Sequence[Sequence[int]], np.ndarray]:
    """Words, all of which ended."""
    return found, np.ones(len(found), bool)


def shares(found: Sequence[Sequence[int]], is_finished: np.ndarray) -> dict[str, Any]:
    """Of words that ended, how many are right by the number of their letters; and the law of short ones."""
    is_right = np.array([cancels(word, TASK.kinds) for word in found]) & is_finished
    letters = np.array([len(word) for word in found])
    row: dict[str, Any] = {"finished": float(is_finished.mean()), "right": float(is_right.mean())}
    for least, above in itertools.pairwise(BINS):
        there = (letters >= least) & (letters < above) & is_finished
        name = f"{least}_to_{above - 1}"
        row[f"right_{name}"] = float(is_right[there].mean()) if there.any() else None
        row[f"number_{name}"] = int(there.sum())
    # The share of words without letters, and with two: 0.4 and 0.132 under the law.
    for pairs, chance in enumerate(lengths(TASK.kinds, TASK.growth, 1)):
        row[f"share_of_{pairs}_pairs"] = float((letters[is_finished] == 2 * pairs).mean())
        row[f"law_of_{pairs}_pairs"] = round(float(chance), 3)
    return row


def editor_row(recipe: Recipe, generator: np.random.Generator, steps: int, tried: int) -> dict[str, Any]:
    """A network that edits, trained on the steps of the task."""
    traces = TASK.traces(generator, steps)
    model, row = trained(recipe, new_editor(recipe, len(TASK.signs), 0), traces, 0)
    start = TASK.starts(generator, 1)[0]
    tokens = np.full((tried, ROOM), model.pad_id, np.int32)
    tokens[:, : len(start)] = start
    keys = jax.random.split(jax.random.key(0), tried)
    ends, stops, calls = [], [], []
    # All rows of a batch wait for the last one.
    for at in range(0, tried, AT_ONCE):
        some = slice(at, at + AT_ONCE)
        found = write(
            keys[some], model, jnp.asarray(tokens[some]), max_steps=MOST_STEPS, choice=Categorical()
        )
        ends += [row[1:n].tolist() for row, n in zip(np.asarray(found.tokens), found.length, strict=True)]
        stops += found.stop.tolist()
        calls += found.network_calls.tolist()
    ended = np.array([stop == Stop.STILL for stop in stops])
    ended &= np.array([len(end) <= LONGEST for end in ends])
    return {"model": "editing", **row, "calls": float(np.mean(calls)), **shares(ends, ended)}


def autoregressive_row(recipe: Recipe, known: Sequence[Sequence[int]], tried: int) -> dict[str, Any]:
    """A causal network, a letter a call; what ends a word is a token."""
    config = TransformerConfig(LETTERS + 1, 1, recipe.width, recipe.depth, heads=4, expansion=2)
    network, params = from_nnx(Causal(config, nnx.Rngs(0)))
    end, begin = LETTERS, LETTERS + 1
    rows = np.full((len(known), LEARNED + 2), end, np.int32)
    rows[:, 0] = begin
    for row, word in zip(rows, known, strict=True):
        row[1 : len(word) + 1] = word
    optimizer, start = recipe.optimizer(), time.perf_counter()

    def loss(params: Any, batch: Array) -> Array:
        nats = optax.softmax_cross_entropy_with_integer_labels(network(params, batch[:, :-1]), batch[:, 1:])
        # The first end counts, and what fills the row up behind it does not.
        counts = batch[:, :-1] != end
        return jnp.where(counts, nats, 0.0).sum() / counts.sum()

    @jax.jit
    def update(step: Array, params: Any, state: Any) -> tuple[Any, Any, Array]:
        key = jax.random.fold_in(jax.random.key(0), step)
        batch = jnp.asarray(rows)[jax.random.randint(key, (recipe.batch,), 0, len(rows))]
        value, gradient = jax.value_and_grad(loss)(params, batch)
        change, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, change), state, value

    state, losses = optimizer.init(params), []
    for step in range(recipe.updates):
        params, state, value = update(jnp.int32(step), params, state)
        losses.append(float(value))
    seconds = round(time.perf_counter() - start)
    tokens = drawn_words(network, params, jnp.full((tried, LONGEST + 2), begin), end)
    found = [row[1:].tolist() for row in np.asarray(tokens)]
    ends = [word[: word.index(end)] if end in word else word for word in found]
    return {
        "model": "autoregressive",
        "parameters": num_parameters(params),
        "updates": recipe.updates,
        "loss": float(np.mean(losses[-50:])),
        "seconds": seconds,
        "calls": float(np.mean([len(word) + 1 for word in ends])),
        **shares(ends, np.array([end in word for word in found])),
    }


@functools.partial(jax.jit, static_argnames="network")
def drawn_words(network: Any, params: Any, tokens: Array, end: int) -> Array:
    """Rows filled from left to right, each token drawn; behind an end there are ends."""

    def step(at: Array, tokens: Array) -> Array:
        logits = network(params, tokens)[:, at - 1]
        new = jax.random.categorical(jax.random.fold_in(jax.random.key(1), at), logits)
        return tokens.at[:, at].set(jnp.where(tokens[:, at - 1] == end, end, new.astype(tokens.dtype)))

    return jax.lax.fori_loop(1, tokens.shape[1], step, tokens)


def masked_row(recipe: Recipe, known: Sequence[Sequence[int]], tried: int) -> dict[str, Any]:
    """A masked network of rows that are filled up, one token a call, in random order."""
    pad = LETTERS
    config = TransformerConfig(LETTERS + 1, LEARNED, recipe.width, recipe.depth, heads=4, expansion=2)
    denoiser, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    rows = np.full((len(known), LEARNED), pad, np.int32)
    for row, word in zip(rows, known, strict=True):
        row[: len(word)] = word
    start = time.perf_counter()
    model, losses = fit(
        jax.random.key(0),
        Model(denoiser, params, mask_id=config.mask_id),
        rows,
        optimizer=recipe.optimizer(),
        num_steps=recipe.updates,
        batch_size=recipe.batch,
    )
    seconds = round(time.perf_counter() - start)
    blank = jnp.full((tried, LEARNED), config.mask_id, jnp.int32)
    found = sample(jax.random.key(0), FixedUnmasking(), model, step_grid(masks.linear(), LEARNED), blank)
    # What comes behind padding makes a word wrong, as a letter that nothing closes.
    ends = [np.trim_zeros(row - pad, "b") + pad for row in np.asarray(found.tokens)]
    return {
        "model": "masked",
        "parameters": num_parameters(model.params),
        "updates": recipe.updates,
        "loss": float(losses[-50:].mean()),
        "seconds": seconds,
        "calls": float(np.mean(found.network_calls)),
        **shares([end.tolist() for end in ends], np.ones(tried, bool)),
    }
