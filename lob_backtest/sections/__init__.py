"""The sections of report.json that are built from decisions, accounts and configs; plain dicts."""

from lob_backtest.sections.blocks import blocks_section
from lob_backtest.sections.confidence import confidence_section
from lob_backtest.sections.curves import sensitivity_section, series_section
from lob_backtest.sections.described import annualisation_section, backtest_section, data_section
from lob_backtest.sections.instruments import instruments_section
from lob_backtest.sections.parts import Part, RoundTrips
from lob_backtest.sections.slices import slices_section
from lob_backtest.sections.trades import trades_section

__all__ = [
    "Part",
    "RoundTrips",
    "annualisation_section",
    "backtest_section",
    "blocks_section",
    "confidence_section",
    "data_section",
    "instruments_section",
    "sensitivity_section",
    "series_section",
    "slices_section",
    "trades_section",
]
