/**
 * Focus: it stays where one works, whatever becomes of what had it.
 *
 * A line goes when its document is deleted, a run's buttons when it is over. The page as
 * a whole has the focus then, and whoever works by keyboard would begin again at its top.
 * Here it goes to what stands nearest to where it was.
 */
const FOCUSABLE =
  ":is(a[href], button, input, select, textarea, summary, [tabindex='0']):not(:disabled)";

/** An element's way up to where it is kept, with its place among its siblings. */
type Way = readonly { readonly within: Element; readonly at: number }[];

/** What had the focus last, until somebody takes it elsewhere. */
interface Last {
  readonly element: Element;
  way: Way;
}

/** Keeps the focus inside an element that has it, until the signal. */
export function keepFocus(root: HTMLElement, signal: AbortSignal): void {
  let last: Last | null = null;
  const taken = ({ target }: Event) => {
    const element = target as Element;
    const isInside = element !== root && root.contains(element);
    last = isInside ? { element, way: wayTo(element, root) } : null;
  };
  const pointed = ({ target }: Event) => {
    if (!last?.element.contains(target as Element)) last = null;
  };
  const changed = () => {
    if (!last) return;
    if (isThere(last.element, root)) last.way = wayTo(last.element, root);
    else if (document.activeElement === document.body) nearest(last.way, root).focus();
  };
  document.addEventListener("focusin", taken, { signal });
  document.addEventListener("pointerdown", pointed, { signal, capture: true });
  const changes = new MutationObserver(changed);
  changes.observe(root, { childList: true, subtree: true, attributeFilter: ["disabled"] });
  signal.addEventListener("abort", () => changes.disconnect());
}

function isThere(element: Element, root: Element): boolean {
  return root.contains(element) && !element.matches(":disabled");
}

function wayTo(element: Element, root: Element): Way {
  const way: { within: Element; at: number }[] = [];
  for (let each = element; each !== root && each.parentElement; each = each.parentElement) {
    way.push({ within: each.parentElement, at: [...each.parentElement.children].indexOf(each) });
  }
  return way;
}

/** What can be focused nearest to where a way led: after it, then before it, then further up. */
function nearest(way: Way, root: HTMLElement): HTMLElement {
  for (const { within, at } of way) {
    if (!root.contains(within)) continue;
    const children = [...within.children];
    for (const each of [...children.slice(at), ...children.slice(0, at).reverse()]) {
      const found = focusableIn(each);
      if (found) return found;
    }
  }
  return root;
}

function focusableIn(element: Element): HTMLElement | null {
  const found = element.matches(FOCUSABLE) ? element : element.querySelector(FOCUSABLE);
  return found as HTMLElement | null;
}
