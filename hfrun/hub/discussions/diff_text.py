"""The changes of files as text, in git's unified format."""

import difflib
from collections.abc import Iterator, Sequence

from hfrun.hub.store.objects import ObjectStore
from hfrun.hub.store.three_way import FileChange
from hfrun.hub.store.tree import Entry, lfs_pointer

# Of one answer. What comes later is counted, and a file that is larger is said to differ.
MAX_CHARACTERS = 1_000_000
_FILE_MAX_BYTES = 1_000_000
_READ_MAX_BYTES = 20_000_000
# difflib's time grows with the product of the lines, at worst with its square root on top. What
# is beyond this is shown as removed and added anew, which is as true and longer.
_MAX_PAIRS_OF_LINES = 250_000
_CONTEXT = 3
_NOWHERE = "0" * 40

Operation = tuple[str, int, int, int, int]  # as of difflib.SequenceMatcher.get_opcodes


def diff_text(objects: ObjectStore, changes: Sequence[FileChange]) -> str:
    """All changes, one file after the other; large files appear as their LFS pointers.

    Files that are no text, or too large to be compared, are said to differ, as git does.
    """
    parts: list[str] = []
    room, pairs, unread = MAX_CHARACTERS, _MAX_PAIRS_OF_LINES, _READ_MAX_BYTES
    for number, change in enumerate(changes):
        if room <= 0:
            parts.append(f"... and {len(changes) - number} more files\n")
            break
        unread -= _bytes_to_read(change)
        lines = _both_sides(objects, change) if unread >= 0 else None
        body = None
        if lines is not None:
            operations, used = _operations(*lines, pairs)
            pairs -= used
            body = "".join(_hunks(*lines, operations))
        if body is None or len(body) > room:
            names = f"{_quoted('a/', change.path)} and {_quoted('b/', change.path)}"
            part = f"{_header(change)}Binary files {names} differ\n"
        else:
            part = _header(change) + (_names(change) + body if body else "")
        parts.append(part)
        room -= len(part)
    return "".join(parts)


def _header(change: FileChange) -> str:
    before, after = change.before, change.after
    lines = [f"diff --git {_quoted('a/', change.path)} {_quoted('b/', change.path)}"]
    ids = f"{before.oid if before else _NOWHERE}..{after.oid if after else _NOWHERE}"
    if before is None:
        lines += ["new file mode 100644", f"index {ids}"]
    elif after is None:
        lines += ["deleted file mode 100644", f"index {ids}"]
    else:
        lines.append(f"index {ids} 100644")
    return "\n".join(lines) + "\n"


def _names(change: FileChange) -> str:
    # Without the tab, git would take a name only up to its first space.
    end = "\t\n" if " " in change.path else "\n"
    before = _quoted("a/", change.path) + end if change.before else "/dev/null\n"
    after = _quoted("b/", change.path) + end if change.after else "/dev/null\n"
    return f"--- {before}+++ {after}"


def _quoted(prefix: str, path: str) -> str:
    """Git's quoting; stored paths have no backslashes or control characters."""
    escaped = path.replace('"', '\\"')
    return f'"{prefix}{escaped}"' if escaped != path else prefix + path


def _bytes_to_read(change: FileChange) -> int:
    sides = [entry for entry in (change.before, change.after) if entry and not entry.lfs]
    return sum(entry.size for entry in sides if entry.size <= _FILE_MAX_BYTES)


def _both_sides(
    objects: ObjectStore, change: FileChange
) -> tuple[Sequence[str], Sequence[str]] | None:
    before, after = _lines(objects, change.before), _lines(objects, change.after)
    return None if before is None or after is None else (before, after)


def _lines(objects: ObjectStore, entry: Entry | None) -> Sequence[str] | None:
    """Lines with their ends, as git counts them; None where it is no text or too much."""
    if entry is None:
        return []
    if entry.lfs:
        text = lfs_pointer(entry.sha256, entry.size).decode()
    elif entry.size > _FILE_MAX_BYTES:
        return None
    else:
        data = objects.path(entry.sha256).read_bytes()
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        if "\0" in text:
            return None
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _operations(
    before: Sequence[str], after: Sequence[str], max_pairs: int
) -> tuple[Sequence[Operation], int]:
    """How to make one side from the other, and how many pairs of lines were compared for it."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    pairs = len(old) * len(new)
    if pairs <= max_pairs:
        middle = difflib.SequenceMatcher(None, old, new).get_opcodes()
    else:
        middle, pairs = [("replace", 0, len(old), 0, len(new))], 0
    moved = [(tag, a + start, b + start, c + start, d + start) for tag, a, b, c, d in middle]
    last = (len(before) - end, len(before), len(after) - end, len(after))
    return [("equal", 0, start, 0, start), *moved, ("equal", *last)], pairs


def _hunks(
    before: Sequence[str], after: Sequence[str], operations: Sequence[Operation]
) -> Iterator[str]:
    """Each group of changes that are near each other, with the lines around it."""
    if before == after:
        return
    group: list[Operation] = []
    for tag, a, b, c, d in operations:
        if tag != "equal":
            group.append((tag, a, b, c, d))
        elif group and b - a > 2 * _CONTEXT:
            yield _hunk(before, after, [*group, (tag, a, a + _CONTEXT, c, c + _CONTEXT)])
            group = [(tag, b - _CONTEXT, b, d - _CONTEXT, d)]
        elif group:
            group.append((tag, a, b, c, d))
        else:
            shown = min(_CONTEXT, b - a)
            group = [(tag, b - shown, b, d - shown, d)]
    tag, a, b, c, d = group[-1]
    if tag == "equal":
        shown = min(_CONTEXT, b - a)
        group[-1] = (tag, a, a + shown, c, c + shown)
    if len(group) > 1:  # more than the lines after the last change
        yield _hunk(before, after, group)


def _hunk(before: Sequence[str], after: Sequence[str], group: Sequence[Operation]) -> str:
    _, a, _, c, _ = group[0]
    _, _, b, _, d = group[-1]
    lines = [f"@@ -{_range(a, b)} +{_range(c, d)} @@\n"]
    for tag, first, last, new_first, new_last in group:
        if tag == "equal":
            lines += [_shown(" ", line) for line in before[first:last]]
        else:
            lines += [_shown("-", line) for line in before[first:last]]
            lines += [_shown("+", line) for line in after[new_first:new_last]]
    return "".join(lines)


def _range(start: int, end: int) -> str:
    """First line, counted from 1, and how many; an empty one names the line before it."""
    return f"{start + 1 if end > start else start},{end - start}"


def _shown(sign: str, line: str) -> str:
    return sign + line if line.endswith("\n") else f"{sign}{line}\n\\ No newline at end of file\n"
