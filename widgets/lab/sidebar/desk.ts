/** The desk: where the sidebar opens tabs, and the notebook that it writes cells into. */
import { Notification } from "@jupyterlab/apputils";
import { NotebookActions, type NotebookPanel, type NotebookTracker } from "@jupyterlab/notebook";
import type { Origin } from "./deployment.ts";
import { placesOf } from "./origin.tsx";

const SAID_MS = 5_000;

export interface Desk {
  openTable(table: string): Promise<void>;
  openFunction(path: string): Promise<void>;
  openSql(): Promise<void>;
  /** The notebook that a module came from, at its cell. */
  openOrigin(origin: Origin): void;
  insert(code: string): void;
}

/** A new cell below the active one of the notebook in front. */
export async function insertCell(
  tracker: NotebookTracker | null,
  code: string,
  activate: (id: string) => void,
): Promise<void> {
  const panel = tracker?.currentWidget;
  if (!panel) {
    const text = "Open a notebook first: the cell goes below its active one.";
    Notification.info(text, { autoClose: SAID_MS });
    return;
  }
  // One that has just been opened is filled when its file has come: the cell goes after that.
  await panel.context.ready;
  NotebookActions.insertBelow(panel.content);
  panel.content.activeCell?.model.sharedModel.setSource(code);
  // Behind a tab of ours nobody would see that it is there.
  if (!panel.isVisible) activate(panel.id);
}

/** Jupyter's files, as far as one asks whether there is one. */
export interface Contents {
  get(path: string, options: { content: boolean }): Promise<{ readonly path: string }>;
}

/** Opens the file that a module came from, at its cell. */
export async function openOrigin(
  origin: Origin,
  contents: Contents,
  open: (path: string) => Promise<unknown>,
): Promise<void> {
  for (const place of placesOf(origin)) {
    const found = await contents.get(place, { content: false }).catch(() => null);
    if (!found) continue;
    const opened = (await open(found.path)) as Partial<NotebookPanel> | undefined;
    if (origin.kind === "cell" && opened?.content && opened.context) {
      await opened.context.ready;
      await show(opened as NotebookPanel, origin);
    }
    return;
  }
  Notification.info(`${origin.name} is not among the files here.`, { autoClose: SAID_MS });
}

async function show({ content }: NotebookPanel, { parts, position }: Origin): Promise<void> {
  const id = parts?.at(-1);
  const known = content.widgets.findIndex((cell) => cell.model.id === id);
  const at = known >= 0 ? known : typeof position === "number" ? position - 1 : -1;
  if (at < 0 || at >= content.widgets.length) return;
  content.activeCellIndex = at;
  await content.scrollToItem(at, "center");
}
