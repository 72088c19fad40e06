/**
 * A Bun macro: bundles the pages while the program itself is being bundled or, run from source, is
 * being loaded. The executable holds the results and needs no folder beside it.
 *
 * Every folder here that holds `<name>/<name>.html` is a page: that file is its first paint,
 * `<name>.tsx` its script, and what ends in `.css` its style, after that of `style/`. Bun.build cannot
 * run inside a macro, so a second `bun` bundles, in about ten milliseconds. What it says is wrong is
 * printed, and the build fails.
 */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

type BundledPage = {
  readonly name: string;
  readonly html: string;
  /** A name in `files`. */
  readonly script: string;
  readonly style: string;
};

type Bundle = {
  readonly pages: BundledPage[];
  /** What runs before a page's first paint. */
  readonly early: string;
  /** The other scripts by name; a name changes with its content. */
  readonly files: Record<string, string>;
};

const options = [
  "--production",
  "--splitting",
  "--target=browser",
  "--format=esm",
  "--entry-naming=[name]-[hash].[ext]",
  "--chunk-naming=shared-[hash].[ext]",
];
const folder = import.meta.dir;
const read = (...path: string[]): string => readFileSync(join(...path), "utf8");

export function bundle(): Bundle {
  const names = readdirSync(folder)
    .filter((name) =>
      ["html", "tsx"].every((kind) => existsSync(join(folder, name, `${name}.${kind}`))),
    )
    .toSorted();
  const built = scripts(names);
  const { [scriptOf(built, "early")]: early = "", ...files } = built;
  const base = styleIn("style");
  const pages = names.map((name) => ({
    name,
    html: read(folder, name, `${name}.html`),
    script: scriptOf(files, name),
    style: `${base}\n${styleIn(name)}`,
  }));
  return { pages, early, files };
}

/** The styles of a folder here in the order of their names, as they are written but for comments and indentation. */
const styleIn = (name: string): string =>
  readdirSync(join(folder, name))
    .filter((file) => file.endsWith(".css"))
    .toSorted()
    .map((file) => read(folder, name, file))
    .join("\n")
    .replaceAll(/\/\*[\s\S]*?\*\//g, "")
    .replaceAll(/\s*\n\s*/g, "\n");

function scriptOf(files: Bundle["files"], name: string): string {
  const its = new RegExp(`^${name}-[a-z0-9]+\\.js$`);
  return Object.keys(files).find((file) => its.test(file)) ?? "";
}

function scripts(names: readonly string[]): Bundle["files"] {
  const out = mkdtempSync(join(tmpdir(), "stampede-pages-"));
  try {
    const entries = names.map((name) => join(folder, name, `${name}.tsx`));
    const { exitCode, stderr } = Bun.spawnSync(
      [
        process.execPath,
        "build",
        ...options,
        "--outdir",
        out,
        join(folder, "early.ts"),
        ...entries,
      ],
      { stdout: "ignore", stderr: "pipe", env: { ...process.env, NODE_ENV: "production" } },
    );
    if (exitCode !== 0) {
      process.stderr.write(stderr);
      throw new Error("the pages could not be bundled");
    }
    return Object.fromEntries(readdirSync(out).map((file) => [file, read(out, file)]));
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}
