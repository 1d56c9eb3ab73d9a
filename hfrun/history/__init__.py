"""The tuning diary: one entry a run, made from its log."""
