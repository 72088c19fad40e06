/**
 * Reads a page's files while the program is being bundled (or, run from source, being loaded): a Bun
 * macro, so that the executable holds the texts and needs no folder beside it.
 *
 * `file` is relative to this folder. Throws, and so fails the build, when it cannot be read.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";

const read = (file: string) => readFileSync(join(import.meta.dir, file), "utf8");

export const embedded = (file: string): string => read(file);

/** A TypeScript file without imports, as the JavaScript a browser takes. */
export function embeddedScript(file: string): string {
  const transpiler = new Bun.Transpiler({
    loader: "ts",
    target: "browser",
    minifyWhitespace: true,
  });
  return transpiler.transformSync(read(file));
}
