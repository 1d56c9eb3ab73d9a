"""HISTORY.md renders as it is meant, in both languages, whatever stands in names and reasons."""

import re
from pathlib import Path

import pytest

from hfrun.history import numbers, read_history, text, write_history
from hfrun.history.words import LANGUAGES, WORDS
from tests.hfrun.history.runs_case import EPOCHS, STOPPED, entry_of_page, tables_of, write_run

_ODD = "a|b <script> [x](y) `c` **d** 中文 \\| <!-- --> _e_ ~f~ 'q' $g$"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A diary of three runs in each language."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "first", stopped_by=STOPPED, run__question=_ODD)
    write_run(folder / "second", day=2, name=_ODD, model__type=_ODD, training__learning_rate=1e-5)
    write_run(folder / "third", day=3, verdict=None, run__parent=str(folder / "first"))
    return {
        language: write_history(folder, language=language).read_text(encoding="utf-8")
        for language in LANGUAGES
    }


def test_the_modules_examples_hold() -> None:
    import doctest

    for module in (numbers, text):
        assert doctest.testmod(module).failed == 0
        assert doctest.testmod(module).attempted > 0


def test_an_entry_reads_as_a_diary_does(pages: dict[str, str]) -> None:
    told = entry_of_page(pages["en"], "third")
    start = told.index("- **Date**")
    assert told[start : told.index("### Findings") if "### Findings" in told else None].startswith(
        """- **Date**: 2026-01-03 10:00:00+00:00
- **Kind**: training; **not finished: running, or interrupted**
- **Folder**: `third`
- **Command**: `hfrun train third`
- **Commit**: `0123456789ab`

### Changed against [1. first](#entry-1)

nothing in the config

### Epochs

| epoch | train loss | eval loss | train accuracy | eval accuracy | gap | learning rate | \
gradient norm before clipping | share of steps clipped |  |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| 1 | 1.0125 | 0.9875 | 0.5 | 0.4375 | 0.0625 | 1e-05 | 2.5 | 0.25 |  |
| 2 | 0.8 | 0.95 | 0.625 | 0.53125 | 0.09375 | 1e-05 | 3.25 | 0.5 | best |
"""
    )


def test_a_stop_a_gate_and_a_conclusion_have_their_numbers(pages: dict[str, str]) -> None:
    told = entry_of_page(pages["en"], "first")
    for line in (
        "- `early_stopping` in epoch 2: eval_loss has not beaten 0.9",
        "| grad_norm | **FAILED** | 4.5 | 4.0 | P95 is 4.50 \\| needs &lt; 4.00 |",
        "Best epoch 2 by eval accuracy 0.53125; there eval loss 0.95, train accuracy 0.625, gap "
        r"0.09375; test accuracy 0.5025 \[0.4875, 0.5175\]; verdict **fail**; failed gates: "
        "grad_norm.",
    ):
        assert f"\n{line}\n" in told


def test_a_change_is_shown_with_both_values(pages: dict[str, str]) -> None:
    assert "\n| `training.learning_rate` | 0.0001 | 1e-05 |\n" in pages["en"]
    assert "\n| `training.learning_rate` | 0.0001 | 1e-05 |\n" in pages["zh-TW"]


def test_both_languages_have_the_same_words_and_the_same_figures(pages: dict[str, str]) -> None:
    assert WORDS["en"].keys() == WORDS["zh-TW"].keys()
    for name, english in WORDS["en"].items():
        fields = re.findall(r"{\w+}", english)
        assert sorted(re.findall(r"{\w+}", WORDS["zh-TW"][name])) == sorted(fields), name
    rows = [[row for table in tables_of(pages[each]) for row in table] for each in LANGUAGES]
    number = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
    figures = [number.findall(str(each)) for each in rows]
    assert figures[0] == figures[1]
    assert len(figures[0]) > 50


def test_no_english_heading_is_left_on_the_chinese_page(pages: dict[str, str]) -> None:
    headings = re.findall(r"^#+ (.*)$", pages["zh-TW"], re.MULTILINE)
    ours = [each for each in headings if not re.match(r"\d+\. ", each)]
    assert ours
    assert all(re.search(r"[\u4e00-\u9fff]", each) for each in ours)


def test_the_language_of_a_page_stays_until_another_is_asked_for(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_history(tmp_path, language="zh-TW")
    write_history(tmp_path)
    assert "# 調參日誌" in (tmp_path / "HISTORY.md").read_text(encoding="utf-8")
    write_history(tmp_path, language="en")
    assert "# Tuning diary" in (tmp_path / "HISTORY.md").read_text(encoding="utf-8")


def test_every_row_of_a_table_has_the_cells_of_its_head(pages: dict[str, str]) -> None:
    for page in pages.values():
        for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
            rows = [re.split(r"(?<!\\)\|", line) for line in block.splitlines()]
            assert len({len(row) for row in rows}) == 1, block


def test_odd_text_is_shown_as_itself_by_a_markdown_reader(pages: dict[str, str]) -> None:
    markdown = pytest.importorskip("markdown_it", reason="markdown-it-py is not installed")
    reader = markdown.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    html = reader.render(pages["en"])
    shown = "a|b &lt;script&gt; [x](y) `c` **d** 中文 \\| &lt;!-- --&gt; _e_ ~f~ 'q' $g$"
    assert f"<li><strong>Question</strong>: {shown}</li>" in html
    assert f"<h2>2. {shown}</h2>" in html
    assert html.count("<table>") == len(tables_of(pages["en"]))
    assert "<script>" not in html
    assert "|---" not in html


def test_a_figure_that_is_not_finite_is_named(tmp_path: Path) -> None:
    diverged = {**EPOCHS[1], "eval_loss": float("nan"), "grad_norm": float("inf")}
    write_run(tmp_path / "a", epochs=[EPOCHS[0], diverged], verdict=None)
    page = write_history(tmp_path).read_text(encoding="utf-8")
    assert "\n| 2 | 0.8 | nan | 0.625 | 0.53125 | 0.09375 | 1e-05 | inf | 0.5 |" in page
    [entry] = read_history(tmp_path)
    assert entry["courses"][0]["epochs"][1]["eval_loss"] == "nan"
