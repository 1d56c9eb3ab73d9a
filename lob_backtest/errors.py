"""The exceptions of lob_backtest: each says what was got, what is needed and what to do.

LobBacktestError                 a user can mend it: commands print it and exit with 2
├── ConfigError                  a run's YAML or an override on the command line
├── FormatError                  a file that is missing, empty or not in the format it was read as
├── BookError                    rows that are no order book: unsorted, crossed, non-positive
├── LabelError                   a label that cannot be formed from this book
├── SplitError                   too few decisions for the folds that were asked for
├── PredictionsError             a predictions table that breaks its contract
├── SignalError                  a threshold or holding rule that cannot be applied
├── CostError                    costs or latency that were left open, or negative
├── PortfolioError               orders that cannot be executed on this book
├── MetricError                  a measure that is undefined for these figures
└── GateError                    a gate that is unknown or lacks what it judges
"""


class LobBacktestError(Exception):
    """Base of every error that a user can mend; commands exit with code 2."""


class ConfigError(LobBacktestError):
    """A config key, value or override is wrong; the message lists all of them at once."""


class FormatError(LobBacktestError):
    """A file is missing, empty or not in the format it was read as."""


class BookError(LobBacktestError):
    """Rows that are no order book: unsorted time, crossed, unsorted levels, bad sizes."""


class LabelError(LobBacktestError):
    """A label cannot be formed from this book."""


class SplitError(LobBacktestError):
    """The folds that were asked for need more decisions than there are."""


class PredictionsError(LobBacktestError):
    """A predictions table breaks its contract."""


class SignalError(LobBacktestError):
    """A threshold or a holding rule cannot be applied."""


class CostError(LobBacktestError):
    """Costs or latency are missing or negative; free trading must be asked for by name."""


class PortfolioError(LobBacktestError):
    """Orders cannot be executed on this book."""


class MetricError(LobBacktestError):
    """A measure is undefined for the figures it was given."""


class GateError(LobBacktestError):
    """A gate is unknown, or what it judges was not given."""
