"""The peers' sampling loops in PyTorch, written from their rules, on the weights of `bert.py`."""

import itertools
import math

import torch
from bert import Shape
from torch.nn import functional

SMALLEST_TIME = 1e-5
"""Where MDLM's time grid ends."""


def network(params: dict, shape: Shape):
    """The same BERT-shaped network as `bert.denoiser`: tokens to logits."""
    weights = _to_torch(params)

    def dense(layer, x):
        return functional.linear(x, layer["w"].T, layer["b"])

    def norm(layer, x):
        return functional.layer_norm(x, x.shape[-1:], layer["scale"], layer["shift"], eps=1e-6)

    def call(tokens):
        x = norm(weights["norm"], weights["token"][tokens] + weights["position"][: tokens.shape[1]])
        for layer in weights["layers"]:
            batch, length, width = x.shape
            parts = dense(layer["qkv"], x).view(batch, length, 3, shape.heads, width // shape.heads)
            query, key, value = parts.permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(query, key, value)
            mixed = mixed.transpose(1, 2).reshape(batch, length, width)
            x = norm(layer["norm1"], x + dense(layer["out"], mixed))
            hidden = functional.gelu(dense(layer["up"], x), approximate="tanh")
            x = norm(layer["norm2"], x + dense(layer["down"], hidden))
        return dense(weights["head"], x)

    return call


def mdlm(call, tokens, mask_id: int, num_steps: int):
    """Ancestral steps by a race over vocabulary and mask at every position; a last argmax.

    References:
      Sahoo et al., arXiv:2406.07524.
    """
    times = torch.linspace(1, SMALLEST_TIME, num_steps + 1)
    for now, after in itertools.pairwise(times):
        prob = call(tokens).softmax(-1) * (now - after)
        prob = torch.cat([prob, after.expand(*prob.shape[:-1], 1)], dim=-1)
        race = prob / (1e-10 - (torch.rand_like(prob) + 1e-10).log())
        tokens = torch.where(tokens == mask_id, race.argmax(-1), tokens)
    return torch.where(tokens == mask_id, call(tokens).argmax(-1), tokens)


def fixed(call, tokens, mask_id: int, num_steps: int):
    """Random order, even counts; a token drawn at every masked position, kept at the revealed ones."""
    batch, length = tokens.shape
    order = torch.rand(batch, length).argsort(-1).argsort(-1)
    for step in range(num_steps):
        done = [round(length * k / num_steps) for k in (step, step + 1)]
        drawn = torch.distributions.Categorical(logits=call(tokens)).sample()
        tokens = torch.where((done[0] <= order) & (order < done[1]), drawn, tokens)
    return tokens


def llada(call, tokens, mask_id: int, num_steps: int):
    """The surest positions first, at temperature 0, even counts.

    References:
      Nie et al., arXiv:2502.09992.
    """
    masked = (tokens == mask_id).sum(-1)
    for step in range(num_steps):
        logits = call(tokens)
        chosen = logits.argmax(-1)
        confidence = logits.double().softmax(-1).gather(-1, chosen[..., None])[..., 0]
        confidence = torch.where(tokens == mask_id, confidence, -math.inf)
        for row in range(tokens.shape[0]):
            count = int(masked[row] // num_steps + (step < masked[row] % num_steps))
            best = confidence[row].topk(count).indices
            tokens = tokens.clone()
            tokens[row, best] = chosen[row, best]
    return tokens


RULES = {"mdlm": mdlm, "fixed": fixed, "llada": llada}


def _to_torch(value):
    if isinstance(value, dict):
        return {key: _to_torch(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_torch(item) for item in value]
    return torch.from_numpy(value)
