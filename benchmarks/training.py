"""What training costs, where the variance of its loss comes from, and what a learned order saves.

Prints one JSON object a line, each part in a process of its own; without --json, also tables on standard
error. `holds` says whether what is promised is what is measured; exit status 1 if it is not. Parts:

  throughput     a step of `mdmot.training.run` over the loss and gradient of a ready batch, in turn
  blocks         blocks that are scanned and recomputed beside blocks that are written out and kept
  variance       A + B + C of a trained model, and each method's variance at equal network calls
  gradient       the variance of the gradient, summed over the weights, of each method
  learned-order  held-out NELBO of learned, uniform and known orders at equal updates
"""

import argparse
import itertools
import json
import sys

import training_orders
import training_throughput
import training_variance
from parts import print_tables, rows_of

PARTS = {
    "throughput": lambda arguments: training_throughput.throughput(arguments.quick),
    "blocks": lambda arguments: training_throughput.blocks(arguments.quick),
    "variance": lambda arguments: training_variance.variance(arguments.quick, arguments.model),
    "gradient": lambda arguments: training_variance.gradient(arguments.quick, arguments.model),
    "learned-order": lambda arguments: training_orders.learned_order(arguments.quick),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="default: all")
    parser.add_argument(
        "--model", metavar="FOLDER", help="of variance and gradient; default: the bundled one"
    )
    parser.add_argument("--quick", action="store_true", help="only whether all of it runs")
    parser.add_argument("--json", action="store_true", help="no tables on standard error")
    parser.add_argument("--here", action="store_true", help="in this process")
    arguments = parser.parse_args()
    parts = arguments.part or list(PARTS)
    if arguments.here:
        for part in parts:
            for row in PARTS[part](arguments):
                print(json.dumps({"part": part, **row}, allow_nan=False), flush=True)
        return
    options = ["--quick"] if arguments.quick else []
    options += ["--model", arguments.model] if arguments.model else []
    # The quick form spends its time on importing and compiling, of which one process does less.
    failed = False
    for some in [parts] if arguments.quick else [[part] for part in parts]:
        names = itertools.chain.from_iterable(("--part", part) for part in some)
        command = [sys.executable, __file__, *names, "--here", *options]
        rows = rows_of(command)
        failed |= any(not row.get("holds", True) for row in rows)
        if not arguments.json:
            print_tables(rows)
    sys.exit(failed)


if __name__ == "__main__":
    main()
