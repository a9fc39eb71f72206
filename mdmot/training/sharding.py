"""Where the weights, the state and the rows lie on a mesh of devices."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mdmot.errors import InputError
from mdmot.training.objective import Batch


def common_mesh(tree: Any) -> Mesh | None:
    """The mesh on which the arrays of a tree lie, or None if they lie on none.

    Args:
      tree: Arrays.

    Raises:
      InputError: If there is more than one mesh.
    """
    shardings = (getattr(leaf, "sharding", None) for leaf in jax.tree.leaves(tree))
    meshes = {
        sharding.mesh
        for sharding in shardings
        if isinstance(sharding, NamedSharding) and isinstance(sharding.mesh, Mesh)
    }
    if len(meshes) > 1:
        raise InputError(f"the arrays lie on {len(meshes)} meshes; put them on one")
    return meshes.pop() if meshes else None


def replicate_rest(tree: Any) -> Any:
    """Copies what lies on no mesh to all devices of the mesh of the others; without one, changes nothing.

    Args:
      tree: Arrays.

    Example:
      >>> import jax.numpy as jnp
      >>> replicate_rest((jnp.zeros(2), None))[1] is None
      True
    """
    mesh = common_mesh(tree)
    if mesh is None:
        return tree
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(
        lambda x: x if isinstance(x.sharding, NamedSharding) else jax.device_put(x, everywhere), tree
    )


def split_rows(batches: Callable[[int], Batch], mesh: Mesh, axis: str) -> Callable[[int], Batch]:
    """Batches whose rows are split over an axis of a mesh: data-parallel training.

    The mesh's axes are of type `Auto`. Random draws are the same on every mesh, so that training on several
    devices differs from training on one by the rounding of sums alone.

    Args:
      batches: Batches on the host or on one device.
      mesh: Of devices.
      axis: Its name for the axis over which rows are split; of a size that divides the rows.

    Returns:
      The batches, split.

    Raises:
      InputError: If the mesh has no such axis, or its size does not divide the rows of a batch.

    Example:
      >>> import numpy as np
      >>> from jax.sharding import AxisType
      >>> mesh = jax.make_mesh((1,), ("batch",), axis_types=(AxisType.Auto,))
      >>> split = split_rows(lambda step: Batch(np.zeros((4, 6), np.int32)), mesh, "batch")
      >>> split(0).tokens.sharding.spec[0]
      'batch'
    """
    if axis not in mesh.shape:
        raise InputError(f"axis {axis!r} is not one of the mesh, {mesh.axis_names}; pass one of them")
    rows, size = NamedSharding(mesh, PartitionSpec(axis)), mesh.shape[axis]

    def split(step: int) -> Batch:
        batch = batches(step)
        if len(batch.tokens) % size:
            raise InputError(
                f"{len(batch.tokens)} rows on {size} devices; pass a multiple of their number as batch size"
            )
        return jax.device_put(batch, rows)

    return split


def rows_mesh(rows: int, devices: int | None = None) -> Mesh | None:
    """A mesh of this machine's devices over which rows are split, along its axis `batch`.

    Args:
      rows: Rows that are computed at once.
      devices: How many share them; None for as many as split them evenly.

    Returns:
      The mesh; None for one device alone.

    Raises:
      InputError: If there are fewer devices, or they do not split the rows evenly.

    Example:
      >>> rows_mesh(8, devices=1) is None
      True
    """
    found = jax.local_devices()
    if devices is None:
        devices = max(n for n in range(1, len(found) + 1) if rows % n == 0)
    if not 1 <= devices <= len(found):
        raise InputError(f"devices = {devices}: this machine has {len(found)}; pass at most as many")
    if rows % devices:
        raise InputError(
            f"devices = {devices} cannot share {rows} windows evenly; pass a divisor, or another batch size"
        )
    if devices == 1:
        return None
    return jax.make_mesh((devices,), ("batch",), axis_types=(AxisType.Auto,), devices=found[:devices])
