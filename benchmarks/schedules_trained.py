"""The parts of `schedules.py` that train networks and judge their samples."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from schedules_samples import grid_of, plans_of, share

LANGUAGES = {
    "arithmetic:digits=2": (3000, 128, (2, 3, 4, 6)),
    "brackets:length=24,kinds=2": (1500, 64, (3, 6, 12)),
}
"""Updates and batch of the training of each language, and steps at which it is sampled."""

WIDTH, DEPTH = 96, 3
SAMPLES, TEXTS = 2048, 512


def trained(data: np.ndarray, vocab_size: int, num_steps: int, batch: int, width: int, depth: int):
    """A network of a language, as (denoiser, params, mask_id)."""
    import jax
    import optax
    from flax import nnx

    from mdmot.model import Model
    from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx
    from mdmot.training import fit

    config = TransformerConfig(vocab_size, data.shape[1], width, depth, 4)
    denoiser, params = from_nnx(MaskedTransformer(config, nnx.Rngs(0)))
    rate = optax.warmup_cosine_decay_schedule(0.0, 3e-3, num_steps // 10, num_steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, b2=0.98))
    result = fit(
        jax.random.key(0),
        Model(denoiser, params, config.mask_id),
        data,
        optimizer=optimizer,
        num_steps=num_steps,
        batch_size=batch,
    )
    return denoiser, result.model.params, config.mask_id


def profile_of(denoiser, params, mask_id: int, data: np.ndarray, draws: int):
    from mdmot import Model
    from mdmot.information import estimate_profile, estimated_profile, jax_scorer

    scorer = jax_scorer(Model(denoiser, params, mask_id))
    return estimated_profile(estimate_profile(4, scorer, data, draws=draws, batch_size=256))


def samples(
    denoiser, params, mask_id: int, length: int, counts: np.ndarray, rule: str, num: int
) -> np.ndarray:
    """Rows drawn with these counts, random positions or the surest first."""
    import jax
    import jax.numpy as jnp

    from mdmot import Model, samplers

    if rule == "random order":
        chosen = samplers.FixedUnmasking()
    else:
        chosen = samplers.Ranked(score=samplers.NegativeEntropy(), choice=samplers.Categorical())
    masked = jnp.full((num, length), mask_id, jnp.int32)
    drawn = samplers.sample(
        jax.random.key(6), chosen, Model(denoiser, params, mask_id), grid_of(counts), masked
    )
    samplers.raise_if_failed(drawn)
    return np.asarray(drawn.tokens)


def languages() -> Iterator[dict[str, Any]]:
    """Share of correct sequences, and of different ones among them."""
    from mdmot.data import read_language

    for text, (updates, batch, steps) in LANGUAGES.items():
        language = read_language(text)
        data = language.draw(0, 2**15)
        network = trained(data, language.vocabulary.size, updates, batch, WIDTH, DEPTH)
        profile = profile_of(*network, language.draw(1, 2**13), draws=1000)
        for num_steps in steps:
            plans = plans_of(profile.fitted, min(num_steps, language.length))
            for name, (path_kl, counts) in plans.items():
                for rule in ("random order", "surest first"):
                    rows = samples(*network, language.length, counts, rule, SAMPLES)
                    correct, error = share(language.is_correct(rows))
                    yield {
                        "language": text,
                        "steps": num_steps,
                        "schedule": name,
                        "rule": rule,
                        "path_kl": path_kl,
                        "correct": correct,
                        "standard_error": error,
                        "different": len(np.unique(rows, axis=0)) / len(rows),
                        "step_ratio": profile.step_ratio,
                    }


def text() -> Iterator[dict[str, Any]]:
    """Bits per byte of a small text model's samples under a 5-gram judge of the same text."""
    from ngram_judge import NgramJudge

    from mdmot.data import read_corpus, tokenize
    from mdmot.vocabulary import Bytes

    windows = np.asarray(tokenize(read_corpus(None), Bytes(), None).windows(64)[: 2_000_000 // 64])
    is_held_out = np.arange(len(windows)) % 10 == 9  # of all documents alike
    train_rows, held_out = windows[~is_held_out], windows[is_held_out]
    network = trained(train_rows, 256, 1000, 32, 128, 2)
    profile = profile_of(*network, held_out, draws=500)
    judge = NgramJudge(train_rows.ravel(), 5)
    real = np.array([judge.bits_per_byte(row) for row in held_out[:TEXTS]])
    for num_steps in (4, 8, 16, 32, 64):
        for name, (path_kl, counts) in plans_of(profile.fitted, num_steps).items():
            if num_steps == 64 and name != "optimal":
                continue
            rows = samples(*network, 64, counts, "random order", TEXTS)
            bits = np.array([judge.bits_per_byte(row) for row in rows])
            frequency = np.bincount(rows.ravel(), minlength=256) / rows.size
            frequency = frequency[frequency > 0]
            yield {
                "steps": num_steps,
                "schedule": name,
                "path_kl": path_kl,
                "judge_bits_per_byte": float(bits.mean()),
                "standard_error": float(bits.std(ddof=1) / np.sqrt(bits.size)),
                "real_text": float(real.mean()),
                "byte_entropy": float(-(frequency * np.log2(frequency)).sum()),
                "step_ratio": profile.step_ratio,
                "step_ratio_interval": list(profile.step_ratio_interval),
            }
