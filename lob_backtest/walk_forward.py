"""Score a model fold by fold against baselines, trade it after costs, and judge it.

    predictions ─► measures ─► intervals ─┐
        └─► thresholds ─► orders ─► accounts ─┴─► gates, alarms ─► report

The outcome is the object of report.json, plain JSON types throughout. Every figure can be traced to
the decisions and the book; nothing in it depends on the clock or the machine.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lob_backtest.account import Account
from lob_backtest.alarms import run_alarms
from lob_backtest.book import Book
from lob_backtest.config import BacktestConfig, GatesConfig, JudgeConfig
from lob_backtest.contenders import MODEL, Contest, ModelPredictions, predict_baselines
from lob_backtest.figures import (
    Outcome,
    aggregate_figures,
    classification_over_folds,
    fold_figures,
    labelled,
)
from lob_backtest.files import plain_json
from lob_backtest.gates import check_rules, classification_baseline, judge, verdict
from lob_backtest.metrics import confusion_matrix, reliability_bins
from lob_backtest.predictions import Predictions, pool
from lob_backtest.prepare import Prepared, prepare
from lob_backtest.questions import statistics_of
from lob_backtest.resampling import (
    LEVEL,
    METHOD,
    Intervals,
    classification_intervals,
    lift_section,
    overfitting_section,
    paired_section,
    sharpe_section,
    trading_intervals,
    windows_section,
)
from lob_backtest.sections import (
    Part,
    annualisation_section,
    backtest_section,
    blocks_section,
    confidence_section,
    data_section,
    instruments_section,
    sensitivity_section,
    series_section,
    slices_section,
    trades_section,
)
from lob_backtest.strict_yaml import as_dict
from lob_backtest.trading import Market, Traded, TradedMarkets, trade_many
from lob_backtest.training_figures import TrainingFigures

__all__ = [
    "Contest",
    "ModelPredictions",
    "baseline_predictions",
    "classification_over_folds",
    "predict_baselines",
    "score",
    "score_many",
]

FORMAT = "lob_backtest.report/2"


def baseline_predictions(
    book: Book, config: JudgeConfig, *, seed: int = 0
) -> dict[str, ModelPredictions]:
    """Predictions of every baseline on the folds of a config."""
    prepared = prepare(
        book, data=config.data, walk_forward=config.walk_forward, backtest=config.backtest
    )
    return predict_baselines(book, prepared, seed=seed)


def score(
    book: Book,
    model: ModelPredictions,
    baselines: Mapping[str, ModelPredictions],
    *,
    backtest: BacktestConfig | None,
    gates: GatesConfig,
    training: TrainingFigures | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
    prepared: Prepared | None = None,
    provenance: Mapping[str, Any] | None = None,
    check: bool = False,
) -> dict[str, Any]:
    """The report of a model on its test blocks: figures, intervals, gates and verdict.

    Args:
        book, model, baselines, prepared: see ``Contest``.
        backtest, gates, training, seed, n_resamples, provenance, check: see ``score_many``.

    Raises:
        PredictionsError: the model, a baseline and the book do not belong together.
        SignalError: a threshold is to be chosen without validation predictions.
        GateError: an unknown gate or baseline in ``gates``.
    """
    return score_many(
        [Contest(book=book, model=model, baselines=baselines, prepared=prepared)],
        backtest=backtest,
        gates=gates,
        training=training,
        seed=seed,
        n_resamples=n_resamples,
        provenance=provenance,
        check=check,
    )


def score_many(
    contests: Sequence[Contest],
    *,
    backtest: BacktestConfig | None,
    gates: GatesConfig,
    training: TrainingFigures | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
    provenance: Mapping[str, Any] | None = None,
    check: bool = False,
) -> dict[str, Any]:
    """The report of a model on one instrument or on several, which are judged together.

    Args:
        contests: one an instrument, with the same baselines and folds that are alike in time.
        backtest: how predictions are traded; None leaves all money out.
        gates: limits.
        training: what the training run knows.
        seed: of the intervals and the alarms.
        n_resamples: of the bootstrap.
        provenance: taken into the report as it is; must be JSON-able.
        check: whether to run the leak alarms; one that is raised fails the report.

    Raises:
        PredictionsError: a model, a baseline and a book do not belong together.
        SignalError: a threshold is to be chosen without validation predictions.
        GateError: an unknown gate or baseline in ``gates``.
        PortfolioError: instruments that cannot be traded side by side.
    """
    check_rules(gates, baselines=list(contests[0].baselines))
    everyone = [contest.contenders() for contest in contests]
    markets = _trade(contests, everyone, backtest)
    traded = None if markets is None else markets.together
    outcome = Outcome(
        tables={name: pool([of[name].test for of in everyone]) for name in everyone[0]},
        traded=traded,
    )
    rng = np.random.default_rng(seed)
    of_decisions = classification_intervals(outcome.tables, n_resamples=n_resamples, rng=rng)
    test = outcome.tables[MODEL]
    of_bars = _trading_intervals(traded, test, n_resamples=n_resamples, rng=rng)
    folds = [fold_figures(fold, outcome, contests) for fold in test.folds]
    aggregate = aggregate_figures(outcome, of_decisions, of_bars)
    judgement = _judgement(
        contests, everyone, folds, aggregate, gates, training, check=check, seed=seed
    )
    baseline = judgement["baseline"]
    labels, probability = labelled(test, None)
    statistics = [_label_statistics(contest, backtest) for contest in contests]
    report = {
        "format": FORMAT,
        **judgement,
        "data": data_section([contest.book for contest in contests], test),
        "label": None if contests[0].prepared is None else as_dict(contests[0].prepared.data),
        "label_statistics": statistics[0] if len(contests) == 1 else None,
        "folds": folds,
        "aggregate": aggregate,
        "instruments": instruments_section(everyone, markets, statistics),
        **_comparisons(outcome, baseline, of_decisions, of_bars),
        **_money_doubts(traded, backtest),
        "confusion": confusion_matrix(labels, probability).tolist(),
        "reliability": reliability_bins(labels, probability),
        "confidence": confidence_section(test),
        **_details(contests, everyone, markets),
        "backtest": backtest_section(contests[0].book, backtest, traded),
        "annualisation": annualisation_section(contests[0].book, traded),
        "equity": series_section(traded),
        "cost_sensitivity": sensitivity_section(traded, backtest),
        "intervals": _how_intervals(of_decisions, of_bars, n_resamples=n_resamples, seed=seed),
        "rules": as_dict(gates),
        "training": None if training is None else training.as_dict(),
        "provenance": None if provenance is None else dict(provenance),
    }
    plain: dict[str, Any] = plain_json(report)
    return plain


def _trade(
    contests: Sequence[Contest],
    everyone: Sequence[Mapping[str, ModelPredictions]],
    backtest: BacktestConfig | None,
) -> TradedMarkets | None:
    if backtest is None:
        return None
    return trade_many(
        {
            contest.book.meta.instrument: Market(
                book=contest.book,
                models=models,
                all_decided_ns=None
                if contest.prepared is None
                else contest.prepared.decisions.decided_ns,
            )
            for contest, models in zip(contests, everyone, strict=True)
        },
        backtest,
    )


def _trading_intervals(
    traded: Traded | None, test: Predictions, *, n_resamples: int, rng: np.random.Generator
) -> Intervals | None:
    if traded is None:
        return None
    return trading_intervals(
        traded.accounts,
        traded.accounts[MODEL].decisions_per_bar(test.fold, test.decided_ns),
        periods_per_year=traded.periods_per_year,
        n_resamples=n_resamples,
        rng=rng,
    )


def _alarms(
    contests: Sequence[Contest],
    everyone: Sequence[Mapping[str, ModelPredictions]],
    baseline: str | None,
    *,
    limit: float,
    passes: bool,
    seed: int,
) -> list[dict[str, Any]]:
    """The leak alarms of every instrument; of several each alarm's name says of which."""
    outcomes = []
    for contest, models in zip(contests, everyone, strict=True):
        name = contest.book.meta.instrument
        found = run_alarms(
            contest.book,
            models[MODEL].test,
            None if baseline is None else models[baseline].test,
            prepared=contest.prepared,
            f1_lift=limit,
            passes=passes,
            seed=seed,
        )
        outcomes += [
            {**alarm.as_dict(), **({"instrument": name} if len(contests) > 1 else {})}
            for alarm in found
        ]
    return outcomes


def _judgement(
    contests: Sequence[Contest],
    everyone: Sequence[Mapping[str, ModelPredictions]],
    folds: list[dict[str, Any]],
    aggregate: dict[str, Any],
    gates: GatesConfig,
    training: TrainingFigures | None,
    *,
    check: bool,
    seed: int,
) -> dict[str, Any]:
    """Verdict, gates, leak alarms where asked for, and the baseline that F1 is measured against."""
    judged = judge(folds=folds, aggregate=aggregate, rules=gates, training=training)
    baseline = classification_baseline(aggregate, gates.baseline)
    alarms = None
    if check:
        passes = verdict(judged) == "pass"
        alarms = _alarms(contests, everyone, baseline, limit=gates.f1_lift, passes=passes,
                         seed=seed)  # fmt: skip
    return {
        "verdict": verdict(judged, alarms=alarms or []),
        "gates": [gate.as_dict() for gate in judged],
        "alarms": alarms,
        "baseline": baseline,
    }


def _label_statistics(contest: Contest, backtest: BacktestConfig | None) -> dict[str, Any] | None:
    """Of the test decisions of all folds, each cut at its fold's threshold."""
    prepared = contest.prepared
    if prepared is None:
        return None
    rows = np.concatenate([fold.test for fold in prepared.folds])
    labels = np.concatenate([prepared.labels(fold)[fold.test] for fold in prepared.folds])
    return statistics_of(
        contest.book,
        prepared.decisions.select(rows),
        labels,
        prepared.moves.label_end_ns[rows],
        prepared.data.label,
        backtest,
    )


def _comparisons(
    outcome: Outcome, baseline: str | None, of_decisions: Intervals, of_bars: Intervals | None
) -> dict[str, Any]:
    """What the model is ahead of each baseline, and whether luck would do."""
    lift, windows = None, None
    if baseline is not None:
        model, other = outcome.tables[MODEL], outcome.tables[baseline]
        lift = lift_section(model, other, name=baseline)
        windows = windows_section(model, other)
    return {
        "paired": paired_section(of_decisions, of_bars),
        "lift_test": lift,
        "windows": windows,
    }


def _money_doubts(traded: Traded | None, backtest: BacktestConfig | None) -> dict[str, Any]:
    """How far the Sharpe ratio and the choice of a threshold may be luck."""
    if traded is None or backtest is None:
        return {"sharpe_statistics": None, "overfitting": None}
    account: Account = traded.accounts[MODEL]
    returns = traded.candidate_returns
    candidates = (
        {}
        if returns is None
        else {f"{c:g}": returns[:, i] for i, c in enumerate(backtest.signal.candidates)}
    )
    return {
        "sharpe_statistics": sharpe_section(
            account, periods_per_year=traded.periods_per_year, trials=backtest.trials
        ),
        "overfitting": overfitting_section(candidates),
    }


def _details(
    contests: Sequence[Contest],
    everyone: Sequence[Mapping[str, ModelPredictions]],
    markets: TradedMarkets | None,
) -> dict[str, Any]:
    """Slices, trades and blocks: where the model is right, and where it earns."""
    names = [contest.book.meta.instrument for contest in contests]
    accounts = {} if markets is None else {n: markets.each[n].accounts[MODEL] for n in names}
    parts = [
        Part(
            book=contest.book,
            test=models[MODEL].test,
            trades=accounts[name].trades if name in accounts else None,
        )
        for name, contest, models in zip(names, contests, everyone, strict=True)
    ]
    together = None if markets is None else markets.together
    return {
        "slices": slices_section(parts, capital=None if together is None else together.capital),
        "trades": trades_section(
            {name: account.trades for name, account in accounts.items()} or None
        ),
        "blocks": blocks_section(parts, None if together is None else together.accounts[MODEL]),
    }


def _how_intervals(
    of_decisions: Intervals, of_bars: Intervals | None, *, n_resamples: int, seed: int
) -> dict[str, Any]:
    return {
        "level": LEVEL,
        "method": METHOD,
        "n_resamples": n_resamples,
        "mean_block_decisions": of_decisions.mean_block,
        "mean_block_bars": None if of_bars is None else of_bars.mean_block,
        "seed": seed,
    }
