/** Tables: how many documents each has, what they look like, and its indexes. */
import { type Field, fieldsOf, validatorText } from "../../src/inputs.ts";
import { Notification } from "@jupyterlab/apputils";
import * as React from "react";
import { tableCode } from "./code.ts";
import { type Deployment, type Table, TABLE_SIZE, TABLES } from "./deployment.ts";
import type { Desk } from "./desk.ts";
import { useFollowed } from "./hooks.ts";
import { type Importing, Progress, sendFile } from "./importing.tsx";
import { isMeant } from "./meant.ts";
import { Newest } from "./newest.tsx";
import { schemaCode } from "./schema.ts";
import { Action, Entry, List, Nothing, Trouble } from "./section.tsx";

const SAID_MS = 4_000;

export function TablesView({ deployment, desk }: { deployment: Deployment; desk: Desk }) {
  const { value, failure } = useFollowed<readonly Table[]>(deployment.owner, TABLES, {});
  const hasSchema = value?.some(({ documentType }) => documentType !== null) ?? false;
  return (
    <>
      <div className="convexlab-line">
        <Action text="New SQL" label="Ask in SQL" run={() => desk.openSql()} />
      </div>
      <Trouble text={failure} />
      {value?.length === 0 ? <Nothing text="No tables yet: the first document makes one." /> : null}
      <List label="Tables">
        {value?.map((table) => (
          <TableEntry
            key={table.name}
            deployment={deployment}
            table={table}
            hasSchema={hasSchema}
            desk={desk}
          />
        ))}
      </List>
    </>
  );
}

interface Props {
  readonly deployment: Deployment;
  readonly table: Table;
  readonly hasSchema: boolean;
  readonly desk: Desk;
}

function TableEntry({ deployment, table, hasSchema, desk }: Props) {
  const [imports, importFile, close] = useImports(deployment, table.name);
  return (
    <Entry
      name={table.name}
      code={tableCode(table.name)}
      glance={<Size deployment={deployment} table={table.name} />}
      dropped={importFile}
      below={imports.map(({ number, how }) => (
        <Progress key={number} how={how} deployment={deployment} close={() => close(number)} />
      ))}
      actions={
        <>
          <Action text="Open" label={`Open ${table.name}`} run={() => desk.openTable(table.name)} />
          <Action
            text="Add"
            label={`Add a cell that shows ${table.name} to the notebook`}
            run={() => desk.insert(tableCode(table.name))}
          />
        </>
      }
    >
      <Fields table={table} />
      <Indexes deployment={deployment} table={table} />
      <Newest deployment={deployment} table={table.name} />
      <div className="convexlab-line convexlab-below">
        <Action
          text="Copy as schema"
          label={`Copy ${table.name} as a schema`}
          run={() => void copySchema(deployment, table, hasSchema)}
        />
        <label className="convexlab-action convexlab-choose">
          Import a file
          <input
            type="file"
            accept=".csv,.json,.jsonl,.ndjson,.parquet"
            aria-label={`Import a file into ${table.name}`}
            onChange={(event) => {
              importFile(event.currentTarget.files?.[0]);
              event.currentTarget.value = "";
            }}
          />
        </label>
      </div>
    </Entry>
  );
}

interface OneImport {
  readonly number: number;
  readonly how: Importing;
}

type Imports = [
  all: readonly OneImport[],
  importFile: (file: File | undefined) => void,
  close: (number: number) => void,
];

/** The files that are being imported into a table: each says for itself how far it is. */
function useImports(deployment: Deployment, table: string): Imports {
  const [all, setAll] = React.useState<readonly OneImport[]>([]);
  const begun = React.useRef(0);
  const importFile = (file: File | undefined) => {
    if (!file) return;
    const number = ++begun.current;
    const say = (how: Importing) =>
      setAll((known) =>
        known.some((each) => each.number === number)
          ? known.map((each) => (each.number === number ? { number, how } : each))
          : [...known, { number, how }],
      );
    void importMeant(deployment, table, file, say);
  };
  const close = (number: number) =>
    setAll((known) => known.filter((each) => each.number !== number));
  return [all, importFile, close];
}

async function importMeant(
  deployment: Deployment,
  table: string,
  file: File,
  say: (how: Importing) => void,
): Promise<void> {
  try {
    if (await isMeant(deployment, "imports")) await sendFile(deployment, table, file, say);
  } catch (error) {
    say({ kind: "failed", why: (error as Error).message });
  }
}

/** What the documents look like is asked only where the schema does not say it. */
async function copySchema(deployment: Deployment, table: Table, hasSchema: boolean): Promise<void> {
  try {
    const shapes = table.documentType === null ? await deployment.shapes() : {};
    await navigator.clipboard.writeText(schemaCode(table, shapes[table.name], hasSchema));
    const what = hasSchema ? "the table's lines of a schema" : "a cell with a schema";
    Notification.info(`Copied: ${what}.`, { autoClose: SAID_MS });
  } catch (error) {
    Notification.error((error as Error).message);
  }
}

function Size({ deployment, table }: { deployment: Deployment; table: string }) {
  const { value } = useFollowed<number>(deployment.owner, TABLE_SIZE, { tableName: table });
  return (
    <span className="convexlab-count" title="documents">
      {value === undefined ? "…" : value.toLocaleString("en")}
    </span>
  );
}

function Fields({ table }: { table: Table }) {
  if (table.documentType === null) return <Nothing text="Not in the schema: any fields." />;
  const fields = Object.entries(fieldsOf(table.documentType));
  if (fields.length === 0) return <Nothing text={validatorText(table.documentType)} />;
  return <Signature fields={fields} />;
}

/** Fields, or arguments, with what each takes. */
export function Signature({ fields }: { fields: readonly (readonly [string, Field])[] }) {
  return (
    <dl className="convexlab-facts convexlab-fields">
      {fields.map(([name, field]) => (
        <React.Fragment key={name}>
          <dt>{name}</dt>
          <dd>
            {validatorText(field.fieldType)}
            {field.optional ? ", optional" : ""}
          </dd>
        </React.Fragment>
      ))}
    </dl>
  );
}

/** How far an index is that is being filled. */
function Filling(props: { deployment: Deployment; table: string; filled: number }) {
  const { deployment, table, filled } = props;
  const { value } = useFollowed<number>(deployment.owner, TABLE_SIZE, { tableName: table });
  const of = value === undefined ? "" : ` of ${value.toLocaleString("en")} documents`;
  return (
    <span className="convexlab-filling">
      <progress aria-label="Filled" value={filled} max={Math.max(value ?? 0, filled, 1)} />
      {`${filled.toLocaleString("en")}${of}`}
    </span>
  );
}

function Indexes({ deployment, table }: { deployment: Deployment; table: Table }) {
  const { indexes } = table;
  if (indexes.length === 0) return null;
  return (
    <List label="Indexes">
      {indexes.map((index) => (
        <li key={`${index.kind} ${index.name}`} className="convexlab-index" data-state={index.state}>
          <code>{index.name}</code> ({index.fields.join(", ")})
          <span className="convexlab-badge">
            {index.kind === "database" ? "" : `${index.kind}, `}
            {index.state}
          </span>
          {index.filled === undefined ? null : (
            <Filling deployment={deployment} table={table.name} filled={index.filled} />
          )}
          <Trouble text={index.error} />
        </li>
      ))}
    </List>
  );
}
