"""``python -m hfrun.hub serve ...``: the hub's commands alone, without the rest of hfrun."""

import argparse
import sys

from hfrun.hub.commands import add_commands
from lob_backtest.errors import LobBacktestError


def main() -> int:
    """Run one command; 2 with a message for what the user can mend, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m hfrun.hub")
    add_commands(parser)
    args = parser.parse_args()
    try:
        return int(args.run(args))
    except LobBacktestError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
