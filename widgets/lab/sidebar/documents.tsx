/**
 * A table in a tab: its documents as far as one looks, and beside them the one at hand.
 *
 * The documents are drawn by the live view that outputs have, which sorts, filters and
 * searches in the deployment; the pane edits one, or tells what became of it.
 */
import * as React from "react";
import type { Deployment } from "./deployment.ts";
import { type Statement, selectionOf } from "../../src/table/statements.ts";
import type { Asked } from "../../src/table/stored.ts";
import { sqlCode, tableCode } from "./code.ts";
import type { Desk } from "./desk.ts";
import { Editor } from "./editor.tsx";
import { History } from "./history.tsx";
import { Action, Nothing } from "./section.tsx";
import { useLive } from "./seen.ts";

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
  // Where one was before the pane: one is there again when it closes.
  const before = React.useRef<HTMLElement | null>(null);
  // How often somebody asked for the editor: they go on in it, who only selects does not.
  const [askedFor, setAskedFor] = React.useState(0);
  const close = () => {
    setWriting(false);
    setPane("none");
    before.current?.focus();
  };
  const write = (what: "new" | "edit") => {
    before.current = document.activeElement as HTMLElement | null;
    setPane(what);
    setAskedFor((times) => times + 1);
  };
  const editing = { deployment, table, close, writing: setWriting, askedFor };
  const look = () => {
    before.current = document.activeElement as HTMLElement | null;
    setPane("history");
  };
  const looked = (id: string | null, isPointed: boolean) => {
    if (isWriting) return;
    choose(id);
    // N.B. keys also come up here that went down in the pane, which they closed.
    if (!id || pane !== "none" || (id === chosen && !isPointed)) return;
    before.current = activeIn(document);
    setAskedFor(0);
    setPane("edit");
  };
  return (
    <div className="convexlab-documents">
      <div className="convexlab-bar" role="toolbar" aria-label={`Documents of ${table}`}>
        <Action text="New document" label="New document" disabled={isWriting} run={() => write("new")} />
        <Action text="Edit" label="Edit" disabled={!chosen || isWriting} run={() => write("edit")} />
        <Action text="History" label="History" disabled={!chosen || isWriting} run={look} />
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
  looked: (id: string | null, isPointed: boolean) => void;
  asked: (statement: Statement | null) => void;
}) {
  const { deployment, table, looked, asked } = props;
  const host = React.useRef<HTMLDivElement>(null);
  const view = { kind: "stored", table };
  const live = { path: "_system/cli/queryTable:default", args: { tableName: table }, view };
  React.useEffect(() => {
    const life = new AbortController();
    const heard = (event: Event) => {
      const { detail } = event as CustomEvent<Asked | null>;
      asked(detail && selectionOf(...detail, CELL_ROWS));
    };
    host.current?.addEventListener("convexlab:asked", heard, { signal: life.signal });
    return () => life.abort();
  }, [asked]);
  useLive(host, live, deployment.owner, table);
  // The grid selects by pointer and by keys: whatever it was, one looks once it is done.
  const look = (isPointed: boolean) =>
    requestAnimationFrame(() => looked(selectedIn(host.current), isPointed));
  return (
    <section className="convexlab-rows" aria-label={`Rows of ${table}`}>
      {/* biome-ignore lint: the grid inside is what one works with; this only listens. */}
      <div ref={host} className="convexlab-host" onClick={() => look(true)} onKeyUp={() => look(false)} />
    </section>
  );
}

/** What has the focus, inside of what hides its parts too. */
function activeIn({ activeElement }: DocumentOrShadowRoot): HTMLElement | null {
  const inside = activeElement?.shadowRoot?.activeElement ? activeElement.shadowRoot : null;
  return inside ? activeIn(inside) : (activeElement as HTMLElement | null);
}

/** The id of the document whose cell is the active one. */
function selectedIn(host: HTMLElement | null): string | null {
  const cell = host?.shadowRoot?.querySelector("[data-active]");
  const key = cell?.closest<HTMLElement>(".row")?.dataset.key;
  return key && !key.startsWith("?") ? key : null;
}
