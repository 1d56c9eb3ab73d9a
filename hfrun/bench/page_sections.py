"""A page that several commands write: each its own section, the others' left as they are.

<!-- texts: begin -->
...
<!-- texts: end -->
"""

from pathlib import Path

from lob_backtest.files import write_text

TEXTS = "texts"  # of docs/benchmarks.md: written by hfrun.bench.text_runs


def write_section(page: Path, name: str, text: str) -> None:
    """Put a section into a page, in the place of its former self or at the end."""
    old = page.read_text(encoding="utf-8") if page.is_file() else ""
    begin, end = _marks(name)
    section = f"{begin}\n{text.strip()}\n{end}\n"
    before, found, rest = old.partition(begin)
    if found:
        section += rest.partition(end)[2].lstrip("\n")
        before = before.rstrip("\n") + "\n"
    elif before:
        before = before.rstrip("\n") + "\n\n"
    write_text(page, before + ("\n" if found and before.strip() else "") + section)


def with_section_of(page: Path, text: str, name: str) -> str:
    """A page's new text with the section that its file holds now at its end, if any."""
    old = page.read_text(encoding="utf-8") if page.is_file() else ""
    begin, end = _marks(name)
    _, found, rest = old.partition(begin)
    if not found:
        return text
    return f"{text.rstrip()}\n\n{begin}{rest.partition(end)[0]}{end}\n"


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
