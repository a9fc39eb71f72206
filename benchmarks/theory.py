"""Speed and memory of the theory core: energies by enumeration, exact laws, Beta pairs with gradients.

Prints one JSON object a line: compile and run apart, the median of repeats, peak memory of the process.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

CASES = ("enumeration", "law", "beta")


def measure(run: Callable[[], Any], repeats: int) -> dict[str, float]:
    import jax

    start = time.perf_counter()
    jax.block_until_ready(run())
    first = time.perf_counter() - start
    runs = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run())
        runs.append(time.perf_counter() - start)
    return {"first_call_s": first, "run_s": statistics.median(runs)}


def enumeration() -> dict[str, Any]:
    """The three energies over 4^10 states at 64 time nodes."""
    import numpy as np

    from mdmot import energies, flows
    from mdmot.schedules import interpolations, masks

    law = np.random.default_rng(0).dirichlet(np.ones(3**10)).reshape((3,) * 10)
    table = flows.partial_marginals(law)
    schedule, interpolation = masks.beta(0.9, 0.8), interpolations.linear()
    return measure(lambda: energies.enumerated_energies(table, schedule, interpolation, 64), 3)


def law() -> dict[str, Any]:
    """The exact law of n = 5, d = 2, K = 3 over the paper's 10 x 10 grid of (a, b), in one call."""
    import itertools

    import jax
    import jax.numpy as jnp

    from mdmot.distributions import uniform_over
    from mdmot.exact_law import bernoulli_law
    from mdmot.schedules import masks, step_grid

    sentences = list(itertools.product(range(2), repeat=5))
    target = uniform_over([s for s in sentences if s.count(0) in (2, 3)], 2)
    axis = jnp.arange(1, 11) / 10
    shapes = jnp.stack(jnp.meshgrid(axis, axis), -1).reshape(-1, 2)

    @jax.jit
    def laws(shapes: jax.Array) -> jax.Array:
        def one(shape: jax.Array) -> jax.Array:
            reveal = step_grid(masks.beta(*shape), 3).reveal
            return bernoulli_law(target, 2, reveal, jnp.asarray(sentences))

        return jax.vmap(one)(shapes)

    return measure(lambda: laws(shapes), 9)


def beta() -> dict[str, Any]:
    """Energy and gradient of 10,000 Beta pairs in one call."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from mdmot.energies import beta_energy

    shapes = jnp.asarray(np.random.default_rng(0).uniform(0.5, 3.0, size=(4, 10_000)))
    gradient = jax.jit(jax.vmap(jax.value_and_grad(beta_energy, argnums=(0, 1, 2, 3))))
    return measure(lambda: gradient(*shapes), 9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--case", choices=CASES, help="One case; all of them, each in its own process, by default."
    )
    case = parser.parse_args().case
    if case is None:
        for name in CASES:
            subprocess.run([sys.executable, __file__, "--case", name], check=True)
        return
    import jax

    jax.config.update("jax_enable_x64", True)
    found = {"case": case} | globals()[case]()
    found["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found |= {"device": str(jax.devices()[0]), "jax": jax.__version__}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
