/**
 * Notices: each package that is bundled into the executable has one, and a licence that is unknown or
 * that we may not pass on is found.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { collectNotices, LicenseError, nativeNotices, noticesText } from "../../src/cli/notices.ts";
import { packageDistribution } from "../../src/postgres/distribution.ts";
import { newFolder, useLeftovers } from "../support/leftovers.ts";

useLeftovers();

const root = join(import.meta.dir, "../..");
const notices = collectNotices(root);

/** Packages of which a bundle has something, as its metafile names them. */
async function bundled(entrypoints: string[], target: "bun" | "browser"): Promise<Set<string>> {
  const { metafile } = await Bun.build({ entrypoints, target, metafile: true });
  const names = Object.keys(metafile?.inputs ?? {}).flatMap((path) => {
    const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
    return name === undefined ? [] : [name];
  });
  return new Set(names);
}

describe("each package", () => {
  const named = new Set(notices.map(({ name }) => name));

  test("that the program is bundled of has a notice", async () => {
    const found = await bundled([join(root, "src/main.ts")], "bun");
    expect(found.has("postgres") && found.has("otpauth")).toBe(true);
    expect([...found].filter((name) => !named.has(name))).toEqual([]);
  });

  test("that the pages are bundled of has a notice", async () => {
    const web = join(root, "src/web");
    const scripts = readdirSync(web)
      .map((name) => join(web, name, `${name}.tsx`))
      .filter((path) => existsSync(path));
    expect(scripts.length).toBeGreaterThan(5);
    const found = await bundled(scripts, "browser");
    expect(found.has("preact") && found.has("uqr")).toBe(true);
    expect([...found].filter((name) => !named.has(name))).toEqual([]);
  });

  test("that lies in the executable as it is has a notice, and so has what is no package", () => {
    const carried = ["@scalar/api-reference", "PostgreSQL", "Bun", "ICU", "OpenSSL"];
    expect(carried.filter((name) => !named.has(name))).toEqual([]);
    const server = notices.find(({ name }) => name === "PostgreSQL");
    expect(server?.version).toBe(packageDistribution().version);
    expect(nativeNotices(root).find(({ name }) => name === "Bun")?.text).toContain(
      "LIBRARY GENERAL",
    );
  });

  test("has a version, a licence and a text, which is printed once", () => {
    const bad = notices.filter(
      ({ version, license, text }) => version === "" || license === "" || text.length < 80,
    );
    expect(bad).toEqual([]);
    const text = noticesText(notices);
    for (const { name, version, license } of notices) {
      expect(text).toContain(`\n${name} ${version} (${license})\n`);
    }
    expect(text.split("Copyright © Héctor Molinero Fernández").length).toBe(2);
    expect(text).not.toContain(root);
  });
});

/** A folder with one dependency, under a licence. */
function withPackage(license: string | undefined, files: Readonly<Record<string, string>> = {}) {
  const folder = newFolder();
  const home = join(folder, "node_modules/thing");
  mkdirSync(home, { recursive: true });
  mkdirSync(join(folder, "licenses"));
  for (const file of readdirSync(join(root, "licenses"))) {
    writeFileSync(join(folder, "licenses", file), `The text of ${file}.`);
  }
  const lock = { packages: { "": {}, "node_modules/thing": { version: "1.0.0" } } };
  const manifest = { name: "thing", version: "1.0.0", license, author: "Somebody" };
  const made = { devDependencies: { bun: "1.0.0" }, optionalDependencies: { pg: "18.4.0" } };
  writeFileSync(join(folder, "package-lock.json"), JSON.stringify(lock));
  writeFileSync(join(folder, "package.json"), JSON.stringify(made));
  writeFileSync(join(home, "package.json"), JSON.stringify(manifest));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text);
  return collectNotices(folder).find(({ name }) => name === "thing");
}

describe("a package", () => {
  test.each(["MIT", "(MIT OR GPL-3.0-only)", "MIT AND Zlib"])("under %s is taken", (license) => {
    const notice = withPackage(license, { "LICENCE.md": "Do as you like.", NOTICE: "By us." });
    expect(notice).toEqual({
      name: "thing",
      version: "1.0.0",
      license,
      text: "Do as you like.\n\nBy us.",
    });
  });

  test("that brings no text along has the usual one, in its author's name", () => {
    expect(withPackage("ISC")?.text).toBe("Copyright (c) Somebody\n\nThe text of ISC.txt.");
  });

  test.each([
    undefined,
    "GPL-3.0-only",
    "AGPL-3.0",
    "UNLICENSED",
    "SEE LICENSE IN X",
    "MIT AND GPL-2.0-only",
    "MIT OR (ISC AND GPL-2.0-only)",
    "BUSL-1.1",
  ])("under %s is refused", (license) => {
    expect(() => withPackage(license)).toThrow(LicenseError);
    expect(() => withPackage(license)).toThrow("thing@1.0.0 is under");
  });
});
