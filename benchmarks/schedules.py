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
import sys

import schedules_exact
import schedules_samples
import schedules_trained
from parts import print_tables, rows_of

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
        rows = rows_of(command)
        if not arguments.json:
            print_tables(rows)


if __name__ == "__main__":
    main()
