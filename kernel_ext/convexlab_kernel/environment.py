"""A deployment's environment variables, for its owner.

Whatever lists them for people asks for the names alone, so that no value comes into a
notebook's outputs by the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from convexlab.errors import InvalidArguments, NotFound
from convexlab_kernel import dotenv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab_kernel.client import Database

_QUERY: Final = "_system/cli/queryEnvironmentVariables"
# What says where deployments are, to command lines: it is no function's affair.
_OF_TOOLS: Final = frozenset({
    "CONVEX_DEPLOY_KEY", "CONVEX_DEPLOYMENT", "CONVEX_DEPLOYMENT_TOKEN",
    "CONVEX_SELF_HOSTED_URL", "CONVEX_SELF_HOSTED_ADMIN_KEY", "CONVEX_URL",
    "CONVEX_CLOUD_URL", "CONVEX_SITE_URL", "CONVEXLAB_URL", "CONVEXLAB_ADMIN_KEY",
    "CONVEXLAB_SECRET",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What became of the variables of a file, by name."""

    new: list[str]
    changed: list[str]
    same: list[str]
    skipped: list[str]

    def __str__(self) -> str:
        parts = {"new": self.new, "changed": self.changed, "as they were": self.same}
        said = [f"{len(names)} {word}" for word, names in parts.items() if names]
        skipped = ", ".join(self.skipped)
        note = f"; left out, for they are the tools' own: {skipped}" if skipped else ""
        return (", ".join(said) or "no variables") + note


class Environment:
    """See the module.

    Args:
        database: whose variables.

    Raises:
        NotAllowed: without the deployment's key.
    """

    def __init__(self, database: Database) -> None:
        database.attachment.need_admin("Looking after environment variables")
        self._database = database

    def names(self) -> list[str]:
        """The names of all that are set, sorted."""
        return list(self._database.query(f"{_QUERY}:names"))

    def values(self) -> dict[str, str]:
        """All that are set.

        Raises:
            EnvVarUnreadable: one was sealed with another secret.
        """
        return {one["name"]: one["value"] for one in self._database.query(_QUERY)}

    def get(self, name: str) -> str:
        """The value of one.

        Raises:
            NotFound: it is not set.
            EnvVarUnreadable: it was sealed with another secret.
        """
        found = self._database.query(f"{_QUERY}:get", name=name)
        if found is None:
            raise self._missing(name)
        return str(found["value"])

    def set(self, values: Mapping[str, str]) -> None:
        """Set some, all or none: in force for every run that begins from now on.

        Raises:
            InvalidEnvVar: a name or a value that cannot be.
        """
        self._change(values)

    def remove(self, names: list[str]) -> None:
        """Take some away, all or none.

        Raises:
            NotFound: one is not set.
        """
        known = self.names()
        for name in names:
            if name not in known:
                raise self._missing(name)
        self._change(dict.fromkeys(names))

    def set_all(self, text: str, *, force: bool = False) -> Told:
        """Set the variables of a `.env` file's text.

        Args:
            text: what the file holds.
            force: also those that have another value already.

        Raises:
            InvalidArguments: some have another value, and nothing is changed.
        """
        found = dotenv.parse(text)
        given = {name: v for name, v in found.items() if name not in _OF_TOOLS}
        known = self.values()
        told = Told(
            [name for name in given if name not in known],
            [name for name in given if known.get(name, given[name]) != given[name]],
            [name for name in given if known.get(name) == given[name]],
            [name for name in found if name in _OF_TOOLS],
        )
        if told.changed and not force:
            listed = ", ".join(told.changed)
            raise InvalidArguments(
                f"{listed}: set already, to something else. --force replaces it."
            )
        wanted = [*told.new, *told.changed]
        if wanted:
            self._change({name: given[name] for name in wanted})
        return told

    def _missing(self, name: str) -> NotFound:
        known = ", ".join(self.names()) or "none"
        return NotFound(
            f"The environment variable `{name}` is not set. Set are: {known}."
        )

    def _change(self, values: Mapping[str, str | None]) -> None:
        changes = [{"name": name, "value": value} for name, value in values.items()]
        body = msgspec.json.encode({"changes": changes})
        self._database.attachment.post("/api/update_environment_variables", body)


def split(word: str, value: str | None) -> tuple[str, str | None]:
    """`NAME=value`, or `NAME` and what may follow it.

    Raises:
        InvalidArguments: both.
    """
    name, equals, rest = word.partition("=")
    if equals and value is not None:
        raise InvalidArguments(
            f"Write {name}=VALUE or {name} VALUE, in quotes if there are spaces in it."
        )
    return name, rest if equals else value
