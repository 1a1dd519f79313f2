/** The derived indexes in a table: the columnar mirror, texts, vectors and embeddings. */
import * as React from "react";
import { bytesText } from "./bytes.ts";
import { behindText, type DerivedIndex, partSize, sizeOf } from "./following.ts";
import { Trouble } from "./section.tsx";

/** What people call the derived indexes. */
const FOLLOWERS: Readonly<Record<string, string>> = {
  columnar: "columnar mirror",
  text: "text indexes",
  vector: "vector indexes",
  embeddings: "embeddings",
};

export function Followers({ followers }: { followers: readonly DerivedIndex[] }) {
  return (
    <table className="convexlab-numbers" aria-label="Derived indexes">
      <thead>
        <tr>
          <th scope="col">Derived index</th>
          <th scope="col">holds</th>
          <th scope="col">behind</th>
        </tr>
      </thead>
      <tbody>
        {followers.map((each) => (
          <Follower key={each.name} follower={each} />
        ))}
      </tbody>
    </table>
  );
}

function Follower({ follower }: { follower: DerivedIndex }) {
  const { name, indexes = [], bytes } = follower;
  const documents = sizeOf(follower);
  const wrong = follower.failure ?? follower.problem ?? null;
  return (
    <>
      <tr>
        <td title={bytes === undefined ? "" : bytesText(bytes)}>{FOLLOWERS[name] ?? name}</td>
        <td>{documents === undefined ? "–" : documents.toLocaleString("en")}</td>
        <td title={`${follower.lagSeconds.toFixed(1)} s`}>{behindText(follower)}</td>
      </tr>
      {indexes.map((each) => (
        <tr key={`${each.table}.${each.index}`} className="convexlab-part">
          <td>
            {each.table}.{each.index}
          </td>
          <td>{partSize(each).toLocaleString("en")}</td>
          <td>{each.isBuilding ? "is built" : ""}</td>
        </tr>
      ))}
      {wrong === null ? null : (
        <tr>
          <td colSpan={3}>
            <Trouble text={wrong} />
          </td>
        </tr>
      )}
    </>
  );
}
