"""The pages that a person reads in a browser; what they show is in ``hfrun.hub.pages``."""

from collections.abc import Callable

from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import Route

from hfrun.hub.pages import (
    card_page,
    discussion_pages,
    errors,
    files,
    gate_pages,
    history,
    index,
    report_page,
    sign_in,
)
from hfrun.hub.pages.static_files import style_sheet


class PageConvertor(Convertor[str]):
    """Any address but those of the protocol, whose wrong methods have answers of their own."""

    regex = r"(?!api/)(?!.*\.git/).*"

    def convert(self, value: str) -> str:
        """The address as it is."""
        return value

    def to_string(self, value: str) -> str:
        """The address as it is."""
        return value


register_url_convertor("page", PageConvertor())

# Below the address of a repository, of whatever kind.
_VIEWS: tuple[tuple[str, Callable[..., object]], ...] = (
    ("", card_page.card_page),
    ("/tree/{revision}", files.tree_page),
    ("/tree/{revision}/{path:path}", files.tree_page),
    ("/blob/{revision}/{path:path}", files.blob_page),
    ("/commits/{revision}", history.commits),
    ("/commit/{revision}", history.commit),
    ("/report/{revision}", report_page.report_page),
    ("/report/{revision}/report.html", report_page.report_file),
    ("/badge.svg", report_page.badge),
    ("/discussions", discussion_pages.discussions_page),
    ("/discussions/{number}", discussion_pages.discussion_page),
    ("/access", gate_pages.access_page),
)
_FORMS: tuple[tuple[str, Callable[..., object]], ...] = (
    ("/discussions/{number}", discussion_pages.discussion_form),
    ("/access", gate_pages.access_form),
    ("/access/ask", gate_pages.ask_form),
)

_PLACES = ("/{kind:kind}/{namespace}/{name}", "/{namespace}/{name}")

ROUTES = [
    Route("/", index.index),
    Route("/static/hub.css", style_sheet),
    Route("/login", sign_in.sign_in_page),
    Route("/login", sign_in.sign_in, methods=["POST"]),
    Route("/logout", sign_in.sign_out, methods=["POST"]),
    Route("/{kind:kind}", index.index),
    Route("/{namespace}", index.account),
    # Datasets and spaces first: "datasets" could be taken for a namespace.
    *(Route(place + path, view) for place in _PLACES for path, view in _VIEWS),
    *(Route(place + path, view, methods=["POST"]) for place in _PLACES for path, view in _FORMS),
    Route("/{address:page}", errors.no_such_page),
]
