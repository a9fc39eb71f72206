"""The parts of `schedules.py` that sample laws known exactly."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from schedules_exact import estimated

LENGTHS = (64, 128, 256, 512)
LANGUAGES = (
    "ngram:order=1,states=8,forbidden=.5,length={}",
    "hmm:states=4,symbols=4,stay=.5,forbidden=.5,length={}",
)
SAMPLES = 128
PROFILE_DRAWS = 300


def plans_of(profile: np.ndarray, num_steps: int) -> dict[str, tuple[float, np.ndarray]]:
    """Path KL and counts a step of the schedules that are compared, by name."""
    import jax.numpy as jnp

    from mdmot.information import fixed_path_kl
    from mdmot.plans import Fixed, optimal_counts
    from mdmot.schedules import counts, masks, step_grid
    from mdmot.tuning import learn_beta

    learned = learn_beta(jnp.asarray(profile), num_steps, Fixed)
    shapes = {"linear": (0.5, 0.5), "squared-sine": (1.0, 1.0), "best Beta": (learned.a, learned.b)}
    found = {
        name: np.asarray(counts(step_grid(masks.beta(*shape), num_steps).alpha, profile.size))
        for name, shape in shapes.items()
    }
    found["optimal"] = np.asarray(optimal_counts(profile, num_steps))
    return {name: (float(fixed_path_kl(profile, jnp.asarray(c))), c) for name, c in found.items()}


def share(is_good: np.ndarray) -> tuple[float, float]:
    """A share and its standard error, by Laplace's rule: 0 of n is no certainty."""
    smoothed = (is_good.sum() + 1) / (is_good.size + 2)
    return float(is_good.mean()), float(np.sqrt(smoothed * (1 - smoothed) / is_good.size))


def grid_of(counts: np.ndarray):
    from mdmot.schedules import grid_from_alpha

    known = np.concatenate([[0], np.cumsum(counts)])
    return grid_from_alpha(known / known[-1])


def limit() -> Iterator[dict[str, Any]]:
    """Token and sequence error rates of languages with forbidden tokens, by length, steps and schedule.

    The token error rate is exp of the cross-entropy per token of the data under the sampler; its excess
    over the language's own is at most the path KL per token. The sequence error rate is the share of
    illegal samples.
    """
    import jax
    import jax.numpy as jnp

    from mdmot.distributions import read_law
    from mdmot.samplers import FixedUnmasking, sample

    for text in LANGUAGES:
        for length in LENGTHS:
            law = read_law(text.format(length))
            formula = law.profile()
            draws = PROFILE_DRAWS
            profile = np.asarray(estimated(law, draws, seed=2)[1].fitted if formula is None else formula)
            entropy, _ = law.entropy()
            masked = jnp.full((SAMPLES, length), law.vocab_size, jnp.int32)
            for num_steps in sorted({16, 64, length // 4, length}):
                for name, (path_kl, counts) in plans_of(profile, num_steps).items():
                    if num_steps == length and name != "optimal":
                        continue
                    drawn = sample(
                        jax.random.key(5), FixedUnmasking(), law.model(), grid_of(counts), masked
                    )
                    is_legal = np.isfinite(np.asarray(law.log_prob(drawn.tokens)))
                    error, standard_error = share(~is_legal)
                    yield {
                        "law": law.spec,
                        "length": length,
                        "steps": num_steps,
                        "schedule": name,
                        "log2_ter": entropy / length / np.log(2),
                        "log2_ter_excess_at_most": path_kl / length / np.log(2),
                        "ser": error,
                        "standard_error": standard_error,
                    }


def order() -> Iterator[dict[str, Any]]:
    """KL(p||q) when the surest positions are revealed first, beside the path KL of random positions.

    The surest are those of least entropy, which the known tokens decide; so log q of a sequence is the
    sum of its conditionals along one path, and its mean over the law is measured without sampling q.
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    from mdmot.distributions import read_law

    specs = (
        "markov:stay=.97,length=64",
        "ngram:order=2,states=4,forbidden=.5,length=64",
        "brackets:length=32,depth=4",
        "repeated-bit:flip=.05,length=64",
    )
    for spec in specs:
        law = read_law(spec)
        formula = law.profile()
        profile = np.asarray(estimated(law, 1000, seed=2)[1].fitted if formula is None else formula)
        data = law.sample(jax.random.key(9), 512)
        log_prob = np.asarray(law.log_prob(data))
        for num_steps in (law.length // 8, law.length // 2):
            plans = plans_of(profile, num_steps)
            for name in ("linear", "optimal"):
                path_kl, counts = plans[name]
                excess = log_prob - _confident_log_prob(law, np.asarray(data), counts)
                yield {
                    "law": law.spec,
                    "steps": num_steps,
                    "schedule": name,
                    "random_order_path_kl": path_kl,
                    "surest_first_kl": float(excess.mean()),
                    "standard_error": float(excess.std(ddof=1) / np.sqrt(excess.size)),
                }


def _confident_log_prob(law, data: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """log q(x) of each row under reveals of least entropy first, ties by position."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def step(tokens, clean):
        logits = law.denoiser(law.params, tokens)
        prob = jnp.exp(logits)
        entropy = -jnp.sum(prob * jnp.where(prob > 0, logits, 0.0), axis=-1)
        # Equal by symmetry, not to the last digit: ties are broken by position.
        entropy = jnp.round(entropy, 9)
        own = jnp.take_along_axis(logits, clean[..., None], axis=-1)[..., 0]
        return jnp.where(tokens == law.vocab_size, entropy, jnp.inf), own

    tokens, total = np.full_like(data, law.vocab_size), np.zeros(len(data))
    for count in counts[counts > 0]:
        entropy, own = map(np.asarray, step(tokens, data))
        chosen = np.argsort(entropy, axis=1, kind="stable")[:, :count]
        total += np.take_along_axis(own, chosen, axis=1).sum(axis=1)
        np.put_along_axis(tokens, chosen, np.take_along_axis(data, chosen, axis=1), axis=1)
    return total
