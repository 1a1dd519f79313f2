// A front end against the generated types: what is right compiles, and each line
// under a `@ts-expect-error` is an error, or else TypeScript says that it is none.

import { ConvexHttpClient } from "convex/browser";
import { useAction, useMutation, usePaginatedQuery, useQuery } from "convex/react";
import type { FunctionArgs, FunctionReturnType } from "convex/server";
import { api, internal } from "./convex/_generated/api";
import type { DataModel, Doc, Id, TableNames } from "./convex/_generated/dataModel";
import type { DatabaseWriter, QueryCtx } from "./convex/_generated/server";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Equal<A, B>): void => undefined;

type Args<F extends { _args: unknown }> = F["_args"];
type Place = { at: Array<number>; name?: null | string };
type Card = {
  _id: Id<"posts">;
  title: string;
  views: bigint;
  state: "draft" | "out" | null;
  place?: Place;
  tags: Record<string, Array<string>>;
};

// -- arguments and results, exactly ---------------------------------------------------

same<FunctionReturnType<typeof api.posts.write>, Id<"posts">>(true);
same<FunctionReturnType<typeof api.posts.placeOf>["at"], number[]>(true);
same<FunctionReturnType<typeof api.posts.votes>, Record<Id<"users">, boolean>>(true);
same<FunctionReturnType<typeof api.posts.anything>, any>(true);
same<FunctionReturnType<typeof api.posts.photo>, ArrayBuffer | null>(true);
same<FunctionReturnType<typeof api.posts.clear>, null>(true);
same<FunctionReturnType<typeof api.posts.odd>, Array<{ in: bigint | null }>>(true);
same<FunctionReturnType<typeof api.admin.users.setDisplayName>, boolean>(true);
same<FunctionReturnType<typeof internal.posts.count>, number>(true);
same<FunctionArgs<typeof internal.posts.sweep>["before"], number>(true);
same<FunctionArgs<typeof api.posts.odd>["of"], 1 | "one">(true);
same<FunctionArgs<typeof api.posts.odd>["from"], Id<"users"> | undefined>(true);
same<Args<typeof api.posts.write>["mood"], "good" | "bad" | undefined>(true);
same<Args<typeof api.posts.write>["photo"], ArrayBuffer | null | undefined>(true);
export const card = (found: FunctionReturnType<typeof api.posts.card>): Card | null => found;

// -- in a page -------------------------------------------------------------------------

export function Page({ author, post }: { author: Id<"users">; post: Id<"posts"> }) {
  const found = useQuery(api.posts.card, { post });
  useQuery(api.posts.card, "skip");
  useQuery(api.admin.users.default);
  useQuery(api.posts.anything, { value: 1, other: "x" });
  const write = useMutation(api.posts.write).withOptimisticUpdate((store, args) => {
    const shown = store.getQuery(api.posts.card, { post });
    if (shown) store.setQuery(api.posts.card, { post }, { ...shown, title: args.title });
  });
  const photo = useAction(api.posts.photo);
  const { results, status, loadMore } = usePaginatedQuery(
    api.posts.cards,
    { author },
    { initialNumItems: 5 },
  );
  const click = async () => {
    const id: Id<"posts"> = await write({ author, title: "a", views: 1n });
    await write({ author, title: "a", views: 1n, place: { at: [1] }, mood: "bad" });
    await write({ author, title: "a", views: 1n, place: null, photo: new ArrayBuffer(1) });
    const bytes = (await photo({ post: id }))?.byteLength;
    loadMore(bytes ?? 1);
  };
  if (found === undefined || found === null) return null;
  const titles: string[] = results.map((each) => each.title);
  const views: bigint = found.views;

  // @ts-expect-error: a field that is not there
  found.missing;
  // @ts-expect-error: the title of another type
  const wrong: number = found.title;
  // @ts-expect-error: it may be missing
  found.place.at;
  // @ts-expect-error: a field of a page's items that is not there
  results.map((each) => each.missing);
  // @ts-expect-error: the page's own arguments are left to the hook
  usePaginatedQuery(api.posts.cards, {}, { initialNumItems: 5 });
  // @ts-expect-error: it gives no pages
  usePaginatedQuery(api.posts.card, { post }, { initialNumItems: 5 });
  // @ts-expect-error: an argument is missing
  useQuery(api.posts.card);
  // @ts-expect-error: an id of another table
  useQuery(api.posts.card, { post: author });
  // @ts-expect-error: no function takes more than it names
  useQuery(api.posts.card, { post, other: 1 });
  // @ts-expect-error: a mutation is no query
  useQuery(api.posts.write, { author, title: "a", views: 1n });
  // @ts-expect-error: only functions call what is internal
  useQuery(internal.posts.count);
  // @ts-expect-error: what is internal is not public
  useQuery(api.posts.count);
  // @ts-expect-error: the spelling of Python
  useQuery(api.posts.place_of, { post });
  // @ts-expect-error: routes are no functions
  api.http;
  // @ts-expect-error: nor is what runs by itself
  api.crons;
  // @ts-expect-error: nor is the schema
  api.schema;
  // @ts-expect-error: numbers are no Int64
  void write({ author, title: "a", views: 1 });
  // @ts-expect-error: a literal that there is not
  void write({ author, title: "a", views: 1n, mood: "so so" });
  // @ts-expect-error: a nested field of another type
  void write({ author, title: "a", views: 1n, place: { at: ["1"] } });
  // @ts-expect-error: a nested field that there is not
  void write({ author, title: "a", views: 1n, place: { at: [1], other: 1 } });
  // @ts-expect-error: a literal that there is not
  useQuery(api.posts.odd, { of: 2 });

  return (
    <button onClick={click}>
      {titles} {status} {`${views} ${wrong}`}
    </button>
  );
}

// -- documents -------------------------------------------------------------------------

type Post = Doc<"posts">;
same<Post["views"], bigint>(true);
same<Post["state"], "draft" | "out" | null>(true);
same<Post["place"], { at: Array<number>; name?: string } | undefined>(true);
same<Post["votes"], Record<Id<"users">, boolean>>(true);
same<Doc<"users">["photo"], ArrayBuffer | undefined>(true);
same<TableNames, "users" | "posts" | "events">(true);
same<DataModel["posts"]["indexes"]["by_author"], ["author", "state", "_creationTime"]>(true);
same<DataModel["posts"]["searchIndexes"]["title"]["filterFields"], "author">(true);
export const length = (event: Doc<"events">): number =>
  event.kind === "text" ? event.text.length : event.blob.byteLength;

export const functions = async (ctx: QueryCtx, db: DatabaseWriter, author: Id<"users">) => {
  const posts = ctx.db.query("posts");
  const found: Post[] = await posts
    .withIndex("by_author", (q) => q.eq("author", author).eq("state", "out"))
    .collect();
  await db.patch(author, { name: "Ann" });
  // @ts-expect-error: there is no such index
  posts.withIndex("by_title");
  // @ts-expect-error: the index begins with another field
  posts.withIndex("by_author", (q) => q.eq("state", "out"));
  // @ts-expect-error: a field of another type
  await db.patch(author, { name: 1 });
  // @ts-expect-error: there is no such table
  ctx.db.query("nothing");
  return found;
};

// @ts-expect-error: no such table
export type Nothing = Doc<"nothing">;
// @ts-expect-error: an id of another table
export const swapped = (id: Id<"users">): Id<"posts"> => id;
// @ts-expect-error: a field of the other kind
export const blob = (event: Doc<"events">) => event.blob;

// -- over HTTP ---------------------------------------------------------------------------

const http = new ConvexHttpClient("http://localhost");
export const name = async (user: Id<"users">): Promise<boolean> =>
  http.mutation(api.admin.users.setDisplayName, { user, name: "Ann" });
// @ts-expect-error: an argument of another type
void http.mutation(api.admin.users.setDisplayName, { user: 1, name: "Ann" });
