"""What the columns of any csv or Parquet table of snapshots mean, as a user says it in YAML.

    instrument: ACME
    tick_size: 0.01
    currency: USD
    timezone: America/New_York
    session: 09:30-16:00
    time: {column: ts, unit: ns}
    levels:
      count: 5
      ask_price: ask_px_{level:02d}
      ask_size: ask_sz_{level:02d}
      bid_price: bid_px_{level:02d}
      bid_size: bid_sz_{level:02d}

Unknown keys are errors that name the nearest, and all errors are shown at once. The whole reference
is in docs/data.md.
"""

import math
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from lob_backtest.errors import ConfigError
from lob_backtest.strict_yaml import build, finish, load_yaml

SIDES = ("ask", "bid")
Column = str | int


@dataclass(frozen=True, kw_only=True)
class TimeColumns:
    """Where a row's time is.

    Attributes:
        column: name, or number from 1 where there is no header.
        unit: of whole or decimal numbers, or ``"iso"`` for text as ``2024-01-05T14:30:00.5Z``.
        timezone: in which times without an offset are meant; numbers since 1970 are UTC.
        date: day of the whole file; ``column`` then is the time of day.
        date_column: column of days; ``column`` then is the time of day.
    """

    column: Column
    unit: Literal["ns", "us", "ms", "s", "iso"]
    timezone: str = "UTC"
    date: Any = None
    date_column: Column | None = None

    def __post_init__(self) -> None:
        if self.date is not None and self.date_column is not None:
            raise ConfigError("date and date_column: give one of them")
        if self.day is not None:
            try:
                date.fromisoformat(self.day)
            except ValueError as error:
                raise ConfigError(f"date: got {self.day!r}; needs a day as 2024-01-05") from error

    @property
    def day(self) -> str | None:
        """The day of the whole file; YAML reads one as a date."""
        if isinstance(self.date, datetime):
            return str(self.date)
        return None if self.date is None else str(self.date)

    @property
    def is_time_of_day(self) -> bool:
        """Whether the column counts from local midnight."""
        return self.date is not None or self.date_column is not None


@dataclass(frozen=True, kw_only=True)
class LevelColumns:
    """Where prices and sizes are: a pattern with ``{level}``, or a list from the best outwards.

    Attributes:
        count: levels a side.
        first: number of the best level in the patterns.
        ask_price, ask_size, bid_price, bid_size: the columns.
    """

    count: int
    ask_price: str | list[Column]
    ask_size: str | list[Column]
    bid_price: str | list[Column]
    bid_size: str | list[Column]
    first: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"count: got {self.count}; needs at least 1")
        for name in ("ask_price", "ask_size", "bid_price", "bid_size"):
            columns = self._listed(name)
            if len(columns) != self.count:
                raise ConfigError(f"{name}: {len(columns)} columns; needs count={self.count}")
        every = [column for side in SIDES for what in ("price", "size")
                 for column in self.columns(side, what)]  # fmt: skip
        twice = sorted({str(column) for column in every if every.count(column) > 1})
        if twice:
            raise ConfigError(f"{', '.join(twice)}: named more than once; each column is one thing")

    def columns(self, side: str, what: str) -> list[Column]:
        """The columns of one side's prices or sizes, the best level first."""
        return self._listed(f"{side}_{what}")

    def _listed(self, name: str) -> list[Column]:
        given: str | list[Column] = getattr(self, name)
        if isinstance(given, list):
            return given
        levels = range(self.first, self.first + self.count)
        try:
            named: list[Column] = [given.format(level=level) for level in levels]
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"{name}: got {given!r}; needs a pattern as ask_px_{{level:02d}}, or a list"
            ) from error
        return named if self.count > 1 else named[:1]


@dataclass(frozen=True, kw_only=True)
class TextFormat:
    """How a text file is written; not used for Parquet.

    Attributes:
        header: whether a line names the columns; without, columns are numbers from 1.
        delimiter: one character.
        skip_lines: lines before the header or the data.
    """

    header: bool = True
    delimiter: str = ","
    skip_lines: int = 0

    def __post_init__(self) -> None:
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n':
            raise ConfigError(f"delimiter: got {self.delimiter!r}; needs one character, as ;")
        if self.skip_lines < 0:
            raise ConfigError(f"skip_lines: got {self.skip_lines}; needs 0 or more")


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """A table of snapshots.

    Attributes:
        time, levels, text: the columns, and how they are written.
        instrument, tick_size, currency: what the book is of; options of the command go before.
        timezone, session: ``"09:30-16:00"`` in that time zone; without, the market never closes.
        instrument_column: where a table of several instruments names them.
        missing: texts that stand for a level that is not there; ``""`` is an empty field, and in
            Parquet a null.
        price_scale, size_scale: currency units (shares, coins) of 1 in the columns.
    """

    time: TimeColumns
    levels: LevelColumns
    text: TextFormat = field(default_factory=TextFormat)
    instrument: str | None = None
    tick_size: float | None = None
    currency: str | None = None
    timezone: str = "UTC"
    session: str | None = None
    instrument_column: Column | None = None
    missing: list[str] = field(default_factory=list)
    price_scale: float = 1.0
    size_scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("tick_size", "price_scale", "size_scale"):
            value = getattr(self, name)
            if value is not None and not (0 < value < math.inf):
                raise ConfigError(f"{name}: got {value}; needs a positive number")
        if self.session is not None and self.session.count("-") != 1:
            raise ConfigError(f"session: got {self.session!r}; needs local times as 09:30-16:00")

    @property
    def hours(self) -> tuple[str, str] | None:
        """Open and close of the session."""
        if self.session is None:
            return None
        opening, _, closing = self.session.partition("-")
        return opening.strip(), closing.strip()

    def columns(self) -> list[Column]:
        """Every column that is read, each once."""
        extra = [self.time.column, self.time.date_column, self.instrument_column]
        named = [column for column in extra if column is not None]
        for side in SIDES:
            named += self.levels.columns(side, "price") + self.levels.columns(side, "size")
        return list(dict.fromkeys(named))


def load_mapping(path: Path) -> Mapping:
    """Read a mapping, with every problem it has in one message.

    Raises:
        ConfigError: no such file, not YAML, unknown or missing keys, values that cannot be.
    """
    errors: list[str] = []
    mapping = build(Mapping, load_yaml(path), "", errors)
    return finish(mapping, errors, str(path))
