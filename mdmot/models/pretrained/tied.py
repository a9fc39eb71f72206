"""Whether the head of a network is the table of its tokens: if files have both, they decide."""

import dataclasses
import pathlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mdmot.errors import InputWarning
from mdmot.models.pretrained.fill import Rule
from mdmot.models.pretrained.settings import CONFIG_FILE
from mdmot.models.pretrained.tensors import Entry, Reader

TABLE = "token"


def with_own_head(
    folder: pathlib.Path, config: Any, entries: Mapping[str, Entry], rules: Callable[[Any], list[Rule]]
) -> Any:
    """The config, whose head is one of its own if the files have one that is not the table.

    A config that says that the two are tied is written by hand, or for a file in which one of them was
    changed later: transformers 5 takes both as they are, with a warning.

    Args:
      folder: The folder, for the warning.
      config: The size of the network, as its config.json tells it.
      entries: The tensors of its files.
      rules: Where they go, for a size.
    """
    if not config.is_tied:
        return config
    of_table = [rule for rule in rules(config) if rule.target == TABLE and rule.source in entries]
    if len(of_table) != 2:
        return config
    with Reader() as reader:
        table, head = (reader.read(rule.source, entries[rule.source]) for rule in of_table)
    if table.shape != head.shape or np.array_equal(table, head):
        return config
    warnings.warn(
        f"{folder}: {of_table[1].source} is not {of_table[0].source}, as {CONFIG_FILE} has it; both are "
        'used as they are, as if it had "tie_word_embeddings": false',
        InputWarning,
        stacklevel=3,
    )
    return dataclasses.replace(config, is_tied=False)
