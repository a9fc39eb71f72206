"""What mdmot finds on this machine: versions, devices, caches."""

import dataclasses
import importlib.util
import os
import pathlib
import platform
import time
from typing import Any

from mdmot.errors import InputError
from mdmot.provenance import versions
from mdmot.workflows.inspecting import folder_size
from mdmot.workflows.precision import computing_in

EXTRAS = {"tokenizers": "tokenizers", "tune": "optuna", "torch": "torch"}
"""The extras of the package, and a module that each brings."""


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What mdmot finds on this machine.

    Attributes:
      versions: Of Python and of what a number depends on.
      system: Operating system, processor and number of its cores.
      devices: Of each device its platform, kind and memory in bytes, None where it does not say.
      x64: Whether double precision is there where commands ask for it.
      is_x64_default: Whether JAX is set to it for whoever imports mdmot.
      cache: Folder of compiled programs; None where none are kept.
      cache_bytes: Its size.
      extras: Whether each extra of the package is installed.
      seconds: From nothing to a compiled program and its result.
      problems: What is wrong, a line each.
    """

    versions: dict[str, str]
    system: str
    devices: tuple[dict[str, Any], ...]
    x64: bool
    is_x64_default: bool
    cache: str | None
    cache_bytes: int
    extras: dict[str, bool]
    seconds: float
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `mdmot doctor --json` prints."""
        return dataclasses.asdict(self)


def diagnosis() -> Diagnosis:
    """Looks at this machine, and computes something on it.

    Example:
      >>> found = diagnosis()
      >>> found.x64, found.problems
      (True, ())
    """
    start, problems = time.monotonic(), []
    import jax
    import jax.numpy as jnp

    is_default = jnp.result_type(float) == jnp.float64
    with computing_in("float64"):
        third = jax.jit(lambda x: x / 3)(jnp.ones(()))
        x64 = third.dtype == jnp.float64
        if not abs(float(third) - 1 / 3) < 1e-6:
            problems.append(f"1/3 is {float(third)} on {jax.local_devices()[0].device_kind}")
    if not x64:
        problems.append("there is no double precision; numbers of commands are less exact than they say")
    try:
        from mdmot.workflows.naming import load

        load(None)
    except InputError as error:
        problems.append(f"the model that comes with mdmot does not load: {error}")
    settings = jax.config.values
    is_kept = settings["jax_enable_compilation_cache"]
    cache = settings["jax_compilation_cache_dir"] if is_kept else None
    return Diagnosis(
        versions=versions(),
        system=f"{platform.platform()}, {os.cpu_count()} cores",
        devices=tuple(_device(each) for each in jax.local_devices()),
        x64=bool(x64),
        is_x64_default=bool(is_default),
        cache=cache,
        cache_bytes=folder_size(cache) if cache and pathlib.Path(cache).is_dir() else 0,
        extras={name: importlib.util.find_spec(module) is not None for name, module in EXTRAS.items()},
        seconds=time.monotonic() - start,
        problems=tuple(problems),
    )


def _device(found: Any) -> dict[str, Any]:
    stats = found.memory_stats() or {}
    return {"platform": found.platform, "kind": found.device_kind, "memory": stats.get("bytes_limit")}
