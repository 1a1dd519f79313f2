/**
 * The way through the kernel: values over the widget's comm, from Python's live object.
 *
 *   we:     {type: "follow"}                        Python: {type: "value"} + wire JSON
 *           {type: "leave"}                                 {type: "failed", message} + wire JSON of the data
 *                                                           {type: "link", link}
 *           {type: "ask", id, what, …} + bytes              {type: "answer", id} + bytes
 *                                                           {type: "refused", id, message, code}
 *
 * Slower than the socket, and silent while the kernel is busy with what came from
 * here; it works wherever widgets do.
 */
import { convexToJson, type JSONValue, jsonToConvex, type Value } from "convex/values";
import { rowsFrom } from "./owner.ts";
import { loadPart, type Part } from "./parts.ts";
import {
  askOnce,
  CallError,
  type Follower,
  type Kind,
  type Link,
  type Query,
  type Source,
} from "./source.ts";
import { type Answered, type Args, type Changed, isRecord } from "./spec.ts";
import type { Parameter } from "./table/filters.ts";
import type { Story } from "./why.ts";

/** What we use of anywidget's model. */
export interface Model {
  get(name: "spec" | "direct"): unknown;
  send(content: unknown, callbacks?: unknown, buffers?: ArrayBuffer[]): void;
  on(event: "msg:custom", listener: (content: unknown, buffers?: DataView[]) => void): void;
  off(event: "msg:custom", listener: (content: unknown, buffers?: DataView[]) => void): void;
}

type Message =
  | { type: "value" }
  | { type: "failed"; message: string }
  | { type: "link"; link: Link };

type Reply =
  | { type: "answer"; id: string }
  | { type: "refused"; id: string; message: string; code: string };

type Question =
  | { what: Kind | "why"; path: string; args: JSONValue }
  | { what: "at"; path: string; args: JSONValue; moment: number }
  | {
      what: "sql";
      sql: string;
      params: readonly Parameter[];
      moment: number | null;
      of: Answered | Changed | null;
    }
  | { what: "upload"; name: string; contentType: string }
  | { what: "part"; part: Part };

export class CommSource implements Source {
  readonly followsAny = false;

  constructor(readonly model: Model) {}

  follow(query: Query, follower: Follower, signal: AbortSignal): void {
    const { model } = this;
    if (isSearch(model.get("spec"))) {
      // What a search looks for is another query at each key: none of them is followed from here.
      askOnce(this, "query", query, follower);
      return;
    }
    const listener = (content: unknown, buffers?: DataView[]) => {
      tell(follower, content as Message | Reply, buffers?.[0]);
    };
    model.on("msg:custom", listener);
    model.send({ type: "follow" });
    signal.addEventListener("abort", () => {
      model.off("msg:custom", listener);
      model.send({ type: "leave" });
    });
  }

  async call(what: Kind, path: string, args: Args): Promise<Value> {
    return decoded(await this.#ask({ what, path, args: convexToJson(args) }));
  }

  async at({ path, args }: Query, moment: number): Promise<Value> {
    return decoded(await this.#ask({ what: "at", path, args: convexToJson(args), moment }));
  }

  async rows(
    sql: string,
    params: readonly Parameter[],
    moment: number | null = null,
    _until?: AbortSignal,
    of: Answered | Changed | null = null,
  ) {
    const body = await this.#ask({ what: "sql", sql, params, moment, of });
    return rowsFrom(JSON.parse(text(body)) as JSONValue[]);
  }

  async why({ path, args }: Query): Promise<Story | null> {
    return JSON.parse(text(await this.#ask({ what: "why", path, args: convexToJson(args) })));
  }

  async upload(file: File): Promise<string> {
    const question = { what: "upload", name: file.name, contentType: file.type } as const;
    return text(await this.#ask(question, [await file.arrayBuffer()]));
  }

  part<P extends Part>(part: P) {
    return loadPart(part, async () => text(await this.#ask({ what: "part", part })));
  }

  /** One question, and the answer to it. Nobody knows how long a kernel is busy: it waits. */
  #ask(question: Question, buffers: ArrayBuffer[] = []): Promise<DataView | undefined> {
    const { model } = this;
    const id = crypto.randomUUID();
    return new Promise((resolve, reject) => {
      const listener = (content: unknown, answered?: DataView[]) => {
        const reply = content as Reply;
        if (reply.id !== id) return;
        model.off("msg:custom", listener);
        if (reply.type === "answer") resolve(answered?.[0]);
        else reject(new CallError(reply.message, undefined, reply.code));
      };
      model.on("msg:custom", listener);
      model.send({ type: "ask", id, ...question }, undefined, buffers);
    });
  }
}

function tell(follower: Follower, message: Message | Reply, body: DataView | undefined): void {
  switch (message.type) {
    case "value":
      follower.link("live");
      follower.value(decoded(body));
      break;
    case "failed":
      follower.failed({ message: message.message, data: body && decoded(body) });
      break;
    case "link":
      follower.link(message.link);
      break;
    case "answer":
    case "refused":
      break; // somebody else's question
    default:
      message satisfies never;
  }
}

function decoded(body: DataView | undefined): Value {
  return body ? jsonToConvex(JSON.parse(text(body)) as JSONValue) : null;
}

function text(body: DataView | undefined): string {
  return new TextDecoder().decode(body);
}

function isSearch(spec: unknown): boolean {
  return isRecord(spec) && isRecord(spec.control) && spec.control.kind === "search";
}
