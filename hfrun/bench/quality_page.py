"""The quality table as a page: every figure from the cells, nothing from the clock."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hfrun.bench.quality_figures import LEVEL, RULES, Row
from hfrun.bench.quality_plan import Horizon
from hfrun.bench.quality_results import AtHorizon, BookResult, Compared, Missing, best_of
from hfrun.bench.quality_words import READING, percent
from lob_backtest.predictions import CLASS_NAMES

_NS_PER_SECOND = 1_000_000_000
_FIGURES = ("f1_weighted", "f1_macro", "mcc", "accuracy", "majority_accuracy", "ece")
_HEADS = ("weighted F1", "macro F1", "MCC", "accuracy", "largest class", "ECE")


def quality_page(results: Sequence[BookResult], *, left_out: Sequence[Missing] = ()) -> str:
    """The page in Markdown."""
    parts = [
        "# How good the models are",
        _origin(results),
        _summary(results),
        READING,
        *(_book(result) for result in results),
        _missing([*left_out, *(missing for result in results for missing in result.missing)]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _origin(results: Sequence[BookResult]) -> str:
    """Who made it: command, dates, commits, machine. All from the cells."""
    facts = [fact for result in results for fact in result.facts]
    made = "Made by `scripts/bench quality`, which resumes where it stopped. No cell is there yet."
    if not facts:
        return made
    days = sorted({fact["created_at"][:10] for fact in facts})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    machines = _distinct(_machine(fact["machine"]) for fact in facts)
    packages = _distinct(
        ", ".join(
            f"{name} {fact['versions'][name]}"
            for name in ("torch", "transformers", "scikit-learn", "numpy")
            if name in fact["versions"]
        )
        for fact in facts
    )
    return (
        f"Made by `scripts/bench quality` from {len(facts)} cells (book, horizon, contender, seed, "
        f"window) of {when}, by {_commits(facts)}, on {' and '.join(machines)} "
        f"({'; '.join(packages)}). The command resumes where it "
        "stopped and writes this page from whatever cells there are; no figure is typed by hand."
    )


def _machine(machine: Mapping[str, Any]) -> str:
    threads = f"{machine['threads']} thread{'s' if machine['threads'] > 1 else ''}"
    accelerator = f", {machine['accelerator']}" if machine["accelerator"] else ""
    return f"{machine['cpu']} with {machine['cores']} cores, {threads}{accelerator}"


def _commits(facts: Sequence[Mapping[str, Any]]) -> str:
    named = [_commit(fact["git"]) for fact in facts]
    counts = {name: named.count(name) for name in dict.fromkeys(named)}
    if len(counts) == 1:
        return next(iter(counts))
    return "several commits: " + ", ".join(f"{name} ({n} cells)" for name, n in counts.items())


def _commit(git: Mapping[str, Any] | None) -> str:
    if git is None:
        return "a program outside git"
    dirty = " with uncommitted changes" if git["dirty"] else ""
    return f"commit {git['commit'][:12]}{dirty}"


def _summary(results: Sequence[BookResult]) -> str:
    """Deep models against books: the lift at the middle horizon, and whether the aim is reached."""
    found: dict[str, dict[str, Row]] = {}
    for result in results:
        for at in _middle(result):
            for row in (row for compared in at.compared for row in compared.models):
                found.setdefault(row.contender, {})[result.plan.name] = row
    if not found:
        return ""
    names = [result.plan.name for result in results]
    rows = [
        [contender, *(_verdict(by_book.get(name)) for name in names)]
        for contender, by_book in found.items()
    ]
    reached = {
        name
        for by_book in found.values()
        for name, row in by_book.items()
        if row.lift is not None and row.lift.is_reached
    }
    words = ", ".join(sorted(name.upper() for name in reached)) or "none"
    return "\n\n".join(
        [
            "## The aim, and what came of it",
            f"The aim: a weighted F1 of at least {RULES.f1_lift:g} above the best simple baseline, "
            f"in {percent(RULES.min_window_pass_rate)} of the windows. Below: lift over the best "
            "baseline (windows that reach it) at each book's middle horizon; bold where the aim is "
            f"reached. Books on which some deep model reaches it: {words}. With "
            f"{len(found)} deep models a book, the best of them is a choice made with hindsight.",
            _table(["", *(name.upper() for name in names)], rows),
        ]
    )


def _verdict(row: Row | None) -> str:
    if row is None or row.lift is None:
        return "not run"
    text = f"{row.lift.value:+.3f} ({row.lift.reached}/{row.lift.windows})"
    return f"**{text}**" if row.lift.is_reached else text


def _middle(result: BookResult) -> list[AtHorizon]:
    return [at for at in result.at if at.horizon == result.plan.middle]


def _book(result: BookResult) -> str:
    parts = [f"## {result.plan.title}", result.plan.remark, _asked(result)]
    parts += [_windows(at) for at in _middle(result)]
    parts.append(_all_windows(result))
    for at in result.at:
        parts += [_compared(each, at.horizon) for each in at.compared]
        parts.append(_trained(at))
    parts.append(_alarms(result))
    return "\n\n".join(part for part in parts if part)


def _asked(result: BookResult) -> str:
    horizons = ", ".join(horizon.words for horizon in result.plan.horizons)
    return (
        f"Settings: `configs/quality/{result.plan.name}.yaml`, horizons {horizons}. The label is "
        "the mean mid over the horizon against the mid at the decision, cut so that a third of the "
        "train moves are flat (more where the mid does not move at all)."
    )


def _windows(at: AtHorizon) -> str:
    rows = [
        [
            str(fold), _time(facts["test_start_ns"]), _time(facts["test_end_ns"], day=False),
            f"{facts['train']:,}", f"{facts['purged']}", f"{facts['test']:,}",
            f"{facts['independent_labels']:,.0f}", f"{facts['threshold_ticks']:.2f}",
            " / ".join(percent(share) for share in facts["class_shares"]),
        ]
        for fold, facts in at.windows.items()
    ]  # fmt: skip
    heads = ["window", "test from (UTC)", "to", "train", "purged", "test",
             "independent labels", "threshold, ticks", " / ".join(CLASS_NAMES)]  # fmt: skip
    return f"Windows, and their labels at {at.horizon.words}:\n\n{_table(heads, rows)}"


def _all_windows(result: BookResult) -> str:
    """The baselines on every window at every horizon."""
    rows = []
    for at in result.at:
        for row in at.baselines:
            cells = _figures(row, bold=row.contender == at.best)
            rows.append([at.horizon.words, row.contender, *cells, f"{row.n:,}", _seconds(row)])
    heads = ["horizon", "", *_HEADS, "n", "s a window"]
    if not rows:
        return ""
    counts = {len(row.folds) for at in result.at for row in at.baselines}
    every = f"all {counts.pop()} windows" if len(counts) == 1 else "the windows that are there"
    table = _table(heads, rows)
    return f"The simple baselines on {every}, the best of each horizon in bold:\n\n{table}"


def _compared(compared: Compared, horizon: Horizon) -> str:
    best = best_of(compared)
    rows = [
        [row.contender, "", *_figures(row, bold=row.contender == best), "", "", "", "",
         _seconds(row)]
        for row in compared.baselines
    ]  # fmt: skip
    for row, adjusted in zip(compared.models, compared.adjusted, strict=True):
        seeds = str(len(row.seeds)) if row.spread else ""
        rows.append([row.contender, seeds, *_figures(row), *_lift(row, adjusted), _seconds(row)])
    heads = ["", "seeds", *_HEADS, f"lift ({percent(LEVEL)})", "p, adjusted", "windows",
             "without best", "s a window"]  # fmt: skip
    named = ", ".join(str(fold) for fold in compared.folds)
    n = compared.baselines[0].n
    return "\n\n".join(
        [
            f"Deep models at {horizon.words} on window{'s' if len(compared.folds) > 1 else ''} "
            f"{named} ({n:,} decisions), and the baselines on the same; lifts are over **{best}**:",
            _table(heads, rows),
            _by_window(compared, best),
        ]
    )


def _by_window(compared: Compared, best: str) -> str:
    baseline = next(row for row in compared.baselines if row.contender == best)
    shown = [baseline, *compared.models]
    rows = [
        [str(fold), *(f"{row.by_window[fold]:.3f}" for row in shown)] for fold in compared.folds
    ]
    table = _table(["window", *(row.contender for row in shown)], rows)
    return f"Weighted F1 window by window, mean over the seeds:\n\n{table}"


def _trained(at: AtHorizon) -> str:
    rows = [
        [
            each["contender"], each["words"],
            "<br>".join(f"`{override}`" for override in each["overrides"]),
            f"{each['parameters']:,}", f"{each['epochs']:.1f}", f"{each['chosen_epoch']:.1f}",
            f"{each['train_test_gap']:+.3f}", _known(each["grad_norm_p95"], ".2f"),
            f"{each['seconds']:.0f}", str(each["cells"]),
        ]
        for each in at.trainings
    ]  # fmt: skip
    heads = ["", "what", "settings of its own", "parameters", "epochs", "chosen epoch",
             "train minus test accuracy", "gradient norm P95", "s a fit", "fits"]  # fmt: skip
    if not rows:
        return ""
    return f"How they trained at {at.horizon.words}, means over the fits:\n\n{_table(heads, rows)}"


def _alarms(result: BookResult) -> str:
    if not result.alarms:
        tried = result.alarms_tried
        return f"Leak alarms ([alarms.md](alarms.md)), cell by cell: none raised of {tried} tried."
    raised = "\n".join(f"- **{words}**" for words in result.alarms)
    return (
        f"Leak alarms ([alarms.md](alarms.md)) raised, of {result.alarms_tried} tried:\n\n{raised}"
    )


def _missing(missing: Sequence[Missing]) -> str:
    if not missing:
        return ""
    rows = [[each.what, str(each.cells), each.reason] for each in missing]
    return f"## What was not run, and why\n\n{_table(['', 'cells', 'reason'], rows)}"


def _figures(row: Row, *, bold: bool = False) -> list[str]:
    cells = []
    for key in _FIGURES:
        text = f"{row.figures[key]:.3f}"
        if row.spread and key != "majority_accuracy":
            text += f" ± {row.spread[key]:.3f}"
        cells.append(f"**{text}**" if bold and key == "f1_weighted" else text)
    return cells


def _lift(row: Row, adjusted: float) -> list[str]:
    lift = row.lift
    assert lift is not None
    interval = "" if lift.low is None else f" ({lift.low:+.3f} to {lift.high:+.3f})"
    return [
        f"{lift.value:+.3f}{interval}",
        f"{adjusted:.3f}" if adjusted >= 0.001 else "< 0.001",
        f"{lift.reached}/{lift.windows}",
        _known(lift.of_gate, "+.3f"),
    ]


def _seconds(row: Row) -> str:
    return _known(row.seconds, ".1f")


def _known(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _time(instant_ns: int, *, day: bool = True) -> str:
    instant = datetime.fromtimestamp(instant_ns / _NS_PER_SECOND, tz=UTC)
    return instant.strftime("%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S")


def _distinct(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)
