"""Ordered partitions of positions that are learned: which of them to reveal in which step."""

from mdmot.partitions.learned import LearnedPartition
from mdmot.partitions.learning import learn_partition

__all__ = ["LearnedPartition", "learn_partition"]
