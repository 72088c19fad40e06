/**
 * Packages of npm for other platforms than this one, for `build.ts`: the runtime and PostgreSQL.
 *
 * Fetched by npm, held to the digest in the lock file, and kept unpacked in dist/packages/. Fails,
 * naming the package, when it is not what the lock file has.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const lock = z.object({
  packages: z.record(
    z.string(),
    z.object({ version: z.string().optional(), integrity: z.string().optional() }),
  ),
});
const packed = z.array(z.object({ filename: z.string() })).length(1);

/** @returns the folder of the package */
export async function fetchPackage(root: string, name: string): Promise<string> {
  const { packages } = lock.parse(
    JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")),
  );
  const { version = "", integrity = "" } = packages[`node_modules/${name}`] ?? {};
  const home = join(root, "dist/packages");
  const folder = join(home, `${name.replace("/", "-")}-${version}`);
  if (existsSync(folder)) return join(folder, "package");
  const partial = `${folder}.${process.pid}`;
  mkdirSync(partial, { recursive: true });
  try {
    const command = ["npm", "pack", "--json", "--pack-destination", partial, `${name}@${version}`];
    const npm = Bun.spawnSync(command, { cwd: root, stdout: "pipe", stderr: "inherit" });
    if (!npm.success) throw new Error(`npm could not fetch ${name}@${version}.`);
    const [file] = packed.parse(JSON.parse(npm.stdout.toString()));
    const bytes = readFileSync(join(partial, file?.filename ?? ""));
    const digest = new Bun.CryptoHasher("sha512").update(bytes).digest("base64");
    if (integrity !== `sha512-${digest}`) {
      throw new Error(`${name}@${version} is not what package-lock.json has.`);
    }
    await new Bun.Archive(Bun.gunzipSync(bytes)).extract(partial);
    renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return join(folder, "package");
}
