"""The part of `training.py` about learned orders: a language in which one order is easier than others."""

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.stats import t

DIGITS, BASE = 6, 4
"""Free digits of a sequence, and how many values each has."""

WIDTH, DEPTH, HEADS = 64, 2, 4
UPDATES, BATCH, SEEDS = 700, 64, 4
OTHER_SEED = 5
"""The first seed of what is held out; trainings have those before it."""
NETWORK_RATE, ORDER_RATE = 3e-3, 2e-2
HELD_OUT, EVALUATIONS = 2048, 8
GAP = 8.0
"""Between the log weights of digits and sums in the known order: a sum is hardly ever before a digit."""


def learned_order(is_quick: bool) -> Iterator[dict[str, Any]]:
    """Held-out NELBO of networks trained on uniform orders, on learned ones and on the known good one."""
    language = checksums()
    num_updates, num_rows = (20, 128) if is_quick else (UPDATES, HELD_OUT)
    names = ("uniform", "learned") if is_quick else ("uniform", "learned", "known")
    excess: dict[str, list[float]] = {}
    for seed in range(2 if is_quick else SEEDS):
        data, held_out = split(language, seed)
        for name in names:
            found, log_weights = trained(name, seed, data, held_out[:num_rows], num_updates)
            excess.setdefault(name, []).append(language.length * found.value - language.entropy)
            before = 1.0 / (1.0 + np.exp(np.subtract.outer(log_weights[:DIGITS], log_weights[DIGITS:])))
            yield {
                "order": name,
                "seed": seed,
                "nats_per_token": found.value,
                "standard_error": found.standard_error,
                "excess_nats": excess[name][-1],
                "digit_before_sum": float(before.mean()),
            }
    for name in names[1:]:
        saved = np.subtract(excess["uniform"], excess[name])
        error = float(saved.std(ddof=1) / math.sqrt(saved.size))
        yield {
            "claim": f"nats a sequence that the {name} order saves, mean over seeds",
            "value": float(saved.mean()),
            "standard_error": error,
            "wanted": "above 0",
            "holds": bool(saved.mean() > t.ppf(0.975, saved.size - 1) * error),
        }


def checksums() -> Any:
    """Free digits, and in front of them the sum of each and its neighbour, round a circle.

    Two digits tell the sum between them; of sums alone a digit is known only by a chain round the circle.
    Every order has the same entropy, but not every one is as easy for a network.
    """
    from mdmot.data import Language
    from mdmot.vocabulary import Symbols

    def sums(digits: np.ndarray) -> np.ndarray:
        return (digits + np.roll(digits, -1, axis=1)) % BASE

    def sampler(generator: np.random.Generator, num: int) -> np.ndarray:
        digits = generator.integers(0, BASE, (num, DIGITS))
        return np.concatenate([sums(digits), digits], axis=1)

    return Language(
        name="checksums",
        length=2 * DIGITS,
        vocabulary=Symbols(tuple("0123456789"[:BASE])),
        entropy=DIGITS * math.log(BASE),
        sampler=sampler,
        decider=lambda rows: (rows[:, :DIGITS] == sums(rows[:, DIGITS:])).all(axis=1),
    )


def split(language: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences to train on, and others: a quarter of all there are, none among the first."""
    rows = language.draw(seed, 2**15)
    place = rows[:, DIGITS:] @ BASE ** np.arange(DIGITS)
    is_held_out = np.random.default_rng(OTHER_SEED + seed).random(BASE**DIGITS)[place] < 0.25
    return rows[~is_held_out], rows[is_held_out][:HELD_OUT]


@functools.lru_cache
def network_of(seed: int) -> tuple[Any, Any]:
    """A denoiser of the language and its first weights."""
    from flax import nnx

    from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx

    return from_nnx(
        MaskedTransformer(TransformerConfig(BASE, 2 * DIGITS, WIDTH, DEPTH, HEADS), nnx.Rngs(seed))
    )


@functools.lru_cache
def update_of(name: str, num_updates: int) -> Any:
    """The step of training; one object for all seeds, which share its program."""
    import optax

    from mdmot.training import LearnedOrderObjective, NelboObjective, OrderedParams, Update

    denoiser, _ = network_of(0)
    rate = optax.warmup_cosine_decay_schedule(0.0, NETWORK_RATE, num_updates // 10, num_updates)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, b2=0.98))
    if name == "learned":
        rules = {"network": optimizer, "order": optax.adam(ORDER_RATE)}
        return Update(
            LearnedOrderObjective(denoiser, BASE),
            optax.partition(rules, OrderedParams("network", "order")),
        )
    # Two patterns a row, as a learned order takes: each update has as many calls of the network.
    return Update(NelboObjective(denoiser, BASE, num_patterns=2), optimizer)


def trained(
    name: str, seed: int, data: np.ndarray, held_out: np.ndarray, num_updates: int
) -> tuple[Any, np.ndarray]:
    """The held-out NELBO after training, and the log weights of the orders that it is of."""
    import jax
    import jax.numpy as jnp

    from mdmot.training import (
        OrderedParams,
        even_order,
        order_log_weights,
        shuffled_batches,
        training_steps,
    )

    denoiser, params = network_of(seed)
    update = update_of(name, num_updates)
    batches = shuffled_batches(data, seed, BATCH)
    length = data.shape[1]
    log_weights = jnp.zeros(length)
    if name == "learned":
        params = OrderedParams(params, even_order(length))
    if name == "known":
        log_weights = GAP * (jnp.arange(length) >= DIGITS).astype(jnp.float32)
    weights = jnp.broadcast_to(log_weights, (BATCH, length))

    def weighted(step: int) -> Any:
        return batches(step)._replace(log_weights=weights)

    steps = training_steps(
        jax.random.key(seed),
        update,
        update.init(params),
        weighted if name == "known" else batches,
        num_updates,
    )
    for step in steps:
        params = step.state.params
    if name == "learned":
        log_weights, params = order_log_weights(params.order), params.network
    found = held_out_nelbo(jax.random.key(OTHER_SEED + seed), denoiser, params, log_weights, held_out)
    return found, np.asarray(log_weights, np.float64)


def held_out_nelbo(key: Any, denoiser: Any, params: Any, log_weights: Any, held_out: np.ndarray) -> Any:
    """The NELBO over the orders of these weights, in nats per token."""
    import jax
    import jax.numpy as jnp

    from mdmot.training import Measured

    tokens = jnp.asarray(held_out)
    estimate = _estimate()
    rows = np.mean(
        [
            np.asarray(estimate(key, denoiser, params, log_weights, tokens), np.float64)
            for key in jax.random.split(key, EVALUATIONS)
        ],
        axis=0,
    )
    return Measured(float(rows.mean()), float(rows.std(ddof=1) / math.sqrt(rows.size)))


@functools.lru_cache
def _estimate() -> Any:
    """The program that estimates each row's NELBO."""
    import jax
    import jax.numpy as jnp

    from mdmot.training import Shifted, draw_order
    from mdmot.training.learned_order import order_terms

    @functools.partial(jax.jit, static_argnums=1)
    def estimate(key, denoiser, params, log_weights, tokens):
        share_key, order_key = jax.random.split(key)
        num, length = tokens.shape
        masked = 1 + jnp.floor(length * Shifted().draw(share_key, num, ())).astype(jnp.int32)
        order = draw_order(order_key, log_weights, num)
        return order_terms(denoiser, params, log_weights, tokens, BASE, order, masked).loss / length

    return estimate
