"""What clients read of discussions: the JSON of a row, of an event, of a comment."""

from html import escape
from typing import Any

from hfrun.hub.discussions.discussion import HIDDEN_TEXT, Discussion, Event
from hfrun.hub.store.repository import Repository


def discussion_row(repository: Repository, discussion: Discussion) -> dict[str, Any]:
    """One discussion of a listing."""
    repo_id = repository.settings.repo_id
    return {
        "num": discussion.number,
        "title": discussion.title,
        "author": _user(discussion.author),
        "status": discussion.status,
        "isPullRequest": discussion.is_pull_request,
        "createdAt": discussion.created_at,
        "repo": {"name": str(repo_id), "type": repo_id.kind.removesuffix("s")},
        "numComments": sum(event.kind == "comment" for event in discussion.events),
        "pinned": False,
    }


def _user(name: str) -> dict[str, str]:
    return {"name": name, "fullname": name, "type": "user"}


def event_row(event: Event) -> dict[str, Any]:
    """One event; the client tells its kinds apart by ``type``."""
    data: dict[str, Any]
    if event.kind == "comment":
        data = _comment_data(event)
    elif event.kind == "status-change":
        data = {"status": event.status}
    elif event.kind == "title-change":
        data = {"from": event.old_title, "to": event.new_title}
    else:
        data = {"subject": event.commit_title, "oid": event.commit}
    return {
        "id": event.id,
        "type": event.kind,
        "author": _user(event.author),
        "createdAt": event.created_at,
        "data": data,
    }


def _comment_data(event: Event) -> dict[str, Any]:
    shown = HIDDEN_TEXT if event.hidden_by else event.text
    date, author = event.edited_at or event.created_at, event.edited_by or event.author
    return {
        "edited": bool(event.edits),
        "hidden": bool(event.hidden_by),
        "hiddenBy": event.hidden_by,
        "latest": _version(shown, date, author),
        "history": [_version(edit.text, edit.date, edit.author) for edit in event.edits],
        "numEdits": len(event.edits),
        "reactions": [],
    }


def _version(text: str, date: str, author: str) -> dict[str, Any]:
    # The text as it was written: whoever shows this HTML gets nothing but words out of it.
    html = f"<p>{escape(text)}</p>".replace("\n", "<br>")
    return {"raw": text, "html": html, "updatedAt": date, "author": _user(author)}


def status_event(discussion: Discussion) -> Event:
    """When it came to have its status: a change, or its opening."""
    for event in reversed(discussion.events):
        if event.kind == "status-change" and event.status == discussion.status:
            return event
    return Event(
        id=f"{discussion.number:024x}",
        kind="status-change",
        author=discussion.author,
        created_at=discussion.created_at,
        status=discussion.status,
    )
