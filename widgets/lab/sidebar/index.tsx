/**
 * The sidebar: the deployment behind this page's Jupyter server, with no kernel needed.
 *
 *   panel (left)    how it stands · tables · functions · …      one section each
 *   tabs (main)     a table's documents · a function's form
 *
 * What cannot be seen follows nothing: a collapsed section, a hidden tab, a closed panel.
 */
import { ILayoutRestorer } from "@jupyterlab/application";
import {
  type CommandPalette,
  ICommandPalette,
  InputDialog,
  MainAreaWidget,
  Notification,
} from "@jupyterlab/apputils";
import { INotebookTracker, type NotebookTracker } from "@jupyterlab/notebook";
import { IStateDB } from "@jupyterlab/statedb";
import { LabIcon, SidePanel } from "@jupyterlab/ui-components";
import type { AccordionPanel, SplitPanel, Widget } from "@lumino/widgets";
import * as React from "react";
import { addressOf } from "../../src/page.ts";
import { SocketSource } from "../../src/socket.ts";
import { isRecord } from "../../src/spec.ts";
import { Deployment, type Origin } from "./deployment.ts";
import { type Contents, type Desk, insertCell, openOrigin } from "./desk.ts";
import { DocumentsView } from "./documents.tsx";
import { EnvironmentView } from "./environment.tsx";
import { FilesView } from "./files.tsx";
import { FunctionsView } from "./functions.tsx";
import icon from "./icon.svg";
import { LogsView } from "./logs.tsx";
import { isReadable, Pins, PinsView, type StateDB } from "./pins.tsx";
import { RunnerView } from "./runner.tsx";
import { SchedulesView } from "./schedules.tsx";
import { Section } from "./section.tsx";
import { StatementView } from "./statement.tsx";
import { StatusView } from "./status.tsx";
import css from "./style.css";
import { TablesView } from "./tables.tsx";

const OPEN = "convexlab:open-sidebar";
const OPEN_TABLE = "convexlab:open-table";
const OPEN_FUNCTION = "convexlab:open-function";
const OPEN_SQL = "convexlab:open-sql";
export const PIN = "convexlab:pin";
/** The others are folded to begin with. */
const OPEN_SECTIONS = 3;
/** Between the running kernels and the table of contents. */
const RANK = 350;
/** How a notebook and the tabs below it share the page. */
const DOWN_SHARES = [3, 2];

/** Where tabs open. */
type Area = "main" | "down" | "right";

interface Application {
  /** `JupyterLab` or `Jupyter Notebook`. */
  readonly name: string;
  /** When the page has the tabs again that it had when it was left. */
  readonly restored: Promise<void>;
  readonly shell: {
    add(widget: Widget, area: "left" | Area, options?: { rank: number }): void;
    activateById(id: string): void;
  };
  readonly commands: {
    addCommand(id: string, options: CommandOptions): unknown;
    addKeyBinding(binding: { command: string; keys: string[]; selector: string }): unknown;
    execute(id: string, args?: Record<string, unknown>): Promise<unknown>;
  };
  readonly serviceManager: {
    readonly contents: Contents;
    readonly serverSettings: {
      readonly baseUrl: string;
      readonly token: string;
      readonly appendToken: boolean;
    };
  };
}

interface CommandOptions {
  readonly label: string;
  readonly execute: (args: Record<string, unknown>) => unknown;
}

interface Restorer {
  add(widget: Widget, name: string): void;
}

function activate(
  app: Application,
  palette: CommandPalette | null,
  restorer: Restorer | null,
  notebooks: NotebookTracker | null,
  state: StateDB | null,
): void {
  addStyle();
  const { baseUrl, token, appendToken } = app.serviceManager.serverSettings;
  const deployment = new Deployment(addressOf(baseUrl, appendToken && token ? token : null));
  const labIcon = new LabIcon({ name: "convexlab:icon", svgstr: icon });
  const desk = deskOf(app, deployment, notebooks, labIcon);
  const pins = new Pins(state);
  const panel = panelOf(deployment, desk, pins, labIcon);
  app.shell.add(panel, "left", { rank: RANK });
  restorer?.add(panel, panel.id);
  addCommands(app, palette, panel, desk, deployment);
  app.commands.addCommand(PIN, {
    label: "Pin a Live Output to the Sidebar",
    execute: async ({ live }) => {
      if (!isRecord(live) || !isReadable({ said: live })) return;
      await pins.add(live);
      reveal(panel, "convexlab-pins");
      app.shell.activateById(panel.id);
    },
  });
}

/** Unfolds a section, so that one sees what has come to it. */
function reveal(panel: SidePanel, id: string): void {
  const folded = panel.content as AccordionPanel;
  const at = folded.widgets.findIndex((widget) => widget.id === id);
  if (at >= 0) folded.expand(at);
}

function panelOf(deployment: Deployment, desk: Desk, pins: Pins, labIcon: LabIcon): SidePanel {
  const panel = new SidePanel();
  panel.id = "convexlab-sidebar";
  panel.title.icon = labIcon;
  panel.title.caption = "convexlab";
  panel.addClass("convexlab-sidebar");
  for (const [name, label, body] of [
    ["status", "Deployment", <StatusView deployment={deployment} />],
    ["tables", "Tables", <TablesView deployment={deployment} desk={desk} />],
    ["functions", "Functions", <FunctionsView deployment={deployment} desk={desk} />],
    ["pins", "Pinned", <PinsView pins={pins} source={new SocketSource(deployment.address)} desk={desk} />],
    ["logs", "Logs", <LogsView deployment={deployment} desk={desk} />],
    ["schedules", "Schedules", <SchedulesView deployment={deployment} />],
    ["files", "Files", <FilesView deployment={deployment} />],
    ["environment", "Environment", <EnvironmentView deployment={deployment} />],
  ] as const) {
    panel.addWidget(new Section(name, label, body));
  }
  const folded = panel.content as AccordionPanel;
  for (let at = OPEN_SECTIONS; at < folded.widgets.length; at++) folded.collapse(at);
  return panel;
}

function deskOf(
  app: Application,
  deployment: Deployment,
  notebooks: NotebookTracker | null,
  labIcon: LabIcon,
): Desk {
  const tabs = new Map<string, Widget>();
  const tabFor = (id: string, make: () => Widget) => {
    const known = tabs.get(id);
    const tab = known && !known.isDisposed ? known : make();
    tabs.set(id, tab);
    return tab;
  };
  const open = async (id: string, label: string, body: (desk: Desk) => React.ReactElement) => {
    // N.B. JupyterLab throws out whatever was opened while it still restored its tabs.
    await app.restored;
    const tab = tabFor(id, () => tabOf(id, label, labIcon, body(desk)));
    if (!tab.parent && placed(app, tab) === "down") makeRoom(tab);
    app.shell.activateById(id);
  };
  const desk: Desk = {
    openTable: (table) =>
      open(`convexlab-table-${table}`, table, (own) => (
        <DocumentsView deployment={deployment} table={table} desk={own} />
      )),
    openFunction: (path) =>
      open(`convexlab-function-${path}`, path, (own) => (
        <RunnerView deployment={deployment} path={path} desk={own} />
      )),
    openSql: () =>
      open("convexlab-sql", "SQL", (own) => <StatementView deployment={deployment} desk={own} />),
    openOrigin: (origin: Origin) =>
      void openOrigin(origin, app.serviceManager.contents, (path) =>
        app.commands.execute("docmanager:open", { path }),
      ),
    insert: (code) => void insertCell(notebooks, code, (id) => app.shell.activateById(id)),
  };
  return desk;
}

/**
 * Notebook 7 has one document a page, and room for tabs below it; an older one, beside it.
 * N.B. a shell that has no such area takes nothing there, and says so to the console alone.
 */
function placed({ name, shell }: Application, tab: Widget): Area | null {
  const areas: Area[] = name === "JupyterLab" ? ["main"] : ["down", "right"];
  for (const area of areas) {
    shell.add(tab, area);
    if (tab.parent) return area;
  }
  return null;
}

/** The place below a notebook is as high as its tabs' titles, until somebody makes it higher. */
function makeRoom(tab: Widget): void {
  let above = tab.parent;
  while (above && !("setRelativeSizes" in above)) above = above.parent;
  (above as SplitPanel | null)?.setRelativeSizes(DOWN_SHARES);
}

function tabOf(id: string, label: string, labIcon: LabIcon, body: React.ReactElement): Widget {
  const tab = new MainAreaWidget({ content: new Section(`${id}-content`, label, body) });
  tab.id = id;
  tab.title.label = label;
  tab.title.icon = labIcon;
  tab.title.closable = true;
  return tab;
}

/** Without an argument, as from the palette, they ask which one. */
function addCommands(
  app: Application,
  palette: CommandPalette | null,
  panel: Widget,
  desk: Desk,
  deployment: Deployment,
): void {
  const add = (
    command: string,
    label: string,
    execute: CommandOptions["execute"],
    shortcut?: string,
  ) => {
    app.commands.addCommand(command, { label, execute });
    palette?.addItem({ command, category: "convexlab" });
    if (shortcut) app.commands.addKeyBinding({ command, keys: [shortcut], selector: "body" });
  };
  add(OPEN, "Show the Deployment", () => app.shell.activateById(panel.id), "Ctrl Alt D");
  add(OPEN_SQL, "Ask in SQL", () => desk.openSql(), "Ctrl Alt Q");
  add(OPEN_TABLE, "Open a Table…", async ({ table }) => {
    const name = table ?? (await chosenOf("Open a table", () => deployment.tables()));
    if (name) await desk.openTable(String(name));
  });
  add(OPEN_FUNCTION, "Run a Function…", async ({ path }) => {
    const name = path ?? (await chosenOf("Run a function", () => deployment.functions()));
    if (name) await desk.openFunction(String(name));
  });
}

async function chosenOf(title: string, all: () => Promise<string[]>): Promise<string | null> {
  try {
    const { button, value } = await InputDialog.getItem({ title, items: await all() });
    return button.accept ? value : null;
  } catch (error) {
    Notification.error((error as Error).message);
    return null;
  }
}

function addStyle(): void {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
}

export const sidebar = {
  id: "convexlab:sidebar",
  description: "Shows the convexlab deployment: its tables and functions.",
  autoStart: true,
  optional: [ICommandPalette, ILayoutRestorer, INotebookTracker, IStateDB],
  activate,
};
