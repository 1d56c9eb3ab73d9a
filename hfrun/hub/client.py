"""Pushing a folder to a hub through the unmodified client, with errors a user can act on."""

import json
import urllib.error
import urllib.request
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain, count
from pathlib import Path
from typing import Any

from hfrun.errors import HubError
from hfrun.hub.environment import prepare_client

_ANSWER_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """The commit that a folder became, and its tag; "" where none was asked for."""

    commit: str
    tag: str


def push_folder(
    folder: Path,
    *,
    repo: str,
    endpoint: str,
    token: str | None,
    message: str,
    private: bool = False,
    tag: str | None = None,
    replaced: Sequence[str] = (),
) -> Pushed:
    """Upload a folder as one commit of a model repository, which is created if it is missing.

    The hub is asked first, because a client that finds it down retries for a minute and then
    fails with a page of traceback.

    Args:
        folder: what to upload, with all its subfolders; hidden files too.
        repo: ``namespace/name``.
        endpoint: address of the hub, such as ``http://127.0.0.1:8765``.
        token: a token with the write role; None takes the one that the client is logged in with.
        message: title of the commit.
        private: makes a new repository private; a public one that exists is refused.
        tag: a name for the commit, which gets a number where another commit has it already: what
            a tag once meant, it means for good.
        replaced: patterns of files that are removed from the repository where the folder has
            none of their name.

    Returns:
        The commit that now holds these files, on top of what was there.

    Raises:
        HubError: nothing to upload, the hub is down, or it refuses the token, the upload or the
            tag.
    """
    prepare_client()
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from huggingface_hub.errors import HTTPError as TransportError  # type: ignore[attr-defined]

    if not folder.is_dir() or not any(folder.iterdir()):
        raise HubError(f"got {folder}, which is no folder with files; give a model's folder")
    token = token or get_token()
    check_hub(endpoint, token)
    api = HfApi(endpoint=endpoint, token=token)
    try:
        created = api.create_repo(repo, private=private, exist_ok=True)
        if private and not api.model_info(created.repo_id).private:
            raise HubError(
                f"got private for {repo}, which is public at {endpoint} already: nothing was "
                "pushed; make it private first, push without private, or take another name"
            )
        with warnings.catch_warnings():
            # The client's own call of its HTTP library; nothing a user of ours could mend.
            warnings.filterwarnings("ignore", "Use 'content=", DeprecationWarning)
            # Predictions beside the model that made them are meant to be there.
            warnings.filterwarnings("ignore", "It seems that you are about to commit a data file")
            commit = api.upload_folder(
                repo_id=created.repo_id,
                folder_path=folder,
                commit_message=message,
                delete_patterns=list(replaced) or None,
            )
    except HFValidationError as error:
        raise HubError(f"got repository {repo!r}, not namespace/name: {error}") from None
    except HfHubHTTPError as error:
        reason = error.server_message or str(error)
        raise HubError(f"{endpoint} refused the push to {repo}: {reason}") from None
    except (RuntimeError, ValueError) as error:  # the client's wrapping of one file's failure
        reason = f"{error} {error.__cause__ or ''}".strip()
        raise HubError(f"the push of {folder} to {repo} failed: {reason}") from None
    except TransportError as error:
        raise HubError(f"lost {endpoint} during the push to {repo} ({error}); push again") from None
    made = str(commit.oid)
    if not tag:
        return Pushed(commit=made, tag="")
    try:
        return Pushed(commit=made, tag=_tagged(api, created.repo_id, tag, made))
    except (HfHubHTTPError, TransportError) as error:
        reason = getattr(error, "server_message", None) or str(error)
        raise HubError(
            f"{repo} at {endpoint} has the files, as commit {made}, but no tag {tag} names it "
            f"({reason}); push again, which adds the tag alone"
        ) from None


def _tagged(api: Any, repo_id: str, tag: str, commit: str) -> str:
    """Give a commit this tag, or one with the next free number; return the one it has.

    A branch of that name would be taken for the tag by whoever asks for it, so it counts as taken.
    """
    from huggingface_hub.errors import HfHubHTTPError

    for name in chain([tag], (f"{tag}-{i}" for i in count(2))):
        refs = api.list_repo_refs(repo_id)
        known = {ref.name: ref.target_commit for ref in refs.tags}
        if known.get(name) == commit:
            return name
        if name in known or name in {ref.name for ref in refs.branches}:
            continue
        try:
            api.create_tag(repo_id, tag=name, revision=commit)
        except HfHubHTTPError as error:
            if error.response.status_code != HTTPStatus.CONFLICT:
                raise
            # Another push took the name since; of the same commit it is as good.
            tags = api.list_repo_refs(repo_id).tags
            if not any((ref.name, ref.target_commit) == (name, commit) for ref in tags):
                continue
        return name
    raise AssertionError("there is always a next number")


def check_hub(endpoint: str, token: str | None) -> dict[str, Any]:
    """Ask a hub who we are, without retries.

    Returns:
        Its answer: ``name``, ``orgs``, ``auth`` and more.

    Raises:
        HubError: no answer, an answer that is no hub's, or a refused token.
    """
    if not token:
        raise HubError(
            f"got no token for {endpoint}; pushing needs one: hfrun hub token create USER --root "
            "DIR prints it, and HF_TOKEN carries it"
        )
    try:
        request = urllib.request.Request(
            f"{endpoint.rstrip('/')}/api/whoami-v2", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 401:
                raise HubError(
                    f"{endpoint} refused the token; make a new one with hfrun hub token create"
                ) from None
            raise HubError(f"{endpoint} answered {error.code}; is this the hub?") from None
    except OSError as error:
        raise HubError(
            f"got no answer from {endpoint} ({error}), start it with hfrun hub serve"
        ) from None
    except ValueError as error:
        raise HubError(f"got no hub's answer from {endpoint!r}: {error}") from None
    if not isinstance(found, dict) or "name" not in found:
        raise HubError(f"got no hub's answer from {endpoint}; is this the hub?")
    return found
