/** Making elements, and the one animation we have. */

type Props = Record<string, string | number | boolean | undefined>;

/** An element with attributes and children; `text` is its text, false and undefined leave an attribute out. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "text") node.textContent = String(value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== undefined && value !== false) node.setAttribute(name, String(value));
  }
  node.append(...children);
  return node;
}

/** Sets a text only where it differs, so that selections and readers are left alone. */
export function setText(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** Milliseconds since 1970, with the fractions that dates leave out. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/**
 * Tells the time once what was drawn just now is on the screen: drawn in a frame's own
 * callback, it is in that frame, else in the next one.
 */
export function afterPaint(isInFrame: boolean, then: (at: number) => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    then(now());
  };
  // A frame is painted right after its callbacks, before any message is handed out.
  const post = () => port2.postMessage(null);
  if (isInFrame) post();
  else requestAnimationFrame(post);
}

/** What an id is for. */
export const OPENS = "Open this document";

/** Says something of ours to whoever holds the node: `convexlab:summary`. */
export function tell(node: Element, what: string, detail: unknown = null, composed = false): void {
  node.dispatchEvent(new CustomEvent(`convexlab:${what}`, { detail, bubbles: true, composed }));
}

const FLASH_MS = 1_400;

/** A short glow that says: this has just changed. */
export function flash(node: Element): void {
  calm(node);
  node.animate([{ backgroundColor: "var(--flash)" }, { backgroundColor: "transparent" }], {
    duration: FLASH_MS,
    easing: "ease-out",
  });
}

export function calm(node: Element): void {
  for (const animation of node.getAnimations()) animation.cancel();
}
