"""The tree of the README, made from the disk: `python -m tests.architecture.tree --write`."""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BLOCK = re.compile(r"(?<=## The tree\n\n```text\n).*?(?=```)", re.DOTALL)
_SHOWN_FOLDERS = ("configs", "docs", "hfrun", "lob_backtest", "scripts", "tests")
_HIDDEN = ("__init__.py", "py.typed")
_WIDTH = 110


def tree() -> str:
    """One line a file: its name, and the first sentence of what it says about itself.

    Of the tests only the folders are shown. What git does not track is left out.
    """
    lines = []
    tracked = [Path(name) for name in _git("ls-files")]
    for folder in _SHOWN_FOLDERS:
        files = sorted(path for path in tracked if path.parts[0] == folder)
        lines += _folder_lines(Path(folder), files, depth=0)
    return "\n".join(lines) + "\n"


def _folder_lines(folder: Path, files: list[Path], *, depth: int) -> list[str]:
    lines = [_line(f"{folder.name}/", _first_sentence(folder / "__init__.py"), depth)]
    inside = [path for path in files if folder in path.parents]
    for child in sorted({path.relative_to(folder).parts[0] for path in inside}):
        path = folder / child
        if (
            path in inside
            and folder.parts[0] != "tests"
            and child not in ("__init__.py", "py.typed")
        ):
            lines.append(_line(child, _first_sentence(path), depth + 1))
        elif path not in inside:
            lines += _folder_lines(path, inside, depth=depth + 1)
    return lines


def _line(name: str, comment: str, depth: int) -> str:
    text = f"{'  ' * depth}{name}"
    return f"{text:<34}{comment}".rstrip() if comment else text


def _first_sentence(path: Path) -> str:
    """Of a module's docstring, a script's or a config's opening comment, or a page's title."""
    if not (ROOT / path).is_file():
        return ""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = ast.get_docstring(ast.parse(text)) or ""
    else:
        lines = [line for line in text.splitlines() if not line.startswith("#!")]
        text = " ".join(line.lstrip("# ") for line in lines[:2] if line.startswith("#"))
    sentence = re.split(r"\.(?:\s|$)", " ".join(text.split()), maxsplit=1)[0].rstrip(":")
    room = _WIDTH - 34
    return sentence if len(sentence) <= room else sentence[: room - 4].rsplit(" ", 1)[0] + " ..."


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    if "--write" in sys.argv:
        README.write_text(BLOCK.sub(lambda _: tree(), text), encoding="utf-8")
    else:
        print(tree(), end="")
