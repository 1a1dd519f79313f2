"""One deployment for all points, and names of one's own in it."""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.auth.issuer import AUDIENCE, serving
from tests.conformance.functions import MODULES
from tests.deployments import deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.auth.issuer import Issuer
    from tests.deployments import Deployment

_names = itertools.count()


@pytest.fixture(scope="package")
def issuer() -> Iterator[Issuer]:
    """Whose tokens the deployment believes; it answers on a thread of its own."""
    with asyncio.Runner() as runner, ExitStack() as stack:
        loop = runner.get_loop()
        server = serving()
        one = loop.run_until_complete(server.__aenter__())
        thread = threading.Thread(target=loop.run_forever, name="issuer")
        thread.start()

        def end() -> None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.run_until_complete(server.__aexit__(None, None, None))

        stack.callback(end)
        yield one


@pytest.fixture(scope="package")
def running(
    tmp_path_factory: pytest.TempPathFactory, issuer: Issuer
) -> Iterator[Deployment]:
    """A deployment as `convexlab serve` makes it: no gate, so everybody may call."""
    folder = tmp_path_factory.mktemp("conformance") / "deployment"
    believed = {"providers": [{"domain": issuer.url, "applicationID": AUDIENCE}]}
    modules = {**MODULES, "auth_config": f"auth_config = {believed!r}\n"}
    with deployment(folder, modules) as one:
        yield one


@pytest.fixture
def name() -> str:
    """A name that no other test counts by."""
    return f"name {next(_names)}"


@pytest.fixture
def url(running: Deployment) -> str:
    return running.url
