"""The model that comes with mdmot: measured on a text, and sampled."""

from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Integer

from mdmot.data import TokenizedCorpus
from mdmot.errors import InputError
from mdmot.metrics import held_out_bits
from mdmot.models import Named
from mdmot.samplers import FixedUnmasking, raise_if_failed, sample
from mdmot.schedules import masks, step_grid

SCHEDULES = {
    "linear": masks.linear,
    "squared-sine": masks.squared_sine,
    "cosine": masks.cosine,
}
SAMPLE_STEPS = 32
NUM_SAMPLES = 2
NUM_WINDOWS, BATCH_SIZE = 256, 32
MASK_SIGN = "·"


class TextSample(NamedTuple):
    """One generated text."""

    schedule: str
    steps: int
    network_calls: int
    text: str


class TextModel(NamedTuple):
    """What the model reaches on a text, and what it writes.

    Attributes:
      parameters: Weights of the network.
      length: Tokens of a window, and of a sample.
      documents: Documents of the text.
      bytes: Bytes of the text.
      windows: Windows that were measured, spread evenly over it.
      bits_per_byte: NELBO on them.
      standard_error: Of the NELBO.
      unigram_bits_per_byte: Cross-entropy there of the byte frequencies of other text, the baseline.
      samples: Texts drawn with fixed-cardinality reveals.
    """

    parameters: int
    length: int
    documents: int
    bytes: int
    windows: int
    bits_per_byte: float
    standard_error: float
    unigram_bits_per_byte: float
    samples: list[TextSample]


def text_model(seed: int, named: Named, text: TokenizedCorpus, usual: np.ndarray) -> TextModel:
    """Measures a model of bytes on a text, and samples it under three schedules.

    Args:
      seed: Seed of the masks and the samples.
      named: The model.
      text: What it has not seen.
      usual: Frequency of each byte in what it has.

    Returns:
      Bits per byte beside a unigram baseline, and samples.

    Raises:
      InputError: If the text is shorter than two windows.
    """
    model, length = named.model, named.length
    evaluate_key, sample_key = jax.random.split(jax.random.key(seed))
    windows = some_windows(text, length, NUM_WINDOWS)
    found = held_out_bits(
        evaluate_key,
        model,
        windows,
        batch_size=min(BATCH_SIZE, len(windows)),
        bytes_per_token=text.bytes_per_token,
    ).bits_per_byte
    tokens = jnp.full((NUM_SAMPLES, length), model.mask_id, jnp.int32)
    samples = []
    for name, schedule in SCHEDULES.items():
        drawn = sample(sample_key, FixedUnmasking(), model, step_grid(schedule(), SAMPLE_STEPS), tokens)
        raise_if_failed(drawn)
        samples += [
            TextSample(name, SAMPLE_STEPS, int(calls), named.vocabulary.decode(row, MASK_SIGN))
            for row, calls in zip(drawn.tokens.tolist(), drawn.network_calls, strict=True)
        ]
    return TextModel(
        parameters=sum(leaf.size for leaf in jax.tree.leaves(model.params)),
        length=length,
        documents=len(text.paths),
        bytes=text.num_bytes,
        windows=len(windows),
        bits_per_byte=found.value,
        standard_error=found.standard_error,
        unigram_bits_per_byte=float(-np.log2(usual)[windows].mean()),
        samples=samples,
    )


def byte_frequencies(documents: Iterable[bytes]) -> np.ndarray:
    """The share of each byte in texts, none of them 0: each byte counts as one more.

    Example:
      >>> frequencies = byte_frequencies([b"ab", b"aa"])
      >>> float(frequencies[ord("a")]) == 4 / 260
      True
    """
    count = np.ones(256)
    for document in documents:
        count += np.bincount(np.frombuffer(document, np.uint8), minlength=256)
    return count / count.sum()


def some_windows(text: TokenizedCorpus, length: int, most: int) -> Integer[np.ndarray, "windows length"]:
    """Windows spread evenly over a text.

    Args:
      text: The text.
      length: Tokens of a window.
      most: Windows at most.

    Raises:
      InputError: If there are fewer than two.
    """
    windows = text.windows(length)
    if len(windows) < 2:
        raise InputError(
            f"the text has {text.tokens.size} tokens, less than two windows of {length}; pass a longer "
            "--text PATH"
        )
    return windows[np.linspace(0, len(windows) - 1, min(most, len(windows))).round().astype(int)]
