"""How many tokens differ when rows keep their keys and only the batch or the devices around them change.

A sampler makes the same decisions from the same logits; what may differ is the rounding of the network,
whose kernels depend on the shapes that they are compiled for. 64 rows are sampled at once on one device,
and compared with 8 at a time, one at a time, and with weights that are split between two devices. Prints
one JSON object a line.
"""

import argparse
import json

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from mdmot._types import Denoiser, Params
from mdmot.model import Model
from mdmot.models import MaskedTransformer, TransformerConfig, from_nnx
from mdmot.samplers import Categorical, FixedUnmasking, Ranked, Rule, sample
from mdmot.schedules import masks, step_grid

ROWS = 64
CONFIG = TransformerConfig(vocab_size=256, length=64, width=128, depth=2, heads=4)
RULES = {"fixed": FixedUnmasking(), "confidence": Ranked(choice=Categorical())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=16, help="batches of 64 rows, each with other keys")
    repeats = parser.parse_args().repeats
    jax.config.update("jax_num_cpu_devices", 2)
    denoiser, params = from_nnx(MaskedTransformer(CONFIG, nnx.Rngs(0)))
    # Matrices larger than drawn make a network that is sure of something, as a trained one is.
    params = jax.tree.map(lambda x: 3 * x if x.ndim == 2 else x, params)
    others = {"batch 8": (8, params), "batch 1": (1, params)}
    if len(jax.devices()) > 1:
        others["two devices"] = (ROWS, split(params))
    for name, rule in RULES.items():
        one = run(rule, Model(denoiser, params, CONFIG.mask_id), ROWS, repeats)
        for change, (batch, weights) in others.items():
            differs = run(rule, Model(denoiser, weights, CONFIG.mask_id), batch, repeats) != one
            found = {
                "platform": jax.default_backend(),
                "sampler": name,
                "against": change,
                "largest_logit_difference": logit_difference(denoiser, params, weights, batch),
                "tokens": differs.size,
                "differing_tokens": int(differs.sum()),
                "rows": len(differs),
                "differing_rows": int(differs.any(axis=1).sum()),
            }
            print(json.dumps(found), flush=True)


def split(params: Params) -> Params:
    """The weights with the longer side of each matrix split between two devices."""
    mesh = jax.make_mesh((2,), ("model",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])

    def put(x: Array) -> Array:
        spec = P() if x.ndim < 2 else P(None, "model") if x.shape[1] > x.shape[0] else P("model", None)
        return jax.device_put(x, NamedSharding(mesh, spec if fits(x, spec) else P()))

    def fits(x: Array, spec: P) -> bool:
        return all(name is None or size % 2 == 0 for size, name in zip(x.shape, spec, strict=False))

    return jax.tree.map(put, params)


def run(rule: Rule, model: Model, batch: int, repeats: int) -> np.ndarray:
    """The tokens of all rows, sampled `batch` rows at a time."""
    keys = jax.random.split(jax.random.key(1), ROWS * repeats)
    grid = step_grid(masks.linear(), 8)
    tokens = jnp.full((batch, CONFIG.length), CONFIG.mask_id, jnp.int32)
    starts = range(0, len(keys), batch)
    return np.concatenate([sample(keys[i : i + batch], rule, model, grid, tokens).tokens for i in starts])


def logit_difference(denoiser: Denoiser, params: Params, weights: Params, batch: int) -> float:
    """Largest difference in a logit of half-masked random rows; the logits' own scale is about 3."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, CONFIG.vocab_size, (ROWS, CONFIG.length))
    tokens = np.where(rng.random(clean.shape) < 0.5, CONFIG.mask_id, clean).astype(np.int32)
    call = jax.jit(denoiser)
    one = np.asarray(call(params, tokens))
    parts = [np.asarray(call(weights, tokens[i : i + batch])) for i in range(0, ROWS, batch)]
    return float(np.abs(np.concatenate(parts) - one).max())


if __name__ == "__main__":
    main()
