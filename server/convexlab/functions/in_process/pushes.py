"""Pushes inside one process, as to a real deployment: declare, fill, check, switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convexlab.engine import backfill
from convexlab.errors import ConvexlabError
from convexlab.functions import cron_runs
from convexlab.functions.analysis import analyze
from convexlab.functions.processes.failures import error_from
from convexlab.functions.processes.messages import (
    AbortPush,
    BeginPush,
    FinishPush,
    Source,
)
from convexlab.functions.processes.schema_push import SchemaPush

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.functions.analysis import Analysis
    from convexlab.functions.in_process.calls import Calls
    from convexlab.functions.in_process.store import Store
    from convexlab.functions.module_sources import ModuleSource


class Pushes:
    """See the module.

    Args:
        store: what the schema is written to.
        calls: what runs the modules afterwards.
        environment: the deployment's variables.
        deployment: the name that functions see.
    """

    def __init__(
        self,
        store: Store,
        calls: Calls,
        environment: Mapping[str, str],
        deployment: str,
    ) -> None:
        self._store = store
        self._calls = calls
        self._environment = environment
        self._deployment = deployment
        self._steps = SchemaPush(store.committer, splay=cron_runs.no_splay)

    def push(self, sources: list[ModuleSource]) -> None:
        """Deploy these modules in place of those that are there.

        Raises:
            PushFailed: a module that cannot be deployed.
            SchemaViolation: a document that the new schema refuses.
        """
        self._store.tick()
        now_ms = float(self._store.now_ns // 1_000_000)
        analysis = analyze(
            sources,
            previous=self._calls.modules,
            now_ms=now_ms,
            environment=self._environment,
        )
        schema = msgspec.json.encode(analysis.schema and analysis.schema.to_json())
        crons = msgspec.json.encode(analysis.crons)
        versioned = _versioned(sources, analysis, now_ms)
        try:
            self._steps.take(BeginPush(0, schema))
            self._fill()
            backfill.SchemaCheck(self._store.committer).run()
            self._steps.finish(FinishPush(0, schema, versioned, crons))
        except ConvexlabError:
            self._steps.take(AbortPush(0))
            raise
        finally:
            self._store.work_off()
        self._calls.modules = analysis.modules
        self._calls.modules.deployment = self._deployment

    def _fill(self) -> None:
        """Build the new indexes.

        Raises:
            SchemaViolation: two documents that a unique one refuses.
        """
        while True:
            self._store.committer.settle_all()
            for answer in self._steps.do_slice():
                if answer.failure is not None:
                    raise error_from(answer.failure)
                return


def _versioned(
    sources: list[ModuleSource], analysis: Analysis, now_ms: float
) -> list[Source]:
    return [
        Source(
            source.path,
            source.source,
            msgspec.json.encode(dict(source.origin)),
            analysis.versions[source.path],
            now_ms,
        )
        for source in sources
    ]
