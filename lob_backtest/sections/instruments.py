"""The instruments one by one, where a report is of several."""

from collections.abc import Mapping, Sequence
from typing import Any

from lob_backtest.contenders import MODEL, ModelPredictions
from lob_backtest.figures import Outcome
from lob_backtest.trading import TradedMarkets


def instruments_section(
    everyone: Sequence[Mapping[str, ModelPredictions]],
    markets: TradedMarkets | None,
    label_statistics: Sequence[Mapping[str, Any] | None],
) -> dict[str, dict[str, Any]] | None:
    """The model's figures over all folds on each instrument; None where there is one only.

    Args:
        everyone: of each instrument, the contenders by name.
        markets: None where nothing was traded for money.
        label_statistics: of each instrument's test labels.
    """
    if len(everyone) < 2:
        return None
    found = {}
    for models, statistics in zip(everyone, label_statistics, strict=True):
        test = models[MODEL].test
        outcome = Outcome(
            tables={MODEL: test},
            traded=None if markets is None else markets.each[test.instrument],
        )
        found[test.instrument] = {
            "n": int(test.is_labelled.sum()),
            **outcome.figures(MODEL),
            "label_statistics": statistics,
        }
    return found
