/**
 * Which keys are ours while the focus is in a panel.
 *
 * JupyterLab hears every key before we do (its listener captures on the
 * document), and an arrow would move its cell selection. It leaves alone what
 * happens under `data-lm-suppress-shortcuts`; the attribute is set for the keys
 * that we use and for no others, so that saving and running still work. Where one
 * types, all are ours but those with a command key that mean nothing in a text.
 */

const ATTRIBUTE = "data-lm-suppress-shortcuts";
const OURS = new Set([
  "ArrowUp",
  "ArrowDown",
  "ArrowLeft",
  "ArrowRight",
  "PageUp",
  "PageDown",
  "Home",
  "End",
  "Escape",
  " ",
]);

export function guardKeys(host: HTMLElement, signal: AbortSignal): void {
  const listener = (event: KeyboardEvent) => {
    const inside = event.composedPath().includes(host);
    host.toggleAttribute(ATTRIBUTE, inside && (isOurs(event) || isTyped(event)));
  };
  window.addEventListener("keydown", listener, { capture: true, signal });
  // The notebook would take the keyboard to its active cell, which may be another one.
  host.addEventListener("keydown", (event) => event.stopPropagation(), { signal });
}

export function isOurs(event: KeyboardEvent): boolean {
  const command = event.ctrlKey || event.metaKey;
  if (OURS.has(event.key)) return true;
  if (event.key === "Enter") return !command && !event.shiftKey;
  return command && (event.key === "a" || event.key === "c" || event.key === "z");
}

const TEXT_COMMANDS = new Set(["a", "c", "v", "x", "z"]);

function isTyped(event: KeyboardEvent): boolean {
  const [target] = event.composedPath();
  if (!(target instanceof Element && target.matches("input, select, textarea"))) return false;
  return !(event.ctrlKey || event.metaKey) || TEXT_COMMANDS.has(event.key.toLowerCase());
}
