"""`accelerate launch hfrun/train.py CONFIG [section.key=value ...]`: train one config.

Exit codes are those of ``hfrun train``, which prints one message on bad input. The launcher turns
any failure into its own exit code 1 and adds a traceback of itself below that message; where the
code matters and one process is enough, use ``hfrun train``.
"""

import sys

from hfrun.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
