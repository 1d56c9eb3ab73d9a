"""The tuning diary: one entry a run, made from its log.

entries      what an entry holds            lineage   its parent, and what was changed
folders      where runs and studies lie     notes     a person's notes, merged from both sides
sources      entries of all there is now    standing  united with what was known before
studies      the entry of a study           judged    findings, advice and conclusion
numbers      logged figures in print        words     English and Traditional Chinese
text         others' text in Markdown       tables    the tables of an entry
conclusion   the sentence at its end        page      HISTORY.md
diary        both files, written in turns
"""

from hfrun.history.diary import keep_diary, read_history, write_history
from hfrun.history.judged import entries_of

__all__ = ["entries_of", "keep_diary", "read_history", "write_history"]
