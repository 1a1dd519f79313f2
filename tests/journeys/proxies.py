"""What stands between clients and a deployment: a real nginx, a real Jupyter Server.

nginx's configuration is the one that the guide shows; only the addresses are put in.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx
import pytest
from tests.certificates import certificate
from tests.deployments import until
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GUIDE: Final = Path(__file__).parents[2] / "docs" / "guide" / "deploying.md"
BASE_URL: Final = "/user/ann/"  # as JupyterHub gives it
TOKEN: Final = "a-token-for-tests"
_BLOCK: Final = re.compile(r"^```nginx\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What a machine's own nginx.conf has around a site's.
_AROUND: Final = """
daemon off;
user {user} {group};
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{site}
}}
"""


class Nginx:
    """An nginx with the guide's configuration, with TLS and without.

    Args:
        folder: its own; made.
        addresses: what stands in the guide, and what is put there.

    Attributes:
        certificate: what clients of `safe_url` are to trust.
    """

    def __init__(self, folder: Path, addresses: Mapping[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        safe = f"127.0.0.1:{free_port()}"
        self.safe_url = f"https://{safe}"
        self._program = _nginx()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        (site,) = _BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
        self.certificate = certificate(folder / "certificate.pem")
        pem = f"ssl_certificate {self.certificate}; ssl_certificate_key {self.certificate};"
        listen = f"listen 127.0.0.1:{self.port}; listen {safe} ssl; {pem}"
        put = {"listen 80;": listen, **addresses}
        for shown, real in put.items():
            assert shown in site, f"the guide does not show {shown}"
            site = site.replace(shown, real)
        user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(os.getgid())
        whole = _AROUND.format(site=site, user=user.pw_name, group=group.gr_name)
        (folder / "nginx.conf").write_text(whole)

    def start(self) -> None:
        """Start it; returns once it listens. Also after `kill`, at the same port."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-p", self._folder, "-c", "nginx.conf", "-e", "stderr"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(lambda: self._process.poll() is not None or self._listens(), self.log)
        assert self._process.poll() is None, self.log()

    def stop(self) -> None:
        """End it, and every connection through it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def log(self) -> str:
        """What it has said."""
        return (self._folder / "log").read_text()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _nginx() -> str:
    """Debian's nginx, as `make test` gets it.

    In the virtual environment it is only unpacked, so no service of it runs.
    """
    places = os.pathsep.join(
        [os.environ["PATH"], "/usr/sbin", f"{sys.prefix}/nginx/usr/sbin"]
    )
    found = shutil.which("nginx", path=places)
    return found or pytest.skip("there is no nginx: `make deps-nginx` gets Debian's")


@contextmanager
def nobody_takes_connections(folder: Path) -> Iterator[None]:
    """Jupyter relays frames meanwhile, as where there are no Unix sockets."""
    address = json.loads((folder / "address.json").read_bytes())
    place = Path(address["takes_connections_at"])
    away = place.with_suffix(".away")
    place.rename(away)
    try:
        yield
    finally:
        away.rename(place)


@contextmanager
def nginx(folder: Path, addresses: Mapping[str, str]) -> Iterator[Nginx]:
    """An nginx that runs."""
    one = Nginx(folder, addresses)
    try:
        one.start()
        yield one
    finally:
        one.stop()


class Jupyter(NamedTuple):
    """A Jupyter Server: where it is, with its base URL, and its process."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def jupyter(home: Path, root: Path) -> Iterator[Jupyter]:
    """A Jupyter Server with a token and a base URL.

    Args:
        home: for all that is its own.
        root: where notebooks are, and below it the deployment.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}{BASE_URL}"
    options = {
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.base_url": BASE_URL,
        "ServerApp.trust_xheaders": True,  # as the guide says
        "ServerApp.root_dir": root,
        "ServerApp.open_browser": False,
        "ServerApp.jpserver_extensions": {"convexlab.extension": True},
        "IdentityProvider.token": TOKEN,
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    own = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    log_file = home / "jupyter.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyter_server", "--allow-root"),
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            cwd=root,
            env={
                **kept,
                **{f"JUPYTER_{name}": str(home / name.lower()) for name in own},
                "HOME": str(home),
                "JUPYTER_PLATFORM_DIRS": "0",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        until(
            lambda: process.poll() is not None or _answers(f"{url}convex/version"),
            log_file.read_text,
        )
        assert process.poll() is None, log_file.read_text()
        yield Jupyter(url, process)
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        said = httpx.get(url, headers={"Authorization": f"token {TOKEN}"}, timeout=60)
    except httpx.TransportError:
        return False
    return said.status_code == 200
