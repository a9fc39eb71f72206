"""What a decoder loses at equal network calls, exactly: orders, their own plans, and rules that look.

Nothing is generated and nothing judges: a loss is the mean of -log q(x|u), the sampler's own likelihood of
sequences that it has not drawn. Prints one JSON object a line, each part in a process of its own; without
--json, also tables on standard error. Parts:

  beds        laws known exactly: nats above the entropy by decoder, at n/16, n/8, n/4 and n/2 calls
  mixture     the same laws: the mixture over a decoder's orders beside the mean over them
  sums        networks trained on two-digit sums: nats above the entropy, share of correct sequences
  brackets    the same for brackets of depth 4
  sudoku      the same for Sudoku 4x4
  text        the bundled model on held-out windows, and its samples under a 5-gram judge
  antibodies  AntiBERTy on known light chains; needs --wheel
  cost        seconds to measure one order of the bundled model
"""

import argparse
import json
import pathlib
import sys
import tempfile

import decoders_antibodies
import decoders_exact
import decoders_languages
import decoders_text
from decoders_common import Setting
from parts import print_tables, rows_of

PARTS = {
    "beds": decoders_exact.beds,
    "mixture": decoders_exact.mixture,
    "sums": decoders_languages.sums,
    "brackets": decoders_languages.brackets,
    "sudoku": decoders_languages.sudoku,
    "text": decoders_text.text,
    "antibodies": decoders_antibodies.antibodies,
    "cost": decoders_text.cost,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="default: all")
    parser.add_argument("--json", action="store_true", help="no tables on standard error")
    parser.add_argument("--quick", action="store_true", help="a little of everything, in a minute")
    parser.add_argument(
        "--cache",
        type=pathlib.Path,
        metavar="DIR",
        help="where trained networks are kept; default: nowhere",
    )
    parser.add_argument(
        "--wheel", type=pathlib.Path, metavar="FILE", help="antiberty-0.1.3-py3-none-any.whl"
    )
    parser.add_argument("--here", action="store_true", help="in this process")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        cache = arguments.cache or pathlib.Path(temporary)
        setting = Setting(arguments.quick, cache, arguments.wheel)
        for part in arguments.part or PARTS:
            if arguments.here:
                for row in PARTS[part](setting):
                    print(json.dumps({"part": part, **row}, allow_nan=False), flush=True)
                continue
            command = [sys.executable, __file__, "--part", part, "--here", "--cache", str(cache)]
            command += ["--quick"] if arguments.quick else []
            command += ["--wheel", str(arguments.wheel)] if arguments.wheel else []
            rows = rows_of(command)
            if not arguments.json:
                print_tables(rows)


if __name__ == "__main__":
    main()
