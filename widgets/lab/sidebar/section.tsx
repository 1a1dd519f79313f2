/** Sections: the parts of the panel, and the small things that all of them are made of. */
import { ReactWidget } from "@jupyterlab/ui-components";
import * as React from "react";
import { keepFocus } from "./focus.ts";
import { Shown } from "./hooks.ts";

/** A widget of Lumino's that draws components, and tells them whether they can be seen. */
export class Section extends ReactWidget {
  readonly #body: React.ReactElement;
  readonly #life = new AbortController();

  constructor(name: string, label: string, body: React.ReactElement) {
    super();
    this.#body = body;
    this.id = `convexlab-${name}`;
    this.title.label = label;
    this.addClass("convexlab-section");
    // It scrolls, so the keyboard must reach it also where nothing in it takes the focus.
    this.node.tabIndex = 0;
    keepFocus(this.node, this.#life.signal);
  }

  override dispose(): void {
    this.#life.abort();
    super.dispose();
  }

  protected override onAfterShow(message: unknown): void {
    super.onAfterShow(message);
    this.update();
  }

  protected override onAfterHide(message: unknown): void {
    super.onAfterHide(message);
    this.update();
  }

  protected override render(): React.ReactElement {
    return <Shown.Provider value={this.isVisible}>{this.#body}</Shown.Provider>;
  }
}

/** What is wrong, where it is wrong. */
export function Trouble({ text }: { text: string | null }) {
  if (!text) return null;
  return (
    <div className="convexlab-trouble" role="alert">
      {text}
    </div>
  );
}

/** A line that opens: what it is called, what is known of it at a glance, and the rest. */
export function Entry(props: {
  name: string;
  label?: string;
  glance?: React.ReactNode;
  code?: string;
  actions?: React.ReactNode;
  isOpen?: boolean;
  /** What a file that is dropped on the line is for. */
  dropped?: (file: File | undefined) => void;
  /** What stands below the line, whether it is open or not. */
  below?: React.ReactNode;
  children: React.ReactNode;
}) {
  const [open, setOpen] = React.useState(props.isOpen ?? false);
  const drag = (event: React.DragEvent) => {
    if (props.code) event.dataTransfer.setData("text/plain", props.code);
  };
  return (
    <li className="convexlab-entry" data-name={props.name} {...useDrop(props.dropped)}>
      <div className="convexlab-line" draggable={props.code !== undefined} onDragStart={drag}>
        <button
          type="button"
          className="convexlab-name"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
          onKeyDown={(event) => {
            if (event.key === "ArrowRight") setOpen(true);
            else if (event.key === "ArrowLeft") setOpen(false);
            else move(event);
          }}
        >
          <span className="convexlab-caret" aria-hidden="true">
            {open ? "▾" : "▸"}
          </span>
          <span className="convexlab-label">{props.label ?? props.name}</span>
        </button>
        <span className="convexlab-glance">{props.glance}</span>
        <span className="convexlab-actions">{props.actions}</span>
      </div>
      {props.below}
      {open ? <div className="convexlab-more">{props.children}</div> : null}
    </li>
  );
}

/** Takes files that are dropped, and shows that it would. */
function useDrop(dropped: ((file: File | undefined) => void) | undefined) {
  const [isOver, setOver] = React.useState(false);
  if (!dropped) return {};
  return {
    "data-over": isOver,
    onDragOver: (event: React.DragEvent) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      setOver(true);
    },
    onDragLeave: () => setOver(false),
    onDrop: (event: React.DragEvent) => {
      if (event.dataTransfer.files.length === 0) return;
      event.preventDefault();
      setOver(false);
      dropped(event.dataTransfer.files[0]);
    },
  };
}

/** The arrows go from line to line of a section, as in JupyterLab's own lists. */
function move(event: React.KeyboardEvent<HTMLElement>): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const lines = event.currentTarget.closest(".convexlab-section");
  if (!step || !lines) return;
  const names = [...lines.querySelectorAll<HTMLElement>(".convexlab-name")];
  names[names.indexOf(event.currentTarget) + step]?.focus();
  event.preventDefault();
}

/**
 * A small button; `label` is what it does, in words. One that is disabled for a while keeps
 * the focus, so that whoever pressed it can press it again.
 */
export function Action(props: {
  text: string;
  label: string;
  run: () => void;
  disabled?: boolean;
}) {
  return (
    <button
      type="button"
      className="convexlab-action"
      aria-label={props.label}
      title={props.label}
      aria-disabled={props.disabled ?? false}
      onClick={props.disabled ? undefined : props.run}
    >
      {props.text}
    </button>
  );
}

export function List({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <ul className="convexlab-list" aria-label={label}>
      {children}
    </ul>
  );
}

export function Nothing({ text }: { text: string }) {
  return <div className="convexlab-nothing">{text}</div>;
}
