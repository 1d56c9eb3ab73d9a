"""Incumbent and candidate, trained seed by seed until their difference is decided.

seed   1000  1001  1002  1003  1004 | 1005 ...
old    ●     ●     ●     ●     ●    |            same seeds, same folds
new    ●     ●     ●     ●     ●    |
                                    look: adopt, refuse, or go on to the next look
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfrun.errors import HfrunError
from hfrun.study.costs import parameters_of
from hfrun.study.paired_test import Decision, decide, looks_of
from hfrun.study.score import Score
from hfrun.study.trials import Kind, Trial, TrialResult
from hfrun.study_config import AdoptionConfig
from lob_backtest.progress import announce

Runner = Callable[[Mapping[str, Any], Trial], TrialResult]


@dataclass(frozen=True, kw_only=True, eq=False)
class Arm:
    """The incumbent or the candidate.

    Args:
        name: in messages.
        raw: its config, as ``hfrun.study.trials.run_trial`` takes it.
        folder: of its trainings.
        number: of the trial that it was in the study; -1 of the incumbent.
    """

    name: str
    raw: Mapping[str, Any]
    folder: Path
    number: int = -1

    def run_folder(self, seed: int) -> Path:
        return self.folder / f"seed-{seed:04d}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Trainings of both with the same seeds, and what follows from them.

    Args:
        seeds: those with which both were trained.
        incumbent: scores by seed, each a list over the folds (of one training: of one).
        candidate: the same.
        diverged: ``{"incumbent": seeds, "candidate": seeds}`` whose loss was no longer finite.
        parameters: of each, where the model's files are here.
        decision: None where the candidate diverged.
        constraints: of the candidate, ``{name, limit, met, of}``: with how many seeds it met each.
    """

    seeds: tuple[int, ...]
    incumbent: tuple[tuple[float, ...], ...]
    candidate: tuple[tuple[float, ...], ...]
    diverged: Mapping[str, Sequence[int]]
    parameters: Mapping[str, int | None]
    decision: Decision | None
    constraints: tuple[Mapping[str, Any], ...] = ()

    @property
    def verdict(self) -> str:
        """A better score is no use where the candidate breaks a constraint with most seeds."""
        return "refuse" if self.decision is None or self._broken else self.decision.verdict

    @property
    def reason(self) -> str:
        broken = [f"{each['name']} keeps to its limit {each['limit']} with {each['met']} of "
                  f"{each['of']} seeds alone" for each in self._broken]  # fmt: skip
        return "; but ".join([self._of_scores, *broken])

    @property
    def _broken(self) -> list[Mapping[str, Any]]:
        return [each for each in self.constraints if 2 * each["met"] < each["of"]]

    @property
    def _of_scores(self) -> str:
        if self.decision is None:
            return f"the candidate diverged with seed {self.diverged['candidate'][0]}"
        seeds = ", ".join(map(str, self.diverged["incumbent"]))
        worst = f"; the incumbent diverged with seed {seeds}, which counts as its worst score"
        return self.decision.reason + (worst if seeds else "")


def train_pairs(
    incumbent: Arm,
    candidate: Arm,
    *,
    score: Score,
    kind: Kind,
    plan: AdoptionConfig,
    run: Runner,
) -> Pairs:
    """Train both with a seed, then with the next, and look where the plan says.

    Args:
        incumbent: the one in use.
        candidate: the one that may take its place.
        score: of the chosen checkpoint on the validation part, and its constraints.
        kind: of every run.
        plan: seeds, looks and level.
        run: makes one training, or reads that which is there.

    Raises:
        HfrunError: a training failed, or the incumbent diverged with every seed.
    """
    old: list[TrialResult] = []
    new: list[TrialResult] = []
    looks = looks_of(plan.seeds, plan.most_seeds)
    for pairs in range(1, looks[-1] + 1):
        seed = plan.first_seed + pairs - 1
        announce(f"pair {pairs} of {_due(pairs, looks)}, seed {seed}")
        old.append(_trained(incumbent, seed, kind, run))
        new.append(_trained(candidate, seed, kind, run))
        if new[-1].status == "diverged":
            break
        if pairs in looks:
            found = _pairs(old, new, score, plan)
            announce(f"  {found.verdict.replace('_', ' ')}: {found.reason}")
            if found.verdict != "more_seeds":
                return found
    return _pairs(old, new, score, plan)


def _due(pairs: int, looks: Sequence[int]) -> str:
    """How many pairs there are before the next look, and at most."""
    due = next(look for look in looks if look >= pairs)
    return str(due) if due == looks[-1] else f"{due} (at most {looks[-1]})"


def _trained(arm: Arm, seed: int, kind: Kind, run: Runner) -> TrialResult:
    folder = arm.run_folder(seed)
    result = run(arm.raw, Trial(number=arm.number, values={}, seed=seed, folder=folder, kind=kind))
    if result.status in ("failed", "pruned"):
        raise HfrunError(
            f"{folder}: the training of {arm.name} {result.status}: {result.error}; mend it, "
            "and run the same command again: it goes on with this seed"
        )
    return result


def _pairs(
    old: Sequence[TrialResult],
    new: Sequence[TrialResult],
    score: Score,
    plan: AdoptionConfig,
) -> Pairs:
    diverged = {
        "incumbent": [result.seed for result in old if result.status == "diverged"],
        "candidate": [result.seed for result in new if result.status == "diverged"],
    }
    before, after = _scores(old, score), _scores(new, score)
    parameters = {"incumbent": _parameters(old[0]), "candidate": _parameters(new[0])}
    decision = None
    if not diverged["candidate"]:
        if not before:
            raise HfrunError(
                f"{old[-1].folder}: the incumbent diverged with every seed, so nothing can be held "
                "against it; name another with --incumbent"
            )
        decision = decide(
            before,
            after,
            higher_is_better=score.higher_is_better,
            level=plan.level,
            seeds=plan.seeds,
            most_seeds=plan.most_seeds,
            incumbent_cost=parameters["incumbent"],
            candidate_cost=parameters["candidate"],
        )
    return Pairs(
        seeds=tuple(result.seed for result in old), incumbent=before, candidate=after,
        diverged=diverged, parameters=parameters, decision=decision,
        constraints=_met(new, score) if decision and decision.verdict == "adopt" else (),
    )  # fmt: skip


def _met(results: Sequence[TrialResult], score: Score) -> tuple[Mapping[str, Any], ...]:
    """With how many of its seeds a candidate meets each constraint."""
    judged = [score.judged(result) for result in results]
    return tuple(
        {
            "name": each[0]["name"],
            "limit": each[0]["limit"],
            "met": sum(bool(one["met"]) for one in each),
            "of": len(each),
        }
        for each in zip(*judged, strict=True)
    )


def _scores(results: Sequence[TrialResult], score: Score) -> tuple[tuple[float, ...], ...]:
    """By seed and fold; of one that diverged the worst of the others. None where all diverged."""
    done = [_score(result, score.metric) for result in results if result.status == "done"]
    if not done:
        return ()
    pick = min if score.higher_is_better else max
    worst = tuple(pick(fold) for fold in zip(*done, strict=True))
    return tuple(
        _score(result, score.metric) if result.status == "done" else worst for result in results
    )


def _score(result: TrialResult, metric: str) -> tuple[float, ...]:
    told = result.folds or (result.validation,)
    if not all(metric in figures for figures in told):
        raise HfrunError(
            f"{result.folder}: no evaluation carries {metric}, by which the study compares; known: "
            f"{', '.join(sorted(told[0]))}"
        )
    return tuple(float(figures[metric]) for figures in told)


def _parameters(result: TrialResult) -> int | None:
    found = parameters_of(Path(result.folder) / "model")
    return found or None
