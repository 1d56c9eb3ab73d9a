"""Files spoilt at random: refused with one message, or judged as what is in them has to be judged.

The quick versions run a few hundred examples, the slow one (``pytest -m slow -s``) more than ten
thousand and prints what became of them. The first draws of a seed are always the same.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.end_to_end import mutations as mutate
from tests.end_to_end import mutations_of_text as mutate_text
from tests.end_to_end.checked_figures import check_figures
from tests.end_to_end.sound_files import (
    BASES,
    META_KEY,
    Base,
    Bench,
    Done,
    as_yaml,
    check_refusal,
    listing,
    quick_bench,
    run,
    score,
)

FILES = ("book.parquet", "test.parquet", "validation.parquet", "config.yaml", "training.json")
TABLE_NAMES = ("instrument", "fold", "decided_ns", "label_end_ns", "train_end_ns", "label",
               "p_down", "p_flat", "p_up")  # fmt: skip
WRITTEN = ({}, {"row_group_size": 7}, {"compression": "none"},
           {"use_dictionary": False, "data_page_size": 64})  # fmt: skip
OTHER_VALUES: dict[tuple[Any, ...], tuple[Any, ...]] = {
    ("data", "decisions"): ({"every_events": 3}, {"every_ms": 1000.0}, {"on": "mid_change"}),
    ("data", "window"): (1, 3, 10),
    ("data", "label", "horizon_events"): (1, 2, 5, 10),
    ("data", "label", "flat_share"): (0.1, 0.5, 0.9),
    ("data", "label", "threshold_ticks"): (0, 0.5, 1),
    ("data", "label", "kind"): ("smoothed", "triple_barrier", "executable"),
    ("walk_forward", "train"): (20, 30, 40),
    ("walk_forward", "validation"): (8, 15),
    ("walk_forward", "test"): (10, 20),
    ("walk_forward", "mode"): ("rolling", "expanding", "combinatorial"),
    ("backtest", "costs"): (
        "none", {"fee_bps": 0}, {"fee_per_unit": 0.01}, {"fee_bps": 9999}, {"preset": "bitstamp"},
        {"fee_bps": 1e-300}, {"minimum_fee": 1e300}, {"fee_per_unit": 1e300},
    ),
    ("backtest", "latency_ns"): (
        1, 10**8, 10**10, 10**15, 10**18, 10**18 + 1, {"median_ns": 10**8, "p99_ns": 10**9},
    ),
    ("backtest", "execution"): ("walk", "touch", "passive"),
    ("backtest", "position_limit"): (1, 0.1, 1000, 1e6, 1e9, 1e150, 1e300, 1e-300, 1e-12),
    ("backtest", "notional_limit"): (1, 1e9, 1e300, 1e-300),
    ("backtest", "capital"): (1, 1e9, 1e-9, 1e300),
    ("backtest", "bar_seconds"): (1, 7.5, 1e4, 1e9, 1e300, 0.01),
    ("backtest", "cost_multiples"): ([], [1], [0, 1e300]),
    ("backtest", "signal", "threshold"): (0.34, 0.5, 0.99, "validation"),
    ("backtest", "signal", "hold_decisions"): (1, 3, 1000),
    ("backtest", "signal", "candidates"): ([0.4], [0.34, 0.9], [0.4, 0.4]),
    ("backtest", "signal", "min_trades"): (1, 100),
    ("gates", "off"): (["f1_lift"], ["grad_norm", "backtest"], ["none"]),
    ("gates", "baseline"): ("best", "majority", "last_move"),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One file of one base, how it is spoilt, and how its Parquet is written."""

    base: Base
    file: str
    mutations: tuple[mutate.Mutation, ...]
    written: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.base.name}/{self.file}: {'; '.join(m.what for m in self.mutations)}"

    @property
    def is_bytes_alone(self) -> bool:
        """Whether nothing but bytes of a Parquet file was changed, by accident as it were."""
        only_bytes = all(m.what.startswith("bytes") for m in self.mutations)
        return self.file.endswith(".parquet") and only_bytes


def _mutation(base: Base, file: str) -> st.SearchStrategy[mutate.Mutation]:
    if file == "book.parquet":
        sides = [f"{side}_{what}_{level + 1}" for level in range(base.levels)
                 for side in ("ask", "bid") for what in ("price", "size")]  # fmt: skip
        return st.one_of(*_of_table(["time_ns", *sides], base.rows),
                         mutate.metadata_mutations(META_KEY))  # fmt: skip
    if file.endswith(".parquet"):
        return st.one_of(*_of_table(TABLE_NAMES, 60))
    trees = mutate_text.tree_mutations(OTHER_VALUES if file == "config.yaml" else None)
    return st.one_of(
        trees, trees, trees, mutate_text.text_mutations(), mutate_text.byte_mutations()
    )


def _of_table(names: Any, n: int) -> list[st.SearchStrategy[mutate.Mutation]]:
    cells = mutate.cell_mutations(names, n)
    return [mutate.row_mutations(n), cells, cells, mutate.column_mutations(names),
            mutate_text.byte_mutations()]  # fmt: skip


@st.composite
def cases(draw: st.DrawFn, *files: str) -> Case:
    """A base, one of its files, and one to three mutations."""
    base, file = draw(st.sampled_from(BASES)), draw(st.sampled_from(files))
    n = draw(st.sampled_from((1, 1, 2, 3)))
    made = tuple(draw(_mutation(base, file)) for _ in range(n))
    return Case(base, file, made, draw(st.sampled_from(WRITTEN)))


def spoil(case: Case, place: Path) -> None:
    """The table or tree first, as long as there is one, then the bytes."""
    path = place / case.file
    of_bytes = [m for m in case.mutations if m.what.startswith(("bytes", "text"))]
    of_content = [m for m in case.mutations if m not in of_bytes]
    if of_content and case.file.endswith(".parquet"):
        columns = mutate.Columns.of(pq.ParquetFile(path).read())
        for mutation in of_content:
            columns = mutation.apply(columns)
        columns.write(path, write_page_checksum=True, **case.written)
    elif of_content:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        for mutation in of_content:
            tree = mutation.apply(tree)
        is_yaml = case.file.endswith(".yaml")
        path.write_bytes(as_yaml(tree) if is_yaml else json.dumps(tree).encode())
    for mutation in of_bytes:
        path.write_bytes(mutation.apply(path.read_bytes()))


def judged(case: Case, bench: Bench) -> str:
    """Score with the spoilt file; what became of it."""
    place = bench.lay_out(case.base)
    spoil(case, place)
    before = listing(place)
    done = score(place)
    if done.code == 2:
        check_refusal(done, before, place)
        return "refused"
    check_written(done, before, place)
    return check_figures(place, bench.folder / case.base.name if case.is_bytes_alone else None)


def check_written(done: Done, before: dict[str, bytes | None], place: Path) -> None:
    """A report and nothing else beside what was there, and no word of trouble."""
    assert done.code in (0, 3), done
    assert not [line for line in done.err.splitlines() if not line.startswith("baselines: ")]
    after = listing(place)
    assert set(after) == set(before)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"out/report.json", "out/report.html"}


def remade(case: Case, bench: Bench) -> str:
    """A baseline's predictions on the spoilt book, scored there: figures of the book as it is."""
    place = bench.lay_out(case.base)
    spoil(case, place)
    before = listing(place)
    arguments = ("--book", place / "book.parquet", "--config", place / "config.yaml")
    for command in (
        ("inspect", place / "book.parquet"),
        ("label", place / "book.parquet", "--config", place / "config.yaml"),
        ("baseline", *arguments, "-o", place / "made", "--baselines", "last_move"),
    ):
        done = run(*command)
        if done.code == 2:
            check_refusal(done, before, place)
            return f"refused by {command[0]}"
        assert done.code == 0, done
    made = place / "made" / "last_move"
    (made / "predictions.parquet").replace(place / "test.parquet")
    (made / "validation_predictions.parquet").replace(place / "validation.parquet")
    before = listing(place)
    done = score(place)
    if done.code == 2:
        check_refusal(done, before, place)
        return "refused by score"
    check_written(done, before, place)
    return check_figures(place)


def reread(case: Case, bench: Bench) -> str:
    """Judge and compare the spoilt report: an outcome, or one message."""
    place = bench.lay_out(case.base)
    (place / "sound.json").write_bytes((place / "report.json").read_bytes())
    spoil(case, place)
    before = listing(place)
    spoilt, sound = place / "report.json", place / "sound.json"
    outcome = []
    for command in (
        ("gate", spoilt), ("compare", spoilt, sound), ("compare", sound, spoilt, "--json"),
    ):  # fmt: skip
        done = run(*command)
        if done.code == 2:
            check_refusal(done, before, place)
        else:
            assert done.code in ((0, 3) if command[0] == "gate" else (0,)), done
            assert not done.err, done
            assert listing(place) == before
        outcome.append("refused" if done.code == 2 else "accepted")
    return f"gate {outcome[0]}, compare {outcome[1]}"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with quick_bench(tmp_path_factory.mktemp("fuzz")) as made:
        yield made


def fuzz(
    check: Callable[[Case, Bench], str], bench: Bench, *files: str, n: int, number: int
) -> Counter[str]:
    """Run a check on ``n`` cases of these files; how many ended how."""
    tally: Counter[str] = Counter()

    @seed(number)
    @settings(
        max_examples=n,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(*files))
    def one(case: Case) -> None:
        tally[f"{case.file}, {check(case, bench)}"] += 1

    one()
    return tally


def test_the_plain_judge_agrees_on_what_is_sound(bench: Bench) -> None:
    for base in BASES:
        place = bench.lay_out(base)
        assert score(place).code in (0, 3)
        assert check_figures(place) == "accepted, recomputed"


def test_spoilt_files_are_refused_or_scored_as_they_are(bench: Bench) -> None:
    tally = fuzz(judged, bench, *FILES, n=180, number=1)
    ended = {outcome.partition(", ")[2] for outcome in tally}
    assert {"refused", "accepted, recomputed"} <= ended, tally


def test_spoilt_books_are_refused_or_become_other_books(bench: Bench) -> None:
    tally = fuzz(remade, bench, "book.parquet", n=120, number=2)
    assert tally["book.parquet, accepted, recomputed"] >= 10, tally


def test_spoilt_reports_are_refused_or_judged(bench: Bench) -> None:
    assert sum(fuzz(reread, bench, "report.json", n=20, number=3).values()) >= 20


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10, 20))
def test_ten_thousand_spoilt_books_and_tables(
    bench: Bench, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = fuzz(judged, bench, *FILES[:3], n=800, number=number)
    tally += fuzz(remade, bench, "book.parquet", n=300, number=number)
    tell(capsys, number, tally)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20, 24))
def test_spoilt_configs_training_figures_and_reports(
    bench: Bench, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = fuzz(judged, bench, "config.yaml", n=700, number=number)
    tally += fuzz(judged, bench, "training.json", n=150, number=number)
    tally += fuzz(reread, bench, "report.json", n=150, number=number)
    tell(capsys, number, tally)


def tell(capsys: pytest.CaptureFixture[str], number: int, tally: Counter[str]) -> None:
    with capsys.disabled():
        print(f"\nseed {number}: {sum(tally.values())} examples")
        for outcome, n in sorted(tally.items()):
            print(f"  {n:6} {outcome}")
