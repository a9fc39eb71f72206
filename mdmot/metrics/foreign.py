"""Samples of any sampler that is a function, and what is wrong with them, in one line."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Int

from mdmot.errors import InputError

Sampler: TypeAlias = Callable[[np.ndarray, int], Any]
"""`sampler(prompts, seed) -> tokens`, whole numbers [batch, length]: it fills the masks of the prompts."""


def draw_checked(
    sampler: Sampler,
    prompt: Int[np.ndarray, " length"],
    vocab_size: int,
    *,
    num: int,
    seed: int,
    batch: int,
    advance: Callable[[str], None] | None = None,
) -> Int[np.ndarray, "{num} length"]:
    """Independent samples, each call checked; the first is made twice, as a seed has to mean one result.

    Args:
      sampler: Called with `batch` equal prompts and with the seeds `seed`, `seed + 1`, ...
      prompt: Given tokens, and the mask, which is `vocab_size`, elsewhere.
      vocab_size: Number of clean tokens.
      num: Samples, at least 1.
      seed: The first seed, at least 0.
      batch: Prompts of a call, at least 1; what the last draws too much is dropped.
      advance: Called after each call.

    Returns:
      The samples, one a row.

    Raises:
      InputError: If the sampler returns another shape or kind, changes given tokens, leaves masks, returns
        tokens that there are not, or does not follow its seed.

    Example:
      >>> def sampler(prompts, seed):
      ...     bits = np.random.default_rng(seed).integers(0, 2, prompts.shape)
      ...     return np.where(prompts == 2, bits, prompts)
      >>> draw_checked(sampler, np.array([1, 2, 2]), 2, num=5, seed=0, batch=3).shape
      (5, 3)
    """
    prompts, calls = np.tile(prompt, (batch, 1)), -(-num // batch)
    parts = []
    for call in range(calls):
        parts.append(_called(sampler, prompts, seed + call, vocab_size))
        if advance is not None:
            advance(f"{min(num, (call + 1) * batch)} samples")
    if not np.array_equal(_called(sampler, prompts, seed, vocab_size), parts[0]):
        raise InputError(
            f"the sampler drew other tokens when it was called with seed {seed} again; draw all that is "
            "random from the seed"
        )
    if calls > 1 and np.array_equal(parts[0], parts[1]) and (parts[0] != parts[0][0]).any():
        raise InputError(
            f"the sampler drew the same {batch} sequences with seed {seed} and with {seed + 1}; draw all "
            "that is random from the seed"
        )
    return np.concatenate(parts)[:num]


def _called(sampler: Sampler, prompts: np.ndarray, seed: int, mask_id: int) -> np.ndarray:
    """One call; the sampler gets a copy of the prompts, which it may write into."""
    try:
        tokens = np.asarray(sampler(prompts.copy(), seed))
    except ValueError as error:
        # Rows of several lengths make no array; an error of the sampler itself is its own.
        if "inhomogeneous" not in str(error):
            raise
        raise InputError(
            f"the sampler returned rows of several lengths; return {list(prompts.shape)} tokens"
        ) from None
    if tokens.shape != prompts.shape or tokens.dtype.kind not in "iu":
        raise InputError(
            f"the sampler returned {tokens.dtype}{list(tokens.shape)} for prompts "
            f"{prompts.dtype}{list(prompts.shape)}; return whole numbers of that shape"
        )
    is_given = prompts != mask_id
    for is_wrong, problem in (
        (is_given & (tokens != prompts), "changed a given token to"),
        (~is_given & (tokens == mask_id), "left the mask"),
        ((tokens < 0) | (tokens > mask_id), f"returned a token beyond the law's 0 to {mask_id - 1}:"),
    ):
        if is_wrong.any():
            row, position = np.argwhere(is_wrong)[0]
            raise InputError(
                f"the sampler {problem} {tokens[row, position]} at position {position} of row {row}, seed "
                f"{seed}; keep what is given and fill every {mask_id} with a token below it"
            )
    return tokens.astype(np.int64)
