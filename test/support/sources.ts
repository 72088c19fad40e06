/**
 * The repository's own files as text, and what each TypeScript module imports and exports.
 *
 * Read by patterns, not by a parser: the formatter puts every statement of a module at the
 * beginning of a line, and every name where these patterns look for it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const root = join(import.meta.dir, "../..");
/** What tools and the program make here; nothing of it is ours to keep in order. */
const made = new Set([".git", "node_modules", "dist", "stampede-data"]);

export type Import = {
  readonly from: string;
  /** Those that the other module exports; `*` for all of them. */
  readonly names: readonly string[];
  /** Whether it is gone when the program runs. */
  readonly isType: boolean;
};

export type Module = {
  /** As seen from the repository's root, as are the paths in `imports`. */
  readonly path: string;
  readonly text: string;
  /** Modules of the repository. */
  readonly imports: readonly Import[];
  /** Packages, and what the runtime brings. */
  readonly packages: readonly string[];
  readonly exports: readonly string[];
};

/** Paths of all files under a folder, as seen from the repository's root, in order. */
export function filesUnder(folder = ""): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !made.has(name))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return filesUnder(path);
      return entry.isFile() ? [path] : [];
    })
    .toSorted();
}

export const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

/** The modules under a folder. */
export const modulesUnder = (folder: string): Module[] =>
  filesUnder(folder)
    .filter((path) => /\.tsx?$/.test(path))
    .map((path) => moduleOf(path));

export function moduleOf(path: string, text = textOf(path)): Module {
  const used = importsIn(text);
  return {
    path,
    text,
    imports: used
      .filter(({ from }) => from.startsWith("."))
      .map(({ from, names, isType }) => {
        return { from: normalize(join(dirname(path), from)), names, isType };
      }),
    packages: used.map(({ from }) => from).filter((from) => !from.startsWith(".")),
    exports: exportsIn(text),
  };
}

function importsIn(text: string): Import[] {
  const clauses = text.matchAll(/^(?:import|export)\s+([^;"']*?)\s*from\s+"([^"]+)"/gm);
  const bare = text.matchAll(/^import\s+"([^"]+)"/gm);
  const inline = text.matchAll(/\bimport\(\s*"([^"]+)"\s*\)/g);
  return [
    ...Array.from(clauses, ([, clause = "", from = ""]) => ({
      from,
      names: importedBy(clause.replace(/^type\s+/, "")),
      isType: isOfTypes(clause),
    })),
    ...Array.from([...bare, ...inline], ([, from = ""]) => ({ from, names: ["*"], isType: false })),
  ];
}

/** `type { a, b }`, or `{ type a, type b }`. */
const isOfTypes = (clause: string): boolean =>
  /^type\s/.test(clause) || /^\{(?:\s*type\s[^,}]*,?)+\s*\}$/.test(clause);

/** The names that `a, { b, type c as d }` takes, as the other module calls them. */
function importedBy(clause: string): string[] {
  const [whole = "", braced] = /\{([\s\S]*)\}/.exec(clause) ?? [];
  const rest = clause.replace(whole, "").replaceAll(",", " ").trim();
  const plain = rest === "" ? [] : [rest.startsWith("*") ? "*" : "default"];
  return [...plain, ...namesIn(braced ?? "").map(([theirs]) => theirs)];
}

function exportsIn(text: string): string[] {
  const kinds = "const|let|function\\*?|class|type|interface|enum";
  const before = "(?:declare\\s+|abstract\\s+|async\\s+)*";
  const declared = text.matchAll(new RegExp(`^export\\s+${before}(?:${kinds})\\s+([\\w$]+)`, "gm"));
  const listed = text.matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}/gm);
  return [
    ...Array.from(declared, ([, name = ""]) => name),
    ...Array.from(listed, ([, names = ""]) => namesIn(names).map(([, ours]) => ours)).flat(),
    ...(/^export\s+default\b/m.test(text) ? ["default"] : []),
  ];
}

/** `a, type b as c`: each name there and here. */
const namesIn = (list: string): (readonly [string, string])[] =>
  list
    .split(",")
    .map((one) => one.trim().replace(/^type\s+/, ""))
    .filter((one) => one !== "")
    .map((one) => {
      const [theirs = "", ours = theirs] = one.split(/\s+as\s+/);
      return [theirs, ours] as const;
    });
