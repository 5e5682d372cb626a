"""docs/architecture.md is what the source is: every module on its floor, and the rules of the house kept."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "architecture.md"
SOURCE = ROOT / "nmc"
HEAVY = ("numba", "torch", "onnx", "lava", "sanafe", "matplotlib")
"""Imported inside functions only, so that what does not need them does not wait for them."""


def module_of(path: Path) -> str:
    """`nmc.ir.ops` of nmc/ir/ops.py; a package's `__init__` has the package's name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of nmc, parsed."""
    return {module_of(path): ast.parse(path.read_text(), str(path)) for path in sorted(SOURCE.rglob("*.py"))}


@cache
def documented() -> dict[str, int]:
    """Module or package -> floor, from the tree in the document; what is below a package is on its floor."""
    (tree,) = re.findall(r"```tree\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    found: dict[str, int] = {}
    path: list[str] = []
    floor = 0
    for line in tree.splitlines():
        entry = re.fullmatch(r"( *)([\w.]+/?) +(?:(\d+) +)?\S.*", line)
        assert entry is not None, f"not a line of the tree: {line!r}"
        depth = len(entry[1]) // 2
        path[depth:] = [entry[2].rstrip("/").removesuffix(".py")]
        if depth == 1:
            assert entry[3], f"no floor: {line!r}"
            floor = int(entry[3])
        found[".".join(path)] = floor
    return found


def imports(module: str) -> Iterator[str]:
    """The modules of nmc that a module imports, anywhere in it and for types too."""
    for node in ast.walk(modules()[module]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules() else node.module for name in names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "nmc")


def at_import_time(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported: not those of functions, nor those for type checkers."""
    stack: list[ast.stmt] = list(tree.body)
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            stack += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            stack += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]


def top(module: str) -> str:
    """The module or package directly below nmc."""
    return ".".join(module.split(".")[:2])


def test_the_document_lists_exactly_the_modules_there_are() -> None:
    assert sorted(set(modules()) - set(documented())) == []
    assert sorted(set(documented()) - set(modules())) == []


def test_imports_point_down_or_stay_in_their_package() -> None:
    assert [
        f"{module} imports {name}"
        for module in modules()
        for name in imports(module)
        if top(name) != top(module) and documented().get(top(name), 0) >= documented().get(top(module), 0)
    ] == []


def test_modules_import_one_another_without_circles() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from((module, name) for module in modules() for name in imports(module) if name != module)
    assert [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1] == []


def test_a_target_is_imported_by_nobody_outside_its_folder() -> None:
    """Targets are named in the registry as text and know nothing of one another."""
    shared = {
        "nmc.backends",
        "nmc.backends.backend",
        "nmc.backends.quantization",
        "nmc.backends.registry",
    }
    assert [
        f"{module} imports {name}"
        for module in modules()
        for name in imports(module)
        if name.startswith("nmc.backends")
        and name not in shared
        and module.split(".")[:3] != name.split(".")[:3]
    ] == []


def test_nothing_prints_but_the_command_line() -> None:
    printing = {"print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write"}
    assert [
        f"{module}, line {node.lineno}"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if not module.startswith("nmc.cli")
        and isinstance(node, ast.Call)
        and ast.unparse(node.func) in printing
    ] == []


def test_heavy_packages_are_imported_where_they_are_used() -> None:
    allowed = {("nmc.sim", "numba"), ("nmc.frontend.onnx", "onnx")}
    found: list[str] = []
    for module, tree in modules().items():
        for node in at_import_time(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                names = [node.module]
            for package in {name.split(".")[0] for name in names} & set(HEAVY):
                if not any(module.startswith(place) and package == one for place, one in allowed):
                    found.append(f"{module} imports {package}")
    assert found == []


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("nmc.cli", (*HEAVY, "numpy", "scipy", "networkx", "h5py", "nir", "jinja2")),
        (
            "nmc.ir.verify, nmc.ir.text, nmc.artifact, nmc.errors, nmc.target",
            (*HEAVY, "scipy", "h5py", "nir"),
        ),
        ("nmc.passes.pipeline, nmc.passes.facts", HEAVY),
        ("nmc.backends.registry", (*HEAVY, "numpy")),
    ],
)
def test_importing_a_module_loads_no_more_than_it_needs(module: str, absent: tuple[str, ...]) -> None:
    program = f"import sys, {module}\nprint(*(name for name in {absent!r} if name in sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.split() == []


def test_functions_take_named_arguments_and_none_is_swallowed() -> None:
    assert [
        f"{module}, line {node.lineno}"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        and node.args.kwarg is not None
    ] == []


def test_modules_keep_no_state_of_their_own() -> None:
    """Nothing empty waits at module level to be filled, and nothing is declared global."""
    empty = re.compile(r"(\[\]|\{\}|(dict|list|set|defaultdict)(\[.*\])?\(.*\))")
    found = [
        f"{module}, line {node.lineno}"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Global)
    ]
    for module, tree in modules().items():
        for node in tree.body:
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            read_only = isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation).startswith("Mapping")
            if value is not None and not read_only and empty.fullmatch(ast.unparse(value)):
                found.append(f"{module}, line {node.lineno}: {ast.unparse(node)}")
    assert found == []


def test_nothing_is_left_to_be_written() -> None:
    assert [
        f"{module}, line {node.lineno}"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "NotImplementedError"
    ] == []


def test_every_module_says_what_it_means() -> None:
    assert [module for module, tree in modules().items() if not ast.get_docstring(tree)] == []
