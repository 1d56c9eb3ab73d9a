"""Whether a study's best config takes the place of the one in use: both are trained anew, paired.

    run.output_dir/
    ├── adoption/incumbent/seed-1000 ...          the config in use, with seeds of its own
    ├── adoption/candidate-007/seed-1000 ...      the candidate, with the same seeds and folds
    └── study/candidates.jsonl  adoption.json  adopted.yaml

A study's best score is too good, as it was the best of many. So nothing of the study is used
again: the seeds are new, and ``hfrun.study.paired_test`` decides. What is there already is taken
from its folder, so an adoption that was interrupted goes on.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from hfrun.config import AnyRunConfig, config_from
from hfrun.provenance import program_facts
from hfrun.study.adopt_files import ADOPTED, adopted_yaml, judged_before, write_adoption
from hfrun.study.candidate import (
    begun,
    candidate_config,
    changes,
    check_same_data,
    choose,
    plain_config,
    read_study,
    score_in,
    stretch_of,
)
from hfrun.study.paired_runs import Arm, Pairs, Runner, train_pairs
from hfrun.study.paired_test import adoption_rates, looks_of
from hfrun.study.plan import stretched
from hfrun.study.score import Score, score_of
from hfrun.study.study_data import StudyData, StudyTrial
from hfrun.study.trials import run_trial
from hfrun.study_config import StudyConfig
from lob_backtest.errors import ConfigError
from lob_backtest.files import sole_use, write_text
from lob_backtest.progress import announce
from lob_backtest.strict_yaml import load_yaml

_GAINS = (0.0, 1.0, 2.0, 3.0, 4.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Adoption:
    """A finished adoption: the study's folder, and what ``study/adoption.json`` holds."""

    folder: Path
    outcome: dict[str, Any]

    @property
    def is_adopted(self) -> bool:
        return bool(self.outcome["verdict"] == "adopt")


def adopt(
    raw: Mapping[str, Any],
    *,
    source: str,
    candidate: int | None = None,
    incumbent: Path | None = None,
    run: Runner = run_trial,
) -> Adoption:
    """Train incumbent and candidate with the same seeds, and adopt the candidate or refuse it.

    Args:
        raw: the study's config as read; by itself, without what the study varies, it is the
            incumbent.
        source: named in messages.
        candidate: number of a trial; None takes the study's best.
        incumbent: folder of the run in use, where it is not that of the config.
        run: makes one training, or reads that which is there.

    Raises:
        ConfigError: no study, no candidate, or an incumbent of other data.
        HfrunError: a training that failed; the same command goes on where it stopped.
    """
    config = config_from(dict(raw), source=source)
    study = _study_of(config, source)
    folder = Path(config.run.output_dir)
    data = read_study(folder)
    group = choose(data, candidate)
    _check_seeds(study, data)
    arms = _arms(raw, data, group[0], folder, incumbent)
    configs = [plain_config(arm.raw, source=f"{source}, {arm.name}") for arm in arms]
    changed = changes(*configs)
    if incumbent is not None:
        check_same_data(changed, data, incumbent=str(incumbent))
    work = folder / "adoption"
    work.mkdir(parents=True, exist_ok=True)
    score = Score(
        metric=data.metric,
        higher_is_better=data.higher_is_better,
        constraints=score_of(config).constraints,
    )
    with sole_use(work, what="another adoption"):
        pairs = _trained(arms, changed, data, score, study, run)
        outcome = _outcome(raw, data, group, arms, changed, pairs)
        outcome["incumbent"] = "the config itself" if incumbent is None else str(incumbent)
        outcome["judged_before"] = judged_before(outcome, folder / "study")
        if outcome["verdict"] == "adopt":
            parent = incumbent or arms[0].run_folder(outcome["seeds"][0])
            outcome["adopted"] = _write_adopted(raw, arms[1], outcome, folder, parent)
            kind = "walk-forward" if raw.get("walk_forward") else "train"
            outcome["command"] = f"hfrun {kind} {folder / outcome['adopted']}"
        write_adoption(outcome, folder / "study")
    return Adoption(folder=folder, outcome=outcome)


def planned(raw: Mapping[str, Any], *, source: str, repetitions: int = 4000) -> dict[str, Any]:
    """What the config's adoption would do on normal scores, by simulation; nothing is trained.

    Returns:
        ``level``, ``looks``, and ``rates``: for true gains of 0 to 4 standard errors of the mean
        difference at the first look, how often it adopts and with how many seeds.
    """
    plan = _study_of(config_from(dict(raw), source=source), source).adoption
    sizes: dict[str, Any] = {"seeds": plan.seeds, "most_seeds": plan.most_seeds}
    rates = [
        asdict(adoption_rates(gain, level=plan.level, **sizes, repetitions=repetitions))
        for gain in _GAINS
    ]
    return {"level": plan.level, "looks": list(looks_of(**sizes)), "rates": rates}


def trials_behind(raw: Mapping[str, Any], data: StudyData) -> dict[str, int]:
    """How many trials were made before this one was chosen.

    Every trial that the study ever began, of each phase and however it ended, and before them what
    the config owns to (``backtest.trials``, at least 1: the incumbent). The trainings of an
    adoption count for nothing: they choose among no more configs.
    """
    backtest = raw.get("backtest")
    before = int(backtest.get("trials", 1)) if isinstance(backtest, Mapping) else 1
    of_study = begun(data)
    return {"trials": before + of_study, "trials_before": before, "trials_of_study": of_study}


def _study_of(config: AnyRunConfig, source: str) -> StudyConfig:
    if config.study is None or not (config.study.scientific or config.study.nuisance):
        raise ConfigError(
            f"{source}: no study of its own to adopt from; needs study.scientific or "
            "study.nuisance, as hfrun study run does"
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("adopt is one process: start it without torchrun or accelerate launch")
    return config.study


def _check_seeds(study: StudyConfig, data: StudyData) -> None:
    """Refuse seeds by which the candidate was chosen: with them it would be lucky again."""
    plan = study.adoption
    ours = range(plan.first_seed, plan.first_seed + plan.most_seeds)
    both = sorted({trial.seed for trial in data.trials} & set(ours))
    if both:
        raise ConfigError(
            f"study.adoption.first_seed={plan.first_seed}: the study's trials had seed {both[0]} "
            f"too; choose one above {max(trial.seed for trial in data.trials)}"
        )


def _arms(
    raw: Mapping[str, Any],
    data: StudyData,
    trial: StudyTrial,
    folder: Path,
    incumbent: Path | None,
) -> tuple[Arm, Arm]:
    """Incumbent and candidate, each with a folder for its trainings.

    A finalist was trained for longer than the config says; so is then the incumbent, as length is
    not what was asked.
    """
    old_raw, name = stretched(raw, stretch_of(trial, data)), "incumbent"
    if incumbent is not None:
        path = incumbent / "config.yaml"
        if not path.is_file():
            raise ConfigError(
                f"{incumbent}: no config.yaml in it; --incumbent needs the folder of a run"
            )
        old_raw, name = load_yaml(path), f"incumbent-{incumbent.resolve().name}"
    old = Arm(name="the incumbent", raw=old_raw, folder=folder / "adoption" / name)
    new = Arm(
        name=f"trial {trial.number}",
        raw=candidate_config(raw, data, trial, folder),
        folder=folder / "adoption" / f"candidate-{trial.number:03d}",
        number=trial.number,
    )
    return old, new


def _trained(
    arms: tuple[Arm, Arm],
    changed: Mapping[str, Any],
    data: StudyData,
    score: Score,
    study: StudyConfig,
    run: Runner,
) -> Pairs | None:
    """None where there is nothing to compare: the candidate is the incumbent."""
    if not changed:
        return None
    told = ", ".join(changed)
    announce(f"{arms[1].name} of {data.name} against the incumbent, of which it changes {told}")
    return train_pairs(
        *arms,
        score=score,
        kind="walk-forward" if study.folds else "train",
        plan=study.adoption,
        run=run,
    )


def _outcome(
    raw: Mapping[str, Any],
    data: StudyData,
    group: Sequence[StudyTrial],
    arms: tuple[Arm, Arm],
    changed: Mapping[str, Any],
    pairs: Pairs | None,
) -> dict[str, Any]:
    """What adoption.json says, but for the incumbent's name and where the adopted config is."""
    return {
        "kind": "adoption",
        "study": data.name,
        "question": data.question,
        "verdict": "refuse" if pairs is None else pairs.verdict,
        "reason": "its config is the incumbent's" if pairs is None else pairs.reason,
        "incumbent": "",
        "candidate": arms[1].number,
        "phase": group[0].phase,
        "values": dict(group[0].values),
        "changed": dict(changed),
        "metric": data.metric,
        "higher_is_better": data.higher_is_better,
        "score_in_study": score_in(group),
        "stretch": stretch_of(group[0], data),
        **_figures(pairs),
        **trials_behind(raw, data),
        "not_ended": sum(not trial.has_ended for trial in data.trials),
        "adopted": None,
        "command": None,
        "provenance": program_facts(),
    }


def _figures(pairs: Pairs | None) -> dict[str, Any]:
    """The scores of both by seed, and over the seeds by fold; what was decided by them."""
    if pairs is None:
        return {"seeds": [], "scores": {}, "folds": [], "parameters": {}, "constraints": [],
                "decision": None}  # fmt: skip
    both = {"incumbent": pairs.incumbent, "candidate": pairs.candidate}
    by_fold = [[fmean(fold) for fold in zip(*scores, strict=True)] for scores in both.values()]
    # a candidate that diverged with its first seed has none
    folds = [{"incumbent": old, "candidate": new} for old, new in zip(*by_fold, strict=False)]
    return {
        "seeds": list(pairs.seeds),
        "scores": {name: [fmean(seed) for seed in scores] for name, scores in both.items()},
        "folds": folds if len(folds) > 1 else [],
        "diverged": {name: list(seeds) for name, seeds in pairs.diverged.items()},
        "parameters": dict(pairs.parameters),
        "constraints": [dict(each) for each in pairs.constraints],
        "decision": None if pairs.decision is None else pairs.decision.as_dict(),
    }


def _write_adopted(
    raw: Mapping[str, Any],
    arm: Arm,
    outcome: Mapping[str, Any],
    folder: Path,
    parent: Path,
) -> str:
    text = adopted_yaml(
        raw,
        arm.raw,
        trials=outcome["trials"],
        parent=str(parent),
        reason=f"{arm.name} of {outcome['study']}: {outcome['reason']}",
    )
    write_text(folder / "study" / ADOPTED, text)
    return f"study/{ADOPTED}"
