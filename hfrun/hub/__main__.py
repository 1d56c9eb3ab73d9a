"""``python -m hfrun.hub serve ...``: the hub's commands alone, without the rest of hfrun."""

import argparse
import sys

from hfrun.hub.commands import add_commands
from lob_backtest.command_line import run_command


def main() -> int:
    """Run one command and give its exit code."""
    parser = argparse.ArgumentParser(prog="python -m hfrun.hub")
    add_commands(parser)
    return run_command(parser)


if __name__ == "__main__":
    sys.exit(main())
