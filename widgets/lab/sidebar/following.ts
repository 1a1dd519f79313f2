/** Derived indexes, as the deployment tells of them: what each has, and how far it is behind. */

/** What follows the log; each kind says of its own what it has. */
export interface DerivedIndex {
  readonly name: string;
  readonly lagSeconds: number;
  /** Not counted beyond `COUNTED_BEHIND`; null before it was there for the first time. */
  readonly documentsBehind: number | null;
  /** The table that it goes through from its beginning. */
  readonly building: string | null;
  /** How much of it it has. */
  readonly buildingPercent: number | null;
  readonly failure: string | null;
  readonly bytes?: number;
  /** Of the mirror. */
  readonly documents?: number;
  /** Of texts, or of vectors. */
  readonly indexes?: readonly Part[];
  /** Of embeddings: those that are there, those that are still to be made, and what stops it. */
  readonly embedded?: number;
  readonly wanted?: number;
  readonly problem?: string | null;
}

/** One of the schema's indexes in a derived one. */
export interface Part {
  readonly table: string | null;
  readonly index: string;
  readonly texts?: number;
  readonly vectors?: number;
  readonly isBuilding?: boolean;
}

/** As `FOLLOWER_MOST_BEHIND` in the deployment's knobs. */
export const COUNTED_BEHIND = 10_000;

/** How many documents it has; undefined: it does not say. */
export function sizeOf({ documents, embedded, indexes }: DerivedIndex): number | undefined {
  return documents ?? embedded ?? indexes?.reduce((sum, each) => sum + partSize(each), 0);
}

export function partSize({ texts, vectors }: Part): number {
  return texts ?? vectors ?? 0;
}

/** How many documents; where none is, how long: what is shorter than a look is nothing. */
export function behindText(follower: DerivedIndex): string {
  const { building, buildingPercent, documentsBehind, wanted, lagSeconds } = follower;
  if (building !== null) return `builds ${building}: ${buildingPercent ?? 0} %`;
  const behind = documentsBehind ?? 0;
  if (behind >= COUNTED_BEHIND) return `${COUNTED_BEHIND.toLocaleString("en")} or more`;
  if (behind > 0) return behind.toLocaleString("en");
  if (wanted) return `${wanted.toLocaleString("en")} to embed`;
  return lagSeconds < 0.1 ? "no" : `${lagSeconds.toFixed(1)} s`;
}
