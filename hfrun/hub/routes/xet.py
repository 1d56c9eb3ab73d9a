"""What clients that would use Xet storage are told: this hub has none."""

from starlette.routing import Route

ROUTES: list[Route] = []
