"""The first page of a repository: its card, what the gates found, and how to load it."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from hfrun.hub.accounts.gating import AccessRequest, Gate
from hfrun.hub.descriptions.description import CARD_MAX_BYTES
from hfrun.hub.pages.card_html import card_html, front_matter_error
from hfrun.hub.pages.errors import as_page
from hfrun.hub.pages.images import shown_image
from hfrun.hub.pages.loading import environment_lines, loading_lines
from hfrun.hub.pages.place import Place
from hfrun.hub.pages.words import MEASURES, SHOWN_MEASURES
from hfrun.hub.refusals import RefusalError
from hfrun.hub.transport.messages import endpoint

CARD = "README.md"


@as_page
def card_page(request: Request) -> Response:
    """GET /P R?revision="""
    place = Place.of(request)
    card = _card(place)
    return place.page(
        request,
        "card.html",
        tab="card",
        view="card",
        card=card_html(
            card,
            repo_address=place.repository.settings.repo_id.address,
            revision=place.revision,
            shows_image=partial(_shows_image, place),
        )
        if card is not None
        else None,
        card_is_hidden=CARD in place.tree and card is None,
        card_error=front_matter_error(card) if card is not None else None,
        verdict=place.facts.verdict,
        shown=_shown(place),
        tags=place.facts.tags,
        asked=_asked(place),
        may_ask=place.caller.token is not None and place.caller.token.role == "write",
        environment_lines=environment_lines(endpoint(request)),
        loading_lines=loading_lines(
            place.repository, place.tree, revision=place.revision, may_read=place.may_read
        ),
    )


def _card(place: Place) -> str | None:
    """The README as text; None where there is none that can be shown.

    It is shown for gated repositories too: it is what one decides by whether to ask.
    """
    entry = place.tree.get(CARD)
    if entry is None or entry.size > CARD_MAX_BYTES:
        return None
    try:
        return place.repository.content(entry).read_text("utf-8", "replace")
    except (OSError, RefusalError):  # its bytes are lost, or were removed for good
        return None


def _asked(place: Place) -> AccessRequest | None:
    """What has come of the caller's wish to read a gated repository."""
    token = place.caller.token
    if token is None or place.may_read:
        return None
    return Gate(place.repository).request_of(token.user)


def _shows_image(place: Place, path: str) -> bool:
    """Whether the card may show this file of the repository: a huge one would stop a browser."""
    entry = place.tree.get(path)
    return place.may_read and entry is not None and shown_image(place.repository, entry) is not None


def _shown(place: Place) -> list[str]:
    """Keys of the report's figures: the usual ones first, then the others that have a name."""
    verdict = place.facts.verdict
    found = verdict.metrics if verdict is not None else {}
    usual = [key for key in SHOWN_MEASURES if key in found]
    return usual + [key for key in MEASURES if key in found and key not in usual]
