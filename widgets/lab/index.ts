/**
 * The JupyterLab shell: live outputs over the page's own server, no kernel needed.
 *
 * Registered as unsafe, so a notebook that is not trusted shows the static table
 * of the same output; ranked before the widget view, whose model dies at reload.
 */
import {
  IRenderMimeRegistry,
  type MimeModel,
  type Renderer,
  type RenderMimeRegistry,
} from "@jupyterlab/rendermime";
import { Widget } from "@lumino/widgets";
import { el } from "../src/dom.ts";
import { addressOf } from "../src/page.ts";
import { showLive } from "../src/panel.ts";
import { SocketSource } from "../src/socket.ts";
import type { Source } from "../src/source.ts";
import { MIME } from "../src/spec.ts";
import { PIN, sidebar } from "./sidebar/index.tsx";

/** Before ipywidgets' renderer (-10). */
const RANK = -20;

interface Application {
  readonly commands: { execute(id: string, args: Record<string, unknown>): Promise<unknown> };
  readonly serviceManager: {
    readonly serverSettings: {
      readonly baseUrl: string;
      readonly token: string;
      readonly appendToken: boolean;
    };
  };
}

class LiveOutput extends Widget implements Renderer {
  readonly #source: Source;
  readonly #pin: (data: unknown) => void;
  /** What is shown now, and how long: replaced when the output's content changes. */
  #shown: { text: string; life: AbortController } | null = null;

  constructor(source: Source, pin: (data: unknown) => void) {
    super();
    this.#source = source;
    this.#pin = pin;
  }

  async renderModel(model: MimeModel): Promise<void> {
    const data = model.data[MIME];
    const text = JSON.stringify(data);
    if (this.#shown?.text === text) return;
    this.#shown?.life.abort();
    const life = new AbortController();
    this.#shown = { text, life };
    const title = "Keep it in the sidebar, whichever notebook is open";
    const pin = el("button", { type: "button", class: "tool", title, text: "pin" });
    pin.addEventListener("click", () => this.#pin(data));
    showLive(this.node, data, this.#source, life.signal, [pin]);
  }

  override dispose(): void {
    this.#shown?.life.abort();
    super.dispose();
  }
}

function activate(app: Application, rendermime: RenderMimeRegistry): void {
  const { baseUrl, token, appendToken } = app.serviceManager.serverSettings;
  const source = new SocketSource(addressOf(baseUrl, appendToken && token ? token : null));
  const pin = (live: unknown) => void app.commands.execute(PIN, { live });
  const createRenderer = () => new LiveOutput(source, pin);
  rendermime.addFactory({ safe: false, mimeTypes: [MIME], createRenderer }, RANK);
}

export default [
  {
    id: "convexlab:live",
    description: "Shows live results of a convexlab deployment.",
    autoStart: true,
    requires: [IRenderMimeRegistry],
    activate,
  },
  sidebar,
];
