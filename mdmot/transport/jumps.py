"""Sets of jumps between partly masked sequences, as matrices over the states."""

import numpy as np
from jaxtyping import Bool

from mdmot.errors import InputError
from mdmot.flows.flow import MAX_STATES


def single_token_jumps(length: int, vocab_size: int) -> Bool[np.ndarray, "states states"]:
    """All jumps between partly masked sequences that change exactly one position, in any way.

    States are in lexicographic order with the mask as the last symbol, as in `mdmot.flows`.

    Args:
      length: Number of positions.
      vocab_size: Number of tokens, mask excluded.

    Returns:
      Symmetric matrix over the (vocab_size + 1)^length states.

    Raises:
      InputError: There are too many states for an explicit matrix.

    Example:
      >>> single_token_jumps(1, 2).sum().item()
      6
    """
    return _num_changed(_sequences(length, vocab_size)) == 1


def unmasking_jumps(length: int, vocab_size: int) -> Bool[np.ndarray, "states states"]:
    """All jumps between partly masked sequences that turn exactly one mask into a token.

    Args:
      length: Number of positions.
      vocab_size: Number of tokens, mask excluded.

    Returns:
      Matrix over the (vocab_size + 1)^length states, ordered as in `single_token_jumps`; its rows
      are the states before the jump.

    Raises:
      InputError: There are too many states for an explicit matrix.

    Example:
      >>> unmasking_jumps(1, 2).astype(int).tolist()
      [[0, 0, 0], [0, 0, 0], [1, 1, 0]]
    """
    sequences = _sequences(length, vocab_size)
    masks = (sequences == vocab_size).sum(0)
    return (_num_changed(sequences) == 1) & (masks[:, None] == masks[None, :] + 1)


def _sequences(length: int, vocab_size: int) -> np.ndarray:
    """Symbol at each position (row) of each partly masked sequence (column)."""
    if length < 1 or vocab_size < 1:
        raise InputError(
            f"length {length} and vocab_size {vocab_size} were given; expected at least 1 of each"
        )
    states = (vocab_size + 1) ** length
    if states > MAX_STATES:
        raise InputError(
            f"{length} positions over {vocab_size} tokens have {states} partly masked states, more "
            f"than the {MAX_STATES} of an explicit matrix: shorten the sequence or the vocabulary"
        )
    return np.indices((vocab_size + 1,) * length, np.int16).reshape(length, -1)


def _num_changed(sequences: np.ndarray) -> np.ndarray:
    changed = np.zeros((sequences.shape[1],) * 2, np.int8)
    for symbols in sequences:
        changed += symbols[:, None] != symbols[None, :]
    return changed
