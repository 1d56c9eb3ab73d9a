"""One furnished hub for all tests of the pages; tests that change a repository make their own."""

from collections.abc import Iterator

import pytest

from hfrun.hub.serve import running_hub
from tests.hfrun.hub.conftest import HubUnderTest
from tests.hfrun.hub.pages.furnished import furnish


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubUnderTest]:
    root = tmp_path_factory.mktemp("furnished")
    tokens = furnish(root)
    with running_hub(root) as running:
        yield HubUnderTest(endpoint=running.endpoint, root=root, **tokens)
