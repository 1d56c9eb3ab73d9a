"""The bench of stores: all of them hold the same, so that their figures can be compared."""

from pathlib import Path

import pytest

from hfrun.bench.hub_stores import STORES, store_figures


@pytest.mark.slow
def test_git_libraries_come_to_the_same_trees_and_listings_as_the_hub(tmp_path: Path) -> None:
    """The bench itself refuses stores that differ."""
    figures = store_figures(tmp_path, commits=3)
    assert set(figures["stores"]) == set(STORES)
    assert set(figures["ratios"]) == set(STORES) - {"hub"}
    for name, ratios in figures["ratios"].items():
        ours, theirs = figures["stores"]["hub"], figures["stores"][name]
        assert ratios["bytes"] == theirs["bytes"] / ours["bytes"]
        assert ratios["commits_per_second"] > 0
