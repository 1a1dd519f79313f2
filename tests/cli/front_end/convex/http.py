"""Routes are no functions that a front end calls."""

from __future__ import annotations

from convexlab import ActionCtx, Request, Response, http_action, http_router

http = http_router()


@http_action
async def hook(ctx: ActionCtx, request: Request) -> Response:
    """A web hook."""
    return Response("")


http.route("/hook", method="POST", handler=hook)
