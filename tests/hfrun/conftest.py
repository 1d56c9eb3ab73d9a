"""What the tests of hfrun share: one small finished walk-forward, a hub, and one thread."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from hfrun.hub.environment import prepare_client

prepare_client()  # before any test imports huggingface_hub

from hfrun.cli import main as hfrun  # noqa: E402
from hfrun.hub.accounts.tokens import create_token  # noqa: E402
from hfrun.hub.serve import running_hub  # noqa: E402
from lob_backtest.book import write_book  # noqa: E402
from lob_backtest.synthetic import synthetic_book  # noqa: E402

CONFIG: dict[str, Any] = {
    "run": {"name": "tiny"},
    "data": {
        "decisions": {"every_events": 4},
        "label": {"kind": "mid_move", "horizon_events": 10},
        "window": 20,
        "normalize": {"prices": "slow_mean", "slow_mean_rows": 100, "sizes": "log"},
    },
    "model": {"config": {"conv_channels": 4, "inception_channels": 4, "lstm_hidden": 4}},
    "training": {"num_train_epochs": 1, "per_device_train_batch_size": 32, "logging_steps": 2},
    "callbacks": {"gap_samples": 16},
    "walk_forward": {"train": 100, "validation": 30, "test": 60},
    "backtest": {"costs": {"fee_bps": 0.2}, "latency_ns": 0, "signal": {"threshold": 0.34}},
}


@dataclass(frozen=True, kw_only=True)
class TinyRun:
    """A folder ``run`` beside its ``config.yaml`` and ``book.parquet``, named by absolute paths."""

    home: Path

    @property
    def folder(self) -> Path:
        return self.home / "run"

    @property
    def config(self) -> Path:
        return self.home / "config.yaml"

    @property
    def book(self) -> Path:
        return self.home / "book.parquet"

    def again(self, *overrides: str, command: str = "walk-forward") -> int:
        """Exit code of the command over the same config and folder."""
        return hfrun([command, str(self.config), f"run.output_dir={self.folder}", *overrides])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are slower on two threads than on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """Config and book alone; nothing has run."""
    tiny = TinyRun(home=tmp_path_factory.mktemp("home of somebody"))
    write_book(synthetic_book(days=1, rows_per_day=1200, levels=2, signal=1.0, seed=0), tiny.book)
    raw = {**CONFIG, "run": {"name": "tiny", "output_dir": str(tiny.folder)}}
    raw["data"] = {"book": str(tiny.book), **CONFIG["data"]}
    tiny.config.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return tiny


@pytest.fixture(scope="session")
def finished_run(prepared_home: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """A walk-forward of three folds, to be read only (``own_run`` is a copy to change)."""
    tiny = TinyRun(home=tmp_path_factory.mktemp("home of somebody"))
    for path in (prepared_home.config, prepared_home.book):
        shutil.copyfile(path, tiny.home / path.name)
    text = prepared_home.config.read_text("utf-8").replace(str(prepared_home.home), str(tiny.home))
    tiny.config.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        typed = ["walk-forward", str(tiny.config), f"run.output_dir={tiny.folder}"]
        patch.setattr(sys, "argv", ["/usr/local/bin/hfrun", *typed])
        assert hfrun(typed) == 3  # a few steps of training pass no gate
    return tiny


@pytest.fixture
def unstarted_run(prepared_home: TinyRun, tmp_path: Path) -> TinyRun:
    """Config and book of a run that may be started, in a folder of the test's own."""
    return _moved(prepared_home, tmp_path / "own home")


@pytest.fixture
def own_run(finished_run: TinyRun, tmp_path: Path) -> TinyRun:
    """The finished run, copied with its config and book to a folder of the test's own."""
    return _moved(finished_run, tmp_path / "own home")


def _moved(tiny: TinyRun, home: Path) -> TinyRun:
    shutil.copytree(tiny.home, home)
    moved = TinyRun(home=home)
    text = tiny.config.read_text("utf-8").replace(str(tiny.home), str(home))
    moved.config.write_text(text, encoding="utf-8")
    return moved


@dataclass(frozen=True, kw_only=True)
class UserHub:
    """A running hub of alice and bob."""

    endpoint: str
    root: Path
    alice: str
    alice_reads: str
    bob: str


@pytest.fixture(scope="session")
def user_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UserHub]:
    root = tmp_path_factory.mktemp("hub")
    tokens = {
        "alice": create_token(root, "alice"),
        "alice_reads": create_token(root, "alice", role="read"),
        "bob": create_token(root, "bob"),
    }
    with running_hub(root) as running:
        yield UserHub(endpoint=running.endpoint, root=root, **tokens)
