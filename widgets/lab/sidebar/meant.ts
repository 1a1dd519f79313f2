/**
 * Meant: in production others are at work, so whoever changes something there is asked.
 *
 * A call is asked for each time: what it does is the function's affair. What one edits in
 * the sidebar oneself is asked for once a kind, for as long as the page is there, until it
 * is another deployment that one looks at.
 */
import { Dialog, showDialog } from "@jupyterlab/apputils";
import type { Deployment } from "./deployment.ts";

/** What one changes by hand, as it is asked for. */
const KINDS = {
  documents: { title: "Edit documents", what: "Documents that are made, edited or deleted here" },
  imports: { title: "Import files", what: "Rows that are imported here" },
  variables: { title: "Change environment variables", what: "Variables that are set or deleted here" },
  files: { title: "Change files", what: "Files that are stored or deleted here" },
  schedules: { title: "Change schedules", what: "Functions that are run now or canceled here" },
} as const;

export type Kind = keyof typeof KINDS;

/** What was said for good, of which deployment. */
export class Meant {
  #of = "";
  readonly #kinds = new Set<Kind>();

  has(kind: Kind, url: string): boolean {
    return this.#of === url && this.#kinds.has(kind);
  }

  add(kind: Kind, url: string): void {
    if (this.#of !== url) this.#kinds.clear();
    this.#of = url;
    this.#kinds.add(kind);
  }
}

/** Whether a function is to be called. */
export async function isCallMeant(deployment: Deployment, path: string): Promise<boolean> {
  const { production, url } = await deployment.status();
  if (!production) return true;
  const body = `${url} serves other people. What ${path} does there is not taken back.`;
  return asked(`Call ${path} in production?`, body, "Call it");
}

/** Whether something of a kind is to be changed by hand. */
export async function isMeant(deployment: Deployment, kind: Kind): Promise<boolean> {
  const { production, name, url } = await deployment.status();
  if (!production || deployment.meant.has(kind, url)) return true;
  const { title, what } = KINDS[kind];
  const body = `${name}, at ${url}, serves other people. ${what} are theirs at once. You are asked once, until this page is loaded again.`;
  const isSo = await asked(`${title} in production, in ${name}?`, body, title);
  if (isSo) deployment.meant.add(kind, url);
  return isSo;
}

/** N.B. whoever presses Enter without a look has not said that they mean it. */
async function asked(title: string, body: string, label: string): Promise<boolean> {
  const buttons = [Dialog.cancelButton(), Dialog.warnButton({ label })];
  const said = await showDialog({ title, body, buttons, defaultButton: 0 });
  return said.button.accept;
}
