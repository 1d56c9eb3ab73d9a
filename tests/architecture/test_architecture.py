"""The architecture, held by tests: what imports what, and what a bare import may bring in."""

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.module_order import HFRUN, LOB_BACKTEST
from tests.architecture.tree import BLOCK, README, tree

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hfrun", "lob_backtest")
HEAVY = ("torch", "transformers", "datasets", "evaluate", "accelerate")
LATE = ("vectorbt", "sklearn", "matplotlib")  # imported by lob_backtest where they are used


def imported_by(code: str) -> set[str]:
    """Top-level names in sys.modules after running ``code`` in a fresh interpreter."""
    show = "import sys; print(' '.join({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def project_imports(path: Path) -> set[str]:
    """Dotted names of project modules that a file imports, at any depth of nesting."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {name for name in names if name.partition(".")[0] in PACKAGES}


def test_importing_lob_backtest_brings_in_neither_torch_nor_transformers() -> None:
    loaded = imported_by("import lob_backtest")
    assert loaded & {*HEAVY, *LATE} == set()


def test_no_module_of_lob_backtest_brings_in_a_heavy_package() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "lob_backtest").rglob("*.py"))
    ]
    assert "lob_backtest.report.page" in modules
    loaded = imported_by("\n".join(f"import {module}" for module in modules))
    assert loaded & {*HEAVY, *LATE} == set()


def test_lob_backtest_never_imports_hfrun() -> None:
    files = sorted((ROOT / "lob_backtest").rglob("*.py"))
    assert files
    users = {
        str(path.relative_to(ROOT)): name
        for path in files
        for name in project_imports(path)
        if name.partition(".")[0] == "hfrun"
    }
    assert users == {}


@pytest.mark.parametrize(("package", "order"), [("lob_backtest", LOB_BACKTEST), ("hfrun", HFRUN)])
def test_each_module_imports_only_modules_earlier_in_the_list(
    package: str, order: tuple[str, ...]
) -> None:
    place = {name: i for i, name in enumerate(order)}
    wrong = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT / package).with_suffix("").parts
        if parts == ("__init__",):
            continue
        for name in project_imports(path):
            _, _, inner = name.partition(f"{package}.")
            target = inner.partition(".")[0]
            is_other = name.startswith(package) and target in place and target != parts[0]
            if is_other and place[target] > place[parts[0]]:
                wrong.append(f"{package}/{'/'.join(parts)} imports {target}")
    assert wrong == []


@pytest.mark.parametrize(("package", "order"), [("lob_backtest", LOB_BACKTEST), ("hfrun", HFRUN)])
def test_every_module_stands_in_the_written_order(package: str, order: tuple[str, ...]) -> None:
    on_disk = {
        path.stem
        for path in (ROOT / package).iterdir()
        if (path.suffix == ".py" and path.stem != "__init__")
        or (path.is_dir() and any(path.glob("*.py")))
    }
    assert on_disk == set(order)


def test_nothing_inside_hfrun_carries_the_name_of_a_dependency() -> None:
    # `accelerate launch hfrun/train.py` puts hfrun/ first on sys.path, where it would shadow it.
    own = {
        path.stem
        for path in (ROOT / "hfrun").iterdir()
        if not path.name.startswith("_") and (path.is_dir() or path.suffix == ".py")
    }
    installed = {name.lower() for name in importlib.metadata.packages_distributions()}
    installed -= set(PACKAGES)
    assert own & (installed | {"optuna", "ray", "tokenizers", "peft"}) == set()
    assert own & set(sys.stdlib_module_names) == set()


def test_the_tree_in_the_readme_equals_the_disk() -> None:
    written = BLOCK.search(README.read_text(encoding="utf-8"))
    assert written is not None
    assert written.group(0) == tree(), "run: python -m tests.architecture.tree --write"
