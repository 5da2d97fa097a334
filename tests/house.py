"""The house in numbers: size, order and reach of the code, at this checkout or at a revision.

    python -m tests.house                     a table of what is here
    python -m tests.house --against 09fb884   the same beside a revision

`tests/test_house.py` holds what must not grow. Ways are traced (`tests/ways.py`): each is walked on
SQLite, and counted are the modules of `backend.services` in which a function ran, and as hops the
modules of ours, of any package, on the call stack that held most of them at once.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("backend", "dashboard", "evaluators", "training")
LONG_FUNCTION = 60
LONG_MODULE = 500
FULL_FOLDER = 12
# Layers that hold one file a stage, by which a newcomer finds a stage in every one of them.
STAGES = {"backend/tables", "backend/schemas", "backend/api/routes", "backend/client"}
# Shapes that repeat a dataclass of at least so many fields, with so large a share of equal names.
MIRROR_FIELDS, MIRROR_SHARE = 4, 0.9
# A check's figures on a bench leave out level, method and n/a; a flag is read from rows as well.
OWN_SHAPES = {"BenchKind", "BenchCheck", "BenchReportOut", "FlaggedSpan"}
# What a metric says, as a value of the evaluators and as the row that keeps it: one word for both.
VALUE_AND_ROW = {"Score", "Span"}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def modules(root: Path, package: str) -> list[Path]:
    """Python files of a package."""
    return sorted((root / package).rglob("*.py"))


def lines_of(files: list[Path]) -> int:
    """Lines, blank ones and comments included."""
    return sum(len(file.read_text("utf-8").splitlines()) for file in files)


def definitions(tree: ast.AST) -> list[Definition]:
    """Every class, function and method."""
    return [node for node in ast.walk(tree) if isinstance(node, Definition)]


def measure(root: Path) -> dict[str, int]:
    """Every number by its name."""
    found: dict[str, int] = {}
    source = _sources(root)
    for package in PACKAGES:
        found[f"lines of {package}"] = lines_of(modules(root, package))
    found["lines of source"] = lines_of(source)
    found["lines of tests"] = lines_of(modules(root, "tests"))
    found["modules"] = len(source)
    found["modules over 500 lines"] = sum(lines_of([file]) > LONG_MODULE for file in source)
    found |= {name: len(places) for name, places in unwanted(root).items()}
    found["bytes of README.md"] = (root / "README.md").stat().st_size
    return found


def _sources(root: Path) -> list[Path]:
    return [file for package in PACKAGES for file in modules(root, package)]


def unwanted(root: Path) -> dict[str, list[str]]:
    """What there is to be none of, by its name: where it is."""
    trees = {file: ast.parse(file.read_text("utf-8")) for file in _sources(root)}
    defined = {file: definitions(tree) for file, tree in trees.items()}
    folders = Counter(
        file.parent.relative_to(root).as_posix() for file in trees if file.name != "__init__.py"
    )
    classes = Counter(
        node.name for nodes in defined.values() for node in nodes if isinstance(node, ast.ClassDef)
    )
    return {
        "functions over 60 lines": [
            f"{file.relative_to(root)}:{one.lineno} {one.name}"
            for file, ones in defined.items()
            for one in ones
            if not isinstance(one, ast.ClassDef)
            and (one.end_lineno or one.lineno) - one.lineno >= LONG_FUNCTION
        ],
        "folders with more than a dozen modules": [
            folder for folder, n in folders.items() if n > FULL_FOLDER and folder not in STAGES
        ],
        "class names that exist twice": [
            name for name, n in classes.items() if n > 1 and name not in VALUE_AND_ROW
        ],
        "shapes that repeat a dataclass": [f"{a} of {b}" for a, b in mirrors(root, defined)],
        "import cycles, packages of every level": [" - ".join(k) for k in cycles(root, trees)],
    }


def cycles(root: Path, trees: dict[Path, ast.Module]) -> list[list[str]]:
    """Groups of modules, or of packages beside each other, that import one another.

    Only imports at the head of a module count: those within functions are made for a reason.
    """
    names = {_name(root, file): tree for file, tree in trees.items()}
    imports = {name: set(_imports(tree, names)) for name, tree in names.items()}
    found: list[list[str]] = []
    parents = {name.rpartition(".")[0] for name in names}
    for parent in sorted(parents | {p.rpartition(".")[0] for p in parents}):
        edges: dict[str, set[str]] = {}
        for name in names:
            here = _child(parent, name)
            for imported in imports[name]:
                there = _child(parent, imported)
                if here and there and here != there:
                    edges.setdefault(here, set()).add(there)
        found += _knots(edges)
    return found


def mirrors(root: Path, defined: dict[Path, list[Definition]]) -> list[tuple[str, str]]:
    """Shapes of answers that repeat a dataclass field by field, each with the dataclass.

    Bodies of requests are none of these: they hold the limits of HTTP, and the values that services
    take of them are made of commands and files as well.
    """
    shapes, values = dict[str, ast.ClassDef](), list[tuple[str, set[str]]]()
    for file, nodes in defined.items():
        of_shapes = file.is_relative_to(root / "backend" / "schemas")
        for node in nodes:
            if isinstance(node, ast.ClassDef) and of_shapes:
                shapes[node.name] = node
            elif isinstance(node, ast.ClassDef) and _is_value(node):
                values.append((node.name, _fields(node, {})))
    found = []
    for name, shape in shapes.items():
        own = _fields(shape, shapes)
        if "RequestBody" in _line(shape, shapes) or name in OWN_SHAPES or len(own) < MIRROR_FIELDS:
            continue
        for value, theirs in values:
            if len(own & theirs) >= MIRROR_SHARE * max(len(own), len(theirs)):
                found.append((name, value))
    return found


def _is_value(node: ast.ClassDef) -> bool:
    marks = [*node.decorator_list, *node.bases]
    return any(
        "dataclass" in ast.unparse(mark) or "NamedTuple" in ast.unparse(mark) for mark in marks
    )


def _line(shape: ast.ClassDef, shapes: dict[str, ast.ClassDef]) -> list[str]:
    """The names of the classes that a shape is made from, itself first."""
    bases = [
        node.id for base in shape.bases for node in ast.walk(base) if isinstance(node, ast.Name)
    ]
    above = [_line(shapes[name], shapes) for name in bases if name in shapes]
    return [shape.name, *bases, *(name for names in above for name in names)]


def _fields(node: ast.ClassDef, shapes: dict[str, ast.ClassDef]) -> set[str]:
    own = {
        line.target.id
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }
    return own.union(
        *(_fields(shapes[name], shapes) for name in _line(node, shapes)[1:] if name in shapes)
    )


def _name(root: Path, file: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _child(parent: str, name: str) -> str | None:
    if not parent:
        return name.partition(".")[0]
    if not name.startswith(parent + "."):
        return None
    return f"{parent}.{name.removeprefix(parent + '.').partition('.')[0]}"


def _imports(tree: ast.Module, names: dict[str, ast.Module]) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in names else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _knots(edges: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected groups of more than one (Tarjan 1972, by reach: the graphs are small)."""
    reach = {node: _reached(edges, node) for node in edges}
    seen: set[str] = set()
    knots = []
    for node in sorted(edges):
        knot = {other for other in reach[node] if node in reach.get(other, set())}
        if node not in seen and len(knot) > 1:
            knots.append(sorted(knot))
            seen |= knot
    return knots


def _reached(edges: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for other in edges.get(waiting.pop(), set()) - found:
            found.add(other)
            waiting.append(other)
    return found


def hops(root: Path) -> dict[str, int]:
    """Modules of services and hops of each way in `tests.ways`; without those that cannot run."""
    ways = Path(__file__).with_name("ways.py").read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", ways, folder]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    if done.returncode:
        return {}
    walked = json.loads(done.stdout.splitlines()[-1])
    for way, error in walked.items():
        if isinstance(error, str):
            print(f"{way} cannot be walked in {root}: {error}", file=sys.stderr)
    return {
        f"{what} of {way}": n
        for way, numbers in walked.items()
        if not isinstance(numbers, str)
        for what, n in zip(("modules", "hops"), numbers, strict=True)
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", help="a revision to stand beside")
    arguments = parser.parse_args()
    now, before = measure(ROOT) | hops(ROOT), dict[str, int]()
    if arguments.against:
        with tempfile.TemporaryDirectory() as folder:
            add = ["git", "worktree", "add", "-q", "--detach", folder, arguments.against]
            subprocess.run(add, cwd=ROOT, check=True)
            try:
                before = measure(Path(folder)) | hops(Path(folder))
            finally:
                remove = ["git", "worktree", "remove", "--force", folder]
                subprocess.run(remove, cwd=ROOT, check=True)
    for name, value in now.items():
        print(f"{name:<42} {before.get(name, ''):>8} {value:>8}")


if __name__ == "__main__":
    main()
