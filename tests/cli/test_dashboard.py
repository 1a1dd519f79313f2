"""`convexlab dashboard`, with a real JupyterLab and no browser."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import webbrowser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from convexlab.cli.jupyter_servers import servers

EXTENSIONS = {"jupyterlab": True, "convexlab.extension": True}


@pytest.fixture(scope="module")
def jupyter_folders(tmp_path_factory):
    """Jupyter's own folders: none of whose machine this is."""
    home = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONFIG", "DATA", "RUNTIME"):
            (home / name).mkdir()
            patch.setenv(f"JUPYTER_{name}_DIR", str(home / name))
        patch.setenv("JUPYTERLAB_WORKSPACES_DIR", str(home / "workspaces"))
        yield home


@pytest.fixture
def started(project, jupyter_folders):
    """The address that the command says of a JupyterLab that it starts."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CONVEXLAB")}
    command = [
        *(sys.executable, "-m", "convexlab", "dashboard", "--no-open", "--"),
        *("--allow-root", f"--ServerApp.jpserver_extensions={EXTENSIONS!r}"),
    ]
    log = (jupyter_folders / "log").open("wb")
    with (
        log,
        subprocess.Popen(
            command, cwd=project, env=kept, stdout=subprocess.PIPE, stderr=log
        ) as process,
    ):
        line = process.stdout.readline().decode().strip()
        assert line, (jupyter_folders / "log").read_text()
        yield line
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert list(servers()) == []  # the JupyterLab ended with it


def test_one_jupyterlab_is_started_and_then_found(
    started, convexlab, project, jupyter_folders, monkeypatch
):
    (server,) = servers()
    assert Path(server.root_dir) == project
    parts = urlsplit(started)
    assert parts.path == "/lab/workspaces/convexlab"
    assert parts.query == f"token={server.token}"
    assert "convexlab" in httpx.get(started, follow_redirects=True).text
    saved = server.ask("GET", "lab/api/workspaces/convexlab").json()
    left = saved["data"]["layout-restorer:data"]["left"]
    assert left == {
        "collapsed": False,
        "visible": True,
        "current": "convexlab-sidebar",
    }

    # What was left open there stays, and from below the project it is the same one.
    saved["data"]["mine"] = 1
    server.ask("PUT", "lab/api/workspaces/convexlab", saved)
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    assert convexlab("dashboard", "--no-open") == started
    assert opened == []
    again = server.ask("GET", "lab/api/workspaces/convexlab").json()
    assert again["data"] == saved["data"]

    # The token goes to the browser in a file, which others cannot read.
    assert convexlab("dashboard") == started
    page = Path(unquote(urlsplit(opened[0]).path))
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert f'url={started}"' in page.read_text()
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    assert convexlab("dashboard").endswith("open this address in one.")


def test_a_jupyterlab_that_is_missing_or_ends_is_said(
    convexlab, jupyter_folders, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(signal, "signal", lambda *_: None)  # the tests' own Ctrl-C
        patch.setattr(sys, "executable", shutil.which("false"))
        said = convexlab("dashboard", status=1)
    assert "JupyterLab ended at once, with status 1: see above." in said
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    assert "pip install jupyterlab" in convexlab("dashboard", status=1)
