"""`accelerate launch hfrun/train.py CONFIG [section.key=value ...]`: train one config."""

import sys

from hfrun.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
