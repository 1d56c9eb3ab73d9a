"""docs/replay.md shows what the command prints."""

from pathlib import Path

from hfrun.record import read_recorded
from hfrun.replay.replay import Replay, replay
from hfrun.replay.rules import read_rules
from hfrun.replay.table import text_of

ROOT = Path(__file__).resolve().parents[3]


def row(one: Replay) -> str:
    """A training as the page's table has it."""
    at = [
        "–" if epoch is None else f"{epoch} ({score})"
        for epoch, score in [(one.best_epoch, one.best_score), (one.chosen_epoch, one.chosen_score)]
    ]
    stop = "–" if one.stop_epoch is None else str(one.stop_epoch)
    lost = "–" if one.score_lost is None else f"{one.score_lost:g}"
    cells = [one.title, str(one.epochs), stop, one.rule or "–", *at, f"{one.epochs_saved}", lost]
    return f"| {' | '.join(cells)} |"


def test_the_page_has_the_recorded_runs_as_they_are_judged(lob_data_dir: Path) -> None:
    text = (ROOT / "docs" / "replay.md").read_text(encoding="utf-8")
    records = read_recorded(lob_data_dir / "recorded_runs" / "runs.jsonl")
    for name in ("recorded", "all"):
        rules = read_rules(ROOT / "configs" / "stop_rules" / f"{name}.yaml")
        replays = [one for record in records for one in replay(record, rules)]
        assert text_of(replays).splitlines()[-1] in text
        if name == "recorded":
            table = text.partition("| run | epochs |")[2].split("\n\n")[0].splitlines()[2:]
            assert [row(one) for one in replays] == table
