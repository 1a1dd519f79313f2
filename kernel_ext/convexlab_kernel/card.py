"""The status card: which deployment, its tables, its modules and where they came from."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from convexlab_kernel import display

if TYPE_CHECKING:
    from convexlab_kernel.client import Database
    from convexlab_kernel.discovery import Address
    from convexlab_kernel.notebook import Notebook
    from convexlab_kernel.status import ModuleStatus, Status


def greeting(notebook: Notebook) -> str:
    """What `%load_ext` says: where the deployment is and what is in it."""
    database = notebook.database()
    status = database.status()
    where = database.address.folder or database.address.url
    return (
        f"convexlab: {database.name} ({where}) · "
        f"{display.counted(len(status.tables), 'tables')} · "
        f"{display.counted(len(status.modules), 'modules')}"
    )


def addresses(address: Address, secret: str | None) -> list[tuple[str, str]]:
    """The addresses for clients, with that secret in them, as they are said to people."""
    if not address.secret:
        return [("address for clients", address.url)]
    return [
        ("address for clients", f"{address.url}/c/{secret}"),
        ("address for Python's client", f"{address.url}/?c={secret}"),
        ("through Jupyter", f"<Jupyter's address>/convex/c/{secret}"),
    ]


class Card:
    """The status card of a deployment.

    It is saved with the notebook, so no secret is in it.
    """

    def __init__(self, database: Database) -> None:
        self._address = database.address
        self._status: Status = database.status()

    def _facts(self) -> list[tuple[str, str]]:
        address, status = self._address, self._status
        facts = [("deployment", address.name), *addresses(address, "…")]
        if address.secret:
            facts.append(("with their secret", "%convex url"))
        if address.folder is not None:
            facts.append(("folder", str(address.folder)))
        if status.version:
            said = (status.version, status.engine)
            facts.append(("version", ", ".join(filter(None, said))))
        facts += [(each.label, str(each)) for each in status.followers]
        return facts

    def _tables(self) -> list[tuple[str, str]]:
        return [
            (
                table.name,
                "" if table.count is None else display.shown(table.count, None),
            )
            for table in self._status.tables
        ]

    def _modules(self) -> list[tuple[str, str, str]]:
        return [
            (
                module.path,
                ", ".join(
                    f"{kind} {name}".strip() for kind, name in module.described()
                ),
                _came_from(module),
            )
            for module in self._status.modules
        ]

    def _repr_html_(self) -> str:
        modules = "".join(
            f"<tr>{''.join(f'{display.CELL}{html.escape(cell)}</td>' for cell in row)}</tr>"
            for row in self._modules()
        )
        tables = display.card_html(self._tables()) if self._tables() else ""
        listed = f"{display.TABLE}<tbody>{modules}</tbody></table>" if modules else ""
        return (
            f"{display.card_html(self._facts())}"
            f"{display.NOTE}Tables: {len(self._status.tables)}</div>{tables}"
            f"{display.NOTE}Modules: {len(self._status.modules)}</div>{listed}"
        )

    def __repr__(self) -> str:
        lines = [f"{name}: {value}" for name, value in self._facts()]
        lines += [f"table {name}: {count}" for name, count in self._tables()]
        lines += [
            f"module {path}: {functions or 'no functions'}"
            + (f" ← {origin}" if origin else "")
            for path, functions, origin in self._modules()
        ]
        return "\n".join(lines)


def _came_from(module: ModuleStatus) -> str:
    """Its notebook and cell, or its file, and since when it is this version."""
    if module.origin is None:
        return ""
    since = module.pushed_ms
    at = f" · {display.moment(since)}" if since else ""
    return f"{module.origin}{at}"
