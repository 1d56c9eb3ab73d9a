"""Tests of lob_backtest."""
