"""Servers that die at any moment: what was answered is there, and nothing is there by half."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hfrun.hub import killed_server


@pytest.mark.parametrize(
    "kills", [10, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_every_answered_push_is_there_and_every_other_absent_or_whole(
    tmp_path: Path, kills: int
) -> None:
    # In a process of its own: the client's own warnings are no errors of ours.
    command = [sys.executable, "-m", killed_server.__name__, str(tmp_path / "hub")]
    done = subprocess.run([*command, "--kills", str(kills)], capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "0 refused, 0 violations" in done.stdout
