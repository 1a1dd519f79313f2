/**
 * A table in a tab: its documents as far as one looks, and beside them the one at hand.
 *
 * The documents are drawn by the live view that outputs have, which sorts, filters and
 * searches in the deployment; the pane edits one, or tells what became of it.
 */
import * as React from "react";
import { showLive } from "../../src/panel.ts";
import type { Deployment } from "./deployment.ts";
import { type Statement, selectionOf } from "../../src/table/statements.ts";
import type { Asked } from "../../src/table/stored.ts";
import { sqlCode, tableCode } from "./code.ts";
import type { Desk } from "./desk.ts";
import { Editor, fieldOf } from "./editor.tsx";
import { History } from "./history.tsx";
import { Shown } from "./hooks.ts";
import { Action, Nothing } from "./section.tsx";

/** So many rows a cell asks for that shows what one sees here. */
const CELL_ROWS = 1_000;

type Pane = "none" | "new" | "edit" | "history";

export function DocumentsView(props: { deployment: Deployment; table: string; desk: Desk }) {
  const { deployment, table, desk } = props;
  const [chosen, choose] = React.useState<string | null>(null);
  const [pane, setPane] = React.useState<Pane>("none");
  // What is asked of the rows: filters, a search, an order; null: nothing.
  const [asked, setAsked] = React.useState<Statement | null>(null);
  // What is being written keeps the pane: neither a selection nor a button takes it away.
  const [isWriting, setWriting] = React.useState(false);
  const close = () => {
    setWriting(false);
    setPane("none");
  };
  const write = (what: "new" | "edit") => {
    setPane(what);
    // Whoever asks for the editor goes on in it; whoever only selects stays where they are.
    requestAnimationFrame(() =>
      document.getElementById(fieldOf(table, what === "new" ? null : chosen))?.focus(),
    );
  };
  const editing = { deployment, table, close, writing: setWriting };
  const looked = (id: string | null) => {
    if (isWriting) return;
    choose(id);
    if (id && pane === "none") setPane("edit");
  };
  return (
    <div className="convexlab-documents">
      <div className="convexlab-bar" role="toolbar" aria-label={`Documents of ${table}`}>
        <Action text="New document" label="New document" disabled={isWriting} run={() => write("new")} />
        <Action text="Edit" label="Edit" disabled={!chosen || isWriting} run={() => write("edit")} />
        <Action text="History" label="History" disabled={!chosen || isWriting} run={() => setPane("history")} />
        <Action
          text="Add to notebook"
          label={`Add a cell that shows ${table} like this to the notebook`}
          run={() => desk.insert(asked ? sqlCode(asked.sql, [...asked.params]) : tableCode(table))}
        />
      </div>
      <div className="convexlab-split">
        <Rows deployment={deployment} table={table} looked={looked} asked={setAsked} />
        {pane === "none" ? null : (
          <aside className="convexlab-pane" aria-label={pane === "new" ? "New document" : "Document"}>
            {pane === "new" ? (
              <Editor key="new" {...editing} id={null} />
            ) : chosen === null ? (
              <Nothing text="Select a row." />
            ) : pane === "edit" ? (
              <Editor key={chosen} {...editing} id={chosen} />
            ) : (
              <History key={chosen} deployment={deployment} table={table} id={chosen} close={close} />
            )}
          </aside>
        )}
      </div>
    </div>
  );
}

function Rows(props: {
  deployment: Deployment;
  table: string;
  looked: (id: string | null) => void;
  asked: (statement: Statement | null) => void;
}) {
  const { deployment, table, looked, asked } = props;
  const shown = React.useContext(Shown);
  const host = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    if (!host.current || !shown) return;
    const life = new AbortController();
    const view = { kind: "stored", table };
    const live = { path: "_system/cli/queryTable:default", args: { tableName: table }, view };
    const heard = (event: Event) => {
      const { detail } = event as CustomEvent<Asked | null>;
      asked(detail && selectionOf(...detail, CELL_ROWS));
    };
    host.current.addEventListener("convexlab:asked", heard, { signal: life.signal });
    showLive(host.current, live, deployment.owner, life.signal);
    return () => life.abort();
  }, [deployment, table, asked, shown]);
  // The grid selects by pointer and by keys: whatever it was, one looks once it is done.
  const look = () => requestAnimationFrame(() => looked(selectedIn(host.current)));
  return (
    <section className="convexlab-rows" aria-label={`Rows of ${table}`}>
      {/* biome-ignore lint: the grid inside is what one works with; this only listens. */}
      <div ref={host} onClick={look} onKeyUp={look} />
    </section>
  );
}

/** The id of the document whose cell is the active one. */
function selectedIn(host: HTMLElement | null): string | null {
  const cell = host?.shadowRoot?.querySelector("[data-active]");
  const key = cell?.closest<HTMLElement>(".row")?.dataset.key;
  return key && !key.startsWith("?") ? key : null;
}
