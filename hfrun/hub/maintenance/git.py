"""Running git, the same on every machine."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from hfrun.errors import HubError


@contextmanager
def fast_import(folder: Path, marks: Path) -> Iterator[IO[bytes]]:
    """Where to write the stream; HubError with git's own words where it refuses that.

    Args:
        marks: file to which git writes the id of each mark.
    """
    command = ["git", "-C", str(folder), "-c", "core.bigFileThreshold=16m",
               "fast-import", "--quiet", f"--export-marks={marks.absolute()}"]  # fmt: skip
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment()
    )
    assert process.stdin is not None  # it was asked for, and so was the other
    assert process.stderr is not None
    try:
        with suppress(BrokenPipeError):  # git says why
            yield process.stdin
        with suppress(BrokenPipeError):
            process.stdin.close()
        words = process.stderr.read().decode("utf-8", "replace").strip()
        if process.wait() != 0:
            raise HubError(f"git refuses the history: {words[:500]}")
    finally:
        process.kill()
        process.wait()
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.stderr.close()


def git(*arguments: str, at: Path | None = None) -> str:
    """What a git command prints; HubError where it fails."""
    command = ["git", *(("-C", str(at)) if at is not None else ()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    if done.returncode != 0:
        raise HubError(f"git {arguments[0]} failed: {done.stderr.strip()[:500]}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours without git's variables, and without the settings of this user and this machine."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**plain, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
