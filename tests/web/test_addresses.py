"""A deployment says where it is reached, as its owner has said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from tests.deployments import deployment

from convexlab.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deployments import Deployment

FILES = """
from convexlab import action, mutation

@mutation
def upload(ctx): return ctx.storage.generate_upload_url()

@action
async def upload_later(ctx): return await ctx.storage.generate_upload_url()
"""
FLAGS = ("--url", "https://data.example/lab/", "--site-url", "https://site.example")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment that was told by flags."""
    folder = tmp_path_factory.mktemp("addresses") / "deployment"
    with deployment(folder, {"files": FILES}, *FLAGS) as one:
        yield one


def uploads_at(running: Deployment) -> set[str]:
    """Where mutations, run by the writer, and actions say that files go."""
    said = running.mutation("files:upload"), running.action("files:upload_later")
    return {url.partition("/api/storage/upload?token=")[0] for url in said}


def said_by(running: Deployment) -> dict[str, str]:
    return dict(running.ask("GET", "/api/v1/get_canonical_urls").json())


def say(running: Deployment, destination: str, url: str | None) -> None:
    body = {"requestDestination": destination, "url": url}
    answer = running.ask("POST", "/api/v1/update_canonical_url", body)
    answer.raise_for_status()


def test_the_flags_say_where_clients_come(running: Deployment):
    assert uploads_at(running) == {"https://data.example/lab"}
    assert said_by(running) == {
        "convexCloudUrl": "https://data.example/lab",
        "convexSiteUrl": "https://site.example",
    }


def test_the_owner_says_otherwise_and_takes_it_back(running: Deployment):
    say(running, "convexCloud", "https://other.example/")
    assert uploads_at(running) == {"https://other.example"}
    running.stop()
    running.start()
    assert uploads_at(running) == {"https://other.example"}, "it was kept"
    say(running, "convexCloud", None)
    assert uploads_at(running) == {"https://data.example/lab"}


def test_the_sites_address_is_another(running: Deployment):
    say(running, "convexSite", "https://hooks.example")
    assert said_by(running)["convexSiteUrl"] == "https://hooks.example"
    assert uploads_at(running) == {"https://data.example/lab"}


@pytest.mark.parametrize("flag", ["--url", "--site-url"])
def test_what_is_no_address_is_refused_at_once(tmp_path, flag):
    said = CliRunner().invoke(main, ["serve", "--dir", str(tmp_path), flag, "data"])
    assert said.exit_code == 2
    assert "'data' is none, such as https://data.example" in said.output
