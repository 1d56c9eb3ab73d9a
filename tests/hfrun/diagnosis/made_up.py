"""Made-up records of runs: the figures that a rule reads, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from hfrun.record import Course, RunRecord


def epochs(first: int = 1, **columns: Sequence[float]) -> tuple[dict[str, float], ...]:
    """Evaluations one an epoch, from columns of figures."""
    rows = zip(*columns.values(), strict=True)
    return tuple(
        {"epoch": float(first + i), **dict(zip(columns, row, strict=True))}
        for i, row in enumerate(rows)
    )


def recorded(
    *,
    config: Mapping[str, Any] | None = None,
    test: Mapping[str, float] | None = None,
    name: str = "run",
    first: int = 1,
    **columns: Sequence[float],
) -> RunRecord:
    """A line of runs.jsonl."""
    figures = {key: {"value": value, "low": None, "high": None} for key, value in
               (test or {}).items()}  # fmt: skip
    course = Course(epochs=epochs(first, **columns) if columns else ())
    return RunRecord(
        name=name, kind="recorded", config=config or {}, courses=(course,), test=figures
    )


def run(
    *courses: Course,
    config: Mapping[str, Any] | None = None,
    report: Mapping[str, Any] | None = None,
    test: Mapping[str, Any] | None = None,
    name: str = "run",
) -> RunRecord:
    """A run folder of this program with these trainings; keys of config are ``section.key``."""
    sections: dict[str, Any] = {}
    for key, value in (config or {}).items():
        *above, last = key.split(".")
        place = sections
        for section in above:
            place = place.setdefault(section, {})
        place[last] = value
    return RunRecord(
        name=name, kind="train", config=sections, courses=courses, report=report or {},
        test=test or {},
    )  # fmt: skip


def warming(rates: Sequence[float], *, epochs_apart: float = 0.1) -> Course:
    """A training that logged these rates."""
    return Course(
        steps=tuple(
            {"step": float(i + 1), "epoch": (i + 1) * epochs_apart, "learning_rate": rate}
            for i, rate in enumerate(rates)
        )
    )


def losing(losses: Sequence[float]) -> Course:
    """A training that logged these losses, a tenth of an epoch apart."""
    return Course(
        steps=tuple(
            {"step": float(i + 1), "epoch": (i + 1) / 10, "loss": loss}
            for i, loss in enumerate(losses)
        )
    )
