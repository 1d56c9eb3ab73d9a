"""The HTML that every part of the page is put together from; all text is escaped here."""

from collections.abc import Iterable, Sequence

from lob_backtest.report.words import Measure, text


def section(anchor: str, title: str, words: str, body: str) -> str:
    """A titled part of the page, or nothing where there is nothing to show."""
    if not body:
        return ""
    intro = f"<p>{text(words)}</p>" if words else ""
    return f'<section id="{anchor}"><h2>{text(title)}</h2>{intro}{body}</section>'


def card(body: str) -> str:
    """A box, or nothing."""
    return f'<div class="card">{body}</div>' if body else ""


def figure(drawing: str, caption: str, *, title: str = "") -> str:
    """A drawing with its caption in a box, or nothing where it could not be drawn."""
    if not drawing:
        return ""
    head = f"<h3>{text(title)}</h3>" if title else ""
    return f'<figure class="card">{head}{drawing}<figcaption>{text(caption)}</figcaption></figure>'


def columns(*boxes: str, kind: str = "plots") -> str:
    """Boxes beside each other where there is room for them."""
    return f'<div class="{kind}">{"".join(boxes)}</div>' if any(boxes) else ""


def folded(summary: str, body: str) -> str:
    """What is shown on demand."""
    return f"<details><summary>{text(summary)}</summary>{body}</details>" if body else ""


def note(words: str) -> str:
    """Small print below a box."""
    return f'<p class="note">{text(words)}</p>' if words else ""


def listed(items: Iterable[str], *, kind: str = "plain") -> str:
    """A list of sentences, or nothing."""
    points = "".join(f"<li>{text(item)}</li>" for item in items)
    return f'<ul class="{kind}">{points}</ul>' if points else ""


def facts_list(rows: Iterable[tuple[str, object]], *, two: bool = False) -> str:
    """Names and values; ``two`` sets pairs beside each other where there is room."""
    items = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in rows)
    return f'<dl class="facts{" two" if two else ""}">{items}</dl>' if items else ""


def questions(answered: Iterable[tuple[str, str]]) -> str:
    """Questions with their answers, in a card; nothing where there are none."""
    items = "".join(
        f"<div><dt>{text(question)}</dt><dd>{text(answer)}</dd></div>"
        for question, answer in answered
    )
    return f'<dl class="questions card">{items}</dl>' if items else ""


def table(head: Sequence[str], body: Sequence[str], *, kind: str = "") -> str:
    """A table that scrolls in its own box; a head cell is text or a ``<th>`` that is ready."""
    cells = "".join(
        cell if cell.startswith("<th") else f"<th scope=col>{text(cell)}</th>" for cell in head
    )
    named = f' class="{kind}"' if kind else ""
    return (
        f'<div class="scroll" tabindex="0"><table{named}><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def row(name: object, cells: Iterable[str], *, kind: str = "") -> str:
    """A row with its name; cells as :func:`cell` gives them."""
    named = f' class="{kind}"' if kind else ""
    return f"<tr{named}><th scope=row>{text(name)}</th>{''.join(cells)}</tr>"


def cell(value: object, *small: str, kind: str = "") -> str:
    """A cell, with lines of small print below the value."""
    named = f' class="{kind}"' if kind else ""
    below = "".join(f"<small>{text(line)}</small>" for line in small if line)
    return f"<td{named}>{text(value)}{below}</td>"


def cells(values: Iterable[object]) -> str:
    """Plain cells."""
    return "".join(cell(value) for value in values)


def head(measure: Measure) -> str:
    """The column head of a measure, with what it means on hovering."""
    return f'<th scope=col title="{text(measure.help)}">{text(measure.title)}</th>'
