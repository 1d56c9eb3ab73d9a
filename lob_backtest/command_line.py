"""What every command of both packages shares: parsing, one message on bad input, exit codes."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from lob_backtest.errors import LobBacktestError

EXIT_DONE, EXIT_BAD_INPUT, EXIT_GATES_FAILED, EXIT_INTERRUPTED = 0, 2, 3, 130
_EXIT_PIPE_CLOSED = 141  # what a shell reports for a program that SIGPIPE ended

_LONGEST_LINE, _HEAD = 2000, 800

_WRONG_PATHS = (
    FileNotFoundError, PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError,
)  # fmt: skip

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> int:
    """Parse, and call the chosen command's ``run(arguments) -> exit code``.

    What a user can mend is one message on standard error and exit code 2, without a traceback.
    ``arguments.argv`` holds the words as they were typed.
    """
    arguments = _parsed(parser, argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except (LobBacktestError, *_WRONG_PATHS) as error:
        print(f"error: {_printable(str(error))}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except MemoryError as error:
        print(
            f"error: not enough memory ({_printable(str(error)) or 'no more to be had'}); is there "
            "a time or a bar length in another unit? Otherwise give fewer rows or coarser bars",
            file=sys.stderr,
        )
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept, nothing half-written is left",
              file=sys.stderr)  # fmt: skip
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has gone; point stdout elsewhere for the interpreter's last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_PIPE_CLOSED
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        print(f"error: {_printable(str(error))}; free space on the disk", file=sys.stderr)
        return EXIT_BAD_INPUT
    return code


def _parsed(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; overrides may stand anywhere among them, which argparse alone refuses."""
    arguments, rest = parser.parse_known_args(argv)
    overrides = [item for item in rest if "=" in item and not item.startswith("-")]
    takes_overrides = hasattr(arguments, "overrides")
    unknown = [item for item in rest if item not in overrides or not takes_overrides]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if takes_overrides:
        arguments.overrides = [*arguments.overrides, *overrides]
    arguments.argv = list(sys.argv[1:] if argv is None else argv)
    return arguments


def _printable(text: str) -> str:
    """The text as a terminal can show it, whatever damaged file it quotes.

    What a terminal would act on is written out, and the middle of endless lines is left out.
    """
    lines = [
        "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
        for line in text.split("\n")
    ]
    return "\n".join(
        line if len(line) <= _LONGEST_LINE else f"{line[:_HEAD]} ... {line[-_HEAD:]}"
        for line in lines
    )
