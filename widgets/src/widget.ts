/** The anywidget shell: the same panel in every front end that shows widgets. */
import { CommSource, type Model } from "./comm.ts";
import { pageAddress, reachable } from "./page.ts";
import { showLive } from "./panel.ts";
import { SocketSource } from "./socket.ts";
import type { Source } from "./source.ts";

interface Context {
  readonly model: Model;
  readonly el: HTMLElement;
}

async function render({ model, el }: Context): Promise<() => void> {
  const life = new AbortController();
  const source = await sourceFor(model);
  const host = document.createElement("div");
  el.append(host);
  showLive(host, model.get("spec"), source, life.signal);
  host.dataset.source = source instanceof SocketSource ? "socket" : "comm";
  return () => life.abort();
}

async function sourceFor(model: Model): Promise<Source> {
  const address = model.get("direct") ? pageAddress(document) : null;
  if (address && (await reachable(address))) return new SocketSource(address);
  return new CommSource(model);
}

export default { render };
