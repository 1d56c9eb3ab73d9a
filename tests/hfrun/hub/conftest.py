"""A real hub on loopback, and unmodified clients of it."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hfrun.hub.environment import prepare_client

prepare_client()  # before any test imports huggingface_hub

from huggingface_hub import HfApi  # noqa: E402

from hfrun.hub.accounts.tokens import Accounts, create_token  # noqa: E402
from hfrun.hub.serve import running_hub  # noqa: E402

_NUMBERS = count()
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let no test fail for the client's own call of its HTTP library."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One raw HTTP answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class HubUnderTest:
    """A running hub with two users, one read-only token and an organisation of alice alone."""

    endpoint: str
    root: Path
    alice: str
    alice_reads: str
    bob: str

    def api(self, token: str | None = None) -> HfApi:
        """A client with alice's write token, or another; False would mean none."""
        return HfApi(endpoint=self.endpoint, token=self.alice if token is None else token)

    def anonymous(self) -> HfApi:
        return HfApi(endpoint=self.endpoint, token=False)

    def request(
        self,
        method: str,
        target: str,
        *,
        body: Any = None,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send exactly this target; a dict or list as body is sent as JSON."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(self.endpoint.removeprefix("http://"), timeout=30)
        try:
            connection.request(method, target, body=body, headers=sent)
            answer = connection.getresponse()
            return Answer(status=answer.status, headers=answer.headers, body=answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubUnderTest]:
    root = tmp_path_factory.mktemp("hub")
    tokens = {
        "alice": create_token(root, "alice"),
        "alice_reads": create_token(root, "alice", role="read"),
        "bob": create_token(root, "bob"),
    }
    Accounts(root).create_organisation("desk", members=["alice"])
    with running_hub(root) as running:
        yield HubUnderTest(endpoint=running.endpoint, root=root, **tokens)


@pytest.fixture
def repo(hub: HubUnderTest, request: pytest.FixtureRequest) -> str:
    """A new model repository of alice, named after the test."""
    name = f"{request.function.__name__.removeprefix('test_')[:60].strip('_')}-{next(_NUMBERS)}"
    return hub.api().create_repo(f"alice/{name}").repo_id
