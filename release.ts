/**
 * `npm run release`: what is given to others, in dist/release/: an executable for each platform, the
 * bill of materials of each, and the SHA-256 of all in SHA256SUMS.
 *
 *   npm run release -- [--only linux-x64,darwin-arm64] [--lean]
 *
 * `--lean` makes those without a PostgreSQL in them. Each is built twice, by processes of their own,
 * and has to come out the same to the byte. Fails, exit 1, where it does not, where files are not as
 * they were committed, and where CHANGELOG.md does not have the version.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import packageJson from "./package.json" with { type: "json" };
import { commitOf } from "./src/cli/commit.ts";
import { packageOf, type Platform, platforms } from "./src/postgres/distribution.ts";
import { fetchPackage } from "./packages.ts";
import { billOf } from "./sbom.ts";

const root = import.meta.dir;
const folder = join(root, "dist/release");
const { version } = packageJson;

const { values } = parseArgs({
  options: { only: { type: "string" }, lean: { type: "boolean", default: false } },
});
const { lean } = values;
const chosen = (values.only?.split(",") ?? platforms).map((name) => {
  const platform = platforms.find((one) => one === name);
  return platform ?? fail(`--only has ${name}; it takes ${platforms.join(", ")}.`);
});

const commit = commitOf(root);
if (commit === null) fail("There is no git to say which commit this is.");
if (commit.endsWith(".changed")) fail("Files are not as they were committed: commit them first.");
if (!readFileSync(join(root, "CHANGELOG.md"), "utf8").includes(`\n## [${version}] - `)) {
  fail(`CHANGELOG.md has no version ${version}.`);
}

say(`Stampede ${version}+${commit}`);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const made: string[] = [];
for (const platform of chosen) {
  // One after another: each takes all cores for a while.
  // oxlint-disable-next-line no-await-in-loop
  made.push(...(await release(platform)));
}
const sums = made.map((name) => `${digestOf(join(folder, name))}  ${name}\n`);
await Bun.write(join(folder, "SHA256SUMS"), sums.join(""));
say(...sums.map((line) => line.trimEnd()));

/** @returns the names of the files */
async function release(platform: Platform): Promise<string[]> {
  const name = `stampede-${version}-${platform}${lean ? "-lean" : ""}`;
  const [file, again] = [build(platform, "once"), build(platform, "again")];
  if (digestOf(file) !== digestOf(again)) fail(`${name} came out different the second time.`);
  renameSync(file, join(folder, name));
  for (const used of [file, again]) rmSync(dirname(used), { recursive: true });
  const server = lean ? null : await fetchPackage(root, packageOf(platform));
  const bill = `${name}.cdx.json`;
  await Bun.write(join(folder, bill), billOf({ platform, server }).text);
  const megabytes = (statSync(join(folder, name)).size / 1e6).toFixed(1);
  say(`${name}  ${megabytes} MB, built twice, the same`);
  return [name, bill];
}

/** The executable has its own name in it, so that is always the same. @returns its path */
function build(platform: Platform, place: string): string {
  const outfile = join(folder, place, "stampede");
  mkdirSync(dirname(outfile));
  const command = [process.execPath, join(root, "build.ts"), "--target", platform];
  const options = ["--outfile", outfile, ...(lean ? ["--lean"] : [])];
  const { success } = Bun.spawnSync([...command, ...options], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return success ? outfile : fail(`It could not be built for ${platform}.`);
}

function digestOf(file: string): string {
  return new Bun.CryptoHasher("sha256").update(readFileSync(file)).digest("hex");
}

function say(...lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line}\n`);
}

function fail(reason: string): never {
  process.stderr.write(`release: ${reason}\n`);
  process.exit(1);
}
