"""Transfers: a deployment's exports and imports, from its opening to its end."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from convexlab.functions import transfer_mutations
from convexlab.web.exports import Exports
from convexlab.web.imports import Imports

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.sync.gateway import Gateway
    from convexlab.web.server import Door
    from convexlab.web.system import System


class Transfers:
    """Both of them.

    Args:
        gateway: says which moment is the newest.
        system: keeps the documents that tell of them.
        folder: the deployment's.
        log: where the stderr of what carries the data goes.
        instance: the deployment's name.
        files: where the bytes of files are kept, if not in the folder.
    """

    def __init__(
        self,
        gateway: Gateway,
        system: System,
        folder: Path,
        log: IO[bytes],
        *,
        instance: str,
        files: str | None = None,
    ) -> None:
        self._system = system
        self.exports = Exports(
            gateway, system, folder, log, instance=instance, files=files
        )
        self.imports = Imports(system, folder, log, files=files)

    def add_to(self, door: Door) -> None:
        """Answer at the door."""
        self.exports.add_to(door)
        self.imports.add_to(door)

    async def open(self) -> None:
        """Nothing of an earlier life goes on."""
        begun = await self._system.do(transfer_mutations.INTERRUPT, {})
        self.imports.open(begun)
        await self.exports.sweep()

    async def close(self) -> None:
        """Give up what is under way."""
        await self.exports.close()
        await self.imports.close()
