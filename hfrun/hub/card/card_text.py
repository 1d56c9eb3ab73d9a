"""What the card of a classifier of texts says otherwise: loading, classes, leads, data, limits."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from hfrun.evaluation.text_report.limits import limits_of_texts
from hfrun.hub.card.markdown import escaped, is_number, number, section, table
from hfrun.hub.card.records import Record, figure, records
from lob_backtest.report.words import p_text

_PLAIN = "{text}"
_MOST_CLASSES = 40


def is_text_model(report: Record | None, model_config: Record) -> bool:
    """Whether the model reads texts: by its report, or by having a vocabulary."""
    return (report or {}).get("kind") == "text" or "vocab_size" in model_config


def text_leads(report: Record | None) -> str:
    """By how much the model is ahead of each baseline, and whether luck would do."""
    paired, counts = (
        found if isinstance(found, Mapping) else {}
        for found in ((report or {}).get("paired"), (report or {}).get("mcnemar"))
    )
    rows = []
    for name, leads in paired.items():
        lead = figure(leads, "f1_weighted")
        if is_number(lead.get("difference")):
            known = is_number(lead.get("low")) and is_number(lead.get("high"))
            between = f"{number(lead['low'])} to {number(lead['high'])}" if known else "–"
            p_value = figure(counts, name).get("p_value")
            rows.append([escaped(name), number(lead["difference"]), between,
                         _chance(lead.get("p_adjusted")), _chance(p_value)])  # fmt: skip
    header = ("model minus", "F1, weighted", "confidence interval", "p, adjusted",
              "McNemar's p of accuracy")  # fmt: skip
    meaning = "Model and baseline on the same texts, drawn together; above 0 the model is better."
    return section("Skill or luck", meaning, table(header, rows)) if rows else ""


def text_classes(report: Record | None) -> str:
    """How well each class is found."""
    keys = ("n", "said", "recall", "precision", "f1")
    found = records((report or {}).get("per_class"))
    rows = [
        [escaped(row.get("label", "")), *(number(row.get(key)) for key in keys)]
        for row in found[:_MOST_CLASSES]
    ]
    header = ("class", "texts", "said", "recall", "precision", "F1")
    rest = len(found) - len(rows)
    more = f"The other {rest} classes are in report/report.html." if rest else ""
    return section("Class by class", table(header, rows) if rows else "", more)


def text_calibration(report: Record | None) -> str:
    """The temperature that was fitted on validation, and what it is worth."""
    found = (report or {}).get("calibration")
    if not isinstance(found, Mapping) or not is_number(found.get("temperature")):
        return ""
    words = (
        f"A temperature of {number(found['temperature'])} was fitted on validation: divide the "
        f"logits by it. On test: {escaped(found.get('claim', 'not judged'))}. "
        f"{escaped(found.get('reason', ''))}"
    )
    return section("Confidence", words.strip(), "The figures above are those without it.")


def text_loading(repo_id: str, run: Record) -> str:
    """A pipeline in four lines, with the words around a text that the model was trained with."""
    template = _template(run)
    asked = "texts" if template == _PLAIN else "[TEMPLATE.format(text=text) for text in texts]"
    lines = [
        "```python",
        "import hfrun.models  # registers the model with the Auto classes",
        "from transformers import pipeline",
        "",
        *([] if template == _PLAIN else [f"TEMPLATE = {_literal(template)}"]),
        f'classify = pipeline("text-classification", model="{repo_id}", top_k=None)',
        'texts = ["The first text.", "The second text."]',
        f"classify({asked})",
        "```",
    ]
    hint = (
        "Set `HF_ENDPOINT` to the address of the hub first, and give each hub its own `HF_HOME`: "
        "the client's cache knows models by their names alone. "
    )
    longest = _data_section(run).get("max_length")
    if is_number(longest):
        hint += (
            f"It was trained on texts of up to {longest} tokens; longer ones were cut at their end."
        )
    return section("How to load it", "\n".join(lines), hint.strip())


def text_data(run: Record) -> str:
    """What the model was trained, chosen and judged on."""
    rows = [
        [
            escaped(_parts(row.get("part"))),
            escaped(PurePath(str(row["path"])).name if row.get("path") else "–"),
            number(row.get("rows")),
            f"`{escaped(row['sha256'])}`" if row.get("sha256") else "–",
        ]
        for row in records(run.get("data"))
    ]
    return section("Data", table(("part", "source", "texts", "sha256"), rows) if rows else "")


def text_limits(report: Record | None) -> str:
    """What must not be read into the figures."""
    points = []
    if not report:
        points.append("There is no report: nothing is shown about how often it is right.")
    elif report.get("verdict") == "fail":
        points.append("It failed required gates: do not put it to use as it is.")
    if report and records(report.get("folds")):
        points += limits_of_texts(report)
    return section("What this does not show", "\n".join(f"- {escaped(each)}" for each in points))


def _chance(p_value: Any) -> str:
    return escaped(p_text(p_value)) if is_number(p_value) else "–"


def _parts(part: Any) -> str:
    return ", ".join(map(str, part)) if isinstance(part, list | tuple) else str(part or "–")


def _data_section(run: Record) -> Record:
    return figure(run.get("config"), "data")


def _template(run: Record) -> str:
    template = _data_section(run).get("template")
    return template if isinstance(template, str) and _PLAIN in template else _PLAIN


def _literal(template: str) -> str:
    """As Python writes it, for ``str.format``; no fence or line can end in it."""
    before, _, after = template.partition(_PLAIN)
    doubled = [words.replace("{", "{{").replace("}", "}}") for words in (before, after)]
    return ascii(_PLAIN.join(doubled)).replace("`", "\\x60")
