/**
 * The way through the kernel: values over the widget's comm, from Python's live object.
 *
 *   we:     {type: "follow"}                        Python: {type: "value"} + wire JSON
 *           {type: "leave"}                                 {type: "failed", message} + wire JSON of the data
 *                                                           {type: "link", link}
 *
 * Slower than the socket, and silent while the kernel is busy with what came from
 * here; it works wherever widgets do.
 */
import { type JSONValue, jsonToConvex, type Value } from "convex/values";
import type { Follower, Link, Source } from "./source.ts";
import type { LiveSpec } from "./spec.ts";

/** What we use of anywidget's model. */
export interface Model {
  get(name: "spec" | "direct"): unknown;
  send(content: unknown): void;
  on(event: "msg:custom", listener: (content: unknown, buffers?: DataView[]) => void): void;
  off(event: "msg:custom", listener: (content: unknown, buffers?: DataView[]) => void): void;
}

type Message =
  | { type: "value" }
  | { type: "failed"; message: string }
  | { type: "link"; link: Link };

export class CommSource implements Source {
  constructor(readonly model: Model) {}

  follow(_spec: LiveSpec, follower: Follower, signal: AbortSignal): void {
    const { model } = this;
    const listener = (content: unknown, buffers?: DataView[]) => {
      tell(follower, content as Message, buffers?.[0]);
    };
    model.on("msg:custom", listener);
    model.send({ type: "follow" });
    signal.addEventListener("abort", () => {
      model.off("msg:custom", listener);
      model.send({ type: "leave" });
    });
  }
}

function tell(follower: Follower, message: Message, body: DataView | undefined): void {
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
    default:
      message satisfies never;
  }
}

function decoded(body: DataView | undefined): Value {
  if (!body) return null;
  return jsonToConvex(JSON.parse(new TextDecoder().decode(body)) as JSONValue);
}
