"""What every run does once it is judged: say what its figures mean, and write itself in the diary.

report ─► diagnosis.json in the run's folder ─► HISTORY.md beside the folder
"""

from pathlib import Path

from hfrun.config import AnyRunConfig
from hfrun.diagnosis import Finding, diagnose, write_diagnosis
from hfrun.errors import HfrunError
from hfrun.history import write_history
from hfrun.record import RunRecord, read_record
from lob_backtest.progress import announce


def close_run(folder: Path, config: AnyRunConfig) -> list[Finding]:
    """Diagnose a judged run and write the diary beside it, where the config wants one.

    A diary that cannot be written is no reason to call a finished run failed: that is told.
    """
    findings = diagnose(read_record(folder), parent_of(config))
    write_diagnosis(findings, folder)
    if config.run.diary:
        try:
            write_history(folder.parent)
        except (HfrunError, OSError) as error:
            announce(f"the diary was not written: {error}; run.diary=false leaves it out")
    return findings


def parent_of(config: AnyRunConfig) -> RunRecord | None:
    """The record of the run that the config says it was changed from, where it still lies there."""
    named = config.run.parent
    if named is None:
        return None
    if not (Path(named) / "run.json").is_file():
        announce(f"run.parent={named}: no run there; nothing is compared with it")
        return None
    return read_record(Path(named))
