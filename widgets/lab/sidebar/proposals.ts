/** Proposals: what a word in a statement may become. */

const MOST_PROPOSED = 12;
const WORDS =
  "SELECT FROM WHERE GROUP BY ORDER LIMIT AND OR NOT NULL AS JOIN ON COUNT SUM AVG MIN MAX DISTINCT HAVING DESC ASC BETWEEN LIKE IN CASE WHEN THEN ELSE END".split(
    " ",
  );

/** What the word at a place may become: fields of the tables that are named first, then all. */
export function proposals(
  text: string,
  place: number,
  names: ReadonlyMap<string, readonly string[]>,
): { readonly from: number; readonly found: readonly string[] } {
  const word = /[\w$]*$/.exec(text.slice(0, place))?.[0] ?? "";
  const from = place - word.length;
  const owner = /([\w$]+)\.$/.exec(text.slice(0, from))?.[1];
  if (word === "" && owner === undefined) return { from, found: [] };
  const said = new Set(text.match(/[\w$]+/g) ?? []);
  const named = [...names].filter(([table]) => said.has(table)).flatMap(([, fields]) => fields);
  const isTable = /\b(from|join)\s+$/i.test(text.slice(0, from));
  const all = owner
    ? (names.get(owner) ?? named)
    : isTable
      ? [...names.keys()]
      : [...named, ...names.keys(), ...[...names.values()].flat(), ...WORDS];
  const begun = word.toLowerCase();
  const found = [...new Set(all)].filter(
    (name) => name.toLowerCase().startsWith(begun) && name.toLowerCase() !== begun,
  );
  return { from, found: found.slice(0, MOST_PROPOSED) };
}
