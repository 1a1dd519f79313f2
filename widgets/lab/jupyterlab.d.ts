/** The few things that we use of JupyterLab 4 and Notebook 7; the page brings them, the build needs none of their packages. */

declare module "@lumino/widgets" {
  export class Widget {
    readonly node: HTMLElement;
    readonly parent: Widget | null;
    readonly isDisposed: boolean;
    readonly isVisible: boolean;
    readonly title: Title;
    id: string;
    dispose(): void;
    addClass(name: string): void;
    update(): void;
    protected onAfterShow(message: unknown): void;
    protected onAfterHide(message: unknown): void;
  }
  export class SplitPanel extends Widget {
    setRelativeSizes(sizes: readonly number[]): void;
  }
  export class AccordionPanel extends Widget {
    readonly widgets: readonly Widget[];
    collapse(at: number): void;
    expand(at: number): void;
  }
  export interface Title {
    label: string;
    caption: string;
    icon: unknown;
    closable: boolean;
  }
}

declare module "@jupyterlab/rendermime" {
  import type { Widget } from "@lumino/widgets";

  export interface MimeModel {
    readonly trusted: boolean;
    readonly data: Record<string, unknown>;
  }
  export interface Renderer extends Widget {
    renderModel(model: MimeModel): Promise<void>;
  }
  export interface RendererFactory {
    readonly safe: boolean;
    readonly mimeTypes: readonly string[];
    createRenderer(options: unknown): Renderer;
  }
  export interface RenderMimeRegistry {
    addFactory(factory: RendererFactory, rank?: number): void;
  }
  /** The token under which the registry is handed out. */
  export const IRenderMimeRegistry: { readonly name: string };
}

declare module "@jupyterlab/ui-components" {
  import type { Widget } from "@lumino/widgets";
  import type { ReactElement } from "react";

  export abstract class ReactWidget extends Widget {
    protected abstract render(): ReactElement | null;
  }
  export class LabIcon {
    constructor(options: { name: string; svgstr: string });
    readonly react: (props: { tag?: string; className?: string }) => ReactElement;
  }
  export class SidePanel extends Widget {
    readonly content: Widget;
    addWidget(widget: Widget): void;
  }
}

declare module "@jupyterlab/apputils" {
  import type { Widget } from "@lumino/widgets";

  export interface Command {
    command: string;
    category: string;
    args?: Record<string, unknown>;
  }
  export const ICommandPalette: { readonly name: string };
  export interface CommandPalette {
    addItem(item: Command): unknown;
  }
  export class MainAreaWidget<T extends Widget> extends Widget {
    constructor(options: { content: T });
    readonly content: T;
  }
  export interface Chosen {
    readonly button: { readonly accept: boolean };
  }
  export class Dialog {
    static cancelButton(): object;
    static warnButton(options: { label: string }): object;
  }
  export const InputDialog: {
    getItem(options: {
      title: string;
      items: readonly string[];
    }): Promise<Chosen & { readonly value: string | null }>;
  };
  export function showDialog(options: {
    title: string;
    body: string;
    buttons: readonly object[];
    /** The place of the one that Enter presses; the last. */
    defaultButton?: number;
  }): Promise<Chosen>;
  export const Notification: {
    error(text: string, options?: { autoClose?: number }): string;
    info(text: string, options?: { autoClose?: number }): string;
  };
}

declare module "@jupyterlab/statedb" {
  export const IStateDB: { readonly name: string };
}

declare module "@jupyterlab/application" {
  export const ILayoutRestorer: { readonly name: string };
}

declare module "@jupyterlab/notebook" {
  export const INotebookTracker: { readonly name: string };
  export interface Notebook {
    readonly activeCell: Cell | null;
    readonly widgets: readonly Cell[];
    activeCellIndex: number;
    scrollToItem(index: number, align?: "auto" | "center" | "start"): Promise<void>;
  }
  export interface Cell {
    readonly model: { readonly id: string; readonly sharedModel: Source };
  }
  export interface NotebookPanel {
    readonly id: string;
    readonly isVisible: boolean;
    readonly content: Notebook;
    readonly context: { readonly ready: Promise<void> };
  }
  export interface Source {
    setSource(text: string): void;
  }
  export interface NotebookTracker {
    readonly currentWidget: NotebookPanel | null;
  }
  export const NotebookActions: { insertBelow(notebook: Notebook): void };
}
