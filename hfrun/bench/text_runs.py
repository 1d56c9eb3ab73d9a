"""What runs over texts gave, over seeds: a section of docs/benchmarks.md, figures from the runs.

    hfrun train CONFIG run.seed=0, 1, 2 ... ─► run folders ─┐
    hfrun sweep CONFIG                      ─► its study   ─┼─► scripts/bench text-runs ─► the page
    hfrun zero-shot CONFIG -o DIR           ─► its JSON    ─┘

The runs are of one config but for the seed. The interval of their mean is Student's over seeds:
what another seed would give on the same test part. That of one run is Wilson's: what other texts
would.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import yaml

from hfrun.bench.page_sections import TEXTS, write_section
from hfrun.errors import DataError
from hfrun.fitting import FoldFiles
from hfrun.run_folder import read_run
from hfrun.staging import without_paths
from lob_backtest.command_line import EXIT_DONE, run_command
from lob_backtest.files import read_json
from lob_backtest.report import read_report


@dataclass(frozen=True, kw_only=True)
class SeedRun:
    """One finished run over texts: its config without name, folder and seed, and its figures."""

    folder: Path
    seed: int
    config: Mapping[str, Any]
    run: Mapping[str, Any]
    figures: Mapping[str, Any]
    report: Mapping[str, Any]

    def test(self, name: str) -> float:
        """A figure of the test part."""
        return float(self.report["aggregate"][name]["value"])


def read_seed_run(folder: Path) -> SeedRun:
    """A finished run over texts.

    Raises:
        DataError: the folder holds none.
    """
    files, run = FoldFiles(folder), read_run(folder)
    if not files.is_complete or not (folder / "report" / "report.json").is_file():
        raise DataError(f"{folder}: its run is not finished; run hfrun train again")
    report = read_report(folder / "report")
    if report.get("kind") != "text":
        raise DataError(f"{folder}: is a run over an order book; needs runs over texts")
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    seed = config["run"].pop("seed")
    same = {name: part for name, part in config.items() if name not in ("hub", "study", "gates")}
    same["run"] = {}
    return SeedRun(
        folder=folder,
        seed=seed,
        config=same,
        run=run,
        figures=files.read_figures(),
        report=report,
    )


def seeds_table(runs: Sequence[SeedRun], *, title: str) -> str:
    """A row a seed, and their mean with its spread and interval.

    Raises:
        DataError: fewer than two runs, a seed twice, or configs that differ in more than the seed.
    """
    _check_one_config(runs)
    heads = ["seed", "chosen epoch", "dev accuracy", "test accuracy (95 %)", "weighted F1",
             "macro F1", "ECE", "gap", "minutes"]  # fmt: skip
    rows = [_row(run) for run in sorted(runs, key=lambda run: run.seed)]
    accuracy = [run.test("accuracy") for run in runs]
    dev = [float(run.figures["eval_accuracy"]) for run in runs]
    mean, half = fmean(accuracy), _student_half_width(accuracy)
    rows.append([
        "mean ± sd", "", f"{fmean(dev):.4f} ± {stdev(dev):.4f}",
        f"**{mean:.4f} ± {stdev(accuracy):.4f}** ({mean - half:.4f} to {mean + half:.4f})",
        *(_spread([run.test(name) for run in runs]) for name in ("f1_weighted", "f1_macro", "ece")),
        _spread([float(run.figures["train_eval_gap"]) for run in runs]),
        f"{fmean(float(run.figures['seconds']) for run in runs) / 60:.1f}",
    ])  # fmt: skip
    return "\n\n".join([f"### {title}", _made_by(runs), _table(heads, rows), _against(runs)])


def _row(run: SeedRun) -> list[str]:
    test = run.report["aggregate"]["accuracy"]
    epochs = run.config["training"].get("num_train_epochs", 3)
    return [
        str(run.seed),
        f"{run.figures['epoch']:.3g} of {epochs:g}",
        f"{run.figures['eval_accuracy']:.4f}",
        f"{test['value']:.4f} ({test['low']:.4f} to {test['high']:.4f})",
        *(f"{run.test(name):.4f}" for name in ("f1_weighted", "f1_macro", "ece")),
        f"{run.figures['train_eval_gap']:+.3f}",
        f"{run.figures['seconds'] / 60:.1f}",
    ]


def _made_by(runs: Sequence[SeedRun]) -> str:
    """Commits, versions and machine, from the runs' own records."""
    commits = sorted({(run.run.get("git") or {}).get("commit", "unknown")[:12] for run in runs})
    versions = runs[0].run["versions"]
    machine = runs[0].run["machine"]
    shown = ", ".join(f"{name} {versions[name]}" for name in ("torch", "transformers"))
    command = without_paths({"command": runs[0].run["command"]}, {})["command"]
    return (
        f"`{command}` and the same with other seeds, commit {', '.join(commits)}, "
        f"{machine['cpus']} cores, {shown}. The checkpoint is chosen on dev and judged on test "
        "once. The interval of a seed is Wilson's over test texts, that of the mean Student's over "
        f"{len(runs)} seeds."
    )


def _against(runs: Sequence[SeedRun]) -> str:
    """What the same test part gives the baselines."""
    baselines = runs[0].report["aggregate"]["baselines"]
    told = ", ".join(
        f"{name} {found['accuracy']['value']:.4f}" for name, found in baselines.items()
    )
    majority = runs[0].report["aggregate"]["majority_accuracy"]["value"]
    return f"Test accuracy of the baselines: {told}; largest class {majority:.4f}."


def _check_one_config(runs: Sequence[SeedRun]) -> None:
    seeds = [run.seed for run in runs]
    if len(runs) < 2 or len(set(seeds)) < len(seeds):
        raise DataError(f"got runs of the seeds {seeds}; needs two or more, each seed once")
    for run in runs[1:]:
        for section in sorted({*runs[0].config, *run.config}):
            if runs[0].config.get(section) != run.config.get(section):
                raise DataError(
                    f"{run.folder}: its section {section} differs from that of {runs[0].folder}; "
                    "a spread over seeds needs runs of one config"
                )


def _student_half_width(values: Sequence[float]) -> float:
    """Half the 95 % interval of a mean, by Student's t over the seeds."""
    from scipy.stats import t

    n = len(values)
    return float(t.ppf(0.975, n - 1) * stdev(values) / n**0.5)


def _spread(values: Sequence[float]) -> str:
    return f"{fmean(values):.4f} ± {stdev(values):.4f}"


def zero_shot_lines(path: Path) -> str:
    """The figures of one ``hfrun zero-shot -o``."""
    found = read_json(path, error=DataError)
    rows = [
        [name, f"{figures['accuracy']['value']:.4f} ({figures['accuracy']['low']:.4f} to "
               f"{figures['accuracy']['high']:.4f})"]
        for name, figures in found["scorings"].items()
    ]  # fmt: skip
    return f"### Zero-shot, {found['part']}\n\n" + _table(["scoring", "accuracy (95 %)"], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of ``scripts/bench text-runs``."""
    parser = argparse.ArgumentParser(prog="scripts/bench text-runs", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="finished runs, by seed")
    parser.add_argument("--title", default="SST-5, SmolLM2-135M", metavar="TEXT")
    parser.add_argument("--sweep", type=Path, metavar="DIR", help="a sweep's run.output_dir")
    parser.add_argument("--zero-shot", type=Path, metavar="FILE", help="zero_shot_PART.json")
    parser.add_argument("--page", type=Path, default=Path("docs/benchmarks.md"), metavar="FILE")
    parser.set_defaults(run=_run)
    return run_command(parser, argv)


def _run(arguments: argparse.Namespace) -> int:
    runs = [read_seed_run(folder) for folder in arguments.runs]
    parts = ["## Classifiers of texts", seeds_table(runs, title=arguments.title)]
    if arguments.zero_shot is not None:
        parts.append(zero_shot_lines(arguments.zero_shot))
    if arguments.sweep is not None:
        sweep = arguments.sweep / "study" / "sweep.md"
        if not sweep.is_file():
            raise DataError(f"{sweep}: no such file; give the run.output_dir of an hfrun sweep")
        outcome = read_json(sweep.with_name("sweep.json"), error=DataError)
        parts += [f"### Sweep, {outcome['name']}", sweep.read_text(encoding="utf-8").strip()]
    write_section(arguments.page, TEXTS, "\n\n".join(parts))
    accuracy = [run.test("accuracy") for run in runs]
    print(f"mean test accuracy {fmean(accuracy):.4f} over {len(runs)} seeds; {arguments.page}")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
