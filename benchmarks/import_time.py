"""What a user waits for before anything is computed: medians of fresh processes.

The time to load the quickstart's names of mdmot over that of jax, in alternating processes; and the time
until the command line has shown its help or its version, or has said what is wrong with a name.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

# `import mdmot` alone loads nothing.
JAX, MDMOT = (
    "import jax",
    "from mdmot import BernoulliUnmasking, energy, interpolations, masks, sample, step_grid",
)
COMMANDS = {
    "help": ["--help"],
    "version": ["--version"],
    "name": ["sample", "--schedule", "liner"],
    "model": ["evaluate", "no-such-model"],
}


def seconds(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--limit", type=float, help="Exit with 1 if the ratio is above this.")
    arguments = parser.parse_args()
    for statement in (JAX, MDMOT):
        subprocess.run([sys.executable, "-c", statement], check=True)  # writes the bytecode
    pairs = [(seconds("-c", JAX), seconds("-c", MDMOT)) for _ in range(arguments.repeats)]
    jax_s, mdmot_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(mdmot_s / jax_s for jax_s, mdmot_s in pairs)
    said = {
        f"{name}_s": statistics.median(seconds("-m", "mdmot", *words) for _ in range(arguments.repeats))
        for name, words in COMMANDS.items()
    }
    print(json.dumps({"import_jax_s": jax_s, "import_mdmot_s": mdmot_s, "ratio": ratio, **said}))
    if arguments.limit is not None and ratio > arguments.limit:
        sys.exit(f"mdmot takes {ratio:.2f} x as long as jax, more than {arguments.limit}")


if __name__ == "__main__":
    main()
