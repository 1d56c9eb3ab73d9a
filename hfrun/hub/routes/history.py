"""Rewriting history: super-squash, and the large files of a repository."""

from starlette.routing import Route

ROUTES: list[Route] = []
