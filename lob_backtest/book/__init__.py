"""The book table: L price levels on each side at every row, in time order.

    row   ask_price_1 ask_size_1 bid_price_1 bid_size_1 ask_price_2 ...      level 1 is best
    t0         101        5.0        100        2.0         102     ...
    t1         101        3.0        100        2.0         102     ...

Prices are integer ticks until the last division. The column order is also the order of the model
input: DeepLOB's (1,2)-stride convolution pairs a price with its size, and a different order
silently destroys the model. So it is checked on reading, not assumed.

A level that does not exist (a thin book) has size 0 and continues the ladder one tick outwards, so
that prices stay sorted and finite. It can only stand behind every level that does exist.

A book's arrays lie in memory or, read with ``mapped=True``, in files; no value depends on which.
"""

from lob_backtest.book.mapped import blocks, empty_beside, is_mapped
from lob_backtest.book.meta import (
    BookMeta,
    BoolArray,
    FloatArray,
    IntArray,
    is_outside_session,
    local_ns,
)
from lob_backtest.book.rows import Book
from lob_backtest.book.silence import silence_warning
from lob_backtest.book.table import (
    BookFile,
    book_columns,
    book_table,
    book_writer,
    read_book,
    row_group_rows,
    write_book,
)

__all__ = [
    "Book",
    "BookFile",
    "BookMeta",
    "BoolArray",
    "FloatArray",
    "IntArray",
    "blocks",
    "book_columns",
    "book_table",
    "book_writer",
    "empty_beside",
    "is_mapped",
    "is_outside_session",
    "local_ns",
    "read_book",
    "row_group_rows",
    "silence_warning",
    "write_book",
]
