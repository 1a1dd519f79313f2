"""What strangers find: a deployment, one who works there, and secrets of its users."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from tests.auth.issuer import AUDIENCE
from tests.conformance.wire import Wire, wire
from tests.deployments import deployment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.auth.issuer import Issuer
    from tests.deployments import Deployment

USERS = ("ann", "bob", "cem")
SECRETS = """
from convexlab import ConvexError, action, api, mutation, query


def who(ctx):
    user = ctx.auth.get_user_identity()
    return user and user["subject"]


def of(ctx, owner):
    return ctx.db.query("secrets").filter(lambda d: d.owner == owner).first()


@query
def mine(ctx):
    found = of(ctx, who(ctx))
    return found and [found["text"], found["n"]]


@query
def about(ctx, owner: str):
    if who(ctx) != owner:
        raise ConvexError({"not yours": "it is another's"})
    return mine.handler(ctx)


@mutation
def keep(ctx):
    owner = who(ctx)
    if owner is None:
        raise ConvexError("nobody has secrets")
    found = of(ctx, owner)
    if found:
        ctx.db.patch(found["_id"], {"n": found["n"] + 1})
    else:
        ctx.db.insert("secrets", {"owner": owner, "text": f"secret of {owner}!", "n": 1})


@action
async def read(ctx):
    return await ctx.run_query(api.secrets.mine)
"""
POINTS = """
from convexlab import mutation, query


@query
def get(ctx):
    found = ctx.db.query("points").first()
    return found["n"] if found else 0


@mutation
def inc(ctx):
    found = ctx.db.query("points").first()
    if found:
        ctx.db.patch(found["_id"], {"n": found["n"] + 1})
    else:
        ctx.db.insert("points", {"n": 1})
"""
CALLS = """
from convexlab import mutation, query


@query
def of(ctx, call: str):
    return ctx.db.query("calls").with_index("by_call", call=call).count()


@mutation
def make(ctx, call: str):
    ctx.db.insert("calls", {"call": call})
    return of.handler(ctx, call)
"""
SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema(
    {"calls": define_table({"call": v.string()}).index("by_call", ["call"])},
    schema_validation=False,
)
"""
MODULES = {"secrets": SECRETS, "points": POINTS, "calls": CALLS, "schema": SCHEMA}
ROLES = ("writer", "reader")


class Scene:
    """See the module.

    Args:
        one: the deployment.
        issuer: of the users' tokens.
    """

    def __init__(self, one: Deployment, issuer: Issuer) -> None:
        self.url = one.url
        self.admin_key = one.admin_key
        self.runner = asyncio.Runner()
        self.tokens: dict[str | None, str] = {
            user: issuer.mint(sub=user) for user in USERS
        }
        self._bystander = wire(one.url)
        self.worker: Wire = self.run(self._bystander.__aenter__())
        self._query = self.worker.follow("points:get")

    def run(self, awaited: Any) -> Any:
        """Wait for something."""
        return self.runner.run(awaited)

    async def works(self) -> None:
        """The bystander's mutation is done, and seen."""
        await self.worker.confirmed()
        before = self.worker.results[self._query]
        await self.worker.run("points:inc")
        assert self.worker.results[self._query] > before

    def close(self) -> None:
        """The bystander leaves."""
        self.run(self._bystander.__aexit__(None, None, None))
        self.runner.close()


@contextmanager
def staged(folder: Path, issuer: Issuer) -> Iterator[Scene]:
    """A scene; at its end every process is there that was, and nothing was amiss."""
    believed = {"providers": [{"domain": issuer.url, "applicationID": AUDIENCE}]}
    modules = {**MODULES, "auth_config": f"auth_config = {believed!r}\n"}
    with ExitStack() as stack:
        # The bystander listens only while it is asked to work.
        one = stack.enter_context(deployment(folder, modules, SILENT_PEER_SECONDS=3600))
        found = Scene(one, issuer)
        stack.callback(found.close)
        found.run(found.works())
        assert one.call("action", "secrets:read")["value"] is None
        processes = {role: one.pids(role) for role in ROLES}
        yield found
        assert {role: one.pids(role) for role in ROLES} == processes
        assert "Traceback" not in one.log(), one.log()
