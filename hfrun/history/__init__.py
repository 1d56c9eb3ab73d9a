"""The tuning diary: one entry a run, made from its log.

entries      what an entry holds            lineage   its parent, and what was changed
folders      where runs and studies lie     notes     a person's notes, merged from both sides
numbers      logged figures in print        words     English and Traditional Chinese
tables       the tables of an entry         page      HISTORY.md
diary        both files, written in turns
"""

from hfrun.history.diary import read_history, write_history
from hfrun.history.entries import entries_of

__all__ = ["entries_of", "read_history", "write_history"]
