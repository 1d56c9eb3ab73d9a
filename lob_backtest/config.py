"""The sections of a run's YAML that the judge reads; hfrun adds its own to the same file."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from lob_backtest.errors import ConfigError
from lob_backtest.strict_yaml import build, finish, load_yaml, unknown_keys

# Nobody means more or less, and what is computed of such figures stays within float64.
_SMALLEST, _LARGEST = 1e-12, 1e18
_LONGEST_SECONDS = 1e9  # in nanoseconds within 64 bits


@dataclass(frozen=True, kw_only=True)
class DecisionsConfig:
    """When the model decides: exactly one of a clock, every n-th row, or each change of the mid."""

    every_ms: float | None = None
    every_events: int | None = None
    on: Literal["mid_change"] | None = None

    def __post_init__(self) -> None:
        given = [self.every_ms is not None, self.every_events is not None, self.on is not None]
        _need(sum(given) == 1, "needs exactly one of every_ms, every_events and on: mid_change")
        _positive(self, "every_ms", "every_events")


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """What is predicted: down, flat or up at a horizon in clock time or in book rows.

    ``smoothed`` compares the mean mid after the decision with the mean before it (DeepLOB), so it
    also follows the past move, which is no profit; ``smoothed_forward`` compares it with the mid at
    the decision (FI-2010). The move is cut at ``threshold_ticks`` when it is given, otherwise at
    the ``flat_share`` quantile of the absolute moves of a fold's train part.

    ``triple_barrier`` asks which of two barriers the mid touches first, ``barrier_volatilities``
    standard deviations away, within the horizon; ``executable`` whether a trade at the touch, in
    and out again at the horizon, earns more than the costs of the ``backtest`` section. Both say
    themselves what is flat: they take no threshold.
    """

    kind: Literal["mid_move", "smoothed", "smoothed_forward", "triple_barrier", "executable"] = (
        "mid_move"
    )
    horizon_ms: float | None = None
    horizon_events: int | None = None
    threshold_ticks: float | None = None
    flat_share: float = 1 / 3
    barrier_volatilities: float = 1.0
    volatility_decisions: int = 100

    def __post_init__(self) -> None:
        given = [self.horizon_ms is not None, self.horizon_events is not None]
        _need(sum(given) == 1, "needs exactly one of horizon_ms and horizon_events")
        _positive(self, "horizon_ms", "horizon_events")
        _positive(self, "barrier_volatilities", "volatility_decisions")
        _need(
            self.threshold_ticks is None or not self.says_flat,
            f"threshold_ticks={self.threshold_ticks}: a label of kind {self.kind} takes none",
        )
        _need(0 < self.flat_share < 1, f"flat_share={self.flat_share} needs to be within 0 and 1")
        _need(
            self.threshold_ticks is None or self.threshold_ticks >= 0,
            f"threshold_ticks={self.threshold_ticks} needs to be >= 0",
        )

    @property
    def says_flat(self) -> bool:
        """Whether the kind itself says what is flat, so that no threshold is fitted."""
        return self.kind in ("triple_barrier", "executable")


@dataclass(frozen=True, kw_only=True)
class NormalizeConfig:
    """How rows become model input; statistics always come from a fold's train part alone.

    ``inputs`` is what a row holds: the ``levels`` themselves, or the ``order_flow`` between it and
    the row before, which looks at neither ``prices`` nor ``slow_mean_rows``.
    """

    inputs: Literal["levels", "order_flow"] = "levels"
    prices: Literal["slow_mean", "mid", "absolute"] = "slow_mean"
    slow_mean_rows: int = 5000
    sizes: Literal["log", "raw"] = "log"

    def __post_init__(self) -> None:
        _positive(self, "slow_mean_rows")


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """A seeded synthetic book in place of a file; ``signal`` 0 plants no predictability."""

    days: int
    rows_per_day: int
    levels: int = 10
    signal: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        _positive(self, "days", "rows_per_day", "levels")
        _need(0 <= self.signal <= 1, f"signal={self.signal} needs to be from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Shares of the decisions, in time order, for a training without walk-forward."""

    train: float = 0.6
    validation: float = 0.2
    test: float = 0.2

    def __post_init__(self) -> None:
        _positive(self, "train", "validation", "test")
        total = self.train + self.validation + self.test
        _need(total <= 1 + 1e-9, f"train + validation + test = {total} needs to be at most 1")


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """Findings of the data audit that a training may begin with: by name, how many at most.

    ``accept: {duplicates_across_splits: 3}`` lets three such cases pass; a fourth stops it.
    """

    accept: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, most in self.accept.items():
            is_count = isinstance(most, int) and not isinstance(most, bool) and most >= 0
            _need(is_count, f"accept.{name}={most!r} needs a whole number of at least 0")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The book, when to decide on it, what to predict, and the window of rows that is seen.

    ``book`` is the path of a book table (environment variables are filled in), or a synthetic book.
    """

    book: str | SyntheticConfig
    decisions: DecisionsConfig
    label: LabelConfig
    window: int = 100
    normalize: NormalizeConfig = field(default_factory=NormalizeConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)

    def __post_init__(self) -> None:
        _positive(self, "window")


@dataclass(frozen=True, kw_only=True)
class WalkForwardConfig:
    """Sizes of the train, train-dev, validation and test blocks, in decisions, seconds or days.

    ``combinatorial`` cuts the decisions into ``groups`` instead and tests on every choice of
    ``test_groups`` of them, so that most of what is trained on lies after what is tested: for
    research on a method, never for judging whether to trade.
    """

    mode: Literal["rolling", "expanding", "combinatorial"] = "rolling"
    unit: Literal["decisions", "seconds", "days"] = "decisions"
    train: float | None = None
    train_dev: float = 0.0
    validation: float | None = None
    test: float | None = None
    groups: int = 6
    test_groups: int = 2
    embargo_ms: float = 0.0

    def __post_init__(self) -> None:
        if self.mode != "combinatorial":
            missing = [name for name in ("train", "validation", "test")
                       if getattr(self, name) is None]  # fmt: skip
            _need(not missing, f"mode={self.mode} needs {', '.join(missing)}")
        _positive(self, "train", "validation", "test", "groups", "test_groups")
        _need(self.train_dev >= 0, f"train_dev={self.train_dev} needs to be >= 0")
        _need(
            self.test_groups < self.groups,
            f"test_groups={self.test_groups} needs to be below groups={self.groups}",
        )
        _need(self.embargo_ms >= 0, f"embargo_ms={self.embargo_ms} needs to be >= 0")


@dataclass(frozen=True, kw_only=True)
class CostsConfig:
    """What a trade pays beside the spread: a venue's ``preset``, figures of your own, or both.

    Figures of your own replace those of the preset. ``discount`` multiplies the commission (not
    taxes, nor the minimum), as brokers grant it.
    """

    preset: str | None = None
    fee_bps: float | None = None
    maker_fee_bps: float | None = None
    fee_per_unit: float | None = None
    maker_fee_per_unit: float | None = None
    minimum_fee: float | None = None
    sell_tax_bps: float | None = None
    sell_fee_per_unit: float | None = None
    discount: float | None = None

    def __post_init__(self) -> None:
        given = [item.name for item in fields(self) if getattr(self, item.name) is not None]
        _need(
            bool(set(given) - {"discount"}),
            "needs a preset or fees, e.g. {fee_bps: 0.3}; for free trading write costs: none",
        )
        for name in given:
            value = getattr(self, name)
            may_be_rebate = name in ("preset", "maker_fee_bps", "maker_fee_per_unit")
            _need(may_be_rebate or value >= 0, f"{name}={value} needs to be >= 0")
            _need(
                name == "preset" or abs(value) <= _LARGEST,
                f"{name}={value} needs to be at most {_LARGEST:g}",
            )


@dataclass(frozen=True, kw_only=True)
class LatencyConfig:
    """Latency drawn anew for each decision, log-normal; orders never overtake each other."""

    median_ns: int
    p99_ns: int
    seed: int = 0

    def __post_init__(self) -> None:
        _positive(self, "median_ns")
        _need(
            self.p99_ns >= self.median_ns,
            f"p99_ns={self.p99_ns} needs to be at least median_ns={self.median_ns}",
        )


@dataclass(frozen=True, kw_only=True)
class SignalConfig:
    """From probabilities to a target position.

    ``threshold: validation`` chooses among ``candidates`` by net profit on the fold's validation
    block, among those with at least ``min_trades`` trades there. ``sizing: confidence`` holds more
    of the position limit the surer the model is, in ``size_steps`` steps.
    """

    threshold: Literal["validation"] | float = "validation"
    candidates: list[float] = field(
        default_factory=lambda: [0.34, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9]
    )
    min_trades: int = 10
    hold_decisions: int = 1
    sizing: Literal["full", "confidence"] = "full"
    size_steps: int = 4

    def __post_init__(self) -> None:
        _positive(self, "min_trades", "hold_decisions", "size_steps")
        _need(len(self.candidates) > 0, "candidates is empty; needs at least one threshold")
        levels = [*self.candidates, *([] if isinstance(self.threshold, str) else [self.threshold])]
        _need(all(0 < level < 1 for level in levels), "thresholds need to be within 0 and 1")


@dataclass(frozen=True, kw_only=True)
class BacktestConfig:
    """How predictions are traded. Costs and latency have no default: free must be asked for.

    ``execution``: ``walk`` pays the price of every level that the order's size reaches, ``touch``
    fills whole at the best price, ``passive`` rests at the best price of its own side and fills
    only when the other side trades through it. ``capital`` defaults to the notional of
    ``position_limit`` at the first mid-price. ``trials`` is how many models or settings were tried
    before this one was chosen; it deflates the Sharpe ratio.
    """

    costs: Literal["none"] | CostsConfig
    latency_ns: int | LatencyConfig
    execution: Literal["walk", "touch", "passive"] = "walk"
    position_limit: float = 1.0
    notional_limit: float | None = None
    flat_at_session_end: bool = True
    capital: float | None = None
    bar_seconds: float = 60.0
    signal: SignalConfig = field(default_factory=SignalConfig)
    cost_multiples: list[float] = field(default_factory=lambda: [0.0, 0.5, 1.0, 2.0, 4.0])
    trials: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.latency_ns, int):
            _need(self.latency_ns >= 0, f"latency_ns={self.latency_ns} needs to be >= 0")
        _positive(self, "position_limit", "notional_limit", "capital", "bar_seconds", "trials")
        _need(
            self.bar_seconds <= _LONGEST_SECONDS,
            f"bar_seconds={self.bar_seconds} needs to be at most {_LONGEST_SECONDS:g}",
        )
        _need(
            all(0 <= multiple <= _LARGEST for multiple in self.cost_multiples),
            f"cost_multiples need to be >= 0 and at most {_LARGEST:g}",
        )


@dataclass(frozen=True, kw_only=True)
class GatesConfig:
    """Limits of the acceptance gates; ``off`` names gates that are not judged in this run.

    ``baseline: best`` takes the classification baseline with the highest weighted F1 over all
    evaluation folds; ``hub:NAMESPACE/NAME@TAG`` is the model in use, which hfrun fetches and asks
    at the same decisions. ``backtest_baseline`` is the strategy whose net return, drawdown and
    Sharpe ratio the model must not fall below; its net return must also not be below flat.
    """

    baseline: str = "best"
    backtest_baseline: str = "buy_and_hold"
    f1_lift: float = 0.02
    max_train_eval_gap: float = 0.12
    warn_train_eval_gap: float = 0.10
    grad_norm_p50: list[float] = field(default_factory=lambda: [1.0, 2.0])
    max_grad_norm_p95: float = 4.0
    min_window_pass_rate: float = 0.7
    max_window_variation: float = 0.2
    max_ece: float = 0.08
    min_brier_gain: float = 0.05
    off: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        _need(len(self.grad_norm_p50) == 2, "grad_norm_p50 needs a lower and an upper figure")


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """The sections that lob_backtest reads."""

    data: DataConfig
    walk_forward: WalkForwardConfig
    backtest: BacktestConfig | None = None
    gates: GatesConfig = field(default_factory=GatesConfig)


SECTION_NAMES = (
    "run", "data", "model", "training", "callbacks", "stop_rules", "walk_forward", "backtest",
    "gates", "hub", "study",
)  # fmt: skip


def load_judge_config(path: Path | str, overrides: Sequence[str] = ()) -> JudgeConfig:
    """Read the judge's sections of a run's YAML; the other known sections are left to hfrun."""
    raw = load_yaml(path, overrides)
    own = [item.name for item in fields(JudgeConfig)]
    known = {name: raw[name] for name in raw if name in own}
    errors = unknown_keys(raw, SECTION_NAMES, "")
    config = build(JudgeConfig, known, "", errors)
    return finish(config, errors, str(path))


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _positive(section: object, *names: str) -> None:
    for name in names:
        value = getattr(section, name)
        _need(value is None or value > 0, f"{name}={value} needs to be above 0")
        _need(
            value is None or _SMALLEST <= value <= _LARGEST,
            f"{name}={value} needs to be from {_SMALLEST:g} to {_LARGEST:g}",
        )
