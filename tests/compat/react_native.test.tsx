// The guide's React Native app on React Native's own components, without a telephone.
// Jest runs it beside the app, with the app's addresses in the environment.

import { ConvexHttpClient } from "convex/browser";
import { Button, FlatList, Text, TextInput } from "react-native";
import { act, create, type ReactTestInstance, type ReactTestRenderer } from "react-test-renderer";
import App, { convex } from "./App";
import { api } from "./convex/_generated/api";

const PATIENCE_MS = 40_000;
const elsewhere = new ConvexHttpClient(process.env.EXPO_PUBLIC_CONVEX_URL!, { logger: false });
let app: ReactTestRenderer;

jest.setTimeout(2 * PATIENCE_MS);
beforeAll(() => act(async () => void (app = create(<App />))));
// codespell:ignore-next-line
afterAll(() => convex.close());

const texts = (inside: ReactTestInstance): string[] =>
  inside.findAllByType(Text).map((text) => text.props.children);

function named(type: React.ElementType, property: string, name: string): ReactTestInstance {
  const [found] = app.root.findAllByType(type).filter((one) => one.props[property] === name);
  if (!found) throw new Error(`there is no ${name}`);
  return found;
}

const listed = (name: string) => texts(named(FlatList, "aria-label", name));
// Nothing is received meanwhile: what is shown right after it is what the app hopes for.
const press = (title: string) => act(() => named(Button, "title", title).props.onPress());

function enter(label: string, text: string, title: string) {
  act(() => named(TextInput, "aria-label", label).props.onChangeText(text));
  press(title);
}

// Lets the app go on until something holds of it.
async function until(holds: () => void) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return holds();
    } catch (failure) {
      if (Date.now() > deadline) throw failure;
      await act(() => new Promise((done) => setTimeout(done, 10)));
    }
  }
}

const settled = () => until(() => expect(convex.connectionState().hasInflightRequests).toBe(false));

test("a list follows what is written here and elsewhere", async () => {
  await until(() => expect(listed("Tasks")).toEqual(["one"]));
  await elsewhere.mutation(api.tasks.add, { text: "from elsewhere" });
  await until(() => expect(listed("Tasks")).toEqual(["from elsewhere", "one"]));
  enter("New task", "from here", "Add");
  expect(listed("Tasks")).toEqual(["from here", "from elsewhere", "one"]);
  await settled();
});

test("an optimistic update that fails is taken back", async () => {
  enter("New task", " ", "Add");
  expect(listed("Tasks")).toEqual([" ", "from here", "from elsewhere", "one"]);
  await until(() => expect(texts(app.root)).toContain("A task needs a text."));
  expect(listed("Tasks")).toEqual(["from here", "from elsewhere", "one"]);
});

test("an action is called", async () => {
  press("Sum up");
  await until(() => expect(texts(app.root)).toContain("3 to do"));
});

test("more of a chat is loaded", async () => {
  await until(() => expect(listed("Chat")).toEqual([7, 6, 5, 4, 3].map((n) => `Bob: m${n}`)));
  press("Load more");
  await until(() => expect(listed("Chat")).toEqual([7, 6, 5, 4, 3, 2, 1].map((n) => `Bob: m${n}`)));
  await until(() => expect(() => named(Button, "title", "Load more")).toThrow());
});

test("who signs in may write", async () => {
  enter("New message", "too early", "Send");
  await until(() => expect(texts(app.root)).toContain("Sign in to write."));
  press("Sign in");
  await until(() => expect(texts(app.root)).toContain("Signed in as Ann."));
  enter("New message", "hello", "Send");
  await until(() => expect(listed("Chat")[0]).toBe("Ann: hello"));
  press("Sign out");
  enter("New message", "too late", "Send");
  await until(() => expect(texts(app.root)).toContain("Sign in to write."));
});
