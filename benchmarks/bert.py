"""BERT-shaped networks with random weights, for benchmarks: plain functions of a dictionary of arrays."""

from typing import NamedTuple

import jax
import numpy as np

from mdmot.denoisers import SplitDenoiser


class Shape(NamedTuple):
    """Sizes of a network and its input; the mask is the token after the `vocab` clean ones."""

    width: int
    layers: int
    vocab: int
    length: int
    batch: int

    @property
    def heads(self) -> int:
        """Attention heads of 64 features, at least two."""
        return max(2, self.width // 64)


CASES = {
    "toy": Shape(width=64, layers=2, vocab=50, length=64, batch=1),
    "small": Shape(width=128, layers=4, vocab=100, length=128, batch=8),
    "medium": Shape(width=512, layers=8, vocab=25, length=128, batch=8),
    "big-vocabulary": Shape(width=256, layers=4, vocab=50_258, length=128, batch=4),
}


def random_params(shape: Shape, seed: int = 0) -> dict:
    """Weights of the usual scale, float32, as NumPy arrays."""
    rng = np.random.default_rng(seed)
    d = shape.width

    def dense(rows, columns):
        weights = rng.normal(0, rows**-0.5, (rows, columns)).astype(np.float32)
        return {"w": weights, "b": np.zeros(columns, np.float32)}

    def norm():
        return {"scale": np.ones(d, np.float32), "shift": np.zeros(d, np.float32)}

    def layer():
        return {
            "qkv": dense(d, 3 * d),
            "out": dense(d, d),
            "norm1": norm(),
            "up": dense(d, 4 * d),
            "down": dense(4 * d, d),
            "norm2": norm(),
        }

    return {
        "token": rng.normal(0, 1, (shape.vocab + 1, d)).astype(np.float32),
        "position": rng.normal(0, 1, (shape.length, d)).astype(np.float32),
        "norm": norm(),
        "layers": [layer() for _ in range(shape.layers)],
        "head": dense(d, shape.vocab),
    }


def denoiser(shape: Shape) -> SplitDenoiser:
    """The network with its head apart; hash it once and keep it, its functions are made here."""

    def features(params, tokens):
        x = params["token"][tokens] + params["position"][: tokens.shape[1]][None]
        x = _norm(params["norm"], x)
        for layer in params["layers"]:
            batch, length, width = x.shape
            qkv = _dense(layer["qkv"], x).reshape(batch, length, 3, shape.heads, width // shape.heads)
            mixed = jax.nn.dot_product_attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2])
            x = _norm(layer["norm1"], x + _dense(layer["out"], mixed.reshape(x.shape)))
            hidden = jax.nn.gelu(_dense(layer["up"], x))
            x = _norm(layer["norm2"], x + _dense(layer["down"], hidden))
        return x

    return SplitDenoiser(features, lambda params, x: _dense(params["head"], x))


def _dense(layer, x):
    return x @ layer["w"] + layer["b"][None, None]


def _norm(layer, x):
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred * jax.lax.rsqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    return scaled * layer["scale"] + layer["shift"]
