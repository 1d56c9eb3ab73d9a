"""Discussions and pull requests: written down, opened, merged and closed, as text and as JSON."""
