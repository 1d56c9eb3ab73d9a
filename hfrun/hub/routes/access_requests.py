"""Who asks to read the files of a gated repository, and who is let in."""

from starlette.routing import Route

ROUTES: list[Route] = []
