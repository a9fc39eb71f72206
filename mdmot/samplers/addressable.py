"""The rows of a batch that this process holds."""

from collections.abc import Iterator

import numpy as np
from jax import Array


def own_rows(x: Array) -> Iterator[tuple[int, np.ndarray]]:
    """The rows that this process holds, in pieces, each with the number of its first row."""
    if not isinstance(x, Array) or x.is_fully_addressable:
        yield 0, np.asarray(x)
        return
    for shard in x.addressable_shards:
        yield shard.index[0].start or 0, np.asarray(shard.data)
