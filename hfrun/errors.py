"""The exceptions of hfrun; like lob_backtest's, each is one message and exit code 2.

HfrunError                       a user can mend it: commands print it and exit with 2
├── DataError                    books or splits that cannot be trained on
├── ModelError                   weights or a model config that do not fit together
├── TrainingError                a combination of training options that would mislead
├── WalkForwardError             a walk-forward folder that does not belong to this config
└── HubError                     the hub is down, refuses the token or lacks the repository
    └── GatesNotPassedError      a push that was to happen only with passed gates; exit code 3
"""

from lob_backtest.errors import LobBacktestError


class HfrunError(LobBacktestError):
    """Base of hfrun's errors; a LobBacktestError, so one handler serves both packages."""


class DataError(HfrunError):
    """Books or splits cannot be trained on."""


class ModelError(HfrunError):
    """Weights or a model config do not fit together."""


class TrainingError(HfrunError):
    """A combination of training options would mislead."""


class WalkForwardError(HfrunError):
    """A walk-forward folder does not belong to this config or cannot be resumed."""


class HubError(HfrunError):
    """The hub is down, refuses the token or lacks the repository."""


class GatesNotPassedError(HubError):
    """A push was to happen only with passed gates, and they are not."""
