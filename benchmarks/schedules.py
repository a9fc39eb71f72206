"""What a schedule is worth: predictions and plans on laws known exactly, and samples beside them.

Prints one JSON object a line, each part in a process of its own; without --json, also tables on standard
error. Parts:

  prediction  predicted path KL beside the teacher-forced mean of log p(x)/q(x|A) on independent draws
  bound       predicted path KL beside the exact KL where the law can be enumerated
  steps       sticky chains: path KL at 32 steps by schedule, and the steps that reach linear's
  estimate    sticky chains: step ratio and plan from draws alone, judged by the exact profile
  limit       languages with forbidden tokens: token and sequence error rates against steps and length
  order       confidence-ordered reveals beside random ones on the same laws
  languages   networks trained on arithmetic and brackets: share of correct sequences against steps
  text        a network trained on text: bits per byte of its samples under an n-gram judge, against steps
"""

import argparse
import json
import subprocess
import sys

import schedules_exact
import schedules_samples
import schedules_trained

PARTS = {
    "prediction": schedules_exact.prediction,
    "bound": schedules_exact.bound,
    "steps": schedules_exact.steps,
    "estimate": schedules_exact.estimate,
    "limit": schedules_samples.limit,
    "order": schedules_samples.order,
    "languages": schedules_trained.languages,
    "text": schedules_trained.text,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="default: all")
    parser.add_argument("--json", action="store_true", help="no tables on standard error")
    parser.add_argument("--here", action="store_true", help="in this process")
    arguments = parser.parse_args()
    if arguments.here:
        for part in arguments.part or PARTS:
            for row in PARTS[part]():
                print(json.dumps({"part": part, **row}, allow_nan=False), flush=True)
        return
    for part in arguments.part or PARTS:
        command = [sys.executable, __file__, "--part", part, "--here"]
        rows = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                print(line, end="", flush=True)
                rows.append(json.loads(line))
        if process.returncode:
            sys.exit(process.returncode)
        if not arguments.json:
            print_table(rows)


def print_table(rows: list[dict]) -> None:
    """The numbers of one part, a column a key."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    cells = [keys] + [[_cell(row.get(key)) for key in keys] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(keys))]
    for line in cells:
        print(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)), file=sys.stderr
        )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "(" + ", ".join(_cell(item) for item in value) + ")"
    return "-" if value is None else str(value)


if __name__ == "__main__":
    main()
