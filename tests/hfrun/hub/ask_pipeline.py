"""What a user's own process does: the code of docs/pipeline.md, on a repository of a hub.

Run with HF_ENDPOINT and HF_HOME set, in a folder with book.parquet; the argument is the page's code
with the repository's id. Prints JSON: the probabilities, and what was imported for nothing.
"""

import json
import sys


def main(code: str) -> None:
    import hfrun.models  # noqa: F401

    for_books_alone = ("pandas", "pyarrow", "datasets", "lob_backtest.book")
    imported = [name for name in for_books_alone if name in sys.modules]
    found: dict[str, object] = {}
    exec(compile(code, "docs/pipeline.md", "exec"), found)
    print(json.dumps({"rows": found["rows"], "imported": imported}))


if __name__ == "__main__":
    main(sys.argv[1])
