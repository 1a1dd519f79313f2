"""`%convex` and `%%convex`: a thin shell over the notebook and its commands.

    %load_ext convexlab
    %%convex tasks            the cell is the module `tasks`
    # %%convex tasks          the same, as a comment: linters keep working
    %convex                   what runs where
    %convex run tasks:list {"limit": n}
    %%live                    the cell runs again when what it reads changes

Nothing is bound in the kernel's namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.magic import (
    Magics,
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

from convexlab.errors import ConvexlabError
from convexlab_kernel import card, cells, commands, completion, live_cells
from convexlab_kernel.line import Text
from convexlab_kernel.live_cells import LiveCells
from convexlab_kernel.notebook import Notebook
from convexlab_kernel.tracebacks import edge

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


@magics_class
class ConvexMagics(Magics):
    """The magics of one notebook."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.notebook = Notebook(shell)
        self.live_cells = LiveCells(self.notebook)

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def convex(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Any:
        """Look after the deployment (%convex), or push the cell as a module (%%convex).

        %%convex MODULE [--add] [--dry-run] [--deployment NAME]
            The cell is the module; `schema`, `http`, `crons` and `auth_config` are
            modules too. --add: it is one part of the module. --dry-run: check only.

        %convex
            The status: address, tables, modules and where they came from.
        %convex run | watch | data | import | export | env | logs | schema | remove
        %convex convert | deploy | login | use | open | url | stop | help
            `%convex help` tells what each takes.
        """
        if cell is None:
            return self._command(line, local_ns)
        return self._push(line, cell)

    @no_var_expand
    @line_cell_magic
    def live(self, line: str, cell: str | None = None) -> Any:
        """Run the cell again whenever a query or table that it reads changes."""
        if line.strip() in {"-h", "--help"}:
            return Text(live_cells.HELP)
        return self._live(line, cell)

    @edge
    def _live(self, line: str, cell: str | None) -> Any:
        if cell is None:
            return self.live_cells.command(line)
        return self.live_cells.run(line, cell)

    @edge
    def _command(self, line: str, local_ns: dict[str, Any] | None) -> Any:
        namespace = {**self.notebook.shell.user_ns, **(local_ns or {})}
        return commands.run_line(self.notebook, line, namespace)

    @edge
    def _push(self, line: str, cell: str) -> None:
        if line.strip() in {"-h", "--help"}:
            print(ConvexMagics.convex.__doc__)  # noqa: T201 - the cell's output
            return
        print(self.notebook.push(cells.parse_header(line), line, cell))  # noqa: T201 - the cell's output


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics, find or start the deployment, and say where."""
    if "ConvexMagics" in shell.magics_manager.registry:
        unload_ipython_extension(shell)
    magics = ConvexMagics(shell)
    shell.register_magics(magics)
    shell.input_transformers_cleanup.append(cells.comment_form)
    shell.events.register("pre_run_cell", magics.notebook.before_cell)
    shell.events.register("pre_run_cell", magics.live_cells.before_cell)
    shell.events.register("post_run_cell", magics.notebook.after_cell)
    shell.Completer.custom_matchers.append(completion.matcher(magics.notebook))
    try:
        print(card.greeting(magics.notebook))  # noqa: T201 - the cell's output
    except ConvexlabError as error:
        # The magics stay: `%convex use …` is the way out.
        print(f"convexlab: no deployment yet. {error}")  # noqa: T201 - the cell's output


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away; the deployment runs on."""
    magics = shell.magics_manager.registry.pop("ConvexMagics", None)
    if magics is None:
        return
    notebook = magics.notebook
    magics.live_cells.close()
    notebook.close()
    shell.events.unregister("pre_run_cell", notebook.before_cell)
    shell.events.unregister("pre_run_cell", magics.live_cells.before_cell)
    shell.events.unregister("post_run_cell", notebook.after_cell)
    transformers = shell.input_transformers_cleanup
    transformers[:] = [one for one in transformers if one is not cells.comment_form]
    matchers = shell.Completer.custom_matchers
    matchers[:] = [
        one for one in matchers if getattr(one, "notebook", None) is not notebook
    ]
    for kind in ("line", "cell"):
        for name in ("convex", "live"):
            shell.magics_manager.magics[kind].pop(name, None)
