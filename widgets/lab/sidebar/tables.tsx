/** Tables: how many documents each has, what they look like, and its indexes. */
import { type Field, validatorText } from "../../src/inputs.ts";
import * as React from "react";
import { type Deployment, fieldsOf, type Index, type Table, TABLE_SIZE, TABLES } from "./deployment.ts";
import { useFollowed } from "./hooks.ts";
import { type Desk, tableCode } from "./desk.ts";
import { Action, Entry, List, Nothing, Trouble } from "./section.tsx";

export function TablesView({ deployment, desk }: { deployment: Deployment; desk: Desk }) {
  const { value, failure } = useFollowed<readonly Table[]>(deployment.owner, TABLES, {});
  return (
    <>
      <Trouble text={failure} />
      {value?.length === 0 ? <Nothing text="No tables yet: the first document makes one." /> : null}
      <List label="Tables">
        {value?.map((table) => (
          <Entry
            key={table.name}
            name={table.name}
            code={tableCode(table.name)}
            glance={<Size deployment={deployment} table={table.name} />}
            actions={<TableActions table={table.name} desk={desk} />}
          >
            <Fields table={table} />
            <Indexes indexes={table.indexes} />
          </Entry>
        ))}
      </List>
    </>
  );
}

function TableActions({ table, desk }: { table: string; desk: Desk }) {
  return (
    <>
      <Action text="Open" label={`Open ${table}`} run={() => desk.openTable(table)} />
      <Action
        text="Insert"
        label={`Insert a cell that shows ${table}`}
        run={() => desk.insert(tableCode(table))}
      />
    </>
  );
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

function Indexes({ indexes }: { indexes: readonly Index[] }) {
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
          <Trouble text={index.error} />
        </li>
      ))}
    </List>
  );
}
