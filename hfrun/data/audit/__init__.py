"""What the data would make of a run's figures: looked at before every training.

    texts, labels   ─► copies, classes, lengths ─┐
                                                 ├─► findings ─► audit.json, the card, or a stop
    book, folds     ─► spans, sessions, shifts ──┘

Nothing here looks at a model, and nothing is changed in the data.
"""

from hfrun.data.audit.books import audit_books
from hfrun.data.audit.findings import AuditReport, Finding, require_clean, write_audit
from hfrun.data.audit.texts import audit_texts

__all__ = ["AuditReport", "Finding", "audit_books", "audit_texts", "require_clean", "write_audit"]
