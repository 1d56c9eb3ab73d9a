"""``hfrun study adopt CONFIG``: train incumbent and candidate anew, paired, and choose."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lob_backtest.command_line import EXIT_DONE


def add_adopt_parser(study_subcommands: Any) -> None:
    """Register ``adopt`` below ``study``."""
    parser = study_subcommands.add_parser(
        "adopt",
        help="train the study's best config and the one in use with new seeds, and choose",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the study's YAML")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument(
        "--trial", type=int, metavar="N", help="the candidate (default: the study's best)"
    )
    parser.add_argument(
        "--incumbent", type=Path, metavar="RUN",
        help="folder of the run in use (default: the config itself, without what is varied)",
    )  # fmt: skip
    parser.add_argument(
        "--plan", action="store_true",
        help="train nothing: tell how often this plan adopts, by simulation",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print study/adoption.json")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Adopt or refuse; a refusal is an answer too, so both exit with 0."""
    from hfrun.commands.output import check_output
    from hfrun.study.adoption import adopt, planned
    from lob_backtest.strict_yaml import load_yaml

    raw = load_yaml(arguments.config, arguments.overrides)
    if arguments.plan:
        plan = planned(raw, source=str(arguments.config))
        print(json.dumps(plan, indent=2) if arguments.json else plan_text(plan))
        return EXIT_DONE
    folder = (raw.get("run") or {}).get("output_dir")
    if isinstance(folder, str):
        check_output(Path(folder), named="run.output_dir")
    adoption = adopt(
        raw,
        source=str(arguments.config),
        candidate=arguments.trial,
        incumbent=arguments.incumbent,
    )
    if arguments.json:
        print(json.dumps(adoption.outcome, indent=2))
    else:
        print(adoption_text(adoption.outcome))
    return EXIT_DONE


def adoption_text(outcome: Mapping[str, Any]) -> str:
    """The answer, the scores of both by seed, what changes, and what follows."""
    verdict = "adopted" if outcome["verdict"] == "adopt" else "refused"
    lines = [f"{verdict}: trial {outcome['candidate']} of {outcome['study']}; {outcome['reason']}"]
    scores = outcome["scores"]
    if scores:
        lines += ["", f"{outcome['metric']:>16}  {'incumbent':>10}  {'candidate':>10}"]
        lines += _rows(outcome["seeds"], scores)
        lines += [f"in the study, as the best of many, the candidate scored "
                  f"{outcome['score_in_study']:.4f}"]  # fmt: skip
    if len(outcome["folds"]) > 1:
        sign = 1 if outcome["higher_is_better"] else -1
        better = sum(sign * (f["candidate"] - f["incumbent"]) > 0 for f in outcome["folds"])
        lines.append(f"better in {better} of {len(outcome['folds'])} folds")
    lines += [""]
    lines += [f"{key}: {_told(each['from'])} -> {_told(each['to'])}"
              for key, each in outcome["changed"].items()]  # fmt: skip
    lines += [
        f"chosen after {outcome['trials']} trials, {outcome['trials_of_study']} of this study"
    ]
    if outcome["not_ended"]:
        lines += [f"{outcome['not_ended']} trials of the study have not ended yet"]
    if outcome["judged_before"]:
        lines += [f"judged before in this study: {outcome['judged_before']}; each has its "
                  "own chance to adopt what is no better"]  # fmt: skip
    if outcome["command"] is not None:
        lines += [f"go on with: {outcome['command']}"]
    else:
        lines += [f"the incumbent stays; write backtest.trials={outcome['trials']} into its config "
                  "before its next study"]  # fmt: skip
    return "\n".join(lines)


def plan_text(plan: Mapping[str, Any]) -> str:
    """The rates of a plan as a table."""
    looks = ", ".join(map(str, plan["looks"]))
    lines = [f"looks after {looks} seeds, level {plan['level']:g}", "",
             f"{'true gain':>20}  {'adopted':>8}  {'seeds':>6}"]  # fmt: skip
    lines += [f"{rate['gain']:>5g} standard errors  {rate['adopted']:>8.3f}  {rate['pairs']:>6.1f}"
              for rate in plan["rates"]]  # fmt: skip
    lines += ["", f"standard errors of the mean difference at the first look; "
                  f"{plan['rates'][0]['repetitions']:,} repetitions each"]  # fmt: skip
    return "\n".join(lines)


def _told(value: Any) -> str:
    """A value of the config: numbers without the dust of binary fractions."""
    from hfrun.study.grid import value_label

    return "not set" if value is None else value_label(value)


def _rows(seeds: list[int], scores: Mapping[str, list[float]]) -> list[str]:
    old, new = scores["incumbent"], scores["candidate"]
    if not (old and new):
        return []
    rows = [f"{'seed ' + str(seed):>16}  {a:>10.4f}  {b:>10.4f}"
            for seed, a, b in zip(seeds, old, new, strict=True)]  # fmt: skip
    means = (sum(old) / len(old), sum(new) / len(new))
    return [*rows, f"{'mean':>16}  {means[0]:>10.4f}  {means[1]:>10.4f}"]
