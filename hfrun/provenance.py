"""Where a result came from: versions, commit, seed, data fingerprints and command."""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_PACKAGES = (
    "hfrun", "torch", "transformers", "datasets", "accelerate", "huggingface_hub", "numpy",
    "pandas", "pyarrow", "scikit-learn", "vectorbt",
)  # fmt: skip


def provenance(*, seed: int, data: list[dict[str, Any]]) -> dict[str, Any]:
    """The facts that let somebody else repeat the run.

    Args:
        seed: the run's seed.
        data: one entry a book with ``path, sha256, rows, instrument``.
    """
    return {
        **program_facts(),
        "seed": seed,
        "data": data,
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "cpus": os.cpu_count(),
        },
    }


def program_facts() -> dict[str, Any]:
    """What ran, and when: creation time, command, git state and versions."""
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command(),
        "git": git_state(Path(__file__).resolve().parent),
        "versions": versions(),
    }


def command() -> str:
    """The command line, fit for a shell, with the program's name alone in place of its path."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def versions() -> dict[str, str]:
    """Installed versions of the packages that can change a result."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the source tree and whether it has uncommitted changes; None outside git.

    A package that is installed within a repository but not tracked by it is outside.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None or _git(folder, "ls-files", "--error-unmatch", ".") is None:
        return None
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": bool(status)}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:  # no git on this machine
        return None
    return done.stdout.strip() if done.returncode == 0 else None
