"""Wall time and peak memory of `mdmot verify` and `mdmot report`, each cold, in its own process.

Prints one JSON object a line.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time


def main() -> None:
    """Runs the commands one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", choices=["verify", "report"], action="append")
    for command in parser.parse_args().command or ["verify", "report"]:
        with tempfile.TemporaryDirectory() as out:
            arguments = [command, "--json", *(["--out", out] if command == "report" else [])]
            start = time.perf_counter()
            done = subprocess.run([sys.executable, "-m", "mdmot", *arguments], stdout=subprocess.DEVNULL)
            found = {
                "command": command,
                "exit_status": done.returncode,
                "wall_s": time.perf_counter() - start,
            }
        # The largest child so far: run one command a process for the smaller one's own figure.
        found["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
