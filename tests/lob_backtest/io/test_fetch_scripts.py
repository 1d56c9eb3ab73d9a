"""The scripts that fetch data sets: without a network, with a curl that only pretends."""

import json
import os
import stat
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lob_backtest.cli import main as lob_backtest
from tests.lob_backtest.io.test_fi2010 import matrix
from tests.lob_backtest.io.test_fi2010 import write as write_matrix
from tests.lob_backtest.io.test_lobster import DATE, NAME, write_day

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ("fetch_fi2010", "fetch_lobster")
# Gives what lies in $SERVED under the last part of the address; says where it was asked.
CURL = """#!/usr/bin/env bash
output="" address=""
while [ $# -gt 0 ]; do
  case "$1" in
    --output) output="$2"; shift ;;
    --header | --data | --retry | --continue-at) shift ;;
    --*) ;;
    *) address="$1" ;;
  esac
  shift
done
echo "$address" >> "$SERVED/asked"
file="$SERVED/$(basename "$address")"
[ -f "$file" ] || exit 6
if [ -n "$output" ]; then cp "$file" "$output"; else cat "$file"; fi
"""


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A folder that the pretended curl serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "curl").write_text(CURL)
    (folder / "curl").chmod(stat.S_IRWXU)
    return folder


def run(served: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{served}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(ROOT / "scripts" / script), *arguments], cwd=served.parent, capture_output=True,
        text=True, check=False, env={**os.environ, "PATH": path, "SERVED": str(served)},
    )  # fmt: skip


def import_as_told(told: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the printed command as a shell would."""
    monkeypatch.chdir(folder)
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {told}"], capture_output=True, text=True, check=True,
        cwd=folder,
    )  # fmt: skip
    program, *arguments = done.stdout.splitlines()
    assert program == "lob-backtest"
    return lob_backtest(arguments)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_bash_executable_and_explains_itself(served: Path, script: str) -> None:
    path = ROOT / "scripts" / script
    assert path.stat().st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", str(path)], check=True)
    done = run(served, script, "--help")
    assert done.returncode == 0
    assert f"usage: scripts/{script}" in done.stdout
    assert "Licence" in done.stdout or "Terms" in done.stdout
    assert not (served / "asked").exists()


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_a_network_it_says_so_and_leaves_nothing(served: Path, script: str) -> None:
    done = run(served, script, "--dir", "here")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is there a network?" in done.stderr
    assert list((served.parent / "here").iterdir()) == []


@pytest.mark.parametrize(
    ("script", "arguments"),
    [("fetch_lobster", ["IBM"]), ("fetch_lobster", ["--levels", "7"]),
     ("fetch_lobster", ["--dir"]), ("fetch_fi2010", ["--archiv", "x"])],
)  # fmt: skip
def test_what_it_does_not_know_is_refused(served: Path, script: str, arguments: list[str]) -> None:
    done = run(served, script, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert not (served / "asked").exists()


def test_a_lobster_day_is_fetched_once_and_imports_as_told(
    served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_day(served)
    archive = served / "LOBSTER_SampleFile_AMZN_2012-06-21_5.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for kind in ("orderbook", "message"):
            packed.write(served / NAME.format(DATE, kind), NAME.format(DATE, kind))
    for _ in range(2):
        done = run(served, "fetch_lobster", "AMZN", "--levels", "5", "--dir", "day")
        assert done.returncode == 0, done.stderr
    assert (served / "asked").read_text().splitlines() == [
        "https://lobsterdata.com/info/sample/LOBSTER_SampleFile_AMZN_2012-06-21_5.zip"
    ]
    assert import_as_told(done.stdout, served.parent, monkeypatch) == 0
    assert (served.parent / "day/AMZN.book.parquet").is_file()


def test_a_page_instead_of_a_zip_is_refused(served: Path) -> None:
    (served / "LOBSTER_SampleFile_GOOG_2012-06-21_10.zip").write_text("<html>moved</html>")
    done = run(served, "fetch_lobster", "--dir", "day")
    assert done.returncode == 2
    assert "gave no zip" in done.stderr
    assert list((served.parent / "day").iterdir()) == []


def archive_of_days(folder: Path, folds: range) -> Path:
    rng = np.random.default_rng(0)
    path = folder / "archive.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in ["Train_Dst_NoAuction_DecPre_CF_1.txt", "Train_Dst_NoAuction_DecPre_CF_7.txt",
                     *(f"Test_Dst_NoAuction_DecPre_CF_{fold}.txt" for fold in folds)]:  # fmt: skip
            day = write_matrix(folder, matrix(rng, (3, 2, 4, 2, 3)), name)
            packed.write(day, f"BenchmarkDatasets/NoAuction/3.NoAuction_DecPre/x/{name}")
    return path


def test_fi2010_is_fetched_by_the_link_and_imports_as_told(
    served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive_of_days(served, range(1, 10))
    (served / "authorize").write_text(json.dumps({"url": "https://download.example/archive.zip"}))
    done = run(served, "fetch_fi2010", "--dir", "fi")
    assert done.returncode == 0, done.stderr
    assert (served / "asked").read_text().splitlines() == [
        "https://etsin.fairdata.fi/api/download/authorize",
        "https://download.example/archive.zip",
    ]
    assert len(list((served.parent / "fi").glob("*_Dst_*.txt"))) == 10
    assert import_as_told(done.stdout, served.parent, monkeypatch) == 0
    assert (served.parent / "fi/stock_1.book.parquet").is_file()


def test_an_archive_at_hand_is_used_and_another_refused(served: Path) -> None:
    whole = archive_of_days(served, range(1, 10))
    done = run(served, "fetch_fi2010", "--archive", str(whole), "--dir", "fi")
    assert done.returncode == 0, done.stderr
    assert not (served / "asked").exists()
    partly = archive_of_days(served, range(1, 4))
    done = run(served, "fetch_fi2010", "--archive", str(partly), "--dir", "fi")
    assert done.returncode == 2
    assert "4 of the ten one-day files" in done.stderr
    (served / "authorize").write_text("sorry")
    done = run(served, "fetch_fi2010", "--dir", "other")
    assert done.returncode == 2
    assert "Fairdata gave no link" in done.stderr
