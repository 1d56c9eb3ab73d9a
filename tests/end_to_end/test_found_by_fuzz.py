"""What spoilt files got through or past once, each by its name; found by ``test_fuzz``."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.end_to_end.checked_figures import check_figures
from tests.end_to_end.mutations import Columns, retyped
from tests.end_to_end.sound_files import (
    BASES,
    META_KEY,
    Base,
    Bench,
    as_yaml,
    check_refusal,
    listing,
    quick_bench,
    run,
    score,
)

EVENTS, WALK, CLOCK, CHOSEN = BASES


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with quick_bench(tmp_path_factory.mktemp("found")) as made:
        yield made


def refused(place: Path, command: tuple[object, ...] | None = None) -> str:
    """The message with which scoring, or another command, refuses the folder's files."""
    before = listing(place)
    return check_refusal(score(place) if command is None else run(*command), before, place)


def changed_table(path: Path, change: Callable[[Columns], Columns]) -> None:
    change(Columns.of(pq.ParquetFile(path).read())).write(path)


def with_column(name: str, change: Callable[[pa.Array], pa.Array]) -> Callable[[Columns], Columns]:
    def apply(columns: Columns) -> Columns:
        at = columns.names.index(name)
        return columns.with_array(at, change(columns.arrays[at]))

    return apply


def with_meta(**values: Any) -> Callable[[Columns], Columns]:
    def apply(columns: Columns) -> Columns:
        meta = json.loads(columns.metadata[META_KEY]) | values
        return Columns(columns.names, columns.arrays, {META_KEY: json.dumps(meta).encode()})

    return apply


def cell(row: int, value: Any) -> Callable[[pa.Array], pa.Array]:
    def change(array: pa.Array) -> pa.Array:
        values = array.to_pylist()
        values[row] = value
        return pa.array(values, array.type)

    return change


@pytest.mark.parametrize("file", ["test.parquet", "validation.parquet"])
@pytest.mark.parametrize("name", ["label", "label_end_ns"])
def test_what_came_true_is_said_by_the_book_and_not_by_the_table(
    bench: Bench, file: str, name: str
) -> None:
    place = bench.lay_out(CHOSEN)

    def other(array: pa.Array) -> pa.Array:
        value = array[0].as_py()
        return cell(0, (value + 1) % 3 if name == "label" else value + 1)(array)

    changed_table(place / file, with_column(name, other))
    n, part = pq.ParquetFile(place / file).metadata.num_rows, file.removesuffix(".parquet")
    assert f"1 of {n} {part} decisions have another {name} than the book" in refused(place)


def test_validation_decisions_cannot_be_left_out_of_the_choice_of_a_threshold(
    bench: Bench,
) -> None:
    place = bench.lay_out(CHOSEN)
    n = pq.ParquetFile(place / "validation.parquet").metadata.num_rows
    changed_table(place / "validation.parquet", lambda columns: columns.rows([0, *range(2, n)]))
    assert "validation decisions of the config's" in refused(place)


def test_an_unsigned_label_does_not_turn_into_an_unknown_one(bench: Bench) -> None:
    place = bench.lay_out(EVENTS)
    huge = 2**64 - 1  # as int64: -1, unknown, not scored

    def unsigned(array: pa.Array) -> pa.Array:
        return cell(0, huge)(array.cast(pa.uint64(), safe=False))

    changed_table(place / "test.parquet", with_column("label", unsigned))
    assert f"column label has {huge}; needs int64" in refused(place)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (pa.list_(pa.float64()), "rows have no instrument"),
        (pa.int64(), "rows have no instrument"),
        (pa.null(), "rows have no instrument"),
    ],
)
def test_an_instrument_that_is_no_text_is_refused(
    bench: Bench, wanted: pa.DataType, message: str
) -> None:
    place = bench.lay_out(EVENTS)
    made = pa.array([None] * 60) if wanted == pa.null() else None

    def other(array: pa.Array) -> pa.Array:
        if made is not None:
            return made[: len(array)]
        return pa.array([[1.0] if pa.types.is_list(wanted) else 1] * len(array), wanted)

    changed_table(place / "test.parquet", with_column("instrument", other))
    assert message in refused(place)


def test_a_predictions_column_that_is_there_twice_is_refused(bench: Bench) -> None:
    place = bench.lay_out(EVENTS)

    def twice(columns: Columns) -> Columns:
        return Columns([*columns.names, "instrument"], [*columns.arrays, columns.arrays[0]], {})

    changed_table(place / "test.parquet", twice)
    assert "columns given twice ['instrument']" in refused(place)


def test_probabilities_that_overflow_are_refused_without_a_warning(bench: Bench) -> None:
    place = bench.lay_out(EVENTS)
    for name in ("p_up", "p_down"):
        changed_table(place / "test.parquet", with_column(name, cell(0, 1.7e308)))
    assert "a probability above 1" in refused(place)


def test_an_index_that_pandas_wrote_is_no_column(bench: Bench) -> None:
    place = bench.lay_out(EVENTS)
    frame = pq.ParquetFile(place / "test.parquet").read().to_pandas()
    frame.index = np.arange(len(frame))[::-1]
    frame.to_parquet(place / "test.parquet")
    assert score(place).code in (0, 3)


@pytest.mark.parametrize("file", ["book.parquet", "test.parquet", "validation.parquet"])
def test_no_flipped_bit_in_the_data_goes_unnoticed(bench: Bench, file: str) -> None:
    place = bench.lay_out(CHOSEN)
    data = (place / file).read_bytes()
    metadata = pq.ParquetFile(place / file).metadata
    chunk = metadata.row_group(0).column(metadata.num_columns - 1)
    # The last byte of the last column's data page.
    at = chunk.dictionary_page_offset or chunk.data_page_offset
    at += chunk.total_compressed_size - 1
    (place / file).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert "damaged" in refused(place)


def test_a_flipped_digit_of_the_tick_size_is_noticed(bench: Bench) -> None:
    place = bench.lay_out(EVENTS)
    data = (place / "book.parquet").read_bytes()
    assert data.count(b'"tick_size": 0.01') == 1  # the other copy is coded
    (place / "book.parquet").write_bytes(data.replace(b'"tick_size": 0.01', b'"tick_size": 0.05'))
    assert "contradicts itself about its instrument, tick size or session" in refused(place)


def test_a_huge_deeper_level_does_not_hide_the_best_one_from_a_walking_order(
    bench: Bench,
) -> None:
    place = bench.lay_out(WALK)
    n = pq.ParquetFile(place / "book.parquet").metadata.num_rows

    def huge(array: pa.Array) -> pa.Array:
        return pa.array([2.0**53 if size else 0.0 for size in array.to_pylist()], array.type)

    changed_table(place / "book.parquet", with_column("ask_size_2", huge))
    changed_table(
        place / "book.parquet", with_column("ask_size_1", lambda _: pa.array([0.125] * n))
    )
    assert score(place).code in (0, 3)
    assert check_figures(place) == "accepted, recomputed"


@pytest.mark.parametrize("name", ["ask_size_1", "bid_size_2"])
def test_a_size_that_float64_cannot_count_is_refused(bench: Bench, name: str) -> None:
    place = bench.lay_out(WALK)
    changed_table(place / "book.parquet", with_column(name, cell(5, 1e18)))
    assert f"an {name[:3]} size beyond 2**53 in 1 of 260 rows" in refused(place)
    command = ("import", "parquet", place / "book.parquet", "-o", place / "out.parquet")
    assert "needs sizes of 0 or more, up to 2**53" in refused(place, command)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"timezone": ""}, "timezone='' is no known time zone"),
        ({"timezone": "Mars/Olympus"}, "timezone='Mars/Olympus' is no known time zone"),
        ({"tick_size": 5e-324}, "needs a positive price step, from 1e-15"),
        ({"tick_size": 1e300}, "needs a positive price step, from 1e-15"),
        ({"session_open": "०९:३०"}, "needs HH:MM"),
        ({"session_open": "x" * 5000}, "needs HH:MM"),
        ({"tick_size": "x" * 5000}, "import the book anew"),
        ({"instrument": ""}, "instrument='': needs a name"),
        ({"currency": "x" * 5000}, "needs a name of 1 to 200 letters"),
    ],
)
@pytest.mark.parametrize("base", [EVENTS, WALK], ids=["always open", "hours"])
def test_metadata_that_no_market_has_are_refused(
    bench: Bench, base: Base, values: dict[str, Any], message: str
) -> None:
    place = bench.lay_out(base)
    values = {"session_close": "16:00", **values} if "session_open" in values else values
    changed_table(place / "book.parquet", with_meta(**values))
    assert message in refused(place)


def test_metadata_nested_without_end_are_refused(bench: Bench) -> None:
    place = bench.lay_out(EVENTS)
    changed_table(
        place / "book.parquet",
        lambda columns: Columns(columns.names, columns.arrays, {META_KEY: b"[" * 100_000}),
    )
    assert "the book metadata are no JSON" in refused(place, ("inspect", place / "book.parquet"))


def test_a_trade_at_a_price_below_0_is_refused(bench: Bench) -> None:
    place = bench.lay_out(EVENTS)
    arguments = ("--book", place / "book.parquet", "--config", place / "config.yaml")

    def sunk(array: pa.Array) -> pa.Array:
        return pa.array([price - 20_000 for price in array.to_pylist()], array.type)

    for side in ("ask", "bid"):
        changed_table(place / "book.parquet", with_column(f"{side}_price_1", sunk))
    made = place / "made"
    assert run("baseline", *arguments, "-o", made, "--baselines", "last_move").code == 0
    (made / "last_move" / "predictions.parquet").replace(place / "test.parquet")
    message = refused(place)
    assert "orders trade at prices of 0 or below" in message or "capital=-" in message


def changed_config(place: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = place / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(config)
    path.write_bytes(as_yaml(config))


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("backtest", "position_limit", 1e300, "position_limit=1e+300 needs to be from"),
        ("backtest", "position_limit", 1e-300, "position_limit=1e-300 needs to be from"),
        ("backtest", "capital", 1e300, "capital=1e+300 needs to be from"),
        ("backtest", "bar_seconds", 1e15, "bar_seconds=1000000000000000.0 needs to be at most"),
        ("backtest", "costs", {"minimum_fee": 1e300}, "minimum_fee=1e+300 needs to be at most"),
        ("backtest", "cost_multiples", [1e300], "cost_multiples need to be >= 0 and at most"),
        ("backtest", "latency_ns", 10**400, "latency_ns: got"),
        ("data", "window", 2**70, "data.window: got 1180591620717411303424; needs a whole number"),
        ("data", "decisions", {"every_ms": 1e17}, "needs at most 1e+18, thirty years"),
        ("data", "label", "x" * 10_000, "data.label: got 'xxx"),
    ],
)
def test_figures_that_would_overflow_are_refused(
    bench: Bench, section: str, key: str, value: Any, message: str
) -> None:
    place = bench.lay_out(EVENTS)
    changed_config(place, lambda config: config[section].update({key: value}))
    assert message in refused(place)


@pytest.mark.parametrize(
    "text",
    ["x: 2020-13-45", "x: 0b_", "x: !!int abc", "x: !!timestamp 1", "[" * 3000,
     "backtest: {}\nbacktest: {}", "data: {window: 4, window: 5}"],
)  # fmt: skip
def test_yaml_that_makes_no_value_or_two_is_refused(bench: Bench, text: str) -> None:
    place = bench.lay_out(EVENTS)
    (place / "config.yaml").write_text(text, encoding="utf-8")
    assert "not valid YAML" in refused(place)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"train_accuracy": ' + "1" * 400 + "}", "needs a share within 0 and 1"),
        ('{"grad_norm_p50": 1' + "0" * 400 + "}", "needs a finite number"),
        ('{"grad_norm_p50": 1e999}', "1e999 is no finite number"),
        ('{"grad_norm_p50": NaN}', "NaN is no finite number"),
        ("[" * 100_000, "not valid JSON"),
        ('{"train_accuracy": 0.5, "train_accuracy": 0.9}', "'train_accuracy' is given twice"),
    ],
)
def test_json_that_no_training_run_writes_is_refused(bench: Bench, text: str, message: str) -> None:
    place = bench.lay_out(EVENTS)
    (place / "training.json").write_text(text, encoding="utf-8")
    assert message in refused(place)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("folds", 0), None),
        (("folds", 0, "f1_weighted"), "x"),
        (("aggregate", "baselines", "majority"), {}),
        (("aggregate", "baselines"), 3),
        (("blocks", "start_ns"), [1, 2]),
    ],
)
def test_a_report_that_was_edited_is_told_from_one_that_was_written(
    bench: Bench, path: tuple[Any, ...], value: Any
) -> None:
    place = bench.lay_out(WALK)
    report = json.loads((place / "report.json").read_text(encoding="utf-8"))
    (place / "sound.json").write_text(json.dumps(report), encoding="utf-8")
    target = report
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    (place / "report.json").write_text(json.dumps(report), encoding="utf-8")
    command = "compare" if path[0] == "blocks" else "gate"
    more = (place / "sound.json",) if command == "compare" else ()
    assert "not as lob-backtest score wrote it" in refused(
        place, (command, place / "report.json", *more)
    )


def test_what_a_terminal_would_act_on_is_written_out(bench: Bench) -> None:
    place = bench.lay_out(EVENTS)
    changed_table(place / "book.parquet", with_meta(timezone="\x1b[2J\x07"))
    assert "\\x1b[2J" in refused(place)


@pytest.mark.parametrize("name", ["ts_ms", "asks_px"])
def test_snapshot_columns_that_are_there_twice_are_refused(tmp_path: Path, name: str) -> None:
    lists = {f"{side}s_{what}": [[100.0 + (side == "ask")]] for side in ("ask", "bid")
             for what in ("px", "qty")}  # fmt: skip
    table = pa.table({"ts_ms": [1_704_412_800_000], **lists})
    table = table.append_column(name, table.column(name))
    pq.write_table(table, tmp_path / "s.parquet")
    command = ("import", "snapshots", tmp_path / "s.parquet", "-o", tmp_path / "book.parquet",
               "--instrument", "X", "--tick-size", "0.01", "--currency", "USD")  # fmt: skip
    assert f"the columns {name} are there more than once" in refused(tmp_path, command)


@pytest.mark.parametrize("wanted", ["duration", "bool", "float64"])
def test_snapshot_times_of_another_type_are_refused(tmp_path: Path, wanted: str) -> None:
    types = {"duration": pa.duration("ns"), "bool": pa.bool_(), "float64": pa.float64()}
    lists = {f"{side}s_{what}": [[100.0 + (side == "ask")]] for side in ("ask", "bid")
             for what in ("px", "qty")}  # fmt: skip
    times = retyped(pa.array([1_704_412_800_000_000_001]), types[wanted])
    pq.write_table(pa.table({"ts_ns": times, **lists}), tmp_path / "s.parquet")
    command = ("import", "snapshots", tmp_path / "s.parquet", "-o", tmp_path / "book.parquet",
               "--instrument", "X", "--tick-size", "0.01", "--currency", "USD")  # fmt: skip
    assert "whole number" in refused(tmp_path, command)


def test_what_does_not_fit_into_memory_is_one_message(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everything(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 3.2 TiB")

    place = bench.lay_out(EVENTS)
    monkeypatch.setattr("lob_backtest.commands.scoring.score_many", everything)
    assert "not enough memory (Unable to allocate 3.2 TiB)" in refused(place)


@pytest.mark.parametrize(
    "name", ["book.parquet", "test.parquet", "validation.parquet", "config.yaml", "training.json"]
)
def test_a_folder_in_the_place_of_a_file_is_refused(bench: Bench, name: str) -> None:
    place = bench.lay_out(EVENTS)
    (place / name).unlink()
    (place / name).mkdir()
    assert "no such" in refused(place)


@pytest.mark.parametrize("name", ["test.parquet", "config.yaml", "training.json"])
def test_a_sound_file_of_another_kind_is_refused(bench: Bench, name: str) -> None:
    place = bench.lay_out(EVENTS)
    (place / name).write_bytes((place / "book.parquet").read_bytes())
    assert name in refused(place)


def test_an_output_that_is_a_file_is_refused(bench: Bench) -> None:
    place = bench.lay_out(EVENTS)
    (place / "note").write_text("mine", encoding="utf-8")
    assert "note" in refused(place, (
        "score", place / "test.parquet", "--book", place / "book.parquet", "--config",
        place / "config.yaml", "-o", place / "note", "--baselines", "majority",
    ))  # fmt: skip


@pytest.mark.parametrize("seed", ["-1", str(2**32), "x", "1e3", "１"])
@pytest.mark.parametrize("command", ["score", "compare", "synthetic"])
def test_a_seed_that_nothing_takes_is_refused(command: str, seed: str) -> None:
    files = {"score": ["t", "--config", "c"], "compare": ["a", "b"], "synthetic": []}[command]
    more = [] if command == "compare" else ["-o", "out"]
    with pytest.raises(SystemExit) as ended:
        run(command, *files, *more, f"--seed={seed}")
    assert ended.value.code == 2


def test_the_seed_of_a_synthetic_book_in_a_config_is_not_negative(bench: Bench) -> None:
    place = bench.lay_out(EVENTS)
    book = {"days": 1, "rows_per_day": 400, "seed": -1}
    changed_config(place, lambda config: config["data"].update({"book": book}))
    command = ("baseline", "--config", place / "config.yaml", "-o", place / "made")
    assert "seed=-1: needs 0 or more" in refused(place, command)


@pytest.mark.parametrize("option", ["--size=inf", "--price=1e300", "--size=nan", "--price=0"])
def test_costs_of_nothing_and_of_everything_are_refused(tmp_path: Path, option: str) -> None:
    assert "needs a positive size and price" in refused(tmp_path, ("costs", option))
