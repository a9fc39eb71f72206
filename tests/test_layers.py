"""Imports point down only (architecture: a stranger reads the order off the list)."""

import ast
import importlib
import inspect
import pathlib
import subprocess
import sys

import pytest

import mdmot

ROOT = pathlib.Path(mdmot.__file__).parent
LAYERS = [
    {"_types", "compilation_cache", "drawing", "errors", "interruption", "provenance", "readable"},
    {"model"},
    {"denoisers"},
    {"arguments", "files", "names", "specs", "vocabulary"},
    {"data"},
    {"special", "geometry"},
    {"schedules"},
    {"flows"},
    {"transport"},
    {"energies"},
    {"distributions"},
    {"exact_law"},
    {"orders"},
    {"information"},
    {"plans"},
    {"export"},
    {"samplers"},
    {"editing", "insertion"},
    {"models"},
    {"training"},
    {"metrics"},
    {"tuning"},
    {"partitions"},
    {"decoders"},
    {"checks"},
    {"experiments"},
    {"workflows"},
    {"pages"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mdmot"):
            rest = node.module.split(".")[1:]
            yield from [rest[0]] if rest else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("mdmot."))


def test_imports_point_down():
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for target in imported_rooms(path):
            if target != room and RANK[target] >= RANK[room]:
                wrong.append(f"{path.relative_to(ROOT)} imports {target}")
    assert not wrong


ROOMS = sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.rglob("__init__.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_exports_and_no_name_hides_a_module(room):
    package = importlib.import_module(".".join(["mdmot", *pathlib.PurePath(room).parts]))
    modules = {path.stem for path in (ROOT / room).iterdir() if path.suffix == ".py" or path.is_dir()}
    shared = modules & set(package.__all__)
    assert all(inspect.ismodule(getattr(package, name)) for name in shared)
    tree = ast.parse((ROOT / room / "__init__.py").read_text())
    named = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mdmot")
        for alias in node.names
    ]
    named += [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    named += [ast.unparse(node.target) for node in tree.body if isinstance(node, ast.AnnAssign)]
    assert sorted(name for name in named if not name.startswith("_")) == sorted(package.__all__)
    assert {*package.__all__} <= {*dir(package)}


def test_the_names_of_the_quickstart_load_nothing_heavy():
    heavy = ("flax", "optax", "scipy", "matplotlib", "clarabel", "rich", "click", "jinja2")
    names = (
        "BernoulliUnmasking, FixedUnmasking, InputError, energy, interpolations, masks, sample, step_grid"
    )
    script = (
        f"import sys; from mdmot import {names}; print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_of_mdmot_is_found_when_it_is_asked_for():
    assert {name for name in dir(mdmot) if not name.startswith("_")} >= {*mdmot._HOMES}
    assert "TYPE_CHECKING" not in dir(mdmot)
    for name, home in mdmot._HOMES.items():
        assert getattr(mdmot, name) is getattr(importlib.import_module(f"mdmot.{home}"), name)
    script = (
        "import mdmot; print(mdmot.plans.__name__, hasattr(mdmot, 'nonsense'), hasattr(mdmot, '_nonsense'))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "mdmot.plans False False\n"


def test_no_file_imports_itself_through_others():
    """Annotations of types do not count, nor does what a package exports."""
    imports = {path: set(files_imported(path)) for path in sorted(ROOT.rglob("*.py"))}
    assert not circle(imports)
    first, second = sorted(imports)[:2]
    assert circle(imports | {first: {second}, second: {first}}) == [first, second, first]


def files_imported(path):
    """The files of the package that a file imports when it runs, __init__ files left out."""
    for node in runtime_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mdmot"):
            base = ROOT.joinpath(*node.module.split(".")[1:])
            names = [base.with_suffix(".py"), *(base / f"{alias.name}.py" for alias in node.names)]
            yield from (name for name in names if name.exists())


def runtime_nodes(tree):
    for node in ast.iter_child_nodes(tree):
        is_typing = (
            isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        )
        if not is_typing:
            yield node
            yield from runtime_nodes(node)


def circle(imports):
    """One path that ends where it begins; none if there is none."""
    done = set()

    def search(path):
        for after in sorted(imports[path[-1]]):
            if after in path:
                return [*path[path.index(after) :], after]
            if after not in done and (found := search([*path, after])):
                return found
        done.add(path[-1])
        return []

    return next((found for start in sorted(imports) if (found := search([start]))), [])
