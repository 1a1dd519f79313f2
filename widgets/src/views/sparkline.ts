/** The sparkline: how a number has come to where it is, since one looks at it. */

const NAMESPACE = "http://www.w3.org/2000/svg";
const WIDTH = 160;
const HEIGHT = 36;
const INSET = 3;
const MOST_POINTS = 240;

export interface Point {
  readonly at: number;
  readonly value: number;
}

export class Sparkline {
  readonly element = shape("svg", {
    class: "sparkline",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    width: WIDTH,
    height: HEIGHT,
    role: "img",
  });
  readonly #line = shape("polyline", { fill: "none" });
  readonly #dot = shape("circle", { r: 2.5 });
  #points: readonly Point[] = [];

  constructor() {
    this.element.append(this.#line, this.#dot);
    this.element.toggleAttribute("hidden", true);
  }

  add(point: Point): void {
    this.#points = thinned([...this.#points, point]);
    if (this.#points.length < 2) return;
    const places = placed(this.#points);
    const [x, y] = places.at(-1) as readonly [number, number];
    this.#line.setAttribute("points", places.map(([a, b]) => `${a},${b}`).join(" "));
    this.#dot.setAttribute("cx", String(x));
    this.#dot.setAttribute("cy", String(y));
    this.element.setAttribute("aria-label", described(this.#points));
    this.element.toggleAttribute("hidden", false);
  }
}

/** Every other point of the older half goes when there are too many: the shape stays. */
export function thinned(points: readonly Point[]): readonly Point[] {
  if (points.length <= MOST_POINTS) return points;
  const half = points.length / 2;
  return points.filter((_, at) => at > half || at % 2 === 0);
}

/** Where points lie: time from left to right, the value from the lowest to the highest. */
export function placed(points: readonly Point[]): (readonly [number, number])[] {
  const times = points.map(({ at }) => at);
  const values = points.map(({ value }) => value);
  const x = scale(Math.min(...times), Math.max(...times), INSET, WIDTH - INSET);
  const y = scale(Math.min(...values), Math.max(...values), HEIGHT - INSET, INSET);
  return points.map(({ at, value }) => [x(at), y(value)]);
}

function scale(low: number, high: number, from: number, to: number): (n: number) => number {
  const span = high - low;
  const place = (n: number) => (span === 0 ? 0.5 : (n - low) / span);
  return (n) => Math.round((from + place(n) * (to - from)) * 10) / 10;
}

function described(points: readonly Point[]): string {
  const values = points.map(({ value }) => value);
  const text = (n: number) => n.toLocaleString("en");
  return `${points.length} values, from ${text(Math.min(...values))} to ${text(Math.max(...values))}`;
}

function shape(tag: "svg" | "polyline" | "circle", attributes: Record<string, string | number>) {
  const node = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  return node;
}
