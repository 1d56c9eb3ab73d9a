"""The run folder: one run, its identity, and what is in it.

    config.yaml  run.json  metrics.jsonl  predictions.parquet  model/  report/
    checkpoint-*  (of a training)    folds/  (of a walk-forward)

A folder belongs to one config and one book. Running the same again resumes; running another into
it is refused, so that nothing already written is lost. Only what a model does not depend on, the
backtest and the gates, may change: then the run is judged anew, and run.json lists each judgement
under ``scored``.
"""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from hfrun.config import (
    AnyRunConfig,
    HfrunConfig,
    ModelConfig,
    RunConfig,
    TextRunConfig,
    TrainingConfig,
    effective_yaml,
)
from hfrun.errors import WalkForwardError
from hfrun.provenance import program_facts, provenance
from hfrun.text_config import TextDataConfig, TextModelConfig
from lob_backtest.config import DataConfig
from lob_backtest.files import read_json, sha256_of, write_json, write_text
from lob_backtest.strict_yaml import as_dict

# What a model and its tokens are made of, of a folder's files.
_WEIGHTS = ("*.safetensors", "*.gguf", "pytorch_model*.bin", "config.json", "tokenizer*",
            "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt")  # fmt: skip
_TRACKING = ("report_to", "run_name", "project", "trackio_space_id", "trackio_bucket_id",
             "trackio_static_space_id")  # fmt: skip
_BESIDE_A_RUN = ("book.parquet", "hub", "hf_home")  # what the demo puts there before its run


def claim_run_folder(
    folder: Path, config: AnyRunConfig, *, kind: str, data: list[dict[str, Any]]
) -> dict[str, Any]:
    """Write config.yaml and run.json, or check that the folder's run is this one.

    Args:
        folder: the run folder; made when it is not there.
        config: the effective config.
        kind: "train" or "walk-forward".
        data: fingerprints of the books or texts.

    Returns:
        The content of run.json; its "created_at" and "command" are those of the first start.

    Raises:
        WalkForwardError: the folder holds another run, or something else.
    """
    path = folder / "run.json"
    identity = run_identity(config, kind=kind, data=data)
    if path.is_file():
        return _resume(path, identity)
    _refuse_foreign(folder)
    folder.mkdir(parents=True, exist_ok=True)
    run = {
        "name": config.run.name,
        "kind": kind,
        "identity": identity,
        **provenance(seed=config.run.seed, data=data),
    }
    write_text(folder / "config.yaml", effective_yaml(config))
    write_json(path, run)
    return run


def _refuse_foreign(folder: Path) -> None:
    """A folder that holds something else is not mixed with a run."""
    if folder.exists() and not folder.is_dir():
        raise WalkForwardError(f"{folder}: is a file; run.output_dir needs a new or empty folder")
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    foreign = sorted(set(names) - {*_BESIDE_A_RUN, *(n for n in names if n.startswith("."))})
    if foreign:
        raise WalkForwardError(
            f"{folder}: holds {', '.join(foreign[:3])}{' and more' if len(foreign) > 3 else ''} "
            "and no run; choose a new or empty folder as run.output_dir"
        )


def with_scoring(run: dict[str, Any], config: AnyRunConfig) -> dict[str, Any]:
    """A run's record with the judgement that is about to be made at the end of ``scored``.

    An entry says when, by which command and versions, and with which backtest and gates. Judging
    again in the same way adds none, so a finished run that is repeated stays as it is.
    """
    plain = as_dict(config)
    judged_by = {name: plain[name] for name in ("backtest", "gates") if name in plain}
    entry = {**program_facts(), **judged_by}
    scored: list[dict[str, Any]] = run.get("scored", [])
    if scored and {**scored[-1], "created_at": None} == {**entry, "created_at": None}:
        return run
    return {**run, "scored": [*scored, entry]}


def write_scoring(folder: Path, run: dict[str, Any], config: AnyRunConfig) -> None:
    """Make config.yaml and run.json those of the report that has just been written."""
    write_text(folder / "config.yaml", effective_yaml(config))
    write_json(folder / "run.json", run)


def read_run(folder: Path) -> dict[str, Any]:
    """The content of a run folder's run.json."""
    path = folder / "run.json"
    if not path.is_file():
        raise WalkForwardError(
            f"{folder}: no run.json in it; the folder of a run is needed (run.output_dir)"
        )
    run: dict[str, Any] = read_json(path, error=WalkForwardError)
    return run


def run_identity(config: AnyRunConfig, *, kind: str, data: list[dict[str, Any]]) -> str:
    """Hash of all that a model depends on: not the folder, the name, the backtest or the hub.

    A book or texts in a file count by their content (``data``), wherever it lies; so do pretrained
    weights and a tokenizer in a folder, since other ones may come to lie there.
    """
    same_model = replace(
        config,
        data=_without_places(config.data),
        model=_without_folders(config.model),
        run=RunConfig(name="", output_dir="", seed=config.run.seed),
        training=_without_trackers(config.training),
        gates=type(config.gates)(),
        hub=type(config.hub)(),
        study=None,
    )
    if isinstance(same_model, HfrunConfig):
        same_model = replace(same_model, backtest=None)
    facts = [
        kind,
        effective_yaml(same_model),
        [{**entry, "path": None} for entry in data],
        _fingerprints(config.model.pretrained),
    ]
    if isinstance(config, TextRunConfig):
        facts.append(_fingerprints(config.model.tokenizer))
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _without_trackers(training: TrainingConfig) -> TrainingConfig:
    """The section without where its figures are shown."""
    kept = {name: value for name, value in training.arguments.items() if name not in _TRACKING}
    return replace(training, arguments=kept)


def _without_places(data: DataConfig | TextDataConfig) -> DataConfig | TextDataConfig:
    """The section without where its data lies; a synthetic book is its own description."""
    if isinstance(data, DataConfig):
        return replace(data, book="" if isinstance(data.book, str) else data.book)
    if data.source is not None:  # train, validation and test are then names of its splits
        return replace(data, source="")
    return replace(data, train="", validation="", test="")


def _without_folders(model: ModelConfig | TextModelConfig) -> ModelConfig | TextModelConfig:
    """The section without where weights and tokenizer lie; a hub id is all that is known of it."""
    places = {"pretrained": model.pretrained}
    if isinstance(model, TextModelConfig):
        places["tokenizer"] = model.tokenizer
    without: dict[str, Any] = {name: "" for name, place in places.items() if _folder_of(place)}
    return replace(model, **without)


def _folder_of(pretrained: str | None) -> Path | None:
    """The folder that is meant, if it is one."""
    folder = Path(os.path.expandvars(pretrained or ""))
    return folder if pretrained and folder.is_dir() else None


def _fingerprints(pretrained: str | None) -> dict[str, str] | None:
    folder = _folder_of(pretrained)
    if folder is None:
        return None
    files = [path for kind in _WEIGHTS for path in folder.glob(kind)]
    return {path.name: sha256_of(path) for path in sorted(files) if path.is_file()}


def _resume(path: Path, identity: str) -> dict[str, Any]:
    run = read_run(path.parent)
    if run.get("identity") != identity:
        raise WalkForwardError(
            f"{path.parent}: holds the run {run.get('name')!r} of another config or another book; "
            "choose another run.output_dir, or remove the folder to start anew"
        )
    return run
