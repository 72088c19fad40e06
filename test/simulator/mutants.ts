/**
 * `bun test/simulator/mutants.ts [PART OF A NAME]`: whether what is there to find faults finds them.
 * Each fault is put into a copy of the sources by itself, and what should find it is run on that: the
 * simulator, or the test that is named. Prints what found it and in how many seconds; exit 1 when
 * something was not found. Takes about as many minutes as there are tens of faults.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

type Fault = {
  /** What somebody would see. */
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** `simulator`, or a test's file. */
  readonly by: string;
};

const root = join(import.meta.dir, "../..");
const copied = ["src", "test", "drizzle", "package.json", "tsconfig.json", "bunfig.toml"];
/** Worlds are tried for so long before a fault counts as not found. */
const simulatedMinutes = 2;
/** … and so long without one, to see that nothing is found. */
const soundMinutes = 0.2;
const runMaxMs = 240_000;

const faults: readonly Fault[] = [
  {
    name: "a read shows what is not committed",
    file: "src/engine/writer.ts",
    find: "      if (this.#inFlight === null) settle();\n      else this.#reads.push(settle);",
    replace: "      settle();",
    by: "simulator",
  },
  {
    name: "reads hang when a term ends",
    file: "src/engine/writer.ts",
    find: "    this.#settleReads();\n    this.#drained?.();",
    replace: "    this.#drained?.();",
    by: "simulator",
  },
  {
    name: "recovery does not compare purchases with the journal",
    file: "src/ledger/restore.ts",
    find: "  for (const sale of recorded.sales) compareWithPurchases(state, sale);\n",
    replace: "",
    by: "test/unit/restore.test.ts",
  },
  {
    name: "recovery sells from a journal that does not add up",
    file: "src/ledger/ledger.ts",
    find: "if (complaints.length > 0) {",
    replace: "if (complaints.length > 1e9) {",
    by: "test/unit/restore.test.ts",
  },
  {
    name: "a sale is closed at now, and not after it",
    file: "src/ledger/decide.ts",
    find: "now + 1 : command.endsAt",
    replace: "now : command.endsAt",
    by: "simulator",
  },
  {
    name: "a term takes commands while it drains",
    file: "src/engine/writer.ts",
    find: "if (this.#ended !== null || this.#drained !== null) {",
    replace: "if (this.#ended !== null) {",
    by: "test/unit/writer.test.ts",
  },
  {
    name: "a heartbeat notices no silence",
    file: "src/store/leadership.ts",
    find: "else if (performance.now() - askedAt >= silenceMaxMs) {",
    replace: "else if (performance.now() - askedAt >= Infinity) {",
    by: "test/faults/silence.test.ts",
  },
  {
    name: "a product of an open sale is deleted",
    file: "src/store/product-sales.ts",
    find: "where items.product_id = ${id} and sales.ends_at >",
    replace: "where items.product_id = ${id} and sales.starts_at >",
    by: "test/integration/records-twin.test.ts",
  },
  {
    name: "a product is deleted by another time than the ledger's",
    file: "src/sales/product-sales.ts",
    find: "records.deleteProduct(epoch, id, now)",
    replace: "records.deleteProduct(epoch, id, now + 10_000_000)",
    by: "simulator",
  },
  {
    name: "a reservation is given back under another sale's id",
    file: "src/ledger/codes.ts",
    find: 'asked.kind !== "release" || asked.saleId === null || asked.saleId === saleId;',
    replace: "saleId > 0 && asked !== null;",
    by: "simulator",
  },
  ...linesOf("src/store/audit.ts", /^ {2}audit\.(\w+) .*(?:&&|;)$/).map(({ line, what }) => ({
    name: `the audit's verdict without ${what}`,
    file: "src/store/audit.ts",
    find: line,
    replace: line.endsWith(";") ? "  true;" : "",
    by: "test/integration/audit.test.ts",
  })),
  {
    name: "time may run backwards between two decisions",
    file: "src/engine/clock.ts",
    find: "    if (flowed > this.#last) this.#last = flowed;\n    return this.#last;",
    replace: "    return Math.floor(this.#source.wall()) + Math.min(0, flowed);",
    by: "simulator",
  },
  {
    name: "a read moves reservations on by another clock than decisions",
    file: "src/ledger/ledger.ts",
    find: "    this.moveOn(now);\n    return new LedgerView(this.#state);",
    replace: "    this.#state.now = now + 5;\n    return new LedgerView(this.#state);",
    by: "simulator",
  },
  {
    name: "a wrong clock is followed at once",
    file: "src/engine/clock.ts",
    find: "const keptMs = 60_000;",
    replace: "const keptMs = 600;",
    by: "simulator",
  },
  {
    name: "a wrong clock is never followed",
    file: "src/engine/clock.ts",
    find: "const keptMs = 60_000;",
    replace: "const keptMs = 60_000_000;",
    by: "simulator",
  },
  {
    name: "what a clock that was ahead has reserved is held until that time comes",
    file: "src/ledger/lapses.ts",
    find: "isBefore ? Math.min(due, time + longest) : due;",
    replace: "isBefore ? Math.max(due, -longest) : due;",
    by: "simulator",
  },
  {
    name: "what was extended is held after a restart as if it had not been",
    file: "src/ledger/restore.ts",
    find: "    extend(held, seq, attempt.due);\n",
    replace: "",
    by: "simulator",
  },
  {
    name: "an extension of what had run out holds no unit",
    file: "src/ledger/books.ts",
    find: "    take(sale, itemId);\n    holderFor(sale, buyer).live += 1;\n",
    replace: "    holderFor(sale, buyer).live += 1;\n",
    by: "simulator",
  },
  {
    name: "an extension makes a reservation shorter",
    file: "src/ledger/decide.ts",
    find: "Math.max(known.of.deadline, now + command.ms)",
    replace: "now + command.ms",
    by: "simulator",
  },
  {
    name: "a checkpoint forgets that something was extended",
    file: "src/ledger/view.ts",
    find: "        extendedBy,\n",
    replace: "        extendedBy: null,\n",
    by: "test/unit/ledger.extend.test.ts",
  },
  {
    name: "what ended is kept in memory without a bound",
    file: "src/ledger/books.ts",
    find: "if (state.ended.size <= endedMax) return;",
    replace: "if (state.ended.size > 0) return;",
    by: "test/unit/lookups.test.ts",
  },
  {
    name: "a purchase in one step forgets its key",
    file: "src/ledger/books.ts",
    find: "  if (first !== undefined && made.key !== null) rememberUse(",
    replace: "  if (first !== undefined && made.key === '') rememberUse(",
    by: "simulator",
  },
  {
    name: "who is at the limit is not told the code that they hold",
    file: "src/ledger/decide.ts",
    find: "if ((noneFree || isFull) && isProven(buyer)) {",
    replace: "if (noneFree && isProven(buyer)) {",
    by: "simulator",
  },
  {
    name: "a code is told to a guest again",
    file: "src/ledger/decide.ts",
    find: "if ((noneFree || isFull) && isProven(buyer)) {",
    replace: "if (noneFree || isFull) {",
    by: "simulator",
  },
  {
    name: "a program that is older than the schema leads",
    file: "src/store/leadership.ts",
    find: "exists (select from drizzle.__drizzle_migrations where created_at >",
    replace: "exists (select from drizzle.__drizzle_migrations where created_at > 8e18 +",
    by: "test/faults/schema.test.ts",
  },
  {
    name: "items get other numbers when a sale is changed",
    file: "src/store/product-sales.ts",
    find: "const known = numbers.get(item.productId);",
    replace: "const known = numbers.get(-item.productId);",
    by: "test/integration/records-twin.test.ts",
  },
  {
    name: "a buyer may pass the limit",
    file: "src/ledger/decide.ts",
    find: "heldBy(holder) >= sale.terms.perUserLimit;",
    replace: "heldBy(holder) > sale.terms.perUserLimit;",
    by: "simulator",
  },
  {
    name: "a guest and an account of one name are one buyer",
    file: "src/ledger/state.ts",
    find: "  const holders = sale.holders[kind];",
    replace: '  const holders = sale.holders[kind === "guest" ? "account" : kind];',
    by: "simulator",
  },
  {
    name: "an answer is given before its commit",
    file: "src/engine/writer.ts",
    find: "      await committed;",
    replace: "      asked.answer();\n      await committed;",
    by: "simulator",
  },
  {
    name: "a commit of which nobody knows counts as made",
    file: "src/engine/writer.ts",
    find: "      await committed;",
    replace: "      await committed.catch(() => {});",
    by: "simulator",
  },
  {
    name: "what was read before something ended decides",
    file: "src/ledger/codes.ts",
    find: "lookup === null || lookup.upTo < state.endedUpTo",
    replace: "lookup === null",
    by: "test/unit/lookups.test.ts",
  },
  {
    name: "what was given back is sold late",
    file: "src/ledger/decide.ts",
    find: "  if (released) return false;\n",
    replace: "",
    by: "simulator",
  },
  {
    name: "a key outlives what it had made",
    file: "src/ledger/books.ts",
    find: "  if (reservation.key === null) return;\n  dropUses(",
    replace: '  if (reservation.key !== "") return;\n  dropUses(',
    by: "simulator",
  },
  {
    name: "two ends of one sale in one batch",
    file: "src/store/journal.ts",
    find: "    this.#ends.set(saleId, outcome);",
    replace: "    if (!this.#ends.has(saleId)) this.#ends.set(saleId, outcome);",
    by: "test/integration/records-twin.test.ts",
  },
  ...checksIn("src/ledger/check.ts"),
];

/** Each line of a file of this form, and what it is about. */
function linesOf(file: string, form: RegExp): { readonly line: string; readonly what: string }[] {
  return readFileSync(join(root, file), "utf8")
    .split("\n")
    .flatMap((line) => {
      const what = form.exec(line)?.[1];
      return what === undefined ? [] : [{ line, what }];
    });
}

/** A fault for each complaint that the check may make, which leaves it out. */
function checksIn(file: string): Fault[] {
  const complaint = "complaints.push(";
  const parts = readFileSync(join(root, file), "utf8").split(complaint);
  return parts.slice(1).map((_, index) => {
    const before = parts.slice(0, index + 1).join(complaint);
    const after = parts.slice(index + 1).join(complaint);
    return {
      name: `line ${before.split("\n").length} of the check is left out`,
      file,
      find: before + complaint + after,
      replace: `${before}([] as string[]).push(${after}`,
      by: "test/unit/check.test.ts",
    };
  });
}

function copyOf(fault: Fault | null): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-fault-"));
  for (const name of copied) {
    cpSync(join(root, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  if (fault === null) return folder;
  const { file, find, replace } = fault;
  const path = join(folder, file);
  const text = readFileSync(path, "utf8");
  if (!text.includes(find)) throw new Error(`${file} has changed: ${JSON.stringify(find)}`);
  writeFileSync(
    path,
    text.replace(find, () => replace),
  );
  return folder;
}

/** Whether what should find a fault fails on it; without one, on the sources as they are. */
async function fails(by: string, fault: Fault | null): Promise<boolean> {
  const folder = copyOf(fault);
  try {
    const minutes = fault === null ? soundMinutes : simulatedMinutes;
    const asked =
      by === "simulator"
        ? ["test/simulator/simulate.ts", "--quick", "--minutes", String(minutes)]
        : ["test", "--timeout", "60000", "--bail", by];
    const run = Bun.spawn([process.execPath, ...asked], {
      cwd: folder,
      stdout: "ignore",
      stderr: "ignore",
      timeout: runMaxMs,
    });
    // What hangs for ever has found nothing.
    return (await run.exited) !== 0 && run.signalCode === null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  const part = process.argv[2] ?? "";

  const chosen = faults.filter(({ name }) => name.includes(part));
  for (const by of new Set(chosen.map((fault) => fault.by))) {
    if (await fails(by, null)) throw new Error(`${by} finds a fault where none was put in`);
  }
  let missed = 0;
  for (const fault of chosen) {
    const startedAt = performance.now();
    const isFound = await fails(fault.by, fault);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    if (!isFound) missed += 1;
    const told = isFound ? `${fault.by}, ${seconds} s` : `NOT FOUND by ${fault.by} in ${seconds} s`;
    say(`${fault.name}: ${told}`);
  }
  process.exitCode = missed === 0 ? 0 : 1;
}

if (import.meta.main) await main();
