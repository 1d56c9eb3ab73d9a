"""The judge in an environment that holds what it declares and nothing else: no torch."""

import json
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
ABSENT = ("torch", "transformers", "datasets", "accelerate", "huggingface_hub", "starlette")


def required_by(name: str) -> set[str]:
    """Distributions that ``name`` needs without extras, and what those need."""
    found: set[str] = set()
    wanted = [Requirement(name)]
    while wanted:
        requirement = wanted.pop()
        key = requirement.name.lower().replace("_", "-")
        if key in found:
            continue
        found.add(key)
        for text in distribution(requirement.name).requires or []:
            needed = Requirement(text)
            extras = {"", *requirement.extras}
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in extras
            ):
                wanted.append(needed)
    return found - {name}


def top_level_paths(name: str) -> set[Path]:
    """Files and folders of a distribution that lie directly in site-packages."""
    found = distribution(name)
    roots = {file.parts[0] for file in found.files or [] if file.parts[0] != ".."}
    return {Path(str(found.locate_file(root))) for root in roots - {"__pycache__"}}


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter whose packages are the declared dependencies, linked, and the project."""
    home = tmp_path_factory.mktemp("bare")
    venv.create(home, with_pip=False, symlinks=True)
    site = next((home / "lib").glob("python*/site-packages"))
    for name in required_by("hfrun"):
        for path in top_level_paths(name):
            (site / path.name).symlink_to(path)
    (site / "project.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    return home / "bin" / "python"


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "-m", "lob_backtest.cli", *arguments],
        capture_output=True, text=True, cwd=ROOT, check=False, timeout=280,
    )  # fmt: skip


@pytest.mark.parametrize("name", ABSENT)
def test_the_environment_has_no_training_package(bare_python: Path, name: str) -> None:
    with_it = subprocess.run(
        [sys.executable, "-c", f"import importlib.util as u; assert u.find_spec('{name}')"],
        check=False, capture_output=True,
    )  # fmt: skip
    try:
        distribution(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed here either")
    assert with_it.returncode == 0
    without = subprocess.run([str(bare_python), "-c", f"import {name}"], capture_output=True)
    assert without.returncode == 1
    assert b"ModuleNotFoundError" in without.stderr


def test_score_works_where_neither_torch_nor_transformers_is_installed(
    bare_python: Path, tmp_path: Path
) -> None:
    book, config = tmp_path / "book.parquet", tmp_path / "config.yaml"
    config.write_text(
        f"data: {{book: {book}, decisions: {{every_events: 5}}, window: 20,\n"
        "       label: {kind: mid_move, horizon_events: 10}}\n"
        "walk_forward: {train: 200, validation: 60, test: 60}\n"
        "backtest: {costs: {fee_bps: 0.1}, latency_ns: 0, signal: {min_trades: 1}}\n"
        "gates: {off: [train_eval_gap, grad_norm]}\n",
        encoding="utf-8",
    )
    made = run(bare_python, "synthetic", "-o", str(book), "--days", "2", "--rows-per-day", "1500",
               "--levels", "2")  # fmt: skip
    assert made.returncode == 0, made.stderr
    based = run(bare_python, "baseline", "--config", str(config), "-o", str(tmp_path / "base"),
                "--baselines", "logistic")  # fmt: skip
    assert based.returncode == 0, based.stderr
    tables = tmp_path / "base" / "logistic"
    scored = run(
        bare_python, "score", str(tables / "predictions.parquet"),
        "--validation", str(tables / "validation_predictions.parquet"),
        "--config", str(config), "-o", str(tmp_path / "report"),
        "--baselines", "majority,imbalance", "--check", "--json",
    )  # fmt: skip
    assert scored.returncode in (0, 3), scored.stderr
    shown = json.loads(scored.stdout)
    assert shown["verdict"] in ("pass", "fail")
    report = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert len(report["folds"]) >= 4
    assert report["alarms"]
    assert (tmp_path / "report" / "report.html").stat().st_size > 10_000
