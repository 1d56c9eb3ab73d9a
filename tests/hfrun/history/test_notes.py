"""A person's note is edited on the page, in its file, or on both, and never lost."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfrun.history.notes import (
    PageNote,
    block,
    clean,
    digest,
    keep_note,
    merged,
    notes_on,
    read_note,
)

_NOTES = st.text(max_size=200).map(clean)


@given(identifier=st.text(min_size=1, max_size=40), note=_NOTES)
def test_a_note_is_read_from_the_page_as_it_was_written(identifier: str, note: str) -> None:
    page = f"# head\n\n{block(identifier, note)}\n\n## next\n\n{block('other', 'x')}\n"
    notes, is_damaged = notes_on(page)
    assert (
        notes
        == {
            identifier: PageNote(text=note, written=digest(note)),
            "other": PageNote(text="x", written=digest("x")),
        }
        or identifier == "other"
    )
    assert not is_damaged


@given(note=st.text(max_size=200))
def test_a_note_that_was_cleaned_stays_as_it_is(note: str) -> None:
    assert clean(clean(note)) == clean(note)


@pytest.mark.parametrize(
    ("base", "page", "written", "file", "note"),
    [
        (None, "a", "a", None, "a"),  # history.jsonl was lost: the page is what is known
        (None, "a", "a", "a b", "a b"),
        ("a", "a", "a", "a", "a"),  # nothing was edited
        ("a", "a b", "a", "a", "a b"),  # on the page
        ("a", "a", "a", "a b", "a b"),  # in the file
        ("a", "a b", "a", "c", "c\n\na b"),  # on both: both
        ("a", "a b", "a", "a b", "a b"),  # on both alike
        ("a", "", "a", "a", ""),  # emptied on the page
        ("a", "a", "a", "", ""),  # emptied in the file
        ("a b", "a", "a", "a b", "a b"),  # an older page: it says nothing
        ("a b", "", "", "a b", "a b"),  # a page from before there was a note: it deletes nothing
        ("a b", "a c", "a", "a b", "a b\n\na c"),  # an older page that was edited: both
        ("a", None, "a", None, "a"),  # neither page nor file is there
    ],
)
def test_what_was_edited_since_is_taken_over(
    base: str | None, page: str | None, written: str, file: str | None, note: str
) -> None:
    held = None if page is None else PageNote(text=page, written=digest(written))
    assert merged(base, held, file) == note


@given(base=_NOTES, page=_NOTES, file=_NOTES)
def test_words_written_on_either_side_are_in_the_note(base: str, page: str, file: str) -> None:
    note = merged(base, PageNote(text=page, written=digest(base)), file)
    assert page == base or page in note
    assert file == base or file in note


def test_a_note_leaves_no_fence_and_no_comment_open_and_takes_no_marker() -> None:
    assert clean("```\nx") == "```\nx\n```"
    assert clean("a <!-- b") == "a <!-- b -->"
    assert clean("<!-- hfrun:note ends -->\r\nb") == "&lt;!-- hfrun:note ends -->\nb"


def test_a_page_on_which_a_marker_was_deleted_is_said_to_be_damaged() -> None:
    page = f"{block('a', 'one')}\n\n{block('b', 'two')}\n"
    without_end = page.replace("<!-- hfrun:note ends -->", "", 1)
    without_start = page.replace(page.splitlines()[0], "", 1)
    assert [notes_on(each)[1] for each in (page, without_end, without_start)] == [False, True, True]
    assert notes_on(without_end)[0] == {"b": PageNote(text="two", written=digest("two"))}


def test_a_note_file_that_is_no_text_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "note.md").write_bytes(b"caf\xe9")
    assert read_note(tmp_path) is None
    keep_note(tmp_path, "other")
    assert (tmp_path / "note.md").read_bytes() == b"caf\xe9"
