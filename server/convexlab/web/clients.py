"""Clients: who sent a request, as far as the connection and its headers tell."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from convexlab.functions.requested import Client
from convexlab.web.handed_over import HandedOver

if TYPE_CHECKING:
    from aiohttp import web


def client_of(request: web.BaseRequest) -> Client:
    """Who sent a request.

    A proxy on this machine, such as Jupyter's, is believed when it says for whom it
    asks: the last address that it names is the one that it has seen itself. So is
    Jupyter when it hands the connection over, wherever that comes from.
    """
    address = request.remote
    is_handed = isinstance(request.protocol, HandedOver)
    if is_handed or (address is not None and _is_here(address)):
        said = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        address = said or address
    return Client(address, request.headers.get("User-Agent"))


@lru_cache(maxsize=1024)  # every request of every client has one
def _is_here(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:  # a socket in the file system has no address
        return False
