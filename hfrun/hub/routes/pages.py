"""The pages that a person reads in a browser."""

from starlette.routing import Route

ROUTES: list[Route] = []
