/** Runs tests/*.test.ts with Node's own test runner: bundled first, since they are TypeScript. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const tests = readdirSync(join(here, "tests")).filter((name) => name.endsWith(".test.ts"));
const out = mkdtempSync(join(tmpdir(), "convexlab-widgets-"));
try {
  await esbuild.build({
    absWorkingDir: here,
    entryPoints: tests.map((name) => join("tests", name)),
    bundle: true,
    platform: "node",
    format: "esm",
    sourcemap: "inline",
    outExtension: { ".js": ".mjs" },
    outdir: out,
  });
  const files = tests.map((name) => join(out, name.replace(/\.ts$/, ".mjs")));
  const run = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...files], {
    stdio: "inherit",
  });
  process.exitCode = run.status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
