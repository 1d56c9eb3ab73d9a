"""The model card: what was found, by whose data, how to load it, and what it does not show.

Our own, because the cards that the Trainer writes link to the public site and know nothing of a
walk-forward. Every figure is copied from the run's records; what they lack is left out.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml

from hfrun.hub.card.card_audit import audit_section
from hfrun.hub.card.card_metadata import front_matter
from hfrun.hub.card.card_plots import CardPlot
from hfrun.hub.card.card_text import (
    is_text_model,
    text_calibration,
    text_classes,
    text_data,
    text_leads,
    text_limits,
    text_loading,
)
from hfrun.hub.card.markdown import escaped, is_number, number, section, table, yaml_block
from hfrun.hub.card.records import Record, figure, records, value_of

_METRICS = {
    "accuracy": "accuracy",
    "majority_accuracy": "accuracy of the majority class",
    "f1_weighted": "F1, weighted",
    "f1_macro": "F1, macro",
    "mcc": "Matthews correlation",
    "ece": "expected calibration error",
    "mce": "maximum calibration error",
    "brier": "Brier score",
    "nll": "negative log-likelihood",
    "gross_return": "return before costs",
    "net_return": "return after costs",
    "max_drawdown": "maximum drawdown",
    "sharpe": "Sharpe ratio",
    "turnover": "turnover",
    "trades": "trades",
    "hit_rate": "hit rate",
    "costs_paid": "costs paid",
}
_COMPARED = ("accuracy", "f1_weighted", "mcc", "brier", "net_return", "max_drawdown", "sharpe")
_IN_FOLDS = ("n", "accuracy", "majority_accuracy", "f1_weighted", "mcc", "net_return", "trades")
_OUTCOME = {True: "passed", False: "**failed**", None: "not judged"}


def model_card(
    *,
    repo_id: str,
    run: dict[str, Any],
    report: dict[str, Any] | None,
    model_config: dict[str, Any],
    plots: Sequence[CardPlot] = (),
) -> str:
    """README.md of a model repository.

    Args:
        repo_id: ``namespace/name`` that the card is for.
        run: the content of run.json, with the effective config under ``config``.
        report: the content of report.json; None for a model without a walk-forward.
        model_config: the model's config.json.
        plots: images in ``report/plots`` of the repository.

    Returns:
        Markdown with YAML front matter.
    """
    metadata = front_matter(repo_id=repo_id, run=run, report=report, model_config=model_config)
    head = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
    sections = [
        f"# {escaped(repo_id.rpartition('/')[2])}",
        _introduction(run, model_config),
        _verdict(report),
        _aggregate(report),
        _baselines(report, run),
        _plots(plots),
    ]
    if is_text_model(report, model_config):
        sections += [
            text_leads(report),
            text_classes(report),
            text_calibration(report),
            text_loading(repo_id, run),
            text_data(run),
            audit_section(run),
            _training(run),
            text_limits(report),
        ]
    else:
        sections += [
            _folds(report),
            _loading(repo_id, model_config),
            _data(run),
            audit_section(run),
            _training(run),
            _limits(run, report),
        ]
    return f"---\n{head}---\n\n" + "\n\n".join(part for part in sections if part) + "\n"


def _introduction(run: Record, model_config: Record) -> str:
    kind = model_config.get("model_type")
    what = f"A {escaped(kind)} classifier" if kind else "A sequence classifier"
    labels = model_config.get("id2label")
    if isinstance(labels, Mapping):
        what += f" of {len(labels)} classes: " + ", ".join(map(escaped, labels.values()))
    origin = f", from the run {escaped(run['name'])}" if run.get("name") else ""
    made = f" of {escaped(run['created_at'])}" if origin and run.get("created_at") else ""
    return f"{what}{origin}{made}."


def _verdict(report: Record | None) -> str:
    if not report or not report.get("verdict"):
        return ""
    rows = [
        [
            escaped(gate.get("name", "")),
            _OUTCOME.get(gate.get("passed"), "not judged"),
            number(gate.get("value")),
            number(gate.get("limit")),
            "yes" if gate.get("required") else "no",
            escaped(gate.get("reason") or ""),
        ]
        for gate in records(report.get("gates"))
    ]
    header = ("gate", "outcome", "value", "limit", "required", "why")
    meaning = "The verdict is pass only where every required gate passed."
    gates = table(header, rows) if rows else ""
    return section(f"Verdict: {escaped(report['verdict'])}", meaning, gates)


def _aggregate(report: Record | None) -> str:
    figures = (report or {}).get("aggregate") or {}
    rows = []
    for key, name in _METRICS.items():
        found = figure(figures, key)
        if is_number(found.get("value")):
            known = is_number(found.get("low")) and is_number(found.get("high"))
            interval = f"{number(found['low'])} to {number(found['high'])}" if known else "–"
            rows.append([name, number(found["value"]), interval])
    text = table(("measure", "value", "confidence interval"), rows) if rows else ""
    n_folds = len(records((report or {}).get("folds")))
    if text and n_folds > 1:
        text = (
            f"Of {n_folds} models, each trained for its own fold and judged on it. The weights in "
            f"this repository are those of the last fold.\n\n{text}"
        )
    of_texts = (report or {}).get("kind") == "text"
    return section("Figures on the test texts" if of_texts else "Figures of all evaluation folds",
                   text)  # fmt: skip


def _baselines(report: Record | None, run: Record) -> str:
    figures = (report or {}).get("aggregate") or {}
    baselines = figures.get("baselines")
    if not isinstance(baselines, Mapping) or not baselines:
        return ""
    named = {"this model": figures, **baselines}
    keys = [k for k in _COMPARED if any(is_number(value_of(f, k)) for f in named.values())]
    rows = [
        [escaped(name), *(number(value_of(of, key)) for key in keys)] for name, of in named.items()
    ]
    found = table(("", *(_METRICS[key] for key in keys)), rows)
    return section("Against baselines", found, _in_use(run.get("incumbent"), baselines))


def _in_use(incumbent: Any, baselines: Record) -> str:
    """Which model stands behind a name of the hub, whose tag may mean another one later."""
    if not isinstance(incumbent, Mapping) or incumbent.get("name") not in baselines:
        return ""
    return (
        f"{escaped(incumbent['name'])} is the model that was in use, commit "
        f"`{escaped(incumbent.get('commit'))}` of {escaped(incumbent.get('repo'))}. It was fitted "
        "once, before the decisions that are compared."
    )


def _plots(plots: Sequence[CardPlot]) -> str:
    images = [f"![{escaped(plot.label)}](report/plots/{plot.name})" for plot in plots]
    whole = "More of them, and their tables, are in `report/report.html`."
    return section("Plots", *images, whole) if images else ""


def _folds(report: Record | None) -> str:
    folds = records((report or {}).get("folds"))
    keys = [key for key in _IN_FOLDS if any(is_number(fold.get(key)) for fold in folds)]
    if not keys:
        return ""
    names = [_METRICS.get(key, "decisions") for key in keys]
    rows = [[escaped(f.get("fold", i)), *(number(f.get(k)) for k in keys)]
            for i, f in enumerate(folds)]  # fmt: skip
    return section("Fold by fold", table(("fold", *names), rows))


def _loading(repo_id: str, model_config: Record) -> str:
    lines = [
        "```python",
        "import hfrun.models  # registers the model and the task",
        "from transformers import pipeline",
        "",
        f'classify = pipeline("lob-classification", model="{repo_id}")',
        'rows = classify("book.parquet", in_sample="leave_out")',
        "```",
    ]
    meaning = (
        "It takes a raw order book (a book table, or a DataFrame with its columns in any order) "
        "and gives the probabilities of each decision after the end of its training: of what it "
        "was trained on, a model knows too much. Normalization and column order come with it."
    )
    inside = [
        "```python",
        "import hfrun.models",
        "from transformers import AutoModelForSequenceClassification",
        "",
        f'model = AutoModelForSequenceClassification.from_pretrained("{repo_id}")',
        "```",
    ]
    alone = "The model alone:"
    window, levels = model_config.get("window"), model_config.get("levels")
    if is_number(window) and is_number(levels):
        alone = f"The model alone takes `features` of shape (B, {window}, {4 * levels})"
        hand = model_config.get("hand_features")
        alone += f" and `hand_features` of shape (B, {hand})." if hand else "."
    hint = (
        "Set `HF_ENDPOINT` to the address of the hub first, and give each hub its own `HF_HOME`: "
        "the client's cache knows models by their names alone. Pin `revision` to a tag where it "
        "matters which model it is."
    )
    return section("How to load it", "\n".join(lines), meaning, alone, "\n".join(inside), hint)


def _data(run: Record) -> str:
    rows = [
        [
            escaped(row.get("instrument") or "–"),
            escaped(PurePath(str(row["path"])).name if row.get("path") else "–"),
            number(row.get("rows")),
            f"`{escaped(row['sha256'])}`" if row.get("sha256") else "–",
        ]
        for row in records(run.get("data"))
    ]
    return section("Data", table(("instrument", "file", "rows", "sha256"), rows) if rows else "")


def _training(run: Record) -> str:
    facts = []
    if run.get("command"):
        facts.append(f"- command: {escaped(run['command'])}")
    if is_number(run.get("seed")):
        facts.append(f"- seed: {run['seed']}")
    git = run.get("git")
    if isinstance(git, Mapping) and git.get("commit"):
        changed = ", with uncommitted changes" if git.get("dirty") else ""
        facts.append(f"- source: commit {escaped(git['commit'])}{changed}")
    versions = run.get("versions")
    if isinstance(versions, Mapping) and versions:
        listed = ", ".join(f"{escaped(name)} {escaped(v)}" for name, v in versions.items())
        facts.append(f"- versions: {listed}")
    training = run.get("training")
    for key, value in training.items() if isinstance(training, Mapping) else ():
        if is_number(value) or isinstance(value, str):
            shown = number(value) if is_number(value) else escaped(value)
            facts.append(f"- {escaped(key)}: {shown}")
    config = run.get("config")
    block = yaml_block(config) if isinstance(config, Mapping) and config else ""
    return section("How it was trained", "\n".join(facts), block)


def _limits(run: Record, report: Record | None) -> str:
    points = ["Past order books say nothing certain about future ones; this is no advice to trade."]
    if not report:
        points.append("There is no walk-forward report: nothing is shown about profit after costs.")
    elif report.get("verdict") == "fail":
        points.append("It failed required gates: do not put it to use as it is.")
    instruments = {str(r["instrument"]) for r in records(run.get("data")) if r.get("instrument")}
    if instruments:
        points.append(f"Nothing is shown about instruments other than {_listed(instruments)}.")
    if report and records(report.get("folds")):
        points += [
            f"The figures come from {len(records(report['folds']))} folds of that data and from "
            "the settings above; other periods, horizons, costs and latencies were not tried here.",
            "The backtest fills orders at the quoted touch: market impact, queue position and "
            "rejected orders are not modelled.",
            "Gates passed on folds that earlier versions were also compared on are weaker "
            "evidence than the intervals suggest.",
        ]
    return section("What this does not show", "\n".join(f"- {point}" for point in points))


def _listed(names: set[str]) -> str:
    return ", ".join(escaped(name) for name in sorted(names))
