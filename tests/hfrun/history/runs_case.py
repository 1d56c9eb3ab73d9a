"""Run folders as a training leaves them, with figures that a reader can check."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

CONFIG: dict[str, Any] = {
    "run": {"name": "tiny", "output_dir": "runs/tiny", "seed": 0},
    "data": {"train": "train.txt", "validation": "dev.txt", "test": "test.txt"},
    "training": {"num_train_epochs": 3.0, "learning_rate": 1e-4,
                 "metric_for_best_model": "eval_accuracy"},
    "stop_rules": [{"rule": "non_finite"}],
}  # fmt: skip
EPOCHS = (
    {"epoch": 1.0, "step": 10, "train_loss": 1.0125, "eval_loss": 0.9875, "train_accuracy": 0.5,
     "eval_accuracy": 0.4375, "train_eval_gap": 0.0625, "grad_norm": 2.5,
     "grad_norm_clipped_share": 0.25},
    {"epoch": 2.0, "step": 20, "train_loss": 0.8, "eval_loss": 0.95, "train_accuracy": 0.625,
     "eval_accuracy": 0.53125, "train_eval_gap": 0.09375, "grad_norm": 3.25,
     "grad_norm_clipped_share": 0.5},
)  # fmt: skip
GATES = [
    {"name": "train_eval_gap", "passed": True, "value": 0.09375, "limit": 0.12, "required": True,
     "reason": "train minus evaluation accuracy is +0.094, allowed is 0.120"},
    {"name": "grad_norm", "passed": False, "value": 4.5, "limit": 4.0, "required": True,
     "reason": "P95 is 4.50 | needs < 4.00"},
]  # fmt: skip
STOPPED = {"rule": "early_stopping", "metric": "eval_loss", "value": 0.95, "limit": 0.9,
           "epoch": 2, "reason": "eval_loss has not beaten 0.9"}  # fmt: skip


def config_with(name: str, **changed: Any) -> dict[str, Any]:
    """The config with values by ``section__key``."""
    config: dict[str, Any] = json.loads(json.dumps(CONFIG))
    config["run"] |= {"name": name, "output_dir": f"runs/{name}"}
    for key, value in changed.items():
        section, _, inner = key.partition("__")
        config.setdefault(section, {})[inner] = value
    return config


def write_run(
    folder: Path,
    *,
    day: int = 1,
    name: str | None = None,
    epochs: Sequence[Mapping[str, Any]] = EPOCHS,
    verdict: str | None = "fail",
    stopped_by: Mapping[str, Any] | None = None,
    **changed: Any,
) -> Path:
    """A training's folder; without a verdict one that has not ended."""
    name = name or folder.name
    folder.mkdir(parents=True)
    config = config_with(name, **changed)
    run: dict[str, Any] = {
        "name": name,
        "kind": "train",
        "identity": f"of {name}",
        "created_at": f"2026-01-{day:02d}T10:00:00+00:00",
        "command": f"hfrun train {name}",
        "git": {"commit": "0123456789abcdef"},
        "seed": 0,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))
    write_fold(folder, epochs, stopped_by if verdict else None, is_whole=verdict is not None)
    if verdict is not None:
        run |= {"verdict": verdict, "scored": [{"created_at": f"2026-01-{day:02d}T11:00:00+00:00"}]}
        (folder / "report").mkdir()
        (folder / "report" / "report.html").write_text("<p>a report</p>")
        accuracy = {"value": 0.5025, "low": 0.4875, "high": 0.5175}
        report = {"verdict": verdict, "gates": GATES, "aggregate": {"accuracy": accuracy}}
        (folder / "report" / "report.json").write_text(json.dumps(report))
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def write_fold(
    folder: Path,
    epochs: Sequence[Mapping[str, Any]],
    stopped_by: Mapping[str, Any] | None,
    *,
    is_whole: bool = True,
) -> None:
    """The log of one training and, when it has ended, its figures."""
    folder.mkdir(parents=True, exist_ok=True)
    events = [event for epoch in epochs for event in (
        {"loss": epoch["train_loss"], "learning_rate": 1e-5, "epoch": epoch["epoch"],
         "step": epoch["step"]}, epoch)]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    if is_whole:
        best = max(epochs, key=lambda epoch: epoch["eval_accuracy"])
        figures = {"epoch": best["epoch"], "step": best["step"], "seconds": 12.5,
                   "epochs_trained": epochs[-1]["epoch"], "stopped_by": stopped_by}  # fmt: skip
        (folder / "figures.json").write_text(json.dumps(figures))


def tables_of(page: str) -> list[list[list[str]]]:
    """The tables of a page, cell by cell, without the lines under their heads."""
    tables: list[list[list[str]]] = [[]]
    for line in page.splitlines():
        if line.startswith("| "):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            tables[-1].append([cell.strip("| ") for cell in cells])
        elif tables[-1]:
            tables.append([])
    return [
        [row for row in table if not set("".join(row)) <= set("-:")] for table in tables if table
    ]


def entry_of_page(page: str, title: str) -> str:
    """The part of a page that is about one run."""
    start = page.index(f". {title}\n")
    end = page.find('<a id="entry-', start)
    return page[start : end if end >= 0 else len(page)]
