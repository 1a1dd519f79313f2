import assert from "node:assert/strict";
import { test } from "node:test";
import { columnsOf } from "../src/table/columns.ts";
import { csvHead, csvLines, jsonItems } from "../src/table/download.ts";
import {
  type Filter,
  filterText,
  type Operator,
  predicateOf,
  whereOf,
} from "../src/table/filters.ts";
import type { Row } from "../src/table/rows.ts";

const rows: Row[] = [
  { n: 5, name: "Ann", ok: true, big: 7n },
  { n: 12, name: "bob", ok: false },
  { n: null, name: "Cid" },
];
const by = (column: string, operator: Operator, text = ""): Filter => ({ column, operator, text });
const found = (filters: Filter[], search = "") => {
  const passes = predicateOf({ filters, search }) ?? (() => true);
  return rows.filter(passes).map((row) => row.name);
};
const columns = columnsOf(rows, null);
const where = (filters: Filter[], search = "") => whereOf({ filters, search }, columns);

test("without a request every row passes, at no cost", () => {
  assert.equal(predicateOf({ filters: [], search: "  " }), null);
  assert.deepEqual(where([]), { sql: "", params: [] });
});

test("what is typed is taken as a value of the cell's kind", () => {
  assert.deepEqual(found([by("n", "<", "12")]), ["Ann"]);
  assert.deepEqual(found([by("n", "≥", " 5 ")]), ["Ann", "bob"]);
  assert.deepEqual(found([by("big", "is", "7")]), ["Ann"]);
  assert.deepEqual(found([by("ok", "is", "false")]), ["bob"]);
  assert.deepEqual(found([by("n", "is", "five")]), []);
  assert.deepEqual(found([by("name", "is not", "Ann")]), ["bob", "Cid"]);
});

test("rows without a value pass only where that is asked for", () => {
  assert.deepEqual(found([by("n", "is missing")]), ["Cid"]);
  assert.deepEqual(found([by("big", "is there")]), ["Ann"]);
  assert.deepEqual(found([by("n", "is not", "5")]), ["bob"]);
});

test("texts are found whatever their case, in one column or in any", () => {
  assert.deepEqual(found([by("name", "contains", "B")]), ["bob"]);
  assert.deepEqual(found([], "12"), ["bob"]);
  assert.deepEqual(found([by("n", ">", "1")], "ann"), ["Ann"]);
});

test("the same request in SQL passes values as parameters, never as text", () => {
  assert.deepEqual(where([by("n", "≤", "12"), by("ok", "is", "true")]), {
    sql: 'WHERE ("n" <= ?) AND ("ok" = ?)',
    params: [12, true],
  });
  const evil = `x" OR 1=1 --`;
  const { sql, params } = where([by(evil, "contains", "'; drop")]);
  assert.equal(sql, `WHERE (contains(lower(CAST("x"" OR 1=1 --" AS VARCHAR)), lower(?)))`);
  assert.deepEqual(params, ["'; drop"]);
  assert.equal(where([by("n", "<", "many")]).sql, "WHERE (false)");
});

test("a filter reads as what it asks", () => {
  assert.equal(filterText(by("n", "≥", "5")), "n ≥ 5");
  assert.equal(filterText(by("n", "is missing", "left over")), "n is missing");
});

test("CSV quotes what would break a line, and a missing field is empty", () => {
  assert.equal(csvHead(["a", 'b"c']), 'a,"b""c"\r\n');
  assert.equal(
    csvLines([{ a: "x,y", b: 1 }, { a: "line\nbreak" }], ["a", "b"]),
    '"x,y",1\r\n"line\nbreak",\r\n',
  );
});

test("JSON keeps 64-bit integers as Convex writes them", () => {
  assert.equal(jsonItems([{ n: 1n }, { n: 2 }]), '{"n":{"$integer":"AQAAAAAAAAA="}},\n{"n":2}');
});
