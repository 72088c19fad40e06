/**
 * The script that draws `/docs`: from source the package's own file; in the executable the
 * same, compressed, whose module `build.ts` puts in the place of this one.
 */
import { fileURLToPath } from "node:url";

type Reference = { readonly file: string; readonly isGzip: boolean };

export const reference: Reference = {
  file: fileURLToPath(import.meta.resolve("@scalar/api-reference/browser/standalone.js")),
  isGzip: false,
};
