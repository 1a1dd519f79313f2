/**
 * SQL in a tab: a SELECT over the deployment's tables, with its names completed, and rows
 * that stay current.
 *
 * Names come from the schema and from the documents themselves, with no kernel: what
 * completes here does so while every kernel is busy.
 */
import * as React from "react";
import { SQL_ROWS } from "../../src/owner.ts";
import { sqlCode } from "./code.ts";
import { type Deployment, type Table, TABLES } from "./deployment.ts";
import type { Desk } from "./desk.ts";
import { useFollowed } from "./hooks.ts";
import { proposals } from "./proposals.ts";
import { fieldNames, type Shape } from "./schema.ts";
import { Action } from "./section.tsx";
import { useLive } from "./seen.ts";

export function StatementView({ deployment, desk }: { deployment: Deployment; desk: Desk }) {
  const [text, setText] = React.useState("");
  const [asked, ask] = React.useState<string | null>(null);
  const names = useNames(deployment);
  const run = () => text.trim() && ask(text.trim());
  return (
    <div className="convexlab-statement">
      <Box text={text} names={names} change={setText} run={run} />
      <div className="convexlab-line">
        <button
          type="button"
          className="convexlab-action convexlab-first"
          aria-disabled={!text.trim()}
          onClick={run}
        >
          Run
        </button>
        <Action
          text="Add to notebook"
          label="Add a cell with this statement to the notebook"
          disabled={!text.trim()}
          run={() => desk.insert(sqlCode(text.trim()))}
        />
        <span className="convexlab-badge">Ctrl+Enter runs, Tab takes a proposal</span>
      </div>
      <Rows deployment={deployment} sql={asked} />
    </div>
  );
}

/** Tables with their fields, as far as they are known by now. */
function useNames(deployment: Deployment): ReadonlyMap<string, readonly string[]> {
  const { value } = useFollowed<readonly Table[]>(deployment.owner, TABLES, {});
  const [shapes, setShapes] = React.useState<Readonly<Record<string, Shape>>>({});
  React.useEffect(() => {
    let isWanted = true;
    deployment.shapes().then(
      (found) => isWanted && setShapes(found),
      () => {}, // N.B. what the schema says is completed all the same
    );
    return () => {
      isWanted = false;
    };
  }, [deployment]);
  return React.useMemo(
    () => new Map(value?.map((table) => [table.name, fieldNames(table, shapes[table.name])])),
    [value, shapes],
  );
}

function Box(props: {
  text: string;
  names: ReadonlyMap<string, readonly string[]>;
  change: (text: string) => void;
  run: () => void;
}) {
  const { text, names, change, run } = props;
  const field = React.useRef<HTMLTextAreaElement>(null);
  const [place, setPlace] = React.useState(0);
  const [active, setActive] = React.useState(0);
  const [isOpen, setOpen] = React.useState(false);
  const [taken, setTaken] = React.useState<number | null>(null);
  const { from, found } = proposals(text, place, names);
  const open = isOpen && found.length > 0;
  const take = (name: string) => {
    change(text.slice(0, from) + name + text.slice(place));
    setOpen(false);
    setPlace(from + name.length);
    setTaken(from + name.length);
    field.current?.focus();
  };
  // Where a proposal ends one goes on, before the next key comes.
  React.useLayoutEffect(() => {
    if (taken === null) return;
    field.current?.setSelectionRange(taken, taken);
    setTaken(null);
  }, [taken]);
  const keys: Record<string, () => void> = {
    ArrowDown: () => setActive((active + 1) % found.length),
    ArrowUp: () => setActive((active + found.length - 1) % found.length),
    Tab: () => take(found[active] as string),
    Enter: () => take(found[active] as string),
    Escape: () => setOpen(false),
  };
  return (
    <div className="convexlab-box">
      <textarea
        ref={field}
        rows={5}
        spellCheck={false}
        placeholder="SELECT … FROM …"
        aria-label="SQL statement"
        aria-controls="convexlab-proposals"
        aria-autocomplete="list"
        {...(open ? { "aria-activedescendant": `convexlab-proposal-${active}` } : {})}
        value={text}
        onChange={(event) => {
          change(event.target.value);
          setPlace(event.target.selectionStart);
          setActive(0);
          setOpen(true);
        }}
        onBlur={() => setOpen(false)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            setOpen(false);
            run();
          } else if (open && keys[event.key] && !event.shiftKey) {
            event.preventDefault();
            event.stopPropagation();
            keys[event.key]?.();
          }
        }}
      />
      <ul
        id="convexlab-proposals"
        role="listbox"
        aria-label="Proposals"
        className="convexlab-proposals"
        hidden={!open}
      >
        {found.map((name, at) => (
          // biome-ignore lint: the keyboard works in the field, which says which one is active.
          <li
            key={name}
            id={`convexlab-proposal-${at}`}
            className="convexlab-proposal"
            role="option"
            aria-selected={at === active}
            onMouseDown={(event) => {
              event.preventDefault();
              take(name);
            }}
          >
            {name}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Rows({ deployment, sql }: { deployment: Deployment; sql: string | null }) {
  const host = React.useRef<HTMLDivElement>(null);
  const view = { kind: "table" };
  const live = sql === null ? null : { path: SQL_ROWS, args: { sql, params: [] }, view };
  useLive(host, live, deployment.owner, sql ?? "");
  return <section ref={host} aria-label="Rows" />;
}
