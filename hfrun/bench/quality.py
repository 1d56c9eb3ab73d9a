"""The quality table: every contender on every book, resumable, written to docs/benchmarks.md.

    data files ─► books ─► cells, one a fit ─► runs/quality/cells ─► rows ─► docs/benchmarks.md

Run it again and it goes on where it stopped; a cell counts while its config and book are the same.
The page is written at the end, also of an interrupted run, from whatever cells are there.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from hfrun.bench.page_sections import TEXTS, with_section_of
from hfrun.bench.quality_cells import CellStore, Made, making_facts
from hfrun.bench.quality_fits import OpenedBook, imported_book, made_baselines, made_model
from hfrun.bench.quality_page import quality_page
from hfrun.bench.quality_plan import (
    BOOKS,
    MODELS,
    SEEDS,
    BookPlan,
    Cell,
    Contender,
    Horizon,
    baseline_cells,
    chosen_books,
    chosen_models,
    deep_cells,
)
from hfrun.bench.quality_results import BookResult, Missing, book_result, with_adjusted
from lob_backtest.command_line import EXIT_DONE, run_command
from lob_backtest.errors import ConfigError, LobBacktestError
from lob_backtest.files import sole_use, write_json, write_text
from lob_backtest.progress import announce

_NOT_PLANNED = "not planned"
_OUT_OF_TIME = "not yet: the time of this run was up, or it was interrupted; run it again"


@dataclass(frozen=True, kw_only=True)
class Task:
    """Cells that are made at one go: the baselines of a window, or one deep fit.

    Attributes:
        contender: the deep model; None for the baselines.
        cells: of one book, horizon, seed and window.
    """

    opened: OpenedBook
    horizon: Horizon
    contender: Contender | None
    cells: tuple[Cell, ...]

    @property
    def who(self) -> str:
        """The deep model's name, or "baselines"."""
        return self.contender.name if self.contender else "baselines"

    @property
    def words(self) -> str:
        cell = self.cells[0]
        seed = f", seed {cell.seed}" if self.contender else ""
        return f"{cell.book} at {cell.horizon}, window {cell.fold}: {self.who}{seed}"

    def identity(self, cell: Cell) -> str:
        """Of one of its cells."""
        who = self.contender if self.contender is not None else cell.contender
        return self.opened.identity(self.horizon, who, seed=cell.seed)


@dataclass(frozen=True, kw_only=True)
class QualityBench:
    """What to compare, where the data is, and where cells and page go.

    Attributes:
        data: folder with lobster/, lean/ and bitmex/.
        configs: folder with a YAML a book.
        work: folder of the imported books, the cells and the fits in progress.
        minutes: no fit is begun after so many; None for no limit.
        full: deep models at every horizon and on every window.
        anew: make the chosen cells again.
    """

    data: Path
    configs: Path
    work: Path
    books: Sequence[BookPlan] = BOOKS
    models: Sequence[Contender] = MODELS
    seeds: int = SEEDS
    minutes: float | None = None
    full: bool = False
    anew: bool = False
    left_out: list[Missing] = field(default_factory=list)

    @property
    def store(self) -> CellStore:
        return CellStore(folder=self.work / "cells")

    def open(self) -> list[OpenedBook]:
        """The books, imported where they are not yet; those without files are left out, noted.

        Raises:
            LobBacktestError: not one of them is there.
        """
        opened = []
        for plan in self.books:
            try:
                path = imported_book(plan, data=self.data, books=self.work / "books")
            except LobBacktestError as error:
                announce(str(error))
                self.left_out.append(Missing(what=plan.name, cells=0, reason="no data files"))
                continue
            config = self.configs / f"{plan.name}.yaml"
            opened.append(OpenedBook(plan=plan, path=path, config_path=config))
        if not opened:
            raise ConfigError(
                f"{self.data}: has the files of none of {', '.join(p.name for p in self.books)}; "
                "give the folder with lobster/, lean/ and bitmex/ as --data DIR, or set "
                "LOB_DATA_DIR to the one that holds it as data/"
            )
        return opened

    def tasks(self, opened: Sequence[OpenedBook]) -> list[Task]:
        """All that is wanted, in the order in which it is made: baselines, then seed by seed."""
        tasks = [task for book in opened for task in self._tasks(book)]
        return sorted(tasks, key=lambda t: (t.contender is not None, t.cells[0].seed))

    def _tasks(self, opened: OpenedBook) -> Iterator[Task]:
        for horizon in opened.plan.horizons:
            folds = [fold.fold for fold in opened.prepared(horizon).folds]
            simple = [c for c in baseline_cells(opened.plan, folds) if c.horizon == horizon.words]
            for fold in folds:
                cells = tuple(cell for cell in simple if cell.fold == fold)
                yield Task(opened=opened, horizon=horizon, contender=None, cells=cells)
            for cell in deep_cells(opened.plan, horizon, folds, self.models,
                                   seeds=self.seeds, full=self.full):  # fmt: skip
                contender = next(each for each in self.models if each.name == cell.contender)
                yield Task(opened=opened, horizon=horizon, contender=contender, cells=(cell,))

    def make(self, tasks: Sequence[Task]) -> None:
        """Make the cells that are not there yet, until the time is up."""
        if self.anew:
            self.store.forget(cell for task in tasks for cell in task.cells)
        waiting = [task for task in tasks if self._missing(task)]
        announce(f"{len(waiting)} of {len(tasks)} fits to make")
        self._sweep(waiting)
        facts, started = making_facts(), time.monotonic()
        seconds: dict[str, list[float]] = {}
        for done, task in enumerate(waiting):
            passed = time.monotonic() - started
            if self.minutes is not None and passed >= 60 * self.minutes:
                announce(f"{self.minutes:g} minutes are up, {len(waiting) - done} fits are left")
                return
            left = _left(waiting[done:], seconds)
            place = f"{done + 1}/{len(waiting)} after {passed / 60:.1f} min{left}"
            announce(f"{place}: {task.words}")
            self._make(task, facts)
            seconds.setdefault(task.who, []).append(time.monotonic() - started - passed)

    def _sweep(self, waiting: Sequence[Task]) -> None:
        """Remove fits that were interrupted and are of no cell that is wanted now."""
        wanted = {self._fit_folder(task) for task in waiting if task.contender is not None}
        for folder in set((self.work / "fits").glob("*")) - wanted:
            shutil.rmtree(folder)

    def _fit_folder(self, task: Task) -> Path:
        cell = task.cells[0]
        return self.work / "fits" / f"{self._identity(task, cell)[:16]}-window-{cell.fold}"

    def _missing(self, task: Task) -> list[Cell]:
        try:
            return [c for c in task.cells if not self.store.is_made(c, task.identity(c))]
        except LobBacktestError:  # a config that does not load: the attempt says why
            return list(task.cells)

    def _make(self, task: Task, facts: dict[str, Any]) -> None:
        """One task; one that fails is noted and shown, and the others go on."""
        cells = self._missing(task)
        try:
            if task.contender is None:
                made = made_baselines(task.opened, task.horizon, cells, facts)
            else:
                made = [made_model(task.opened, task.horizon, task.contender, cells[0],
                                   folder=self._fit_folder(task), facts=facts)]  # fmt: skip
        except Exception as error:  # an hour's other fits are not to be lost by this one
            reason = str(error) if isinstance(error, LobBacktestError) else repr(error)
            announce(f"failed: {reason}")
            for cell in cells:
                self.store.note_failure(cell, self._identity(task, cell), reason)
            return
        for each in made:
            self.store.write(each, task.identity(each.cell))

    def _identity(self, task: Task, cell: Cell) -> str:
        """Of a cell, or "" where its config does not load."""
        try:
            return task.identity(cell)
        except LobBacktestError:
            return ""

    def results(self, tasks: Sequence[Task]) -> list[BookResult]:
        """The rows of whatever cells are there, and what is not."""
        found = []
        for plan in self.books:
            own = [task for task in tasks if task.opened.plan.name == plan.name]
            cells = [made for task in own for made in self._read(task)]
            if own:
                found.append(book_result(plan, cells, self.models, self._lacking(plan, own)))
        return with_adjusted(found)

    def _read(self, task: Task) -> list[Made]:
        made = [self.store.read(cell, self._identity(task, cell)) for cell in task.cells]
        return [each for each in made if each is not None]

    def _lacking(self, plan: BookPlan, tasks: Sequence[Task]) -> list[Missing]:
        """What is wanted and not there, by model and reason; and what was never planned."""
        counts: dict[tuple[str, str], int] = {}
        for task in tasks:
            for cell in self._missing(task):
                reason = self.store.failure(cell, self._identity(task, cell)) or _OUT_OF_TIME
                key = (f"{plan.name}: {cell.contender} at {cell.horizon}", reason)
                counts[key] = counts.get(key, 0) + 1
        lacking = [Missing(what=what, cells=n, reason=why) for (what, why), n in counts.items()]
        if self.full or not self.models:
            return lacking
        made_of = {task.cells[0].fold for task in tasks if task.contender is not None}
        windows = {task.cells[0].fold for task in tasks}
        n = len(self.models) * self.seeds * (len(plan.horizons) * len(windows) - len(made_of))
        reason = (
            f"{_NOT_PLANNED}: two cores have an hour or two, so deep models keep to "
            f"{plan.middle.words} and the first and last window; --full runs them"
        )
        return [*lacking, Missing(what=f"{plan.name}: deep models", cells=n, reason=reason)]


def _left(waiting: Sequence[Task], seconds: Mapping[str, Sequence[float]]) -> str:
    """About how long the rest takes, once every contender that is left was timed."""
    if not all(task.who in seconds for task in waiting):
        return ""
    return f", about {sum(fmean(seconds[task.who]) for task in waiting) / 60:.0f} left"


def run_quality(bench: QualityBench, *, page: Path, json_path: Path | None = None) -> int:
    """Make what is missing and write the page; the number of fits that failed.

    The page is written from what is there also when the run is interrupted.
    """
    bench.work.mkdir(parents=True, exist_ok=True)
    with sole_use(bench.work, what="another quality bench"):
        tasks = bench.tasks(bench.open())
        try:
            bench.make(tasks)
        finally:
            results = bench.results(tasks)
            text = quality_page(results, left_out=bench.left_out)
            write_text(page, with_section_of(page, text, TEXTS))
            if json_path is not None:
                write_json(json_path, [_plain(result) for result in results])
            announce(f"written to {page}")
    return sum(
        missing.cells
        for result in results
        for missing in result.missing
        if missing.reason != _OUT_OF_TIME and not missing.reason.startswith(_NOT_PLANNED)
    )


def _plain(result: BookResult) -> dict[str, Any]:
    plain: dict[str, Any] = asdict(result)
    return {**plain, "plan": result.plan.name}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of ``scripts/bench quality``."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="How good the models are, on real books."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    quality = commands.add_parser("quality", help="the table of docs/benchmarks.md")
    data = Path(os.environ.get("LOB_DATA_DIR", "."), "data")
    books, models = (",".join(each.name for each in group) for group in (BOOKS, MODELS))
    add = quality.add_argument
    add("--books", default=books, metavar="NAMES", help=f"of {books}")
    add("--models", default=models, metavar="NAMES", help=f"of {models}; empty: baselines alone")
    add("--seeds", type=int, default=SEEDS, metavar="N")
    add("--data", type=Path, default=data, metavar="DIR", help="has lobster/, lean/ and bitmex/")
    add("--configs", type=Path, default=Path("configs/quality"), metavar="DIR")
    add("--work", type=Path, default=Path("runs/quality"), metavar="DIR")
    add("--minutes", type=float, metavar="M", help="begin no fit after so many; 0: the page alone")
    add("--full", action="store_true", help="deep models at every horizon and on every window")
    add("--anew", action="store_true", help="make the chosen cells again")
    add("--page", type=Path, default=Path("docs/benchmarks.md"), metavar="FILE")
    add("--json", type=Path, metavar="FILE", help="the rows, beside the page")
    quality.set_defaults(run=_run)
    return run_command(parser, argv)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.seeds < 1:
        raise ConfigError(f"--seeds {arguments.seeds}: needs at least 1")
    bench = QualityBench(
        data=arguments.data,
        configs=arguments.configs,
        work=arguments.work,
        books=chosen_books(_names(arguments.books)),
        models=chosen_models(_names(arguments.models)),
        seeds=arguments.seeds,
        minutes=arguments.minutes,
        full=arguments.full,
        anew=arguments.anew,
    )
    failed = run_quality(bench, page=arguments.page, json_path=arguments.json)
    if failed:
        raise LobBacktestError(
            f"{failed} cells could not be made; {arguments.page} says which and why, and holds the "
            "others; mend the reason and run the same again"
        )
    return EXIT_DONE


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


if __name__ == "__main__":
    sys.exit(main())
