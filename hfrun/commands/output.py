"""Where a command writes: looked at before the work, that none is done for nothing."""

import os
from pathlib import Path

from lob_backtest.errors import ConfigError


def check_output(folder: Path, *, named: str = "-o") -> None:
    """Refuse what can be no folder, or is none of the user's.

    Raises:
        ConfigError: it, or what it would lie in, is a file or may not be written to.
    """
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    inside = f"{folder}: " if place != folder else ""
    if not place.is_dir():
        raise ConfigError(f"{inside}{place} is a file; {named} needs a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"{inside}{place} may not be written to; {named} needs a folder of yours")
