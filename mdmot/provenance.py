"""What a result depends on, and its form in JSON."""

import math
from typing import Any


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that a number depends on."""
    import platform
    from importlib.metadata import version

    packages = {
        name: version(name) for name in ("mdmot", "jax", "jaxlib", "flax", "optax", "scipy", "numpy")
    }
    return {"python": platform.python_version(), **packages}


def device() -> str:
    """What JAX computes on, as `1 cpu` or `8 NVIDIA H200`."""
    import jax

    found = jax.local_devices()
    return f"{len(found)} {found[0].device_kind}"


def jsonable(value: Any) -> Any:
    """`value` in JSON's own types; numbers without a JSON form become strings.

    Example:
      >>> jsonable({"kl": (float("inf"), 1.5)})
      {'kl': ['inf', 1.5]}
    """
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value
