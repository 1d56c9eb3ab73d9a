"""Metrics as modules of ``evaluate``, loaded by path: no hub is asked.

ece = evaluate.load(path("ece"))
both = evaluate.combine([path("f1_weighted"), path("ece")])
both.compute(predictions=probabilities, references=labels)
"""

from pathlib import Path

from lob_backtest.errors import MetricError

NAMES = (
    "accuracy", "adaptive_ece", "brier", "ece", "f1_macro", "f1_weighted", "lob_classification",
    "majority_accuracy", "mcc", "mce", "nll",
)  # fmt: skip


def path(name: str) -> str:
    """Where a metric lies, for ``evaluate.load`` and ``evaluate.combine``.

    Raises:
        MetricError: there is none of this name.
    """
    if name not in NAMES:
        raise MetricError(f"no metric module {name!r}; known: {', '.join(NAMES)}")
    return str(Path(__file__).resolve().parent / f"{name}.py")
