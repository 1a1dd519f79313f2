/** A look into a table: its newest documents, a line each, as they come. */
import * as React from "react";
import type { Args } from "../../src/spec.ts";
import { full, preview } from "../../src/value.ts";
import { type Deployment, type Page, TABLE_DATA } from "./deployment.ts";
import { useFollowed } from "./hooks.ts";
import { List, Trouble } from "./section.tsx";

const SHOWN = 5;
const PAGE = { cursor: null, numItems: SHOWN };

export function Newest({ deployment, table }: { deployment: Deployment; table: string }) {
  const asked = { table, order: "desc", paginationOpts: PAGE };
  const { value, failure } = useFollowed<Page<Args>>(deployment.owner, TABLE_DATA, asked);
  if (failure) return <Trouble text={failure} />;
  if (!value?.page.length) return null;
  return (
    <>
      <div className="convexlab-below convexlab-badge">newest</div>
      <List label={`Newest of ${table}`}>
        {value.page.map(({ _id, _creationTime, ...fields }) => (
          <li key={String(_id)} className="convexlab-newest" title={full(fields)}>
            <code>{preview(fields)}</code>
          </li>
        ))}
      </List>
    </>
  );
}
