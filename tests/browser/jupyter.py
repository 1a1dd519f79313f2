"""A Jupyter server of a test's own: real, on a free port, with nothing of the user's.

Root directory, configuration, data and runtime files are all under one temporary
folder; the server is known by a token and lives under `/user/ann/`, as behind a
hub. The extension that JupyterLab loads is the one in the working tree, unless its
Python has another one installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat.sign import NotebookNotary
from tests.browser.files import LABEXTENSION
from tests.ports import free_port

TOKEN = "a-token-for-tests"
BASE_URL = "/user/ann/"
START_SECONDS = 150
# Asking in a box over the page whether one wants news, and looking with Node
# whether JupyterLab itself should be built again.
PAGE_CONFIG = {
    "buildCheck": False,
    "disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True},
}


@dataclass
class Jupyter:
    """A JupyterLab server (`/lab`) and Notebook 7 (`/notebooks`) in one process.

    Attributes:
        home: for all that is its own.
        environment: variables of its process, beside the tests' own.
        python: whose JupyterLab; another one than the tests' has us installed.
        notebooks: where its notebooks are, if not below its home.
    """

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    python: Path = Path(sys.executable)
    notebooks: Path | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        """Where its notebooks are."""
        return self.notebooks or self.home / "root"

    @property
    def url(self) -> str:
        """Its address, with the base path and no slash at the end."""
        return f"http://127.0.0.1:{self.port}{BASE_URL.rstrip('/')}"

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.home / "server.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it, and wait until it answers. Also after `stop`: same port, same token."""
        share = self.home / "share"
        (share / "labextensions").mkdir(parents=True, exist_ok=True)
        settings = self.home / "config" / "labconfig"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "page_config.json").write_text(json.dumps(PAGE_CONFIG))
        link = share / "labextensions" / "convexlab"
        if not self._is_installed and not link.exists():
            link.symlink_to(LABEXTENSION)
        self.root.mkdir(exist_ok=True)
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command(),
                cwd=self.root,
                env=self._environment(share),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait()

    def stop(self) -> None:
        """Stop it, and its kernels with it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)
        self.process = None

    def end_kernels(self) -> None:
        """End the kernels that pages have left behind."""
        for session in json.loads(self.request("api/sessions")):
            self.request(f"api/sessions/{session['id']}", method="DELETE")

    def request(
        self, path: str, body: bytes | None = None, method: str | None = None
    ) -> bytes:
        """Ask it something, with its token; a body makes it a POST."""
        request = urllib.request.Request(
            f"{self.url}/{path}",
            data=body,
            headers={"Authorization": f"token {TOKEN}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    @property
    def deployment(self) -> Path:
        """The folder of the deployment that it starts."""
        return self.root / ".convexlab" / "local"

    def trust(self, notebook: str) -> None:
        """Sign a notebook, as if the user had run it."""
        notary = NotebookNotary(data_dir=str(self.home / "data"))
        path = self.root / notebook
        notary.sign(nbformat.read(path, as_version=nbformat.NO_CONVERT))
        notary.store.close()

    @property
    def _is_installed(self) -> bool:
        return self.python != Path(sys.executable)

    def _command(self) -> list[str]:
        extensions = {
            "jupyterlab": True,
            "notebook": True,
            "jupyter_lsp": False,
            "jupyter_server_terminals": False,
        }
        if not self._is_installed:
            extensions["convexlab.extension"] = True
        return [
            *(str(self.python), "-m", "jupyterlab", "--no-browser", "--allow-root"),
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            "--ServerApp.ip=127.0.0.1",
            f"--IdentityProvider.token={TOKEN}",
            f"--ServerApp.base_url={BASE_URL}",
            f"--ServerApp.root_dir={self.root}",
            f"--ServerApp.jpserver_extensions={extensions!r}",
            "--LabApp.extension_manager=readonly",
            "--LabApp.expose_app_in_browser=True",
            "--JupyterNotebookApp.expose_app_in_browser=True",
        ]

    def _environment(self, share: Path) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
        return {
            **kept,
            "HOME": str(self.home),
            "JUPYTER_CONFIG_DIR": str(self.home / "config"),
            "JUPYTER_DATA_DIR": str(self.home / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.home / "runtime"),
            "JUPYTER_PATH": str(share),
            "JUPYTER_PLATFORM_DIRS": "0",
            "IPYTHONDIR": str(self.home / "ipython"),
            **self.environment,
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process is not None
            if self.process.poll() is not None:
                break
            try:
                self.request("api/status")
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
            else:
                return
        message = f"Jupyter did not start:\n{self.log}"
        raise RuntimeError(message)
