"""One deployment for all points, and names of one's own in it."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.auth.issuer import AUDIENCE, serving
from tests.compat.clients import node, python
from tests.conformance.aside import aside
from tests.conformance.functions import MODULES
from tests.conformance.idlers import idling
from tests.conformance.scene import staged
from tests.deployments import deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.auth.issuer import Issuer
    from tests.conformance.idlers import Idler
    from tests.conformance.scene import Scene
    from tests.deployments import Deployment

_names = itertools.count()


@pytest.fixture(scope="package")
def issuer() -> Iterator[Issuer]:
    """Whose tokens the deployment believes; it answers on a thread of its own."""
    with aside(serving()) as one:
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


@pytest.fixture(scope="package")
def scene(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Scene]:
    """A deployment of its own for strangers, and one who works there."""
    with staged(tmp_path_factory.mktemp("fuzz") / "deployment", issuer) as one:
        yield one


# -- point 6: what takes long goes on beside the rest ------------------------------


@pytest.fixture(scope="package")
def idle(running: Deployment) -> Iterator[dict[str, Idler]]:
    """An official client of each kind that follows what nobody changes."""
    programs = {"npm": node("idle"), "python": python("idle")}
    with ExitStack() as stack:
        yield {
            who: stack.enter_context(aside(idling(program, running.url)))
            for who, program in programs.items()
        }


@pytest.fixture(scope="package", autouse=True)
def _begin_to_idle(request: pytest.FixtureRequest) -> None:
    if any("idle" in getattr(one, "fixturenames", ()) for one in request.session.items):
        request.getfixturevalue("idle")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever waits for the idle clients waits last."""
    items.sort(key=lambda item: "idle" in getattr(item, "fixturenames", ()))
