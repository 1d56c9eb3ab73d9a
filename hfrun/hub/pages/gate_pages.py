"""Asking to read a gated repository, and deciding about who asked."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from hfrun.hub.accounts.access import Caller
from hfrun.hub.accounts.gating import STATUSES, Gate
from hfrun.hub.pages.errors import as_page
from hfrun.hub.pages.forms import Form, see_other
from hfrun.hub.pages.place import Place
from hfrun.hub.refusals import AccessRequestNotFoundError
from hfrun.hub.transport.threads import run_in_threadpool


@as_page
def access_page(request: Request) -> Response:
    """GET /P R/access: who has asked; for those who may decide."""
    caller = Caller.of(request)
    caller.writable(request)
    place = Place.of(request, caller=caller)
    gate = Gate(place.repository)
    return place.page(
        request,
        "access.html",
        tab="access",
        view="tree",
        is_gated=gate.is_closed,
        requests={status: gate.requests(status) for status in STATUSES},
    )


@as_page
async def access_form(request: Request) -> Response:
    """POST /P R/access: a status for a user, or access for one who has not asked."""
    form = await Form.of(request)
    return await run_in_threadpool(_decide, form.caller, request, form.fields)


@as_page
async def ask_form(request: Request) -> Response:
    """POST /P R/access/ask: ask to be let in."""
    form = await Form.of(request)
    return await run_in_threadpool(_ask, form.caller, request)


def _decide(caller: Caller, request: Request, fields: Mapping[str, str]) -> Response:
    repository = caller.writable(request)
    gate = Gate(repository)
    user = caller.hub.accounts.user_name(fields.get("user", "").strip())
    if user is None:
        raise AccessRequestNotFoundError("There is no user of this name on this hub")
    if "grant" in fields:
        gate.grant(user)
    else:
        reason = fields.get("reason", "").strip() or None
        gate.decide(fields.get("status", ""), user=user, reason=reason)
    return see_other(f"/{repository.settings.repo_id.address}/access")


def _ask(caller: Caller, request: Request) -> Response:
    repository = caller.repository(request)
    user = caller.require_role().user
    if not caller.is_member(repository):
        Gate(repository).ask(user)
    return see_other(f"/{repository.settings.repo_id.address}")
