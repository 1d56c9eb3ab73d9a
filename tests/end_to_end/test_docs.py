"""The guide for models from elsewhere works as it is written: its commands and its Python."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from hfrun.cli import _parser
from lob_backtest.cli import main as lob_backtest
from lob_backtest.command_line import _parsed
from lob_backtest.report import read_report

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"```(sh|python)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which docs/predictions.md was followed from top to bottom."""
    folder = tmp_path_factory.mktemp("guide")
    shutil.copytree(ROOT / "configs", folder / "configs")
    text = (ROOT / "docs/predictions.md").read_text(encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for kind, code in FENCE.findall(text):
            if kind == "python":
                exec(compile(code, "docs/predictions.md", "exec"), {})
                continue
            for line in code.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "lob-backtest"
                assert lob_backtest(arguments) in (0, 3), line
    return folder


def test_the_guide_ends_in_a_report(followed: Path) -> None:
    report = read_report(followed / "runs/own/report")
    assert len(report["folds"]) >= 3
    assert report["aggregate"]["f1_weighted"]["value"] > 0
    off = {gate["name"] for gate in report["gates"] if gate["passed"] is None}
    assert off == {"train_eval_gap", "grad_norm"}


def test_the_decisions_table_keeps_its_parts_apart_in_time(followed: Path) -> None:
    decisions = pd.read_parquet(followed / "runs/own/decisions.parquet")
    assert set(decisions["part"]) == {"train", "validation", "test"}
    for _, rows in decisions.groupby("fold"):
        train, validation, test = (rows[rows["part"] == part] for part in
                                   ("train", "validation", "test"))  # fmt: skip
        assert train["label_end_ns"].max() < validation["decided_ns"].min()
        assert validation["label_end_ns"].max() < test["decided_ns"].min()
        assert (test["train_end_ns"] < test["decided_ns"]).all()


def test_the_python_of_the_page_on_alarms_runs() -> None:
    text = (ROOT / "docs/alarms.md").read_text(encoding="utf-8")
    codes = [code for kind, code in FENCE.findall(text) if kind == "python"]
    assert len(codes) == 1
    found: dict[str, object] = {}
    exec(compile(codes[0], "docs/alarms.md", "exec"), found)
    assert "0 of" in found["alarm"].reason  # type: ignore[attr-defined]


def test_no_torch_was_needed(followed: Path) -> None:
    import subprocess

    config = ROOT / "configs/synthetic.yaml"
    code = (
        "import sys; from lob_backtest.cli import main; "
        f"main(['label', 'runs/own/book.parquet', '--config', {str(config)!r}, "
        "'walk_forward.train=800', 'walk_forward.validation=300', 'walk_forward.test=300']); "
        "assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=followed, check=True, capture_output=True)


TEXT_PAGES = ("README.md", "docs/text.md", "docs/audit.md", "docs/lr_find.md", "docs/sweep.md",
              "docs/zero_shot.md", "docs/calibration.md", "docs/weights.md", "docs/models.md",
              "docs/text_data.md", "docs/text_report.md", "docs/schedules.md")  # fmt: skip
COMMAND = re.compile(r"^(?:    )?(hfrun [^`\n]+?)(?:\s+#.*)?$", re.MULTILINE)


def commands_of(page: str) -> list[list[str]]:
    """The commands of hfrun that a page's examples are made of, a word each."""
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
    fenced = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    indented = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    return [
        shlex.split(line.rstrip("&")) for line in COMMAND.findall(f"{fenced}\n{indented}")
    ]  # fmt: skip


@pytest.mark.parametrize("page", TEXT_PAGES)
def test_every_command_on_a_page_about_texts_is_one_that_hfrun_takes(page: str) -> None:
    for program, *words in commands_of(page):
        assert program == "hfrun"
        assert callable(_parsed(_parser(), words).run), words
        for word in words:
            if word.startswith("configs/"):
                assert (ROOT / word).is_file(), word


def test_the_overview_of_texts_has_commands_to_check() -> None:
    named = {words[1] for words in commands_of("docs/text.md")}
    assert {"audit", "lr-find", "throughput", "train", "sweep", "zero-shot", "push"} <= named
