"""What the quality table compares: books, horizons, contenders, and which cells are made.

    cell = book x horizon x contender x seed x window

A window is a test block of the walk-forward. A baseline is fitted on every window at every horizon;
a deep model, unless all is asked for, at the middle horizon and on the first and the last window,
which share the least of what they are trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from lob_backtest.baselines import BASELINES
from lob_backtest.errors import ConfigError
from lob_backtest.io import ImportOptions
from lob_backtest.strict_yaml import unknown_keys

SEEDS = 3


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """How far labels look: ``amount`` of ``horizon_events`` or of ``horizon_ms``."""

    key: Literal["horizon_events", "horizon_ms"]
    amount: int

    @property
    def override(self) -> str:
        """As the config takes it."""
        return f"data.label.{self.key}={self.amount}"

    @property
    def words(self) -> str:
        """
        >>> Horizon(key="horizon_ms", amount=60_000).words
        '60 s'
        """
        return f"{self.amount} events" if self.key == "horizon_events" else (
            f"{self.amount / 1000:g} s")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BookPlan:
    """A book of the table; the rest of its settings are in the config of its name.

    Attributes:
        name: of the config and of the imported book's file.
        source_format, files, options: what to import; ``files`` are patterns in the data folder.
        horizons: short, middle, long.
        title, remark: for the page.
    """

    name: str
    title: str
    source_format: str
    files: tuple[str, ...]
    horizons: tuple[Horizon, Horizon, Horizon]
    options: ImportOptions = field(default_factory=ImportOptions)
    remark: str = ""

    @property
    def middle(self) -> Horizon:
        """The horizon at which deep models are compared."""
        return self.horizons[1]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A deep model: the config of a book with these overrides."""

    name: str
    overrides: tuple[str, ...]
    words: str


@dataclass(frozen=True, kw_only=True, order=True)
class Cell:
    """One figure's place: what was fitted, on what, and the window that it predicted."""

    book: str
    horizon: str
    contender: str
    seed: int
    fold: int

    @property
    def stem(self) -> str:
        """Path of its files in the cells' folder, without an ending."""
        horizon = self.horizon.replace(" ", "-")
        return f"{self.book}/{horizon}/{self.contender}/seed-{self.seed}-window-{self.fold}"


def _events(*amounts: int) -> tuple[Horizon, Horizon, Horizon]:
    short, middle, long = (Horizon(key="horizon_events", amount=each) for each in amounts)
    return short, middle, long


def _seconds(*amounts: int) -> tuple[Horizon, Horizon, Horizon]:
    short, middle, long = (Horizon(key="horizon_ms", amount=1000 * each) for each in amounts)
    return short, middle, long


BOOKS = (
    BookPlan(
        name="goog",
        title="GOOG, one day, 10 levels",
        source_format="lobster",
        files=("lobster/LOBSTER_SampleFile_GOOG_2012-06-21_10.zip",),
        horizons=_events(10, 50, 100),
    ),
    BookPlan(
        name="amzn",
        title="AMZN, one day, 5 levels",
        source_format="lobster",
        files=("lobster/LOBSTER_SampleFile_AMZN_2012-06-21_5.zip",),
        horizons=_events(10, 50, 100),
    ),
    BookPlan(
        name="bac",
        title="BAC, five days, level 1",
        source_format="lean",
        files=("lean/bac_*_tick_quote.zip",),
        horizons=_seconds(30, 60, 120),
        remark="The mid moves in 0.06 % of the rows: within 10, 50 and 100 rows 99, 97 and 95 % of "
        "the labels would be flat. Decisions and horizons are on the clock instead.",
    ),
    BookPlan(
        name="xbtusd",
        title="XBTUSD, 18 minutes, 10 levels",
        source_format="bitmex",
        files=("bitmex/orderbook10_20200310_1825_1843.csv.gz",),
        options=ImportOptions(instrument="XBTUSD"),
        horizons=_seconds(2, 5, 10),
        remark="The mid moves 357 times in 91,779 rows: too seldom for horizons in events, and too "
        "few moves to decide on them alone. Decisions and horizons are on the clock instead.",
    ),
)

MODELS = (
    Contender(
        name="linear", overrides=("model.type=linear",), words="linear in the last rows, joined"
    ),
    Contender(
        name="mlp", overrides=("model.type=mlp",), words="perceptron on the last rows, joined"
    ),
    Contender(
        name="bilstm", overrides=("model.type=bilstm",), words="bidirectional LSTM over the window"
    ),
    Contender(name="deeplob", overrides=(), words="DeepLOB, levels relative to the mid"),
    Contender(
        name="deeplob_flow",
        overrides=("data.normalize.inputs=order_flow",),
        words="DeepLOB, order flow level by level",
    ),
    Contender(
        name="deeplob_skip",
        overrides=("model.config.skip=true",),
        words="DeepLOB with a linear path from the hand-made features",
    ),
    *(
        Contender(
            name=f"{kind}_flow_skip",
            overrides=(
                f"model.type={kind}",
                "data.normalize.inputs=order_flow",
                "model.config.skip=true",
            ),
            words=f"{kind} on order flow, with the linear path",
        )
        for kind in ("mlp", "bilstm", "deeplob")
    ),
)


def baseline_cells(plan: BookPlan, folds: Sequence[int]) -> list[Cell]:
    """Every baseline on every window at every horizon. None of them draws, so one seed is all."""
    return [
        Cell(book=plan.name, horizon=horizon.words, contender=name, seed=0, fold=fold)
        for horizon in plan.horizons
        for fold in folds
        for name in BASELINES
    ]


def deep_cells(
    plan: BookPlan,
    horizon: Horizon,
    folds: Sequence[int],
    models: Sequence[Contender],
    *,
    seeds: int,
    full: bool,
) -> list[Cell]:
    """The deep models' cells at one horizon; none away from the middle one unless ``full``."""
    if horizon != plan.middle and not full:
        return []
    chosen = folds if full else sorted({folds[0], folds[-1]})
    return [
        Cell(book=plan.name, horizon=horizon.words, contender=model.name, seed=seed, fold=fold)
        for seed in range(seeds)
        for fold in chosen
        for model in models
    ]


def chosen_books(names: Sequence[str]) -> list[BookPlan]:
    """The books of these names, in the table's order.

    Raises:
        ConfigError: a name of none.
    """
    _refuse_unknown(names, [plan.name for plan in BOOKS], "--books")
    return [plan for plan in BOOKS if plan.name in names]


def chosen_models(names: Sequence[str]) -> list[Contender]:
    """The deep models of these names, in the table's order.

    Raises:
        ConfigError: a name of none.
    """
    _refuse_unknown(names, [model.name for model in MODELS], "--models")
    return [model for model in MODELS if model.name in names]


def _refuse_unknown(names: Sequence[str], known: Sequence[str], flag: str) -> None:
    problems = unknown_keys(dict.fromkeys(names), known, flag)
    if problems:
        raise ConfigError("; ".join(problems))
