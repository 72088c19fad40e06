/**
 * The order of the house: what may import what, who changes the ledger's state, where SQL and
 * the environment are read, that nothing is exported for nobody, that nothing grows without
 * end, and that no test waits for a time.
 *
 * Where a rule has exceptions, they are in a list beside it, which has to fit exactly: what is
 * mended has to leave it. The longest function is the linter's business (`.oxlintrc.json`).
 */
import { describe, expect, test } from "bun:test";
import { filesUnder, modulesUnder, textOf, type Module } from "../support/sources.ts";

const src = modulesUnder("src");
const bench = modulesUnder("bench");
const tests = modulesUnder("test");
const tools = modulesUnder("").filter(({ path }) => !path.includes("/"));

/** `src/`'s folders from top to bottom: an arrow points down this list, never up. */
const folders = [
  "cli",
  "fronts",
  "web",
  "http",
  "webhooks",
  "access",
  "sales",
  "engine",
  "link",
  "store",
  "postgres",
  "art",
  "ledger",
] as const;

/** The folder of `src/` that a module is in; an empty one for those above all folders. */
const folderOf = (path: string): string => /^src\/([^/]+)\//.exec(path)?.[1] ?? "";

/** The subject of `src/http/` that a module is about; empty for those of all subjects. */
const subjectOf = (path: string): string => /^src\/http\/([^/]+)\//.exec(path)?.[1] ?? "";

/** Those that join all parts. Other modules outside of folders are for all, and know of none. */
const top = new Set([
  "src/main.ts",
  "src/serve.ts",
  "src/idle.ts",
  "src/program.ts",
  "src/config.ts",
]);

/** How far down a module of `src/` is; -1 at the top. */
function depthOf(path: string): number {
  const folder = folderOf(path);
  if (folder === "") return top.has(path) ? -1 : folders.length;
  return folders.findIndex((name) => name === folder);
}

type Arrow = { readonly from: string; readonly to: string };

const arrowsOf = (modules: readonly Module[]): Arrow[] =>
  modules.flatMap(({ path, imports }) => imports.map(({ from }) => ({ from: path, to: from })));

const shown = (arrows: readonly Arrow[]): string[] =>
  [...new Set(arrows.map(({ from, to }) => `${from} → ${to}`))].toSorted();

/** Lines of modules in which a pattern is found, but for the modules that are excepted. */
function linesWith(
  pattern: RegExp,
  modules: readonly Pick<Module, "path" | "text">[],
  excepted: readonly string[] = [],
): string[] {
  return modules
    .filter(({ path }) => !excepted.includes(path))
    .flatMap(({ path, text }) =>
      text.split("\n").flatMap((line, index) => {
        return pattern.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [];
      }),
    );
}

const withoutComments = (text: string): string =>
  text
    .replaceAll(/\/\*[\s\S]*?\*\//g, (comment) => comment.replaceAll(/[^\n]/g, ""))
    .replaceAll(/(^|\s)\/\/.*$/gm, "");

const codeOf = (modules: readonly Module[]): Module[] =>
  modules.map((one) => ({ ...one, text: withoutComments(one.text) }));

/** Those that the modules given import of each module. */
function importedBy(modules: readonly Module[]): (path: string, name: string) => boolean {
  const names = new Set<string>();
  for (const { imports } of modules) {
    for (const { from, names: taken } of imports) {
      for (const name of taken) names.add(`${from} ${name}`);
    }
  }
  return (path, name) => names.has(`${path} ${name}`) || names.has(`${path} *`);
}

describe("arrows", () => {
  test("point from a folder of src to those below it", () => {
    const strange = src.filter(({ path }) => depthOf(path) === -1 && !top.has(path));
    expect(strange.map(({ path }) => path)).toEqual([]);
    const up = arrowsOf(src).filter(
      ({ from, to }) =>
        to.startsWith("src/") &&
        depthOf(to) <= depthOf(from) &&
        (folderOf(from) !== folderOf(to) || depthOf(to) !== depthOf(from)) &&
        !(folderOf(from) === "cli" && to === "src/config.ts"),
    );
    expect(shown(up)).toEqual([]);
  });

  test("from src stay in src, but for what says the version and what is sent as it is", () => {
    const out = arrowsOf(src).filter(({ to }) => !to.startsWith("src/"));
    const targets = new Set(out.map(({ to }) => to.replace(/^node_modules\/.*/, "node_modules")));
    expect([...targets].filter((to) => to !== "package.json" && to !== "node_modules")).toEqual([]);
  });

  test("from the ledger lead nowhere, and from art to nothing of ours", () => {
    const ledger = src.filter(({ path }) => folderOf(path) === "ledger");
    const art = src.filter(({ path }) => folderOf(path) === "art");
    expect(ledger.flatMap(({ packages }) => packages)).toEqual([]);
    const out = arrowsOf([...ledger, ...art]);
    expect(shown(out.filter(({ from, to }) => folderOf(from) !== folderOf(to)))).toEqual([]);
  });

  test("between the subjects of http are few, and its own files know of no subject", () => {
    /** The one table of routes joins the subjects. */
    const joining = new Set(["src/http/table.ts", "src/http/shop/platform.ts"]);
    /** From a subject to what it may know of another. */
    const known: readonly (readonly [string, string])[] = [
      ["admin", "src/http/shop/accounts.ts"],
      ["admin", "src/http/shop/drafts.ts"],
      ["admin", "src/http/shop/flash-sales.ts"],
      ["admin", "src/http/shop/shop.ts"],
      ["admin", "src/http/sale/figures.ts"],
      ["admin", "src/http/queue/queues.ts"],
      ["sale", "src/http/queue/news.ts"],
      ["shop", "src/http/sale/buying.ts"],
    ];
    const across = arrowsOf(src).filter(
      ({ from, to }) =>
        folderOf(from) === "http" &&
        !joining.has(from) &&
        subjectOf(to) !== "" &&
        subjectOf(from) !== subjectOf(to),
    );
    const used = new Set(across.map(({ from, to }) => `${subjectOf(from)} → ${to}`));
    expect([...used].toSorted()).toEqual(
      known.map(([subject, to]) => `${subject} → ${to}`).toSorted(),
    );
  });

  test("lead to the environment from the wiring alone, but for its type", () => {
    const values = src.filter(({ text }) => /^import (?!type )[^;]*\/config\.ts"/m.test(text));
    const readers = values.map(({ path }) => path).filter((path) => folderOf(path) !== "cli");
    expect(readers.filter((path) => !["src/main.ts", "src/program.ts"].includes(path))).toEqual([]);
  });
});

describe("the ledger", () => {
  /** What others may take of it: what is asked of it, and what of it may be seen. */
  const front = new Set(
    ["buyers", "changes", "commands", "ledger", "sale", "view"].map(
      (name) => `src/ledger/${name}.ts`,
    ),
  );

  /** What still reaches behind it. Empty means: nobody but the ledger can change the state. */
  const stillBehind: string[] = [
    "src/store/coupons.ts → src/ledger/coupons.ts",
    "src/store/journal.ts → src/ledger/keys.ts",
  ];

  test("is entered by its front alone, so that nobody else lets a reservation expire", () => {
    const behind = [...src, ...bench, ...tools]
      .filter(({ path }) => folderOf(path) !== "ledger")
      .flatMap(({ path, imports }) =>
        imports
          .filter(({ from }) => folderOf(from) === "ledger" && !front.has(from))
          // What the records are made of has a type there; of the state not even that is known.
          .filter(({ from, isType }) => !isType || from === "src/ledger/state.ts")
          .map(({ from }) => ({ from: path, to: from })),
      );
    expect(shown(behind)).toEqual(stillBehind);
  });

  const code = codeOf(src.filter(({ path }) => folderOf(path) === "ledger"));

  test("reads no clock and draws no number", () => {
    const outside = /\b(?:Date|performance|Math\.random|crypto|process|Bun|setTimeout)\b/;
    expect(linesWith(outside, code)).toEqual([]);
  });

  test("waits for nothing, but for the records that it is restored from", () => {
    const restoring = ["ledger", "recorded", "restore"].map((name) => `src/ledger/${name}.ts`);
    expect(linesWith(/\b(?:async|await|Promise)\b/, code, restoring)).toEqual([]);
  });
});

test("SQL is in store/, and in postgres/, which looks after whole servers", () => {
  const home = new Set(["store", "postgres"]);
  const others = codeOf([...src, ...tools]).filter(({ path }) => !home.has(folderOf(path)));
  const statement = /\b(?:sql|tx)(?:<[^`]*>)?`|\bsql<|\.unsafe\(/;
  const driver =
    /^(?:import|export) (?!type )(?!\{ type [^,]* \})[^;]*? from "(?:postgres|drizzle-orm[^"]*)"/m;
  const found = others.filter(({ text }) => statement.test(text) || driver.test(text));
  expect(found.map(({ path }) => path)).toEqual([]);
});

test("only config.ts reads the environment", () => {
  const reading = /\b(?:process|Bun|import\.meta)\.env\b/;
  // Who gives it to another program, whole.
  const excepted = ["src/config.ts", "src/web/bundle.ts", "src/allocator.ts"];
  expect(linesWith(reading, codeOf(src), excepted)).toEqual([]);
});

test("no test waits for a time: it awaits an event, or asks for it by `until`", () => {
  // How `until` asks, and how a process that ends by a signal waits for its own to end.
  const waiting = ["test/support/wait.ts", "test/support/runs.ts"];
  const sleep = /\bBun\.sleep|\bsetTimeout\(|\bsleep\(|\bwaitForTimeout\(/;
  // The simulator's time is its own, and nobody waits for it.
  const real = tests.filter(({ path }) => !path.startsWith("test/simulator/"));
  expect(linesWith(sleep, codeOf(real), waiting)).toEqual([]);
});

describe("exports", () => {
  const isUsed = importedBy([...src, ...bench, ...tools]);
  const isTested = importedBy(tests);
  /** The schema is read as a whole by drizzle-kit, which makes migrations from it. */
  const exported = src
    .filter(({ path }) => !path.startsWith("src/store/schema"))
    .flatMap(({ path, exports }) => exports.map((name) => ({ path, name })));
  const unused = exported.filter(({ path, name }) => !isUsed(path, name));

  /** Modules that still export what nobody takes. */
  const stillIdle: string[] = [
    "src/access/accounts.ts",
    "src/access/open.ts",
    "src/web/drop/sale.ts",
  ];

  test("are imported by somebody", () => {
    const dead = unused.filter(({ path, name }) => !isTested(path, name));
    const news = dead.filter(({ path }) => !stillIdle.includes(path));
    expect(news.map(({ path, name }) => `${path}: ${name}`)).toEqual([]);
    expect([...new Set(dead.map(({ path }) => path))]).toEqual(stillIdle);
  });

  test("for tests alone are bounds, which are tested at the bound, and these", () => {
    const isBound = /(?:Max|Min|Rows)$/;
    const forTests = unused.filter(({ path, name }) => isTested(path, name) && !isBound.test(name));
    expect(forTests.map(({ path, name }) => `${path}: ${name}`)).toEqual([
      "src/access/clients.ts: Client",
      "src/access/keys.ts: keysAgeMaxMs",
      "src/access/limits.ts: allowances",
      "src/access/limits.ts: Limit",
      "src/access/passwords.ts: Hashing",
      "src/access/passwords.ts: argon2id",
      "src/access/passwords.ts: nobodysHash",
      "src/access/rates.ts: usualRates",
      "src/engine/clock.ts: keptMs",
      "src/engine/clock.ts: smallMaxMs",
      "src/engine/current-writer.ts: waitMaxMs",
      "src/engine/current-writer.ts: giveUpMs",
      "src/engine/machine-time.ts: MachineTime",
      "src/engine/writer.ts: commandsWorthSending",
      "src/http/openapi/document.ts: refusalCodes",
      "src/idle.ts: idleRoutes",
      "src/ledger/books.ts: unitCode",
      "src/link/handshake.ts: proofBytes",
      "src/postgres/archive.ts: removeOld",
      "src/sales/schedule.ts: windowAt",
      "src/sales/schedule.ts: windowAfter",
      "src/store/audit.ts: isSound",
      "src/web/pages.ts: Page",
      "src/web/pages.ts: importsOf",
      "src/web/pages.ts: guidePages",
      "src/webhooks/addresses.ts: isPublic",
      "src/webhooks/courier.ts: failed",
    ]);
  });
});

test("a file is read in a sitting: 420 lines at most", () => {
  const linesMax = 420;
  const excepted = [
    "src/art/animals.ts", // thirty-odd drawings, which nobody reads in one go
  ];
  const long = [...src, ...bench, ...tests, ...tools].flatMap(({ path, text }) => {
    const lines = text.split("\n").length - 1;
    return lines > linesMax ? [path] : [];
  });
  expect(long).toEqual(excepted);
});

test("no file names a host that packages come from, or a folder of one machine", () => {
  const isText = /\.(?:ts|tsx|css|html|json|yaml|toml|md|sql|sh)$|^\.|LICENSE/;
  const files = filesUnder()
    .filter((path) => isText.test(path))
    .map((path) => ({ path, text: textOf(path) }));
  const host = /https?:\/\/[^\s/"')]*(?:registry|npmjs|artifactory|nexus|mirror)/i;
  const folder =
    /(?:^|[\s"'`(=:])\/(?:work|root|mnt|tmp\/[a-z]+|Users\/[a-z]+|home\/(?!you\/)[a-z]+)\//;
  expect([...linesWith(host, files), ...linesWith(folder, files)]).toEqual([]);
  expect(textOf("package-lock.json")).not.toContain('"resolved"');
});
