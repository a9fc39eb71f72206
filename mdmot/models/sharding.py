"""Where the weights of a network lie on a mesh of devices."""

import re
from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mdmot._types import Params
from mdmot.errors import InputError

# The names of the last axes of a weight, by the end of its path. `hidden` are the heads and the hidden
# features of a block, which nothing mixes before the sum over them.
AXES: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    (r"token(\.embedding)?", ("vocab", "width")),
    (r"(position|segment)(\.embedding)?", (None, "width")),
    (r"(qkv|query|key|value|mlp_in|mlp_gate)\.kernel", ("width", "hidden")),
    (r"(qkv|query|key|value|mlp_in|mlp_gate)\.bias", ("hidden",)),
    (r"(attention_out|mlp_out)\.kernel", ("hidden", "width")),
    (r"head\.kernel", ("width", "vocab")),
    (r"head\.bias", ("vocab",)),
    (r"(level_in|level_out|dense)\.kernel", ("width", None)),
)


def param_shardings(params: Params, mesh: Mesh, rules: Mapping[str, str]) -> Any:
    """How the weights of mdmot's networks are split over a mesh, for `jax.device_put`.

    Weights have axes `width`, the features of a position; `hidden`, heads and hidden features; and
    `vocab`. With {"hidden": "model", "vocab": "model"} the devices of the axis `model` share each block's
    work and sum once for each of its two parts. With {"width": "data"} each device of the axis `data`
    keeps a part of all weights, and fetches the others' when it needs them.

    Args:
      params: The weights of a `MaskedTransformer`, `TimeConditionedTransformer` or pretrained network,
        or their shapes.
      mesh: The devices; its axes are of type `Auto`.
      rules: The axis of the mesh over which an axis of the weights is split; the others are not split.

    Returns:
      A sharding for each weight. Norms, other weights and axes that the devices do not divide are whole
      everywhere.

    Raises:
      InputError: If the rules name an axis that is neither of the weights nor of the mesh, or split two
        axes of one weight over the same.

    Example:
      >>> import jax.numpy as jnp
      >>> from jax.sharding import AxisType
      >>> mesh = jax.make_mesh((1,), ("model",), axis_types=(AxisType.Auto,))
      >>> params = {"head": {"kernel": jnp.zeros((4, 8))}, "norm": {"scale": jnp.zeros(4)}}
      >>> found = param_shardings(params, mesh, {"vocab": "model"})
      >>> found["head"]["kernel"].spec[1], len(found["norm"]["scale"].spec)
      ('model', 0)
    """
    known = {name for _, names in AXES for name in names if name}
    for name, axis in rules.items():
        if name not in known:
            raise InputError(f"rules split {name!r}; the axes of weights are {', '.join(sorted(known))}")
        if axis not in mesh.shape:
            raise InputError(f"rules name {axis!r}; the axes of the mesh are {', '.join(mesh.shape)}")

    def sharding(path: Any, leaf: jax.Array) -> NamedSharding:
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        names = next((found for end, found in AXES if re.search(rf"(^|\.){end}$", name)), ())
        split = [rules.get(axis) if axis else None for axis in names]
        used = [axis for axis in split if axis]
        if len(set(used)) < len(used):
            raise InputError(f"rules split two axes of {name} over {used[0]!r}; split one")
        sizes = leaf.shape[leaf.ndim - len(split) :]
        even = [
            axis if axis and size % mesh.shape[axis] == 0 else None
            for axis, size in zip(split, sizes, strict=True)
        ]
        if not any(even):
            return NamedSharding(mesh, PartitionSpec())
        return NamedSharding(mesh, PartitionSpec(*[None] * (leaf.ndim - len(even)), *even))

    return jax.tree_util.tree_map_with_path(sharding, params)
