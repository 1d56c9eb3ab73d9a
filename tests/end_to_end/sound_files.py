"""Small sound settings to spoil, a place to do it in, and what every refusal has to be."""

import contextlib
import io
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lob_backtest import walk_forward
from lob_backtest.book import write_book
from lob_backtest.cli import main
from lob_backtest.config import load_judge_config
from lob_backtest.predictions import write_predictions
from lob_backtest.prepare import prepare
from lob_backtest.report import page
from tests.lob_backtest.books import META, META_ALWAYS_OPEN, random_book
from tests.lob_backtest.judged import predicted

META_KEY = b"lob_backtest.book"
TRAINING = {"train_accuracy": 0.5, "grad_norm_p50": 1.2, "grad_norm_p95": 3.0}


@dataclass(frozen=True)
class Base:
    """A small sound setting that is spoilt in one place."""

    name: str
    rows: int
    levels: int
    sessions: int
    config: dict[str, Any]
    always_open: bool = False


def _config(**sections: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        "data": {
            "book": "book.parquet",
            "decisions": {"every_events": 2},
            "label": {"kind": "mid_move", "horizon_events": 3},
            "window": 4,
        },
        "walk_forward": {"train": 24, "validation": 10, "test": 12},
        "backtest": {
            "costs": {"fee_bps": 1.0},
            "latency_ns": 0,
            "execution": "touch",
            "bar_seconds": 20,
            "signal": {"threshold": 0.4},
        },
        "gates": {"off": ["grad_norm"]},
    }
    for name, values in sections.items():
        section, _, key = name.partition("__")
        config[section][key] = values
    return config


BASES = (
    Base("events", 200, 1, 1, _config(), always_open=True),
    Base(
        "walk", 260, 2, 2,
        _config(
            backtest__costs={"fee_bps": 0.5, "minimum_fee": 0.3, "sell_tax_bps": 3.0},
            backtest__execution="walk", backtest__position_limit=90, backtest__latency_ns=10**9,
            backtest__signal={"threshold": 0.38, "hold_decisions": 2},
            data__decisions={"every_events": 3},
        ),
    ),
    Base(
        "clock", 200, 2, 2,
        _config(
            data__decisions={"every_ms": 1500}, data__label={"horizon_ms": 4000, "flat_share": 0.4},
            backtest__costs="none", backtest__latency_ns=700_000_000, backtest__capital=500.0,
        ),
    ),
    Base(
        "chosen", 260, 3, 1,
        _config(
            data__decisions={"on": "mid_change"},
            data__label={"horizon_events": 4, "threshold_ticks": 0.5},
            backtest__signal={
                "threshold": "validation", "candidates": [0.36, 0.45, 0.55], "min_trades": 2,
            },
            walk_forward__mode="expanding",
        ),
    ),
)  # fmt: skip


@dataclass
class Done:
    """What a command did."""

    code: int
    out: str
    err: str


def run(*arguments: object) -> Done:
    """The command in this process; whatever it raises is a failure of the test."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Done(code, out.getvalue(), err.getvalue())


@dataclass
class Bench:
    """Sound files of every base, a folder to spoil them in, and a tally."""

    folder: Path
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def make(self, base: Base) -> None:
        """Write the sound files of a base, and a report of them."""
        folder = self.folder / base.name
        folder.mkdir()
        meta = META_ALWAYS_OPEN if base.always_open else META
        rng = np.random.default_rng(7)
        book = random_book(rng, base.rows, base.levels, base.sessions, meta=meta)
        write_book(book, folder / "book.parquet")
        (folder / "config.yaml").write_bytes(as_yaml(base.config))
        (folder / "training.json").write_text(json.dumps(TRAINING), encoding="utf-8")
        config = load_judge_config(folder / "config.yaml")
        prepared = prepare(book, data=config.data, walk_forward=config.walk_forward)
        model = predicted(prepared, rng, skill=0.5)
        assert model.validation is not None
        write_predictions(model.test, folder / "test.parquet")
        write_predictions(model.validation, folder / "validation.parquet")
        done = score(folder)
        assert done.code in (0, 3), done
        self.files[base.name] = {
            path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }

    def lay_out(self, base: Base) -> Path:
        """A folder with the sound files, and an older report in the place of a new one."""
        place = self.folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        (place / "out").mkdir(parents=True)
        for name, data in self.files[base.name].items():
            (place / name).write_bytes(data)
        (place / "out" / "report.json").write_text("older", encoding="utf-8")
        (place / "out" / "report.html").write_text("older", encoding="utf-8")
        return place


@contextmanager
def quick_bench(folder: Path) -> Iterator[Bench]:
    """The sound files of every base; while it is open, reports have few resamples and no plots."""
    quick = {**(walk_forward.score_many.__kwdefaults__ or {}), "n_resamples": 20}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(walk_forward.score_many, "__kwdefaults__", quick)
        patched.setattr(page, "report_page", lambda report: f"{report['verdict']}\n")
        bench = Bench(folder)
        for base in BASES:
            bench.make(base)
        yield bench


def score(place: Path, *more: object) -> Done:
    return run(
        "score", place / "test.parquet", "--validation", place / "validation.parquet",
        "--book", place / "book.parquet", "--config", place / "config.yaml",
        "--training", place / "training.json", "-o", place / "out", "--baselines", "majority",
        *more,
    )  # fmt: skip


def listing(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


_PROGRESS = re.compile(r"(baselines|importing): .*")


def check_refusal(done: Done, before: dict[str, bytes | None], place: Path) -> str:
    """Exit code 2, one message with something in it, nothing printed and not a byte written."""
    assert done.code == 2, done
    told = [line for line in done.err.splitlines() if not _PROGRESS.fullmatch(line)]
    assert told, done
    assert told[0].startswith("error: "), done.err
    assert not any(line.startswith(("error: ", "Traceback")) for line in told[1:]), done.err
    message = "\n".join(told).removeprefix("error: ")
    assert 20 <= len(message) <= 3000, message[:300]
    assert len(told) == 1 or ":\n  - " in message or "not valid YAML" in message, message
    assert all(letter.isprintable() for letter in message if letter != "\n"), message
    assert not done.out, done.out
    assert listing(place) == before
    return message


def as_yaml(tree: Any) -> bytes:
    text: str = yaml.safe_dump(tree, sort_keys=False)
    return text.encode()
