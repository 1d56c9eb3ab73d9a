"""Tests, as a package, so that the parts can share their builders of small books."""
