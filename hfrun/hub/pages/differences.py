"""The lines by which small texts differ before and after a change."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from hfrun.hub.refusals import RefusalError
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.three_way import FileChange
from hfrun.hub.store.tree import Entry

MAX_TEXT_BYTES = 200_000
MAX_TEXTS = 20  # on one page
# Matching lines takes time that grows with the product of their numbers, and at worst faster.
MAX_PAIRS_OF_LINES = 250_000
MAX_SHOWN_LINES = 400
MAX_LINE_CHARACTERS = 300
_CONTEXT = 3


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a difference: added ``+``, removed ``-``, kept `` `` or a place ``@``."""

    sign: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The lines that differ; or, where they are not shown, why."""

    lines: tuple[Line, ...]
    note: str | None


def differences(repository: Repository, changes: Sequence[FileChange]) -> dict[str, Difference]:
    """The differences of the first texts among the changes, by their paths."""
    found: dict[str, Difference] = {}
    for change in changes:
        if len(found) >= MAX_TEXTS:
            break
        if _is_small(change.before) and _is_small(change.after):
            old, new = _lines(repository, change.before), _lines(repository, change.after)
            if old is not None and new is not None:
                found[change.path] = difference(old, new)
    return found


def difference(old: Sequence[str], new: Sequence[str]) -> Difference:
    """The lines by which two texts differ, with three around each.

    >>> [line.sign + line.text for line in difference(["a", "b"], ["a", "c"]).lines]
    ['@line 1', ' a', '-b', '+c']
    """
    start, end = _alike(old, new)
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    if len(old) * len(new) > MAX_PAIRS_OF_LINES:
        return Difference(lines=(), note="Too many lines to be compared here.")
    lines: list[Line] = []
    matcher = difflib.SequenceMatcher(None, old, new)
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        lines.append(Line(sign="@", text=f"line {start + group[0][3] + 1}"))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += _signed(" ", old[i1:i2])
            else:
                lines += [*_signed("-", old[i1:i2]), *_signed("+", new[j1:j2])]
        if len(lines) > MAX_SHOWN_LINES:
            cut = f"Only the first {MAX_SHOWN_LINES} lines are shown."
            return Difference(lines=tuple(lines[:MAX_SHOWN_LINES]), note=cut)
    alike = None if lines else "No line differs, only how lines end."
    return Difference(lines=tuple(lines), note=alike)


def _alike(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many lines at the beginning and at the end need no matching; the context is left."""
    most = min(len(old), len(new))
    start = next((i for i in range(most) if old[i] != new[i]), most)
    end = next((i for i in range(most - start) if old[-1 - i] != new[-1 - i]), most - start)
    return max(start - _CONTEXT, 0), max(end - _CONTEXT, 0)


def _signed(sign: str, lines: Sequence[str]) -> list[Line]:
    return [Line(sign=sign, text=_cut(line)) for line in lines]


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARACTERS else line[:MAX_LINE_CHARACTERS] + "…"


def _is_small(entry: Entry | None) -> bool:
    return entry is None or (not entry.lfs and entry.size <= MAX_TEXT_BYTES)


def _lines(repository: Repository, entry: Entry | None) -> list[str] | None:
    """The lines of a text; None for what is no text."""
    if entry is None:
        return []
    try:
        text = repository.content(entry).read_bytes().decode()
    except (UnicodeDecodeError, OSError, RefusalError):  # no text, or bytes that are lost
        return None
    return None if "\0" in text else text.splitlines()
