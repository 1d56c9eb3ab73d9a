"""What every run does once it is judged: say what its figures mean, and write itself in the diary.

report ─► diagnosis.json in the run's folder ─► HISTORY.md beside the folder
"""

from pathlib import Path

from hfrun.config import AnyRunConfig
from hfrun.diagnosis import Finding, diagnose, write_diagnosis
from hfrun.history import keep_diary
from hfrun.record import RunRecord, read_record
from lob_backtest.progress import announce


def close_run(folder: Path, config: AnyRunConfig) -> list[Finding]:
    """Diagnose a judged run and write the diary beside it, where the config wants one."""
    findings = diagnose(read_record(folder), parent_of(config.run.parent))
    write_diagnosis(findings, folder)
    if config.run.diary:
        keep_diary(folder)
    return findings


def parent_of(named: str | None) -> RunRecord | None:
    """The record of the run that a config says it was changed from, where it still lies there."""
    if not named:
        return None
    if not (Path(named) / "run.json").is_file():
        announce(f"run.parent={named}: no run there; nothing is compared with it")
        return None
    return read_record(Path(named))
