"""The tuning diary."""
