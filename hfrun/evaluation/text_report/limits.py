"""What a report on texts does not show: said on its page and on the model's card."""

from collections.abc import Mapping
from typing import Any

from lob_backtest.report.words import many


def limits_of_texts(report: Mapping[str, Any]) -> list[str]:
    """Sentences about what must not be read into the report."""
    n = sum(fold.get("n") or 0 for fold in report["folds"])
    limits = [
        f"Other texts. The figures are of {many(n, 'text')} of one source; other subjects, times "
        "and ways of writing were not tried.",
        "Certainty beyond the intervals. They know the luck of which texts were drawn, and neither "
        "that of the training seed nor labels that people would dispute.",
        "The number of attempts. Whoever tries many configs on the same test texts and reports the "
        "best one will pass a gate by luck; the report sees this run alone.",
    ]
    if not report.get("audit"):
        limits.append("That no test text is in train. The data were not audited.")
    if (report.get("data") or {}).get("n_unlabelled"):
        unlabelled = report["data"]["n_unlabelled"]
        limits.append(f"Anything about {many(unlabelled, 'test text')} without a known label.")
    if not report.get("validation"):
        limits.append("By how much the choice of the checkpoint flatters: no validation was given.")
    return limits
