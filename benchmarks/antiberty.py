"""Real pretrained weights from a pickle to a tuned plan: AntiBERTy, 26 million parameters, antibodies.

`pip download antiberty==0.1.3 --no-deps` fetches the wheel. Nothing of it is installed or executed.

  recover  share of masked residues that the likeliest token gets right, on both chains of ten known
           antibodies, beside the commonest residue of the others
  profile  the information profile on light chains that the model has drawn itself, two residues a step
  plans    optimal plans of that profile, judged on the known light chains of the same length
  draws    samples by steps and schedule: how many have the residues of a variable domain, what they cost
           under the model itself, their entropy

The profile is thus of the model's own law; the known chains had no part in the plans. Whether antibodies
of the kind were in the training data nobody can say: it has 558 million natural sequences, and these are
human ones altered. Prints one JSON object a line, and the drawn sequences on standard error.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from antibodies import CHAINS, is_domain

from mdmot.information import (
    Profile,
    Scorer,
    estimate_profile,
    estimated_profile,
    fixed_path_kl,
    held_out_path_kl,
    jax_scorer,
)
from mdmot.information.levels import default_levels
from mdmot.metrics import generative_perplexity, mean_of, share_of, unigram_entropy
from mdmot.models import Named
from mdmot.models.pretrained import PlainDenoiser, convert_antiberty, load_plain
from mdmot.plans import Fixed, optimal_counts
from mdmot.samplers import FixedUnmasking, raise_if_failed, sample
from mdmot.schedules import counts, grid_from_alpha, masks, pad_grid, step_grid

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
STEPS = (4, 8, 16)
LENGTH = 107
"""Residues of most human kappa chains."""


class Sizes:
    """How much is measured: minutes on two cores, or less."""

    def __init__(self, is_quick: bool):
        self.steps = STEPS[:1] if is_quick else STEPS
        self.patterns = 1 if is_quick else 4
        self.own_rows, self.own_steps = (4, 27) if is_quick else (24, 54)
        self.levels, self.draws = (5, 2) if is_quick else (17, 60)
        self.judging_draws = 2 if is_quick else 16
        self.rows = 2 if is_quick else 12
        self.batch = 8 if is_quick else 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--wheel", type=pathlib.Path, metavar="FILE", help="antiberty-0.1.3-py3-none-any.whl"
    )
    where.add_argument("--folder", type=pathlib.Path, metavar="DIR", help="what it was converted to before")
    parser.add_argument("--quick", action="store_true", help="a little of everything")
    arguments = parser.parse_args()
    sizes = Sizes(arguments.quick)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or pathlib.Path(temporary, "antiberty")
        start = time.perf_counter()
        if arguments.wheel is not None:
            convert_antiberty(arguments.wheel, folder)
        named = load_plain(folder)
        weights = jax.tree.leaves(named.model.params)
        show("model", parameters=sum(leaf.size for leaf in weights), start=start)
        for share, found in recover(named, sizes).items():
            show("recover", masked=share, **found)
        measure(named, sizes)
        show("all", start=start)


def show(part: str, start: float | None = None, **found: Any) -> None:
    """Prints a line."""
    seconds = {} if start is None else {"seconds": time.perf_counter() - start}
    print(json.dumps({"part": part, **found, **seconds}), flush=True)


def recover(named: Named, sizes: Sizes) -> dict[float, dict[str, Any]]:
    """Share of masked residues that are recovered, by the share that is masked; each chain counts once."""
    params, plain = named.model.params, named.model.denoiser
    assert isinstance(plain, PlainDenoiser)
    frame = len(plain.before) + len(plain.after)
    # All chains in one batch: what follows a shorter one is padding, which nothing attends to.
    clean = np.full((len(CHAINS), max(map(len, CHAINS)) + frame), named.config.pad_id, np.int32)
    for row, chain in zip(clean, CHAINS, strict=True):
        row[: len(chain) + frame] = [*plain.before, *tokens_of(named, chain), *plain.after]
    others = ["".join(c for c in CHAINS if c != chain) for chain in CHAINS]
    commonest = [tokens_of(named, Counter(text).most_common(1)[0][0]) for text in others]
    residues = np.setdiff1d(np.arange(plain.size), plain.never)

    @jax.jit
    def likeliest(params: Any, tokens: jax.Array) -> jax.Array:
        return jnp.asarray(residues)[plain.denoiser(params, tokens)[..., residues].argmax(axis=-1)]

    found = {}
    for number, share in enumerate(SHARES):
        generator = np.random.default_rng(number)
        right, usual = [], []
        for _ in range(sizes.patterns):
            is_masked = np.zeros(clean.shape, bool)
            for row, chain in zip(is_masked, CHAINS, strict=True):
                some = generator.choice(len(chain), round(share * len(chain)), replace=False)
                row[len(plain.before) + some] = True
            said = likeliest(params, np.where(is_masked, plain.mask_id, clean))
            for rows, guess in ((right, np.asarray(said)), (usual, np.array(commonest))):
                rows.append(((guess == clean) & is_masked).sum(axis=1) / is_masked.sum(axis=1))
        recovered, baseline = (mean_of(np.mean(rows, axis=0)) for rows in (right, usual))
        found[share] = {"right": recovered._asdict(), "commonest_residue": baseline._asdict()}
    return found


def tokens_of(named: Named, sequence: str) -> list[int]:
    return named.vocabulary.encode(" ".join(sequence))


def measure(named: Named, sizes: Sizes) -> None:
    """Profile, plans and draws."""
    mask_id = named.model.mask_id
    most = max(*sizes.steps, sizes.own_steps)

    def draw(seed: int, rows: int, alpha: Any) -> np.ndarray:
        masked = np.full((rows, LENGTH), mask_id, np.int32)
        grid = pad_grid(grid_from_alpha(alpha), most)
        drawn = sample(jax.random.key(seed), FixedUnmasking(), named.model, grid, masked)
        raise_if_failed(drawn)
        return np.asarray(drawn.tokens)

    start = time.perf_counter()
    own = draw(0, sizes.own_rows, step_grid(masks.linear(), sizes.own_steps).alpha)
    scorer = jax_scorer(named.model)
    profile = estimated_profile(
        estimate_profile(
            0,
            scorer,
            own,
            draws=sizes.draws,
            batch_size=sizes.batch,
            levels=default_levels(LENGTH, sizes.levels),
        ),
        {"data": f"{len(own)} sequences of the model's own, {sizes.own_steps} linear steps"},
    )
    show(
        "profile",
        data=profile.provenance["data"],
        length=LENGTH,
        nats_per_residue=profile.entropy / LENGTH,
        total_correlation=profile.total_correlation,
        step_ratio=profile.step_ratio,
        step_ratio_interval=list(profile.step_ratio_interval),
        start=start,
    )
    plans = {
        (steps, name): plan for steps in sizes.steps for name, plan in plans_of(profile, steps).items()
    }
    known = np.array([tokens_of(named, chain) for chain in CHAINS if len(chain) == LENGTH], np.int32)
    for row in judged(scorer, known, profile, plans, sizes):
        show("plans", **row)
    for (steps, name), plan in plans.items():
        rows = draw(1, sizes.rows, np.concatenate([[0], np.cumsum(plan)]) / LENGTH)
        texts = [named.vocabulary.decode(row, "?").replace(" ", "") for row in rows.tolist()]
        show("draws", steps=steps, schedule=name, **worth(named, rows, texts))
        print(f"{steps} steps, {name}: {texts[0]}", file=sys.stderr)


def plans_of(profile: Profile, steps: int) -> dict[str, tuple[int, ...]]:
    """Residues a step under each schedule."""
    found = {"linear": masks.linear(), "squared-sine": masks.squared_sine()}
    plans = {name: counts(step_grid(mask, steps).alpha, LENGTH) for name, mask in found.items()}
    plans["optimal"] = optimal_counts(profile.fitted, steps)
    return {name: tuple(np.asarray(plan).tolist()) for name, plan in plans.items()}


def judged(
    scorer: Scorer, known: np.ndarray, profile: Profile, plans: dict, sizes: Sizes
) -> Iterator[dict[str, Any]]:
    """Path KL that the profile predicts beside that on the known chains, and the gain over linear there."""
    costs = held_out_path_kl(
        1,
        scorer,
        known,
        [Fixed(plan) for plan in plans.values()],
        draws=sizes.judging_draws,
        batch_size=sizes.batch,
    )
    place = {key: number for number, key in enumerate(plans)}
    for (steps, name), number in place.items():
        gain, error = costs.difference(place[steps, "linear"], number)
        yield {
            "steps": steps,
            "schedule": name,
            "predicted": float(fixed_path_kl(profile.fitted, jnp.asarray(plans[steps, name]))),
            "known_chains": float(costs.mean[number]),
            "standard_error": float(costs.standard_error[number]),
            "gain_over_linear": gain,
            "gain_error": error,
            "chains": len(known),
        }


def worth(named: Named, rows: np.ndarray, texts: list[str]) -> dict[str, Any]:
    """Metrics of drawn sequences."""
    model = named.model
    perplexity = generative_perplexity(jax.random.key(2), model, rows, batch_size=len(rows))
    return {
        "domain": share_of(sum(map(is_domain, texts)), len(texts))._asdict(),
        "own_perplexity": perplexity._asdict(),
        "entropy": unigram_entropy(rows)._asdict(),
        "different": len(set(texts)),
        "num": len(texts),
    }


if __name__ == "__main__":
    main()
