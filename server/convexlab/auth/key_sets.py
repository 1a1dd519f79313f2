"""Key sets: the public keys of issuers, fetched and kept for a while.

    OIDC        {issuer}/.well-known/openid-configuration ──▶ jwks_uri ──▶ keys
    customJwt   jwks ──▶ keys, or the keys in a `data:` URI

Each address is fetched once for all who wait for it. An answer is kept as long as
it says, within bounds; a token with an unknown key id has its set fetched again, at
most once a minute. When an issuer cannot be reached, what it said within the last
day still counts.

Only addresses that the deployment's own `auth_config` names, or that its issuers
name, are ever fetched; a redirect to another host is not followed.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from convexlab import knobs
from convexlab.errors import NotAuthenticated, Unavailable
from convexlab.functions.auth_config import read_data_uri

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,9})")
_JSON_TYPES: Final = ("application/json", "application/jwk-set+json")
_REDIRECTS: Final = 3
_SERVER_ERROR: Final = 500


class BadIssuer(NotAuthenticated):
    """An issuer whose addresses do not say what they must."""

    code = "AuthProviderDiscoveryFailed"


class IssuerUnavailable(Unavailable):
    """An issuer that cannot be asked just now."""

    code = "AuthProviderDiscoveryFailed"


@dataclass(frozen=True, slots=True)
class _Kept:
    content: Any
    fetched: float
    good_until: float


class KeySets:
    """All issuers' keys of one deployment.

    Args:
        clock: seconds, for how old an answer is.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._fetching: dict[str, asyncio.Task[_Kept]] = {}
        self._forced: dict[str, float] = {}
        self._client: httpx.AsyncClient | None = None

    async def of_issuer(self, issuer: str, *, fresh: bool = False) -> list[Any]:
        """The keys of an OpenID Connect issuer.

        Args:
            issuer: exactly as the token names it.
            fresh: fetch them again, if that was not done just now.

        Raises:
            BadIssuer: what it says is no discovery document, or no key set.
            IssuerUnavailable: it cannot be asked.
        """
        address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        found = await self._get(address, fresh=fresh)
        said = found.get("issuer") if isinstance(found, dict) else None
        if said != issuer:
            raise BadIssuer(f"{address} is the configuration of {said!r}.")
        jwks = found.get("jwks_uri")
        if not isinstance(jwks, str):
            raise BadIssuer(f"{address} names no jwks_uri.")
        return await self.at(jwks, fresh=fresh)

    async def at(self, address: str, *, fresh: bool = False) -> list[Any]:
        """The keys at an address, or in a `data:` URI; `fresh` as above.

        Raises:
            BadIssuer, IssuerUnavailable: as above.
        """
        if address.startswith("data:"):
            found = read_data_uri(address)
        else:
            found = await self._get(address, fresh=fresh)
        keys = found.get("keys") if isinstance(found, dict) else None
        if not isinstance(keys, list):
            raise BadIssuer(f"{address[:200]} is no key set.")
        return keys

    async def close(self) -> None:
        """Give up what is being fetched."""
        for task in self._fetching.values():
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _get(self, address: str, *, fresh: bool) -> Any:
        now = self._clock()
        kept = self._kept.get(address)
        if fresh and kept is not None:
            forced = self._forced.get(address)
            fresh = forced is None or now - forced >= knobs.KEYS_AGAIN_SECONDS
            if fresh:
                self._forced[address] = now
        if kept is not None and not fresh and now < kept.good_until:
            return kept.content
        try:
            kept = await self._fetch_once(address)
        except (BadIssuer, IssuerUnavailable):
            if kept is None or now - kept.fetched > knobs.KEYS_MOST_SECONDS:
                raise
        return kept.content

    async def _fetch_once(self, address: str) -> _Kept:
        task = self._fetching.get(address)
        if task is None:
            task = asyncio.create_task(self._fetch(address), name=f"keys {address}")
            self._fetching[address] = task
            task.add_done_callback(lambda _: self._fetching.pop(address, None))
        return await asyncio.shield(task)  # others may be waiting for it too

    async def _fetch(self, address: str) -> _Kept:
        import httpx

        if self._client is None:
            # Reading the certificates takes 30 ms, which no session shall wait for.
            self._client = await asyncio.to_thread(_client)
        try:
            async with asyncio.timeout(knobs.KEYS_TIMEOUT_SECONDS):
                content, headers = await self._read(self._client, address)
        except (httpx.HTTPError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            raise IssuerUnavailable(f"{address} cannot be fetched: {why}") from None
        except httpx.InvalidURL as error:
            raise BadIssuer(f"{address} is no address: {error}") from None
        now = self._clock()
        kept = _Kept(content, now, now + _seconds_good(headers))
        self._kept[address] = kept
        return kept

    async def _read(
        self, client: httpx.AsyncClient, address: str
    ) -> tuple[Any, httpx.Headers]:
        for _ in range(_REDIRECTS + 1):
            async with client.stream("GET", address) as answer:
                if answer.has_redirect_location:
                    target = urljoin(address, answer.headers["Location"])
                    if urlsplit(target).netloc != urlsplit(address).netloc:
                        raise BadIssuer(f"{address} leads to another host: {target}")
                    address = target
                    continue
                _check_answer(address, answer)
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > knobs.KEYS_MOST_BYTES:
                        raise BadIssuer(f"{address} answers more than a key set.")
                return _json(address, bytes(body)), answer.headers
        raise BadIssuer(f"{address} leads on and on.")


def _client() -> httpx.AsyncClient:
    import httpx

    return httpx.AsyncClient(headers={"Accept": ", ".join(_JSON_TYPES)})


def _check_answer(address: str, answer: httpx.Response) -> None:
    if answer.status_code >= _SERVER_ERROR:
        raise IssuerUnavailable(f"{address} answers {answer.status_code}.")
    if answer.status_code != 200:
        raise BadIssuer(f"{address} answers {answer.status_code}.")
    kind, _, parameters = answer.headers.get("Content-Type", "").partition(";")
    charset = parameters.lower().partition("charset=")[2].strip(' "')
    if kind.strip().lower() not in _JSON_TYPES or charset not in ("", "utf-8"):
        raise BadIssuer(f"{address} answers {kind.strip() or 'nothing'}, not JSON.")


def _json(address: str, body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BadIssuer(f"{address} answers no JSON.") from None


def _seconds_good(headers: httpx.Headers) -> float:
    said = headers.get("Cache-Control", "").lower()
    if "no-store" in said or "no-cache" in said:
        return knobs.KEYS_LEAST_SECONDS
    found = _MAX_AGE.search(said)
    if found is None:
        return knobs.KEYS_SECONDS
    asked = float(found[1])
    return min(max(asked, knobs.KEYS_LEAST_SECONDS), knobs.KEYS_MOST_SECONDS)
