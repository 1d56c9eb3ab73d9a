"""Files of every import format spoilt at random: refused, or the book that a plain reader makes."""

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.end_to_end import mutations as mutate
from tests.end_to_end import mutations_of_text as mutate_text
from tests.end_to_end.plain_files import Form, cleaned, write
from tests.end_to_end.plain_forms import forms
from tests.end_to_end.plain_plan import PlainBook
from tests.end_to_end.sound_files import check_refusal, listing, run

FORMS = {form.name: form for form in forms()}
LISTS = ("ts_ms", "asks_px", "asks_qty", "bids_px", "bids_qty")


@dataclass(frozen=True)
class Case:
    """A form and how its file is spoilt."""

    form: Form
    mutations: tuple[mutate.Mutation, ...]

    def __repr__(self) -> str:
        return f"{self.form.name}: {'; '.join(m.what for m in self.mutations)}"


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One of the forms and one to three mutations of its file."""
    form = FORMS[draw(st.sampled_from(sorted(FORMS)))]
    csv, of_bytes = mutate_text.csv_mutations(), mutate_text.byte_mutations()
    ways = [csv, csv, csv, mutate_text.text_mutations(), of_bytes]
    if form.spoilt.endswith(".parquet"):
        ways = [mutate.row_mutations(40), mutate.column_mutations(LISTS),
                mutate.cell_mutations(LISTS, 40), of_bytes]  # fmt: skip
    n = draw(st.sampled_from((1, 1, 2, 3)))
    return Case(form, tuple(draw(st.one_of(ways)) for _ in range(n)))


def spoilt(case: Case) -> tuple[dict[str, bytes], Callable[[bytes], bytes]]:
    """The files, and what is still to be done to the packed bytes."""
    form, files = case.form, dict(case.form.files)
    data = files[form.spoilt]
    of_bytes = [m for m in case.mutations if m.what.startswith("bytes")]
    others = [m for m in case.mutations if m not in of_bytes]
    if others and form.spoilt.endswith(".parquet"):
        columns = mutate.Columns.of(pq.ParquetFile(io.BytesIO(data)).read())
        for mutation in others:
            columns = mutation.apply(columns)
        buffer = io.BytesIO()
        columns.write(buffer, write_page_checksum=True)
        data = buffer.getvalue()
    else:
        for mutation in others:
            data = mutation.apply(data)
    is_packed = form.pack is not bytes and next(iter(files)) == form.spoilt

    def after(packed: bytes) -> bytes:
        for mutation in of_bytes:
            packed = mutation.apply(packed)
        return packed

    files[form.spoilt] = data if is_packed else after(data)
    return files, after if is_packed else bytes


def imported(case: Case, folder: Path) -> str:
    """Import the spoilt file over an older book; what became of it."""
    for path in folder.iterdir():
        path.unlink()
    files, after = spoilt(case)
    path = write(case.form, files, folder)
    path.write_bytes(after(path.read_bytes()))
    output = folder / "book.parquet"
    output.write_bytes(b"older")
    before = listing(folder)
    more = [str(folder / word) if word in files else word for word in case.form.arguments]
    done = run("import", case.form.source_format, path, "-o", output, *more)
    if done.code == 2:
        check_refusal(done, before, folder)
        return "refused"
    assert done.code == 0, done
    assert set(listing(folder)) == set(before)
    book = PlainBook.read(output)
    assert run("inspect", output).code == 0
    if case.form.read is None:
        return "accepted"
    files[next(iter(files))] = case.form.unpack(path.read_bytes())
    rows = cleaned(case.form.read(files), has_hours=case.form.has_hours)
    assert in_ticks(book) == rows
    return "accepted, the same rows"


def in_ticks(book: PlainBook) -> list[Any]:
    """The rows of a book as plain readers give them."""

    def side(levels: list[tuple[int, float]]) -> list[tuple[Decimal, Decimal]]:
        return [(Decimal(price), Decimal(repr(size))) for price, size in levels]

    rows = zip(book.time, book.ask, book.bid, strict=True)
    return [(time, side(ask), side(bid)) for time, ask, bid in rows]


def fuzz(folder: Path, *, n: int, number: int) -> Counter[str]:
    """Run ``n`` cases; how many of each form ended how."""
    tally: Counter[str] = Counter()

    @seed(number)
    @settings(
        max_examples=n,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def one(case: Case) -> None:
        tally[f"{case.form.name}, {imported(case, folder)}"] += 1

    one()
    return tally


@pytest.mark.parametrize("name", sorted(FORMS))
def test_the_plain_readers_agree_on_what_is_sound(name: str, tmp_path: Path) -> None:
    ended = imported(Case(FORMS[name], ()), tmp_path)
    assert ended == ("accepted" if FORMS[name].read is None else "accepted, the same rows")


def test_spoilt_imports_are_refused_or_read_as_they_are(tmp_path: Path) -> None:
    tally = fuzz(tmp_path, n=250, number=1)
    assert {outcome.partition(", ")[2] for outcome in tally} == {
        "refused", "accepted", "accepted, the same rows"
    }, tally  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("number", range(30, 35))
def test_thousands_of_spoilt_imports(
    tmp_path: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = fuzz(tmp_path, n=1500, number=number)
    with capsys.disabled():
        print(f"\nseed {number}: {sum(tally.values())} examples")
        for outcome, n in sorted(tally.items()):
            print(f"  {n:6} {outcome}")
