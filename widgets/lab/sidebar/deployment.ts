/**
 * The deployment as the sidebar sees it: what it asks of it, and what it is told.
 *
 * Whoever is logged in to Jupyter owns the deployment, and here they say themselves
 * what is done in their name: nothing of this is reached by outputs of notebooks.
 */
import { convexToJson, type Value } from "convex/values";
import type { Validator } from "../../src/inputs.ts";
import { askAsOwner, type Identity, sendAsOwner } from "../../src/owner.ts";
import { type Address, SocketSource } from "../../src/socket.ts";
import type { Args } from "../../src/spec.ts";
import type { DerivedIndex } from "./following.ts";
import { Meant } from "./meant.ts";
import { Runs } from "./runs.tsx";
import type { Shape } from "./schema.ts";

const BROWSE = "_system/frontend";

export interface Table {
  readonly name: string;
  /** Null: the schema does not speak of it. */
  readonly documentType: Validator | null;
  readonly indexes: readonly Index[];
}

export interface Index {
  readonly kind: "database" | "unique" | "search" | "vector";
  readonly name: string;
  readonly fields: readonly string[];
  readonly state: string;
  readonly error: string | null;
  /** While it is backfilling: with how many documents it has been. */
  readonly filled?: number;
  /** Of a vector index. */
  readonly dimensions?: number;
}

export type Kind = "query" | "mutation" | "action" | "http_action";

export interface Function {
  readonly module: string;
  readonly name: string;
  readonly kind: Kind;
  readonly visibility?: { readonly kind: "public" | "internal" };
  readonly args?: Validator;
  readonly returns?: Validator;
  readonly description: string | null;
  readonly line: number | null;
}

export interface Status {
  readonly version: string;
  readonly name: string;
  readonly url: string;
  readonly startedAt: number;
  /** Whether it serves others, as `convexlab serve` does. */
  readonly production: boolean;
}

/** What runs it, and how that is. */
export interface Vitals {
  readonly processes: readonly Process[];
  readonly followers: readonly DerivedIndex[];
  /** Another one whenever there is something to see. */
  readonly seen: string;
}

export interface Module {
  readonly path: string;
  readonly origin: Origin | null;
  /** When its source or its origin was changed last: milliseconds since 1970. */
  readonly pushedAt: number | null;
}

/** Where a module came from: a file, or a cell of a notebook. */
export interface Origin {
  readonly kind: string;
  readonly name: string;
  /** The notebook's file, on the machine of its kernel. */
  readonly path?: string;
  /** As in `In[3]`. */
  readonly cell?: number | null;
  /** Its place in a notebook that was deployed without a kernel. */
  readonly position?: number | null;
  /** The ids of the cells, where the page told them. */
  readonly parts?: readonly (string | null)[];
}

export interface Process {
  readonly role: string;
  readonly pid: number;
  readonly memory: number | null;
}

/** A document at some time: `document` null is that it was deleted. */
export interface Revision {
  readonly from: string;
  readonly to: string | null;
  readonly document: Record<string, unknown> | null;
}

export const TABLES = `${BROWSE}/browseTables:default`;
export const FUNCTIONS = `${BROWSE}/browseFunctions:default`;
export const MODULES = `${BROWSE}/browseModules:default`;
export const DOCUMENT = `${BROWSE}/getDocument:default`;
export const TABLE_SIZE = "_system/cli/tableSize:default";
export const TABLE_DATA = "_system/cli/tableData:default";
export const FILES = "_system/storage/files:page";
export const VARIABLES = "_system/cli/queryEnvironmentVariables:names";

/** A page of documents, as queries that paginate give it. */
export interface Page<T> {
  readonly page: readonly T[];
  readonly isDone: boolean;
}

export interface Scheduled {
  readonly _id: string;
  readonly name: string;
  readonly scheduledTime: number;
  readonly state: { readonly kind: string; readonly error?: string };
}

export interface Cron {
  readonly _id: string;
  readonly name: string;
  readonly function: string;
  readonly nextTime: number;
  readonly state: { readonly kind: string };
}

export interface StoredFile {
  readonly _id: string;
  readonly _creationTime: number;
  readonly size: number;
  readonly contentType?: string;
  readonly url: string;
}

/** What a run came to (`Completion`), or printed so far (`Progress`). */
export interface LogEntry {
  readonly kind: "Completion" | "Progress";
  readonly udfType: string;
  readonly identifier: string;
  readonly timestamp: number;
  readonly logLines: readonly { readonly level: string; readonly messages: readonly string[] }[];
  readonly requestId: string;
  readonly executionId: string;
  readonly executionTime?: number;
  readonly error?: string | null;
}

export interface LogPage {
  readonly entries: readonly LogEntry[];
  readonly cursor: number;
}

export class Deployment {
  /** Asks as the owner; one socket a page. */
  readonly owner: SocketSource;
  /** Asks as a user who is not signed in: shares its socket with live outputs. */
  readonly user: SocketSource;
  /** What was called from this page. */
  readonly runs = new Runs();
  /** What one has said that one means, in production. */
  readonly meant = new Meant();

  constructor(readonly address: Address) {
    this.owner = new SocketSource(address, () => true);
    this.user = new SocketSource(address);
  }

  /** Asks as a user whom the owner describes. */
  as(actingAs: Identity): SocketSource {
    return new SocketSource(this.address, () => true, actingAs);
  }

  /** How its processes are; with what was `seen` last, when that is otherwise. */
  async vitals(seen: string, signal: AbortSignal): Promise<Vitals> {
    return (await askAsOwner(this.address, "api/convexlab/vitals", { seen }, signal)) as Vitals;
  }

  /** What the documents of each table look like. */
  async shapes(): Promise<Readonly<Record<string, Shape>>> {
    return (await askAsOwner(this.address, "api/shapes2")) as Record<string, Shape>;
  }

  async status(): Promise<Status> {
    return (await askAsOwner(this.address, "api/convexlab/status")) as Status;
  }

  /** The names of the tables. */
  async tables(): Promise<string[]> {
    const found = await this.owner.call("query", TABLES, {});
    return (found as unknown as Table[]).map(({ name }) => name);
  }

  /** The paths of the functions that can be run. */
  async functions(): Promise<string[]> {
    const found = (await this.owner.call("query", FUNCTIONS, {})) as unknown as Function[];
    return found
      .filter(({ kind }) => kind !== "http_action")
      .map(({ module, name }) => `${module}:${name}`);
  }

  async history(table: string, id: string): Promise<readonly Revision[]> {
    const said = await askAsOwner(this.address, "api/convexlab/history", { table, id });
    return (said as { revisions: Revision[] }).revisions;
  }

  /** Why a document could not be stored in a table, in the deployment's words; null if it could. */
  async check(table: string, document: Args): Promise<string | null> {
    const path = `${BROWSE}/checkDocument:default`;
    return (await this.owner.call("query", path, { table, document })) as string | null;
  }

  async add(table: string, document: Args): Promise<string> {
    const args = { table, documents: [document] };
    const ids = await this.owner.call("mutation", `${BROWSE}/addDocument:default`, args);
    return String((ids as Value[])[0]);
  }

  /** Fails if somebody changed the document since it was `before`. */
  async replace(id: string, document: Args, before: Args): Promise<void> {
    const args = { id, document, before };
    await this.owner.call("mutation", `${BROWSE}/replaceDocument:default`, args);
  }

  async remove(id: string): Promise<void> {
    const args = { toDelete: [{ id }] };
    await this.owner.call("mutation", `${BROWSE}/deleteDocuments:default`, args);
  }

  /** What the log has that is wanted: the newest, or what comes after a cursor. */
  async logs(wanted: Record<string, string>, signal: AbortSignal): Promise<LogPage> {
    return (await askAsOwner(this.address, "api/convexlab/logs", wanted, signal)) as LogPage;
  }

  /** Where this page reaches a file: the deployment's own address may not be reached from here. */
  addressOfFile({ url }: StoredFile): string {
    const { token } = this.address;
    const own = `${this.address.url}${new URL(url).pathname.replace(/^.*(?=\/api\/storage\/)/, "")}`;
    return token ? `${own}?token=${encodeURIComponent(token)}` : own;
  }

  async cancel(id: string): Promise<void> {
    await this.owner.call("mutation", "_system/scheduler:cancel", { id });
  }

  async runNow(id: string): Promise<void> {
    await this.owner.call("mutation", `${BROWSE}/runNow:default`, { id });
  }

  async removeFile(id: string): Promise<void> {
    await this.owner.call("mutation", "_system/storage:delete", { id });
  }

  /** Sets a variable, or takes it away. */
  async setVariable(name: string, value: string | null): Promise<void> {
    const body = JSON.stringify({ changes: [{ name, value }] });
    await sendAsOwner(this.address, "api/update_environment_variables", body);
  }

  async valueOf(variable: string): Promise<string> {
    const path = "_system/cli/queryEnvironmentVariables:get";
    const said = await this.owner.call("query", path, { name: variable });
    return String((said as { value: Value } | null)?.value ?? "");
  }
}

/** JSON that a person edits: a value of each of its kinds, as the deployment writes it. */
export function textOf(value: Value): string {
  return JSON.stringify(convexToJson(value), null, 2);
}
