"""Taking the one instrument of a book out of a file that may have several."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lob_backtest.book import BoolArray, IntArray
from lob_backtest.errors import FormatError
from lob_backtest.io.stream import Counts

_DROPPED = "of another instrument"
_MOST_NAMED = 20


@dataclass(kw_only=True)
class Chosen:
    """The instrument to read, and those that were met.

    Attributes:
        path: the file.
        instrument: its name in the file.
        by_user: whether the user named it; else it is the file's first, and must be its only one.
        met: all names so far.
    """

    path: Path
    instrument: str
    by_user: bool
    met: set[str] = field(default_factory=set)

    def rows(
        self, names: Sequence[str] | npt.NDArray[np.str_], which: IntArray, counts: Counts
    ) -> BoolArray:
        """``(n,)`` which rows are of the instrument; none once one has to be chosen.

        Args:
            names: of instruments.
            which: ``(n,)`` index into ``names`` of each row's.
            counts: rows of others are counted there as dropped.
        """
        listed = np.array(names, dtype=np.str_)
        self.met.update(listed[np.unique(which)].tolist())
        is_ours: BoolArray = (listed == self.instrument)[which]
        counts.rows_dropped[_DROPPED] += int((~is_ours).sum())
        return is_ours if self.by_user or len(self.met) == 1 else np.zeros_like(is_ours)

    def check(self) -> None:
        """Raise a FormatError that lists what the file has, where ours is unclear or not there."""
        names = sorted(self.met)
        listed = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
        if len(names) > 1 and not self.by_user:
            raise FormatError(
                f"{self.path}: the file has {len(names)} instruments ({listed}), a book has one: "
                f"choose with --instrument, e.g. --instrument {names[0]}"
            )
        if self.instrument not in self.met:
            raise FormatError(
                f"{self.path}: no rows of {self.instrument}; the file has {listed}: "
                "choose one with --instrument"
            )
