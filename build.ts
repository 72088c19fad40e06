/**
 * `bun build.ts`: makes dist/stampede, one executable with everything in it: the program, its pages,
 * the migrations, and PostgreSQL, whose files it packs into dist/postgres.tar.zst on the way.
 *
 * For the platform it runs on. Fails, exit 1, with what could not be built.
 */
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Distribution, packageDistribution } from "./src/postgres/distribution.ts";
import type { Packed } from "./src/postgres/packed.ts";
import { reference as source } from "./src/web/reference.ts";

const root = import.meta.dir;
const dist = join(root, "dist");
const archive = join(dist, "postgres.tar.zst");
const outfile = join(dist, "stampede");
const reference = join(dist, "reference.js.gz");
const zstdLevel = 19;

mkdirSync(dist, { recursive: true });
const packed = await pack(packageDistribution());
report(archive);
await Bun.write(reference, Bun.gzipSync(readFileSync(source.file), { level: 9 }));
await Bun.build({
  entrypoints: [join(root, "src/main.ts")],
  target: "bun",
  // Inlined wherever a library asks which of its halves to be. What an operator sets is still
  // there for code that takes process.env as a whole.
  define: { "process.env.NODE_ENV": '"production"' },
  minify: { syntax: true, whitespace: true },
  // A stack trace then names our files and lines.
  sourcemap: "linked",
  plugins: [packedModule(packed), referenceModule()],
  compile: {
    outfile,
    assets: [join(root, "drizzle")],
    autoloadDotenv: false,
    autoloadBunfig: false,
  },
});
report(outfile);

/** The files as one archive. Its id is made from their names and contents. */
async function pack(distribution: Distribution): Promise<Packed> {
  const hasher = new Bun.CryptoHasher("sha256");
  const contents: Record<string, Uint8Array> = {};
  for (const file of distribution.files) {
    const bytes = readFileSync(join(distribution.root, file));
    hasher.update(`${file}\0${bytes.length}\0`).update(bytes);
    contents[file] = bytes;
  }
  const tar = await new Bun.Archive(contents).bytes();
  await Bun.write(archive, await Bun.zstdCompress(tar, { level: zstdLevel }));
  return { archive, version: distribution.version, id: hasher.digest("hex") };
}

/** Puts the archive in the place of the module that says there is none. */
function packedModule({ version, id }: Packed): Bun.BunPlugin {
  return {
    name: "packed PostgreSQL",
    setup(build) {
      build.onLoad({ filter: /\/postgres\/packed\.ts$/ }, () => ({
        loader: "ts",
        contents: `
          import archive from ${JSON.stringify(archive)} with { type: "file" };
          export const packed = { archive, ...${JSON.stringify({ version, id })} };`,
      }));
    },
  };
}

/** Puts the script of /docs, compressed, in the place of the module that names the package's. */
function referenceModule(): Bun.BunPlugin {
  return {
    name: "compressed reference",
    setup(build) {
      build.onLoad({ filter: /\/web\/reference\.ts$/ }, () => ({
        loader: "ts",
        contents: `
          import file from ${JSON.stringify(reference)} with { type: "file" };
          export const reference = { file, isGzip: true };`,
      }));
    },
  };
}

function report(path: string): void {
  const megabytes = (statSync(path).size / 1e6).toFixed(1);
  process.stdout.write(`${path}  ${megabytes} MB\n`);
}
