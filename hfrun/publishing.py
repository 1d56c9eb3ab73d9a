"""From a finished run to a repository on the hub: model, card, report and predictions."""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hfrun.errors import HubError
from hfrun.hub.card import model_card
from hfrun.run_folder import read_run

DEFAULT_ENDPOINT = "http://127.0.0.1:8765"
_BESIDE_THE_MODEL = ("config.yaml", "run.json", "predictions.parquet", "report/report.json",
                     "report/report.html")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Published:
    """Where a run was sent, and the commit that it became."""

    repo: str
    endpoint: str
    commit: str


def publish_run(
    folder: Path,
    *,
    repo: str,
    endpoint: str | None = None,
    token: str | None = None,
    private: bool = False,
) -> Published:
    """Push a run's model with a card written from its own records.

    Args:
        folder: a run folder with ``model/``.
        repo: ``namespace/name``.
        endpoint: address of the hub; default HF_ENDPOINT, then the local hub's own default. The
            public hub is only used when it is named.
        token: a write token; default HF_TOKEN.
        private: whether a repository made by this push is private.

    Raises:
        HubError: the run has no model, the hub is down, or it refuses the token.
    """
    from hfrun.hub.client import push_folder

    run = read_run(folder)
    if not (folder / "model" / "config.json").is_file():
        raise HubError(f"{folder}: no trained model in it yet (model/config.json); finish the run")
    endpoint = endpoint or os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT
    token = token or os.environ.get("HF_TOKEN")
    with tempfile.TemporaryDirectory() as temporary:
        staged = Path(temporary) / "repo"
        stage(folder, staged, repo=repo, run=run)
        commit = push_folder(
            staged,
            repo=repo,
            endpoint=endpoint,
            token=token,
            message=f"Push the run {run['name']}",
            private=private,
        )
    return Published(repo=repo, endpoint=endpoint, commit=commit)


def stage(folder: Path, staged: Path, *, repo: str, run: dict[str, Any]) -> None:
    """Lay out what the repository will hold: the model at the top, the records beside it."""
    shutil.copytree(folder / "model", staged)
    for name in _BESIDE_THE_MODEL:
        if (folder / name).is_file():
            target = staged / ("run_config.yaml" if name == "config.yaml" else name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target)
    report_path = folder / "report" / "report.json"
    report = json.loads(report_path.read_text("utf-8")) if report_path.is_file() else None
    config = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    card = model_card(
        repo_id=repo,
        run={**run, "config": config},
        report=report,
        model_config=json.loads((staged / "config.json").read_text("utf-8")),
    )
    (staged / "README.md").write_text(card, encoding="utf-8")
