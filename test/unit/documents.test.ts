/**
 * What is written about the program, held to the program: the API in words names every call and
 * every refusal that there is and none that there is not, and links lead somewhere.
 */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { parseCall } from "../../src/cli/command.ts";
import { LedgerClock } from "../../src/engine/clock.ts";
import { idleRoutes } from "../../src/idle.ts";
import { problems } from "../../src/http/problems.ts";
import { filesUnder, textOf } from "../support/sources.ts";

const root = join(import.meta.dir, "../..");
const api = textOf("docs/api.md");

describe("docs/api.md", () => {
  test("has every call, and no other", () => {
    const calls = idleRoutes("", new LedgerClock()).flatMap(({ path, methods }) =>
      Object.keys(methods).map((method) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`),
    );
    const written = api.matchAll(/^\| `((?:GET|POST|PUT|PATCH|DELETE) \/[^`?]*)/gm);
    const names = Array.from(written, ([, call = ""]) => call);
    expect(new Set(names).size).toBe(names.length);
    expect(names.toSorted()).toEqual([...new Set(calls)].toSorted());
  });

  test("has every refusal with its status, and no other", () => {
    const words = Object.entries(problems).map(([code, { status }]) => `${status} ${code}`);
    const rows = api.slice(api.indexOf("\n## Refusals")).matchAll(/^\| (\d{3}) +\| (.*) \|$/gm);
    const written = Array.from(rows, ([, status = "", codes = ""]) =>
      Array.from(codes.matchAll(/`(\w+)`/g), ([, code = ""]) => `${status} ${code}`),
    ).flat();
    expect(written.toSorted()).toEqual(words.toSorted());
  });
});

describe("CHANGELOG.md", () => {
  const parts = textOf("CHANGELOG.md").split(/^## /m).slice(1);
  const titles = parts.map((part) => part.slice(0, part.indexOf("\n")));

  test("begins with what is not released, and has each release once, newest first", () => {
    const [first, ...released] = titles;
    expect(first).toBe("[Unreleased]");
    const shape = /^\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$/;
    const releases = released.map((title) => {
      const [, version = "", date = ""] = shape.exec(title) ?? [];
      return { version, date };
    });
    expect(releases[0]?.version).toBe(packageJson.version);
    for (const [index, { version, date }] of releases.entries()) {
      expect(new Date(date).getTime()).not.toBeNaN();
      const older = releases[index + 1];
      if (older === undefined) continue;
      expect(Bun.semver.order(version, older.version)).toBe(1);
      expect(date >= older.date).toBe(true);
    }
  });

  test("sorts what changed by its kind, each kind once", () => {
    const kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
    for (const part of parts) {
      const used = Array.from(part.matchAll(/^### (.*)$/gm), ([, kind = ""]) => kind);
      expect(used).toEqual(kinds.filter((kind) => used.includes(kind)));
    }
  });
});

test("commands of the program in the documents are commands that it has", () => {
  const called = filesUnder()
    .filter((path) => path.endsWith(".md") && path !== "CHANGELOG.md")
    .flatMap((path) =>
      Array.from(textOf(path).matchAll(/^```bash\n([\s\S]*?)^```/gm), ([, block = ""]) => block)
        .join("")
        .split("\n")
        .map((line) => /^(?:[A-Z_]+=\S+ )*(?:npm start --|stampede) (.*)$/.exec(line)?.[1])
        .filter((call) => call !== undefined)
        .map((call) => ({ path, call })),
    );
  expect(called.length).toBeGreaterThan(10);
  for (const { call } of called) {
    const [words = ""] = call.split(/ +[#<>|]/);
    expect(() => parseCall(words.replaceAll(/"[^"]*"/g, "name").split(" "))).not.toThrow();
  }
});

test("links between the documents lead to what is there", () => {
  const broken = filesUnder()
    .filter((path) => path.endsWith(".md"))
    .flatMap((path) => {
      const links = textOf(path).matchAll(/(?:\]\(|src=")(?!https?:)([^)"\s]+)/g);
      return Array.from(links, ([, link = ""]) => ({ path, link }));
    })
    .filter(({ path, link }) => {
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? path : join(dirname(path), file);
      return !existsSync(join(root, target)) || (anchor !== undefined && !has(target, anchor));
    });
  expect(broken).toEqual([]);
});

/** Whether a document has a heading that is addressed so. */
const has = (path: string, anchor: string): boolean =>
  textOf(path)
    .split("\n")
    .filter((line) => /^#+ /.test(line))
    .map((line) => line.replace(/^#+ /, "").toLowerCase())
    .some((title) => title.replaceAll(/[^\w\s-]/g, "").replaceAll(" ", "-") === anchor);
