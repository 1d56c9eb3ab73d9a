"""A small quality bench: one synthetic book of three windows, and perceptrons of a few weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hfrun.bench.quality import QualityBench, Task, run_quality
from hfrun.bench.quality_plan import BookPlan, Contender, Horizon
from lob_backtest.book import write_book
from lob_backtest.synthetic import synthetic_book

CONFIG: dict[str, Any] = {
    "run": {"name": "tiny", "output_dir": "unused"},
    "data": {
        "book": "unused.parquet",
        "decisions": {"every_events": 4},
        "label": {"kind": "mid_move", "horizon_events": 10},
        "window": 20,
    },
    "model": {"type": "mlp", "config": {"width": 8, "depth": 1, "frames": 2}},
    "training": {"num_train_epochs": 1, "per_device_train_batch_size": 32, "logging_steps": 2},
    "callbacks": {"gap_samples": 16},
    "walk_forward": {"train": 100, "validation": 30, "test": 60},
}
MODELS = (
    Contender(name="narrow", overrides=(), words="few weights"),
    Contender(name="wide", overrides=("model.config.width=16",), words="more weights"),
)


def horizons(*amounts: int) -> tuple[Horizon, Horizon, Horizon]:
    short, middle, long = (Horizon(key="horizon_events", amount=each) for each in amounts)
    return short, middle, long


PLAN = BookPlan(
    name="tiny",
    title="A synthetic book",
    source_format="parquet",
    files=("made/tiny.parquet",),
    horizons=horizons(5, 10, 20),
)


@dataclass(frozen=True, kw_only=True)
class Home:
    """A folder with the data, the config, the work folder and the page of a bench."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> "Home":
        """With the book written, and the config."""
        book = synthetic_book(days=1, rows_per_day=1200, levels=2, signal=1.0, seed=0)
        write_book(book, folder / "data" / "made" / "tiny.parquet")
        home = cls(folder=folder)
        home.write_config(CONFIG)
        return home

    @property
    def page(self) -> Path:
        return self.folder / "benchmarks.md"

    def write_config(self, raw: dict[str, Any]) -> None:
        path = self.folder / "configs" / "tiny.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")

    def bench(self, **changes: Any) -> QualityBench:
        """Of two models and two seeds, unless changed."""
        settings = {"books": [PLAN], "models": MODELS, "seeds": 2, **changes}
        return QualityBench(
            data=self.folder / "data",
            configs=self.folder / "configs",
            work=self.folder / "work",
            **settings,
        )

    def run(self, **changes: Any) -> int:
        """Number of cells that failed."""
        return run_quality(self.bench(**changes), page=self.page)

    def tasks(self, **changes: Any) -> list[Task]:
        bench = self.bench(**changes)
        return bench.tasks(bench.open())
