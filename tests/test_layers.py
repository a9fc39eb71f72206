"""Imports point down only (architecture: a stranger reads the order off the list)."""

import ast
import pathlib
import subprocess
import sys

import mdmot

ROOT = pathlib.Path(mdmot.__file__).parent
LAYERS = [
    {"_types", "errors"},
    {"files", "vocabulary"},
    {"data"},
    {"special", "geometry"},
    {"schedules"},
    {"flows"},
    {"transport"},
    {"energies"},
    {"distributions"},
    {"information"},
    {"plans"},
    {"law"},
    {"samplers"},
    {"models"},
    {"training"},
    {"metrics"},
    {"tuning"},
    {"verify"},
    {"experiments"},
    {"report"},
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


def test_importing_mdmot_loads_nothing_heavy():
    heavy = ("flax", "optax", "scipy", "matplotlib", "clarabel", "rich", "click", "jinja2")
    script = f"import sys, mdmot; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
