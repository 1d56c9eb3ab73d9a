"""The section on texts of docs/benchmarks.md: every figure from finished runs."""

import json
from pathlib import Path
from statistics import fmean, stdev

import pytest
from scipy.stats import t

from hfrun.bench.page_sections import TEXTS, with_section_of, write_section
from hfrun.bench.text_runs import main, read_seed_run, seeds_table
from hfrun.errors import DataError
from tests.hfrun.text_run_case import TextHome


@pytest.fixture(scope="module")
def three_seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    made = TextHome.make(tmp_path_factory.mktemp("texts"))
    folders = [made.home / f"seed{seed}" for seed in range(3)]
    for seed, folder in enumerate(folders):
        given = (f"run.seed={seed}", f"run.output_dir={folder}", "training.max_steps=3")
        assert made.train(*given, "training.learning_rate=0.003") == 0
    return folders


def test_the_table_has_each_seeds_figures_and_students_interval_of_their_mean(
    three_seeds: list[Path],
) -> None:
    table = seeds_table([read_seed_run(folder) for folder in three_seeds], title="Reviews")
    found = [
        json.loads((folder / "report/report.json").read_text())["aggregate"]["accuracy"]
        for folder in three_seeds
    ]
    for seed, each in enumerate(found):
        interval = f"{each['value']:.4f} ({each['low']:.4f} to {each['high']:.4f})"
        assert any(
            line.startswith(f"| {seed} | ") and interval in line for line in table.split("\n")
        )
    values = [each["value"] for each in found]
    mean, sd = fmean(values), stdev(values)
    low, high = t.interval(0.95, 2, loc=mean, scale=sd / 3**0.5)
    assert f"**{mean:.4f} ± {sd:.4f}** ({low:.4f} to {high:.4f})" in table
    assert str(three_seeds[0].parent) not in table  # no path of a machine


def test_runs_of_other_configs_or_one_seed_twice_are_refused(three_seeds: list[Path]) -> None:
    runs = [read_seed_run(folder) for folder in three_seeds]
    with pytest.raises(DataError, match=r"seeds \[0, 0\]"):
        seeds_table([runs[0], runs[0]], title="")
    path = three_seeds[1] / "config.yaml"
    whole = path.read_text()
    path.write_text(whole.replace("learning_rate: 0.003", "learning_rate: 0.004"))
    other = read_seed_run(three_seeds[1])
    path.write_text(whole)
    with pytest.raises(DataError, match="its section training differs"):
        seeds_table([runs[0], other], title="")


def test_the_command_writes_its_section_and_leaves_the_rest_of_the_page(
    three_seeds: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("# How good\n\nbooks\n")
    for _ in range(2):
        assert main([*map(str, three_seeds), "--page", str(page)]) == 0
    assert "mean test accuracy" in capsys.readouterr().out
    text = page.read_text()
    assert text.startswith("# How good\n\nbooks\n\n<!-- texts: begin -->\n## Classifiers of texts")
    assert text.count("texts: begin") == text.count("| mean ± sd |") == 1


def test_a_page_written_anew_keeps_the_section_of_another(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Old\n")
    assert with_section_of(page, "# New\n", TEXTS) == "# New\n"
    write_section(page, TEXTS, "what texts gave")
    page.write_text(with_section_of(page, "# New\n", TEXTS))
    assert page.read_text() == (
        "# New\n\n<!-- texts: begin -->\nwhat texts gave\n<!-- texts: end -->\n"
    )
    write_section(page, TEXTS, "what they give now")
    assert "what texts gave" not in page.read_text()
    assert page.read_text().startswith("# New\n\n<!-- texts: begin -->\nwhat they give now")


def test_a_folder_without_a_finished_run_over_texts_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--page", str(tmp_path / "page.md")]) == 2
    assert "no run.json in it" in capsys.readouterr().err
