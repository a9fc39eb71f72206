"""Mutation testing of a package: the share of small faults in its code that its own tests notice.

Needs the extra `mutation` (cosmic-ray). A copy of the working tree is mutated, never the tree itself, and
each mutant is tested in a fresh process. `benchmarks/mutants/PACKAGE.toml` names the modules, the tests
that guard them, and the mutants that change nothing, with the reason.

    python benchmarks/mutation.py special --sample 80 --seed 0
    python benchmarks/mutation.py special --sample 80 --seed 0 --again   # retests the survivors

Stopped, it goes on where it was; a larger sample contains the smaller one of the same seed.
"""

import argparse
import contextlib
import hashlib
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = Path(__file__).with_name("mutants")
PATIENCE = 10.0  # a run that takes this many times the clean one hangs, which counts as noticed


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
    """Prints the survivors one by one, then the score."""
    from scipy.stats import binomtest

    num_killed, num_equivalent, survivors = 0, 0, []
    num_mute = sum(result.is_killed and not has_verdict(result) for _, result in done)
    for mutation, result in done:
        module, changes = str(mutation.module_path), changed_lines(result.diff)
        if result.is_killed:
            num_killed += 1
        elif (module, *changes) in package.equivalent:
            num_equivalent += 1
        else:
            survivors.append((module, mutation.start_pos[0], mutation.operator_name, *changes))
    for module, line, operator, was, now in sorted(survivors):
        print(f"\n{module}:{line}  {operator}\n- {was}\n+ {now}")
    mute = f" ({num_mute} of them ran out of time or died)" if num_mute else ""
    print(f"\n{num_killed} killed{mute}, {len(survivors)} survived, {num_equivalent} equivalent")
    if tested := num_killed + len(survivors):
        low, high = binomtest(num_killed, tested).proportion_ci(0.95, "wilson")
        print(f"{num_killed / tested:.1%} of {tested} killed, 95 % interval {low:.1%} to {high:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", choices=sorted(path.stem for path in CONFIGS.glob("*.toml")))
    parser.add_argument("--sample", type=int, help="Mutants to test, drawn at random; all if not given.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--again", action="store_true", help="Test once more what no test is known to notice."
    )
    parser.add_argument("--list", action="store_true", help="Report what was tested so far and stop.")
    parser.add_argument(
        "--work", type=Path, help="Folder of copy and session; else build/mutation/PACKAGE."
    )
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        run(arguments)


def run(arguments: argparse.Namespace) -> None:
    from cosmic_ray.commands import init
    from cosmic_ray.work_db import use_db

    package = read_package(arguments.package)
    work = (arguments.work or ROOT / "build" / "mutation" / arguments.package).resolve()
    tree = work / "tree"
    tree.mkdir(parents=True, exist_ok=True)
    with use_db(str(work / "session.sqlite")) as session:
        if not arguments.list:
            copy_tree(tree)
            enter(tree)
            digest, noted = digest_of(package.modules), work / "code.sha256"
            if not noted.is_file() or noted.read_text() != digest:
                init(package.modules, session, {})  # the code has changed: earlier results say nothing
                noted.write_text(digest)
        sample = draw(session, arguments.sample, arguments.seed)
        if not arguments.list:
            test(session, [x for x in sample if is_due(session, x, arguments.again)], package.tests)
        results = dict(session.results)
        report(package, [(x.mutations[0], results[x.job_id]) for x in sample if x.job_id in results])


def digest_of(modules: list[Path]) -> str:
    """Of the code of the working tree: the copy's may still hold the mutant of a run that was stopped."""
    return hashlib.sha256(b"".join((ROOT / module).read_bytes() for module in modules)).hexdigest()


def draw(session: Any, size: int | None, seed: int) -> list:
    """The first `size` mutants of a random order that depends on the code and the seed alone."""
    from mutants.select import is_telling  # the folder of this script is on the path

    def place(item: Any) -> tuple[str, str, int]:
        mutation = item.mutations[0]
        return str(mutation.module_path), mutation.operator_name, mutation.occurrence

    telling = sorted((x for x in session.work_items if is_telling(x.mutations[0], ROOT)), key=place)
    sample = random.Random(seed).sample(telling, len(telling))[:size]
    print(f"{len(telling)} mutants, {len(sample)} in the sample", flush=True)
    return sample


def is_due(session: Any, item: Any, again: bool) -> bool:
    """Whether an item is to be tested: new, or, if asked for, one that no test is known to notice."""
    result = dict(session.results).get(item.job_id)
    return result is None or (again and not (result.is_killed and has_verdict(result)))


def has_verdict(result: Any) -> bool:
    """Whether pytest came to its end: on a busy machine a run may hang or be killed for other reasons."""
    return re.search(r"\d+ (passed|failed|error)", result.output or "") is not None


def test(session: Any, items: list, tests: list[str]) -> None:
    """Tests each mutant in a fresh process and writes what came of it to the session at once."""
    from cosmic_ray.mutating import mutate_and_test

    if not items:
        return
    options = "-q -n 0 -x -p no:cacheprovider -m 'not slow'"
    command = f"{shlex.quote(sys.executable)} -m pytest {options} {' '.join(tests)}"
    clean_s = clean_run(command)
    print(f"{clean_s:.0f} s a clean run of {' '.join(tests)}", flush=True)
    for number, item in enumerate(items, 1):
        mutation, start = item.mutations[0], time.perf_counter()
        result = mutate_and_test(item.mutations, command, PATIENCE * clean_s)
        session.set_result(item.job_id, result)
        outcome, seconds = result.test_outcome.value, time.perf_counter() - start
        where = f"{mutation.module_path}:{mutation.start_pos[0]} {mutation.operator_name}"
        print(f"{number}/{len(items)} {outcome} in {seconds:.0f} s: {where}", flush=True)


if __name__ == "__main__":
    main()
