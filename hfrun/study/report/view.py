"""What every part of the page asks of the analysis: a trial's score, look and scientific value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hfrun.study.grid import value_label
from hfrun.study.report.marks import Look, Scale, scale_of
from hfrun.study.sweep_tables import title

_LENGTH = 18


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyView:
    """An analysis, as ``analyse`` gave it or as it was read from its file."""

    analysis: Mapping[str, Any]

    @property
    def metric(self) -> str:
        """The score in words: ``weighted F1``."""
        return title(self.analysis["metric"])

    @property
    def score_title(self) -> str:
        if self.scale.best is None:
            return "no trial has a score"
        better = "more" if self.analysis["higher_is_better"] else "less"
        return f"validation {self.metric}, {better} is better"

    @property
    def cells(self) -> Sequence[Mapping[str, Any]]:
        """The scientific values, of several hyperparameters their combinations."""
        plots = self.analysis["isolation"]
        return plots[-1]["values"] if plots else []

    @property
    def explored(self) -> list[Mapping[str, Any]]:
        """The table's rows of short trials that have ended, which the plots show."""
        open_ones = ("running", "waiting")
        return [row for row in self.analysis["table"]
                if row["phase"] != "finalist" and row["status"] not in open_ones]  # fmt: skip

    @cached_property
    def rows(self) -> dict[int, Mapping[str, Any]]:
        return {row["trial"]: row for row in self.analysis["table"]}

    @cached_property
    def _places(self) -> dict[int, int]:
        return {number: place for place, cell in enumerate(self.cells)
                for number in cell["trials"]}  # fmt: skip

    @cached_property
    def scale(self) -> Scale:
        scores = [row["score"] for row in self.explored]
        return scale_of(
            [score for score in scores if score is not None],
            higher_is_better=self.analysis["higher_is_better"],
            with_strip=None in scores,
        )

    def place(self, trial: int) -> int | None:
        """Which scientific value a trial has, by its place among them."""
        return self._places.get(trial)

    def label(self, trial: int) -> str:
        """What a trial set, in words, with as many digits as are read."""
        values = self.rows[trial]["values"]
        return ", ".join(f"{words_of(axis['name'])} {short_value(values[axis['key']])}"
                         for axis in self.analysis["axes"] if axis["key"] in values)  # fmt: skip

    @property
    def leader(self) -> int | None:
        """The best short trial; the plots have no place for the finalists' longer trainings."""
        first = next((row for row in self.explored if row["rank"] == 1), None)
        return None if first is None else first["trial"]

    def look(self, trial: int) -> Look:
        row = self.rows[trial]
        return Look(
            place=self.place(trial),
            n_cells=len(self.cells),
            status=row["status"],
            is_best=trial == self.leader,
            is_cut=row["score"] is not None and self.scale.is_cut(row["score"]),
        )

    def shown(self, trial: int) -> float | None:
        """Where on the scale of scores a trial is drawn."""
        return self.scale.shown(self.rows[trial]["score"])


def words_of(name: str) -> str:
    """A hyperparameter's name in words; one with its section keeps its dots."""
    return name.replace("_", " ")


def short_value(value: Any) -> str:
    """A value with three digits, which is as far as a page is read; its run has them all."""
    return format(value, ".3g") if isinstance(value, float) else value_label(value)


def value_name(cell: Mapping[str, Any]) -> str:
    """A scientific value without its hyperparameter's name; of a combination every value."""
    return ", ".join(map(value_label, cell["values"].values()))


def short(label: str, length: int = _LENGTH) -> str:
    """A label cut to what a plot has room for."""
    return label if len(label) <= length else f"{label[: length - 1]}\u2026"
