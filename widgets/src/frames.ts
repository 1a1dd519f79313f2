/**
 * Drawing in the page's frames: some milliseconds in each, and what does not fit waits
 * for the next, so that fifty views on a page hold up neither it nor each other.
 */
const BUDGET_MS = 8;
const waiting: (() => void)[] = [];

/** Draws in the next frame that has time for it; in the order of asking. */
export function inFrame(draw: () => void): void {
  if (waiting.push(draw) === 1) requestAnimationFrame(run);
}

function run(): void {
  const end = performance.now() + BUDGET_MS;
  try {
    do waiting[0]?.();
    while (waiting.shift() && waiting.length > 0 && performance.now() < end);
  } catch (error) {
    waiting.shift(); // it keeps nobody else from being drawn
    throw error;
  } finally {
    if (waiting.length > 0) requestAnimationFrame(run);
  }
}

/** Tells whether an element is in sight, or nearly; until the signal. */
export function watchSight(
  element: Element,
  signal: AbortSignal,
  told: (isInSight: boolean) => void,
): void {
  const sight = new IntersectionObserver((seen) => told(seen.at(-1)?.isIntersecting ?? true), {
    rootMargin: "200px",
  });
  sight.observe(element);
  signal.addEventListener("abort", () => sight.disconnect());
}
