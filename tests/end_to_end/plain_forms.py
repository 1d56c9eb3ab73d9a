"""Tiny files of every import format, and what is in them by readers of a few plain lines.

The plain readers know nothing of chunks, Arrow or pandas: csv, json, ``int`` and ``Decimal``. What
they cannot read they raise on, and then the import has to refuse it too.
"""

import gzip
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.end_to_end.plain_files import (
    EPOCH,
    NEW_YORK,
    NS,
    OPENING_NS,
    Form,
    Row,
    Side,
    csv_of,
    level_of,
    lines_of,
    number_of,
    truth,
    whole,
)


def lobster() -> list[Form]:
    rows, name = truth(40, 2), "GOOG_2012-06-21_34200000_57600000_{}_2.csv"
    book = [
        [value for ask, bid in zip(asks, bids, strict=True)
         for value in (*_flat(*ask, 1), *_flat(*bid, -1))]
        for _, asks, bids in rows
    ]  # fmt: skip
    message = [
        [f"{(OPENING_NS + t) // NS}.{(OPENING_NS + t) % NS:09d}", 1, 7, 100, 100, 1]
        for t, _, _ in rows
    ]
    files = {name.format("orderbook"): csv_of(book), name.format("message"): csv_of(message)}
    return [
        Form(f"lobster {part}", "lobster", files, name.format(part), (), _read_lobster,
             has_hours=True)
        for part in ("orderbook", "message")
    ]  # fmt: skip


def _flat(price: int, size: int, sign: int) -> list[int]:
    return [price * 100 if size else sign * 9_999_999_999, size]


def _read_lobster(files: dict[str, bytes]) -> list[Row]:
    book, message = (lines_of(data) for data in files.values())
    midnight = int(datetime(2012, 6, 21, tzinfo=NEW_YORK).timestamp()) * NS
    rows = []
    for numbers, (seconds, *rest) in zip(book, message, strict=True):
        assert len(numbers) == 8
        assert len([whole(field) for field in rest]) == 5
        time = (Decimal(seconds) * NS).quantize(Decimal(1), ROUND_HALF_UP)
        values = [whole(number) for number in numbers]
        sides = []
        for at, no_level in ((0, 9_999_999_999), (2, -9_999_999_999)):
            side = []
            for price, size in ((values[i], values[i + 1]) for i in (at, at + 4)):
                if size < 0 or (price == no_level and size) or (price != no_level and price % 100):
                    raise ValueError(price, size)
                side.append((Decimal(price // 100), Decimal(size)))
            sides.append(side)
        rows.append((midnight + int(time), *sides))
    return rows


def bitmex() -> list[Form]:
    lines = []
    for t, asks, bids in truth(40, 10):
        seconds = (datetime(2020, 3, 3, tzinfo=UTC) + timedelta(seconds=t // NS)).isoformat(" ")
        numbers = [*(price / 2 for price, _ in asks), *(size for _, size in asks),
                   *(price / 2 for price, _ in bids), *(size for _, size in bids)]  # fmt: skip
        lines.append([seconds[:19], t % NS // 10**6, "XBTUSD\0\0", *numbers])
    files = {"book10.csv": csv_of(lines)}
    plain = Form("bitmex", "bitmex", files, "book10.csv", (), _read_bitmex)
    packed = Form("bitmex gz", "bitmex", files, "book10.csv", (), _read_bitmex,
                  pack=gzip.compress, unpack=gzip.decompress)  # fmt: skip
    return [plain, packed]


def _read_bitmex(files: dict[str, bytes]) -> list[Row]:
    rows, names = [], set()
    for seconds, ms, symbol, *numbers in lines_of(files["book10.csv"]):
        assert len(numbers) == 40
        names.add(symbol.strip("\0 "))
        at = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
        assert 0 <= whole(ms) <= 999
        time = int((at - EPOCH).total_seconds()) * NS + whole(ms) * 10**6
        sides = [
            [level_of(price, size, "0.5") for price, size in
             zip(numbers[start : start + 10], numbers[start + 10 : start + 20], strict=True)]
            for start in (0, 20)
        ]  # fmt: skip
        rows.append((time, *sides))
    assert names == {"XBTUSD"}
    return rows


def lean() -> list[Form]:
    lines: list[list[Any]] = []
    for place, (t, asks, bids) in enumerate(truth(40, 1)):
        ask, bid = [asks[0][0] * 100, asks[0][1]], [bids[0][0] * 100, bids[0][1]]
        said = [[*bid, 0, 0], [0, 0, *ask], [*bid, *ask]][place % 3]
        lines.append([OPENING_NS // 10**6 + t // 10**6, *said, "P", 1, int(place % 11 == 5)])
    name = "20131007_bac_Quote_Tick.csv"
    form = Form("lean", "lean", {name: csv_of(lines)}, name, (), _read_lean, has_hours=True)
    packed = Form("lean zip", "lean", {name: csv_of(lines)}, name, (), _read_lean, has_hours=True,
                  pack=_zipped, unpack=_unzipped)  # fmt: skip
    return [form, packed]


def _zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("20131007_bac_Quote_Tick.csv", data)
    return file.getvalue()


def _unzipped(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (name,) = archive.namelist()
        return archive.read(name)


def _read_lean(files: dict[str, bytes]) -> list[Row]:
    midnight = int(datetime(2013, 10, 7, tzinfo=NEW_YORK).timestamp()) * NS
    bid, ask, rows = (Decimal(0), Decimal(0)), (Decimal(0), Decimal(0)), []
    for ms, *quote, _, _, suspicious in lines_of(next(iter(files.values()))):
        bid_price, bid_size, ask_price, ask_size = (whole(field) for field in quote)
        assert 0 <= whole(ms) < 86_400_000
        assert whole(suspicious) in (0, 1)
        for price, size in ((bid_price, bid_size), (ask_price, ask_size)):
            if price < 0 or size < 0 or (size and not price):
                raise ValueError(quote)
        if whole(suspicious) or not (bid_price or ask_price):
            continue
        if bid_price % 100 or ask_price % 100:
            raise ValueError(quote)
        bid = (Decimal(bid_price // 100), Decimal(bid_size)) if bid_price else bid
        ask = (Decimal(ask_price // 100), Decimal(ask_size)) if ask_price else ask
        rows.append((midnight + whole(ms) * 10**6, [ask], [bid]))
    return rows


_DATABENTO = ["ts_recv", "ts_event", "publisher_id", "flags", *(
    f"{side}_{what}_0{level}" for level in range(2) for what in ("px", "sz")
    for side in ("bid", "ask")), "symbol"]  # fmt: skip


def databento() -> list[Form]:
    midnight = int(datetime(2024, 1, 5, tzinfo=NEW_YORK).timestamp()) * NS
    lines: list[list[Any]] = [list(_DATABENTO)]
    for place, (t, asks, bids) in enumerate(truth(40, 2)):
        at = midnight + OPENING_NS + t
        cells: list[Any] = []
        for level in range(2):
            pair = (bids[level], asks[level])
            cells += [f"{price / 100:.9f}" if size else "" for price, size in pair]
            cells += [size for _, size in pair]
        flags = 0 if place % 9 == 4 else 4 + 128 if place % 13 == 6 else 128
        lines.append([at, at - 5, 2, flags, *cells, "ACME"])
    files = {"mbp.csv": csv_of(lines)}
    return [Form("databento", "databento", files, "mbp.csv", (), _read_databento, has_hours=True)]


def _read_databento(files: dict[str, bytes]) -> list[Row]:
    head, *lines = lines_of(files["mbp.csv"])
    rows, latest, venues, names = [], -(2**63), set(), set()
    clock = "ts_recv" if "ts_recv" in head else "ts_event"
    there = range(2 if {name for name in _DATABENTO if name.endswith("_01")} <= set(head) else 1)
    for line in lines:
        got = dict(zip(head, line, strict=True))
        flags, time = whole(got["flags"]), whole(got[clock])
        venues.add(whole(got["publisher_id"]) if "publisher_id" in got else 0)
        names.add(got.get("symbol", ""))
        if not flags & 128 or flags & 4:
            continue
        sides = []
        for side in ("ask", "bid"):
            levels = []
            for level in there:
                price, size = got[f"{side}_px_0{level}"], got[f"{side}_sz_0{level}"]
                missing = price in ("", str(2**63 - 1))
                size = "0" if size in ("", str(2**63 - 1)) else size
                if missing and number_of(size) > 0:
                    raise ValueError(line)
                levels.append(level_of("1" if missing else price, size, "0.01"))
            sides.append(levels)
        known = max(time, latest)
        latest = known
        rows.append((known if known - time <= NS else time, *sides))
    assert len(venues) == 1
    assert len(names) == 1
    return rows


def snapshots() -> list[Form]:
    start = int(datetime(2024, 1, 5, tzinfo=UTC).timestamp()) * 1000
    rows = [
        (start + t // 10**6, [(f"{p / 100:.2f}", f"{q}") for p, q in asks if q],
         [(f"{p / 100:.2f}", f"{q}") for p, q in bids if q])
        for t, asks, bids in truth(40, 4)
    ]  # fmt: skip
    asked = ("--instrument", "BTC", "--tick-size", "0.01", "--currency", "USDT", "--levels", "2")
    lines = [json.dumps({"ts": t, "bids": bids, "asks": asks}) for t, asks, bids in rows]
    of_json = Form("snapshots json", "snapshots", {"s.jsonl": "\n".join(lines).encode()},
                   "s.jsonl", asked, _read_json)  # fmt: skip
    table = pa.table(
        {"ts_ms": [t for t, _, _ in rows]}
        | {
            f"{side}s_{what}": [[float(level[i]) for level in row[k]] for row in rows]
            for k, side in ((1, "ask"), (2, "bid"))
            for i, what in ((0, "px"), (1, "qty"))
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file, write_page_checksum=True)
    of_parquet = Form("snapshots parquet", "snapshots", {"s.parquet": file.getvalue()},
                      "s.parquet", asked, _read_lists)  # fmt: skip
    return [of_json, of_parquet]


def _two(levels: list[Any]) -> Side:
    side = [level_of(price, size, "0.01") for price, size, *_ in levels[:2]]
    return side + [(Decimal(0), Decimal(0))] * (2 - len(side))


def _read_json(files: dict[str, bytes]) -> list[Row]:
    rows = []
    for line in files["s.jsonl"].decode("utf-8-sig").split("\n"):
        if line.strip():
            item = json.loads(line, parse_float=str)
            for value in (v for side in ("asks", "bids") for level in item[side] for v in level):
                assert not isinstance(value, bool)
            assert isinstance(item["ts"], int | str)
            sides = [_two(item[side]) for side in ("asks", "bids")]
            rows.append((_from_1970(int(item["ts"])), *sides))
    return rows


def _from_1970(number: int) -> int:
    unit = {range(9, 12): NS, range(12, 15): 10**6, range(15, 18): 1000, range(18, 20): 1}
    return next(number * ns for digits, ns in unit.items() if len(str(number)) in digits)


def _read_lists(files: dict[str, bytes]) -> list[Row]:
    rows = []
    for item in pq.ParquetFile(io.BytesIO(files["s.parquet"])).read().to_pylist():
        time = next(
            _instant(item[f"ts_{unit}"], ns)
            for unit, ns in (("ns", 1), ("us", 1000), ("ms", 10**6), ("s", NS))
            if f"ts_{unit}" in item
        )
        sides = [
            _two(list(zip(item[f"{side}_px"], item[f"{side}_qty"], strict=True)))
            for side in ("asks", "bids")
        ]  # fmt: skip
        rows.append((time, *sides))
    return rows


def _instant(value: Any, ns: int) -> int:
    """A number of the column's unit, or a timestamp, which says itself what it is."""
    return int(value.value) if hasattr(value, "value") else int(value) * ns


_MAPPING = b"""instrument: ACME
tick_size: 0.01
currency: USD
time: {column: t, unit: ns}
levels:
  count: 2
  ask_price: a{level}
  ask_size: A{level}
  bid_price: b{level}
  bid_size: B{level}
missing: [""]
"""


def mapped() -> list[Form]:
    start = int(datetime(2024, 1, 5, tzinfo=UTC).timestamp()) * NS
    names = ["t", "a1", "A1", "b1", "B1", "a2", "A2", "b2", "B2"]
    lines = [names] + [
        [start + t, *(value for pair in zip(asks, bids, strict=True) for price, size in pair
                      for value in (f"{price / 100:.2f}", size))]
        for t, asks, bids in truth(40, 2)
    ]  # fmt: skip
    files = {"day.csv": csv_of(lines), "day.yaml": _MAPPING}
    asked = ("--mapping", "day.yaml")
    return [Form("mapped", "mapped", files, "day.csv", asked, _read_mapped),
            Form("mapped yaml", "mapped", files, "day.yaml", asked, None)]  # fmt: skip


def _read_mapped(files: dict[str, bytes]) -> list[Row]:
    head, *lines = lines_of(files["day.csv"])
    rows = []
    for line in lines:
        got = dict(zip(head, line, strict=True))
        sides = []
        for price, size in (("a", "A"), ("b", "B")):
            levels = []
            for level in "12":
                of_price, of_size = got[price + level], got[size + level] or "0"
                if of_price == "" and number_of(of_size) > 0:
                    raise ValueError(line)
                levels.append(level_of(of_price or "1", of_size, "0.01"))
            sides.append(levels)
        time = Decimal(got["t"]).quantize(Decimal(1), ROUND_HALF_UP)
        rows.append((int(time), *sides))
    return rows


def fi2010() -> list[Form]:
    columns = []
    for stock, scale in enumerate((1, 2, 3, 1.5, 4)):
        for _, asks, bids in truth(8, 10, seed=stock):
            column = []
            for (ask, ask_size), (bid, bid_size) in zip(asks, bids, strict=True):
                column += [ask * scale / 1e4, ask_size / 1e5, bid * scale / 1e4, bid_size / 1e5]
            columns.append(column + [0.5] * 104 + [1, 2, 3, 1, 2])
    text = "\n".join("   ".join(f"{column[i]:.7e}" for column in columns) for i in range(149))
    name = "Train_Dst_NoAuction_DecPre_CF_1.txt"
    asked = ("--instrument", "stock_2")
    return [Form("fi2010", "fi2010", {name: text.encode()}, name, asked, None)]


def bitstamp() -> list[Form]:
    rng = np.random.default_rng(3)
    lines: list[list[Any]] = [
        ["id", "timestamp", "exchange_timestamp", "price", "volume", "action", "direction"]
    ]
    alive: dict[int, tuple[float, str]] = {}
    at = 1_500_000_000_000
    for order in range(1, 90):
        at += int(rng.integers(0, 400))
        if len(alive) > 12 and rng.random() < 0.5:
            gone = int(rng.choice(list(alive)))
            price, side = alive.pop(gone)
            lines.append([gone, at, at, price, 1.5, "deleted", side])
            continue
        side = "bid" if rng.random() < 0.5 else "ask"
        price = round(100 + (-1 if side == "bid" else 1) * float(rng.integers(1, 40)) / 100, 2)
        alive[order] = (price, side)
        lines.append([order, at, at, price, round(float(rng.random()) + 0.1, 8), "created", side])
    files = {"orders.csv": csv_of(lines)}
    return [Form("bitstamp", "bitstamp", files, "orders.csv", ("--levels", "2"), None)]


def forms() -> list[Form]:
    """One of every kind."""
    made = (lobster, bitmex, lean, databento, snapshots, mapped, fi2010, bitstamp)
    return [form for make in made for form in make()]
