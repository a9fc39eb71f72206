"""The parts of `schedules.py` that compare predictions with laws known exactly."""

from collections.abc import Iterator
from typing import Any

CHAINS = ((0.9, 256), (0.97, 256), (0.99, 256), (0.995, 512))
"""Stay and length of the sticky chains, of 4 states."""

STEPS = 32
DRAWS_A_LEVEL = 4000


def exact() -> None:
    import jax

    jax.config.update("jax_enable_x64", True)


def chain(stay: float, length: int):
    from mdmot.distributions import read_law

    return read_law(f"markov:stay={stay},states=4,length={length}")


def estimated(law, draws: int, seed: int):
    """Estimate and profile of a law from draws of its exact denoiser, without its formula."""
    import jax
    import numpy as np

    from mdmot.information import default_levels, estimate_profile, estimated_profile, jax_scorer

    levels = default_levels(law.length)
    data = np.asarray(law.sample(jax.random.key(seed), min(draws * levels.size, 2**15)))
    scorer = jax_scorer(law.model())
    estimate = estimate_profile(seed, scorer, data, draws=draws, batch_size=256, levels=levels)
    return estimate, estimated_profile(estimate)


def path_kl_error(estimate, profile, path_kl) -> float:
    """Standard error of a path KL that is predicted from an estimated profile, by the bootstrap."""
    from mdmot.information import bootstrap_interval

    within = bootstrap_interval(
        0, path_kl, profile.fitted, profile.levels, estimate.covariance, resamples=100, coverage=0.683
    )
    return (within[1] - within[0]) / 2


def prediction() -> Iterator[dict[str, Any]]:
    """Predicted path KL, and the mean of log p(x)/q(x|A) over draws that the prediction has not seen."""
    exact()
    import jax
    import numpy as np

    from mdmot.distributions import read_law
    from mdmot.information import (
        bernoulli_path_kl,
        fixed_path_kl,
        jax_scorer,
        teacher_forced,
    )
    from mdmot.plans import Bernoulli, Fixed, optimal_counts
    from mdmot.schedules import counts, masks, step_grid

    for name in ("markov:stay=.97,length={}", "hmm:states=4,symbols=4,stay=.95,forbidden=.3,length={}"):
        for length in (64, 256):
            law = read_law(name.format(length))
            formula = law.profile()
            estimate, fit = (None, None) if formula is not None else estimated(law, 1000, seed=1)
            profile = np.asarray(formula if fit is None else fit.fitted)
            linear, sine = step_grid(masks.linear(), 16), step_grid(masks.squared_sine(), 16)
            even = np.asarray(counts(linear.alpha, length))
            best = np.asarray(optimal_counts(profile, 16))
            plans = {
                "linear, fixed": Fixed(even),
                "optimal, fixed": Fixed(best),
                "linear, bernoulli": Bernoulli(linear.alpha),
                "squared-sine, bernoulli": Bernoulli(sine.alpha),
            }
            path_kls = [
                lambda h, even=even: fixed_path_kl(h, even),
                lambda h, best=best: fixed_path_kl(h, best),
                lambda h, linear=linear: bernoulli_path_kl(h, linear.alpha),
                lambda h, sine=sine: bernoulli_path_kl(h, sine.alpha),
            ]
            data = law.sample(jax.random.key(7), 512)
            found = teacher_forced(
                11,
                jax_scorer(law.model()),
                np.asarray(data),
                list(plans.values()),
                draws=512,
                batch_size=256,
                log_prob=np.asarray(law.log_prob(data)),
            )
            for i, plan in enumerate(plans):
                predicted = float(path_kls[i](profile))
                error = 0.0 if fit is None else path_kl_error(estimate, fit, path_kls[i])
                both = float(np.hypot(found.standard_error[i], error))
                yield {
                    "law": law.spec,
                    "plan": plan,
                    "steps": 16,
                    "profile": "exact" if fit is None else "estimated, 1000 draws a level",
                    "predicted": predicted,
                    "predicted_error": error,
                    "measured": float(found.mean[i]),
                    "measured_error": float(found.standard_error[i]),
                    "z": (float(found.mean[i]) - predicted) / both,
                }


def bound() -> Iterator[dict[str, Any]]:
    """The path KL and the exact KL(p||q), where the sampler's law can be enumerated."""
    exact()
    from mdmot.distributions import read_law
    from mdmot.exact_law import bernoulli_law, sampler_law
    from mdmot.information import bernoulli_path_kl, information_profile
    from mdmot.schedules import masks, step_grid

    specs = (
        "markov:stay=.9,states=2,length=8",
        "hmm:states=3,symbols=2,stay=.8,forbidden=.3,length=8",
        "repeated-bit:flip=.05,length=8",
        "brackets:length=8,depth=3",
    )
    for spec in specs:
        law = read_law(spec)
        table = law.table()
        profile = information_profile(table)
        for name, schedule in (("linear", masks.linear()), ("squared-sine", masks.squared_sine())):
            for num_steps in (2, 4, 8):
                grid = step_grid(schedule, num_steps)
                path_kl = bernoulli_path_kl(profile, grid.alpha)
                prob = bernoulli_law(table, law.vocab_size, grid.reveal, table.sequences)
                found = sampler_law(table, prob, path_kl)
                yield {
                    "law": law.spec,
                    "schedule": name,
                    "steps": num_steps,
                    "path_kl": float(path_kl),
                    "kl": float(found.kl),
                }


def steps() -> Iterator[dict[str, Any]]:
    """Path KL of the exact profile at 32 steps, and how many steps the best plan needs for linear's."""
    exact()
    import numpy as np

    from mdmot.information import fixed_step_ratio
    from mdmot.plans import Fixed, optimal_path_kls
    from mdmot.tuning import baselines, equivalent_linear_steps, learn_beta

    for stay, length in CHAINS:
        profile = chain(stay, length).profile()
        by_name = baselines(profile, STEPS, Fixed)
        learned = learn_beta(profile, STEPS, Fixed)
        best = np.asarray(optimal_path_kls(profile, length))
        enough = int(np.flatnonzero(best <= by_name["linear"])[0]) + 1
        yield {
            "stay": stay,
            "length": length,
            "steps": STEPS,
            **{name: by_name[name] for name in ("linear", "squared-sine", "cosine")},
            "paper_grid": learned.paper_grid.path_kl,
            "paper_a_b": [learned.paper_grid.a, learned.paper_grid.b],
            "learned_beta": learned.path_kl,
            "learned_a_b": [learned.a, learned.b],
            "optimal": float(best[STEPS - 1]),
            "steps_for_linear": enough,
            "equivalent_linear_steps": equivalent_linear_steps(profile, float(best[STEPS - 1]), Fixed),
            "step_ratio": float(fixed_step_ratio(profile)),
        }


def estimate() -> Iterator[dict[str, Any]]:
    """What 4,000 draws a level tell of the same chains: the step ratio, and a plan."""
    exact()
    import time

    from mdmot.information import fixed_path_kl, fixed_step_ratio
    from mdmot.plans import optimal_counts

    for stay, length in CHAINS:
        law = chain(stay, length)
        truth = law.profile()
        start = time.perf_counter()
        _, profile = estimated(law, DRAWS_A_LEVEL, seed=3)
        seconds = time.perf_counter() - start
        plan = optimal_counts(profile.fitted, STEPS)
        best = float(fixed_path_kl(truth, optimal_counts(truth, STEPS)))
        own = float(fixed_path_kl(truth, plan))
        ratio = float(fixed_step_ratio(truth))
        yield {
            "stay": stay,
            "length": length,
            "levels": len(profile.levels),
            "draws_a_level": DRAWS_A_LEVEL,
            "seconds": seconds,
            "step_ratio": ratio,
            "estimated": profile.step_ratio,
            "interval": list(profile.step_ratio_interval),
            "ratio_error": profile.step_ratio / ratio - 1,
            "optimal_path_kl": best,
            "plan_path_kl": own,
            "plan_loss": own / best - 1,
            "predicted_by_fit": float(fixed_path_kl(profile.fitted, plan)),
        }
