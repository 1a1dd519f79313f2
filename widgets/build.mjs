/**
 * Builds the two shells around one core, and what both load when it is needed:
 *
 *   convexlab_widgets/static/live.js          the anywidget, one ES module
 *   convexlab_widgets/labextension/           the JupyterLab extension
 *   convexlab_widgets/static/charts.js        parts that few views need: charts, and
 *   convexlab_widgets/static/compare.js       comparisons; also among the extension's files
 *
 * The extension is a module-federation container written by hand: JupyterLab
 * offers its packages in a share scope, the container picks them from there, and
 * none of them is needed for the build.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const PACKAGE = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8"));
const OUT = join(HERE, "convexlab_widgets");
const LAB = join(OUT, "labextension");
/** Bytes, minified: the widget's source travels in every instance's state; the extension's does not. */
const BUDGET = 150_000;
/** On top of that, for the sidebar. */
const SIDEBAR_BUDGET = 75_000;

/** What the page shares with us, and the major versions that we know. */
const SHARED = {
  "@jupyterlab/application": 4,
  "@jupyterlab/apputils": 4,
  "@jupyterlab/notebook": 4,
  "@jupyterlab/rendermime": 4,
  "@jupyterlab/statedb": 4,
  "@jupyterlab/ui-components": 4,
  "@lumino/widgets": 2,
  react: 18,
};

const common = {
  absWorkingDir: HERE,
  bundle: true,
  minify: true,
  target: "es2022",
  legalComments: "none",
  loader: { ".css": "text", ".svg": "text" },
  plugins: [
    { name: "minified-styles", setup: minifyStyles },
    { name: "stand-ins", setup: standIn },
  ],
};

/** Parts of the official client that no view needs, and what stands in for them. */
const STAND_INS = {
  "tokens.ts": /^\.\.?\/.*(authentication_manager|jwt-decode\/index)\.js$/,
  "quiet.ts": /^\.\.?\/logging\.js$/,
};

function standIn(build) {
  for (const [name, filter] of Object.entries(STAND_INS)) {
    build.onResolve({ filter }, () => ({ path: join(HERE, "src", name) }));
  }
}

function minifyStyles(build) {
  build.onLoad({ filter: /\.css$/ }, async ({ path }) => {
    const { code } = await esbuild.transform(readFileSync(path, "utf8"), {
      loader: "css",
      minify: true,
    });
    return { contents: code, loader: "text" };
  });
}

/** Named after its contents: browsers may keep it for ever. */
async function buildPart(name, folder) {
  const outfile = join(OUT, "static", `${name}.js`);
  await esbuild.build({
    ...common,
    entryPoints: [`src/${folder}/bundle.ts`],
    format: "esm",
    outfile,
    // Vega asks for Node's packages where there is no page.
    external: ["node-fetch", "fs", "canvas"],
  });
  const code = readFileSync(outfile);
  return { name, code, file: `${name}.${digest(code)}.js` };
}

async function buildWidget(define) {
  const outfile = join(OUT, "static", "live.js");
  const entryPoints = ["src/widget.ts"];
  await esbuild.build({ ...common, define, entryPoints, format: "esm", outfile });
  return readFileSync(outfile).length;
}

async function buildLab(define, parts) {
  const { outputFiles } = await esbuild.build({
    ...common,
    define,
    entryPoints: ["lab/index.ts"],
    format: "cjs",
    external: Object.keys(SHARED),
    write: false,
  });
  const code = container(outputFiles[0].text);
  const entry = `remoteEntry.${digest(code)}.js`;
  rmSync(LAB, { recursive: true, force: true });
  mkdirSync(join(LAB, "static"), { recursive: true });
  writeFileSync(join(LAB, "static", entry), code);
  for (const { file, code: script } of parts) writeFileSync(join(LAB, "static", file), script);
  writeJson("package.json", {
    name: PACKAGE.name,
    version: PACKAGE.version,
    description: PACKAGE.description,
    license: PACKAGE.license,
    jupyterlab: {
      extension: true,
      _build: { load: `static/${entry}`, extension: "./extension" },
    },
  });
  writeJson("install.json", {
    packageManager: "python",
    packageName: PACKAGE.name,
    uninstallInstructions: `pip uninstall ${PACKAGE.name}`,
  });
  return code.length;
}

function digest(code) {
  return createHash("sha256").update(code).digest("hex").slice(0, 16);
}

function writeJson(name, content) {
  writeFileSync(join(LAB, name), `${JSON.stringify(content, null, 2)}\n`);
}

/** The container: `init` takes the share scope, `get` runs the bundle on what it picks from there. */
function container(body) {
  return `(() => {
const NAME = ${JSON.stringify(PACKAGE.name)}, SHARED = ${JSON.stringify(SHARED)};
let scope, loaded;
const pick = async (name, major) => {
  const versions = Object.keys((scope && scope[name]) || {});
  const version = versions.find((v) => parseInt(v, 10) === major);
  if (!version) throw new Error(NAME + " needs " + name + " " + major + ".x; this application offers " + (versions.join(", ") || "none") + ".");
  return (await scope[name][version].get())();
};
const load = async () => {
  const shared = {};
  for (const name in SHARED) shared[name] = await pick(name, SHARED[name]);
  const module = { exports: {} };
  (function (module, exports, require) {
${body}
  })(module, module.exports, (name) => shared[name]);
  return module.exports;
};
(window._JUPYTERLAB ??= {})[NAME] = {
  init(shareScope) { scope = shareScope; },
  async get() { const exports = await (loaded ??= load()); return () => exports; },
};
})();
`;
}

const parts = await Promise.all([buildPart("charts", "chart"), buildPart("compare", "compare")]);
const files = Object.fromEntries(parts.map(({ name, file }) => [name, file]));
const define = { PART_FILES: JSON.stringify(files) };
const [widget, lab] = await Promise.all([buildWidget(define), buildLab(define, parts)]);
const sizes = parts.map(({ name, code }) => `${name}.js ${code.length} bytes`).join(", ");
console.log(`live.js ${widget} bytes, labextension ${lab} bytes, ${sizes}`);
if (Math.max(widget, lab - SIDEBAR_BUDGET) > BUDGET) {
  console.error(`over the budget of ${BUDGET} bytes, and ${SIDEBAR_BUDGET} for the sidebar`);
  process.exit(1);
}
