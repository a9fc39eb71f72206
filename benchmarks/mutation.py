"""Mutation testing of a package: the share of small faults in its code that its own tests notice.

Needs the extra `mutation` (cosmic-ray). A copy of the working tree is mutated, never the tree itself, and each
mutant is tested in a fresh process. `benchmarks/mutants/PACKAGE.toml` names the modules, the tests that guard
them, and the mutants that change nothing, with the reason.

    python benchmarks/mutation.py special --sample 80 --seed 0
    python benchmarks/mutation.py special --sample 80 --seed 0 --again   # retests the survivors

Stopped, it goes on where it was; a larger sample contains the smaller one of the same seed.
"""

import argparse
import contextlib
import filecmp
import os
import random
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = Path(__file__).with_name("mutants")
PATIENCE = 5.0  # a run that takes this many times the clean one hangs, which counts as noticed


class Package(NamedTuple):
    """What to mutate, what should notice, and what nothing can notice."""

    modules: list[Path]
    tests: list[str]
    equivalent: dict[tuple[str, str, str], str]


def read_package(name: str) -> Package:
    config = tomllib.loads((CONFIGS / f"{name}.toml").read_text())
    modules = [
        path.relative_to(ROOT)
        for place in config["modules"]
        for path in (sorted((ROOT / place).rglob("*.py")) if (ROOT / place).is_dir() else [ROOT / place])
    ]
    equivalent = {(e["module"], e["was"], e["is"]): e["reason"] for e in config.get("equivalent", [])}
    return Package(modules, config["tests"], equivalent)


def copy_tree(tree: Path) -> None:
    """Brings the copy up to date with the files of the working tree that git tracks or would track."""
    listing = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    for name in (
        subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    ):
        source, target = ROOT / name, tree / name
        if (
            name
            and source.is_file()
            and (not target.is_file() or target.read_bytes() != source.read_bytes())
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def enter(tree: Path) -> None:
    """Makes the copy what this process and its children import and test, and never a stale bytecode."""
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    where = subprocess.run(
        [sys.executable, "-c", "import mdmot; print(mdmot.__file__)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    if Path(where).parent.parent != tree:
        sys.exit(f"the tests would import mdmot from {where}, not from the copy {tree}")


def clean_run(command: str) -> float:
    """Seconds of the tests on the code as it is; the second run, when everything is compiled and cached."""
    for _ in range(2):
        start = time.perf_counter()
        if subprocess.run(shlex.split(command), stdout=subprocess.DEVNULL).returncode:
            sys.exit(f"the tests fail on the code as it is: {command}")
    return time.perf_counter() - start


def changed_lines(diff: str) -> tuple[str, str]:
    """The lines that a mutant took out and those that it put in, without the blanks around them."""
    body = diff.splitlines()[3:]
    was, now = (" / ".join(x[1:].strip() for x in body if x.startswith(sign)) for sign in "-+")
    return was, now


def report(package: Package, done: list) -> None:
    from scipy.stats import binomtest

    killed = [result for _, result in done if result.is_killed]
    survivors, equivalent = [], []
    for item, result in done:
        if not result.is_killed:
            key = (str(item.mutations[0].module_path), *changed_lines(result.diff))
            (equivalent if key in package.equivalent else survivors).append((item, key))
    for item, (module, was, now) in sorted(survivors, key=lambda x: (x[1][0], x[0].mutations[0].start_pos)):
        print(
            f"\n{module}:{item.mutations[0].start_pos[0]}  {item.mutations[0].operator_name}\n- {was}\n+ {now}"
        )
    tested = len(killed) + len(survivors)
    line = f"{len(killed)} killed, {len(survivors)} survived, {len(equivalent)} equivalent"
    if tested:
        low, high = binomtest(len(killed), tested).proportion_ci(0.95, "wilson")
        line += f": {len(killed) / tested:.1%} of {tested} killed, 95 % interval {low:.1%} to {high:.1%}"
    print(f"\n{line}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", choices=sorted(path.stem for path in CONFIGS.glob("*.toml")))
    parser.add_argument("--sample", type=int, help="Mutants to test, drawn at random; all if not given.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--again", action="store_true", help="Test the survivors once more, e.g. after new tests."
    )
    parser.add_argument("--list", action="store_true", help="Report what was tested so far and stop.")
    parser.add_argument(
        "--work", type=Path, help="Folder of copy and session; build/mutation/PACKAGE if not given."
    )
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        run(arguments)


def run(arguments: argparse.Namespace) -> None:
    from cosmic_ray.commands import init
    from cosmic_ray.mutating import mutate_and_test
    from cosmic_ray.work_db import use_db

    from mutants.select import is_telling  # the folder of this script is on the path

    package = read_package(arguments.package)
    work = (arguments.work or ROOT / "build" / "mutation" / arguments.package).resolve()
    tree = work / "tree"
    tree.mkdir(parents=True, exist_ok=True)
    with use_db(str(work / "session.sqlite")) as session:
        stale = [
            x
            for x in package.modules
            if not (tree / x).is_file() or not filecmp.cmp(ROOT / x, tree / x, False)
        ]
        if not arguments.list:
            copy_tree(tree)
            enter(tree)
            if stale or not session.num_work_items:
                init(package.modules, session, {})  # the code has changed: earlier results say nothing
        telling = sorted(
            (item for item in session.work_items if is_telling(item.mutations[0], ROOT)),
            key=lambda item: (
                str(item.mutations[0].module_path),
                item.mutations[0].operator_name,
                item.mutations[0].occurrence,
            ),
        )
        sample = random.Random(arguments.seed).sample(telling, len(telling))[: arguments.sample]
        results = dict(session.results)
        todo = [
            item
            for item in sample
            if item.job_id not in results or (arguments.again and not results[item.job_id].is_killed)
        ]
        print(f"{len(telling)} mutants of {arguments.package}, {len(sample)} in the sample")
        if todo and not arguments.list:
            tests = " ".join(package.tests)
            options = "-q -n 0 -x -p no:cacheprovider -m 'not slow'"
            command = f"{shlex.quote(sys.executable)} -m pytest {options} {tests}"
            clean_s = clean_run(command)
            print(f"{clean_s:.0f} s a clean run of {tests}", flush=True)
            for number, item in enumerate(todo, 1):
                mutation, start = item.mutations[0], time.perf_counter()
                result = mutate_and_test(item.mutations, command, PATIENCE * clean_s)
                session.set_result(item.job_id, result)
                print(
                    f"{number}/{len(todo)} {result.test_outcome.value} in {time.perf_counter() - start:.0f} s: "
                    f"{mutation.module_path}:{mutation.start_pos[0]} {mutation.operator_name}",
                    flush=True,
                )
        results = dict(session.results)
        report(package, [(item, results[item.job_id]) for item in sample if item.job_id in results])


if __name__ == "__main__":
    main()
