"""The card's YAML front matter: what the hub indexes a model by."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from hfrun.hub.card.markdown import is_number

# report.json's keys, with the names that the Hub gives these measures.
_HUB_METRICS = {
    "accuracy": ("accuracy", "Accuracy"),
    "f1_weighted": ("f1", "F1, weighted"),
    "f1_macro": ("f1", "F1, macro"),
    "mcc": ("matthews_correlation", "Matthews correlation"),
    "brier": ("brier_score", "Brier score"),
}


def front_matter(
    *,
    repo_id: str,
    run: Mapping[str, Any],
    report: Mapping[str, Any] | None,
    model_config: Mapping[str, Any],
) -> dict[str, Any]:
    """Metadata in the Hub's own terms; what is not known is left out.

    Reference: the model card specification of huggingface_hub (modelcard.md).
    """
    # The Hub has no tag for order books: their windows are tables, text models have words.
    task = "text-classification" if "vocab_size" in model_config else "tabular-classification"
    kind = model_config.get("model_type")
    metadata: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": task}
    licence = _licence(run, model_config)
    if licence is not None:
        metadata["license"] = licence
    metadata["tags"] = ["hfrun", *([kind] if isinstance(kind, str) else [])]
    if task == "tabular-classification":
        metadata["tags"].append("limit-order-book")
    metrics = _metrics(report)
    if metrics:
        metadata["metrics"] = sorted({metric["type"] for metric in metrics})
    datasets = _datasets(run)
    if metrics and datasets:
        result = {"task": {"type": task}, "dataset": datasets, "metrics": metrics}
        metadata["model-index"] = [{"name": repo_id.rpartition("/")[2], "results": [result]}]
    return metadata


def _metrics(report: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    aggregate = (report or {}).get("aggregate") or {}
    how = "test" if (report or {}).get("kind") == "text" else "walk-forward"
    found = []
    for key, (kind, name) in _HUB_METRICS.items():
        figure = aggregate.get(key)
        value = figure.get("value") if isinstance(figure, Mapping) else None
        if is_number(value):
            found.append({"type": kind, "name": f"{name}, {how}", "value": value})
    return found


def _datasets(run: Mapping[str, Any]) -> dict[str, str] | None:
    """Name and type of the data that the figures are of; one entry covers all instruments.

    Of texts it is the file or data set that the test part comes from.
    """
    rows = [row for row in run.get("data") or [] if isinstance(row, Mapping)]
    names = list(dict.fromkeys(str(r["instrument"]) for r in rows if r.get("instrument")))
    if not names:
        tests = [row["path"] for row in rows if row.get("path") and "test" in str(row.get("part"))]
        names = list(dict.fromkeys(PurePath(str(path)).name for path in tests))
    if not names:
        return None
    kind = re.sub(r"[^a-z0-9]+", "-", "-".join(names).lower()).strip("-")
    return {"type": kind or "private", "name": ", ".join(names)}


def _licence(run: Mapping[str, Any], model_config: Mapping[str, Any]) -> str | None:
    config = run.get("config")
    hub = config.get("hub") if isinstance(config, Mapping) else None
    for place in (hub, run, model_config):
        value = place.get("license") if isinstance(place, Mapping) else None
        if isinstance(value, str) and value:
            return value
    return None
