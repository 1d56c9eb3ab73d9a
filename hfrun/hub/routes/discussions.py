"""Discussions and pull requests."""

from starlette.routing import Route

ROUTES: list[Route] = []
