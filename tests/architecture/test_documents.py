"""README and docs: the commands they show can be typed, the files they name are there."""

import re
import shlex
from pathlib import Path

import pytest

from hfrun.cli import _parser as hfrun_parser
from lob_backtest.cli import _parser as lob_backtest_parser
from lob_backtest.command_line import _parsed

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PARSERS = {"hfrun": hfrun_parser, "lob-backtest": lob_backtest_parser}
FOLDERS = "configs|docs|hfrun|lob_backtest|scripts|tests"
_FILE = re.compile(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./-]*\w|LICENSE|NOTICE|pyproject\.toml)")
_LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
# Placeholders and signs of "and so on" make a line a description, not a command.
_DESCRIBES = re.compile(r"\.\.\.|…|\||\[|\b(?:ID|DIR|FILE|BOOK|RUN|CONFIG|PREDICTIONS|FORMAT)\b")


def commands(page: Path) -> list[str]:
    """The lines of a page's code blocks that call one of our commands."""
    text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))
    lines = [line.strip() for line in text.splitlines()]
    found = [
        re.sub(r".*\$\((.*)\).*", r"\1", line).split("   ")[0]
        for line in lines
        if re.match(r"(?:export \w+=\$\()?(?:hfrun|lob-backtest) ", line)
    ]
    return [line for line in found if not _DESCRIBES.search(line)]


SHOWN = [(page.name, line) for page in PAGES for line in commands(page)]


def test_the_readme_shows_commands_of_both_packages() -> None:
    programs = {line.split()[0] for name, line in SHOWN if name == "README.md"}
    assert programs == set(PARSERS)


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_each_shown_command_parses(page: str, line: str) -> None:
    words = shlex.split(line.partition(">")[0].removesuffix("&"), comments=True)
    arguments = _parsed(PARSERS[words[0]](), words[1:])
    assert callable(arguments.run)


def test_a_misspelt_command_would_be_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("hfrun walkforward x.yaml", "lob-backtest inspect", "hfrun push --rep a/b"):
        words = shlex.split(line)
        with pytest.raises(SystemExit, match="2"):
            _parsed(PARSERS[words[0]](), words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = {ROOT / name for name in _FILE.findall(text)}
    named |= {page.parent / link for link in _LINK.findall(text)}
    assert sorted(str(path.relative_to(ROOT)) for path in named if not path.exists()) == []
