"""Wall time, time of all cores and peak memory of commands of mdmot, each cold, in its own process.

`--command sample` is run twice, in an empty cache folder: the second one finds what the first compiled.
Prints one JSON object a line.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time


def measured(command: str, folder: str) -> dict[str, object]:
    """What one command took, its user's cache and output in a folder."""
    arguments = [command, "--json", *(["--out", folder] if command == "report" else [])]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "mdmot", *arguments],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"XDG_CACHE_HOME": folder},
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "command": command,
        "exit_status": done.returncode,
        "wall_s": wall,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        # The largest child so far: run one command a process for the smaller one's own figure.
        "peak_rss_mb": after.ru_maxrss / 1024,
    }


def main() -> None:
    """Runs the commands one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", choices=["verify", "report", "sample"], action="append")
    for command in parser.parse_args().command or ["verify", "report"]:
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(2 if command == "sample" else 1):
                print(json.dumps(measured(command, folder)), flush=True)


if __name__ == "__main__":
    main()
