/** Faults that somebody might make, each with what should find it: see `mutants.ts`. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { waitingFaults } from "./faults-waiting.ts";

export const root = join(import.meta.dir, "../..");

export type Fault = {
  /** What somebody would see. */
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** `simulator`, or a test's file; or what the names of several begin with. */
  readonly by: string;
};

export const faults: readonly Fault[] = [
  {
    name: "a read shows what is not committed",
    file: "src/engine/writer.ts",
    find: "      if (this.#inFlight === null) settle();\n      else this.#reads.push(settle);",
    replace: "      settle();",
    by: "simulator",
  },
  {
    name: "what is to be noted while a batch is committed waits until somebody asks",
    file: "src/engine/writer.ts",
    find: "if (this.#batches.length > 0 || this.#drained",
    replace: "if (this.#queueLength > 0 || this.#drained",
    by: "test/unit/writer.test.ts",
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
    file: "src/ledger/compare.ts",
    find: "  if (before + purchases.length !== sold) {\n",
    replace: "  if (saleId > 0) return sold;\n  if (before + purchases.length !== sold) {\n",
    by: "test/unit/restore.test.ts",
  },
  {
    name: "a replica does not hear of what is given back",
    file: "src/ledger/changes.ts",
    find: 'return word === "released" ?',
    replace: 'return word === "released" && seq < 0 ?',
    by: "test/unit/ledger.test.ts",
  },
  {
    name: "a replica does not hear of a sale that came",
    file: "src/engine/feed.ts",
    find: "addSale: (terms, attempts) => this.#tell(ledger.addSale(terms, attempts)),",
    replace: "addSale: (terms, attempts) => void ledger.addSale(terms, attempts),",
    by: "simulator",
  },
  {
    name: "a replica does not hear of a term that began",
    file: "src/ledger/restore.ts",
    find: "    for (const sale of this.#state.sales.values()) beginTerm(sale, afterSeq, at);",
    replace:
      "    for (const sale of this.#state.sales.values()) if (at < 0) beginTerm(sale, afterSeq, at);",
    by: "test/unit/replica.test.ts",
  },
  {
    name: "a replica takes for lapsed what an earlier moment has alive",
    file: "src/ledger/restore.ts",
    find: "    if (now < state.now) for (const sale of state.sales.values()) revive(sale, now);\n",
    replace: "",
    by: "test/unit/replica.test.ts",
  },
  {
    name: "a replica goes on though a batch was not told",
    file: "src/ledger/restore.ts",
    find: "if (firstSeq !== state.seq + 1) {",
    replace: "if (firstSeq < 0) {",
    by: "test/unit/replica.test.ts",
  },
  {
    name: "a leader reads without being sure that it leads",
    file: "src/engine/writer.ts",
    find: "if (confirmed !== null) await",
    replace: "if (confirmed === null) await",
    by: "test/unit/lease.test.ts",
  },
  {
    name: "a lease is counted from the answer",
    file: "src/store/lease.ts",
    find: "    if (sentAt.monotonic > this.#since.monotonic) this.#since = sentAt;",
    replace: "    if (sentAt.monotonic > this.#since.monotonic) this.#since = this.#now();",
    by: "test/unit/lease.test.ts",
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
    file: "src/ledger/sales.ts",
    find: "now + 1 : asked",
    replace: "now : asked",
    by: "test/unit/ledger.buy.test.ts",
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
    find: "else if (performance.now() - this.#asked.at.monotonic >= answerMaxMs) {",
    replace: "else if (performance.now() >= Infinity) {",
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
    find: "records.deleteProduct(epoch, id, now, by)",
    replace: "records.deleteProduct(epoch, id, now + 10_000_000, by)",
    by: "simulator",
  },
  {
    name: "a call that was made before is made again",
    file: "src/sales/product-sale-changes.ts",
    find: "asked.again === undefined ? null",
    replace: "asked.again !== null ? null",
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
    by: "test/unit/verdict.test.ts",
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
    by: "test/unit/restore.test.ts",
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
    find: "return Math.min(due, time + (",
    replace: "return Math.max(due, -(",
    by: "simulator",
  },
  {
    name: "what was extended is held after a restart as if it had not been",
    file: "src/ledger/replay.ts",
    find: "      if (held !== undefined) return extend(held, seq, attempt.due);\n",
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
    find: "Math.max(known.of.deadline, now + Math.min(command.ms, extensionMsMax))",
    replace: "now + Math.min(command.ms, extensionMsMax)",
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
    by: "test/integration/admin-changes.test.ts",
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
    name: "what was sold by a key is forgotten when its sale is settled",
    file: "src/ledger/keys.ts",
    find: "&& state.settled.size > 0",
    replace: "&& state.settled.size > 1e9",
    by: "simulator",
  },
  {
    name: "what was read of a key before its sale was settled decides",
    file: "src/ledger/keys.ts",
    find: "lookup === undefined || lookup.upTo < state.settledUpTo",
    replace: "lookup === undefined",
    by: "test/unit/lookups.test.ts",
  },
  {
    name: "a guest is told of a product sale that is settled",
    file: "src/ledger/decide.ts",
    find: "(saleId === null ? undefined : state.settled.get(saleId))",
    replace: "undefined",
    by: "simulator",
  },
  {
    name: "a purchase stands on another reservation than its own",
    file: "src/ledger/decide.ts",
    find: "const { seq: reservedSeq, itemId,",
    replace: "const reservedSeq = reservation.seq - 1;\n  const { itemId,",
    by: "simulator",
  },
  {
    name: "whoever leads goes on after a newer program has migrated",
    file: "src/store/migrations.ts",
    find: "    await depose(tx);\n",
    replace: "",
    by: "test/faults/schema.test.ts",
  },
  {
    name: "time stands while the machine is suspended",
    file: "src/engine/machine-time.ts",
    find: "this.#sleptMs += slept",
    replace: "this.#sleptMs += 0",
    by: "test/unit/machine-time.test.ts",
  },
  {
    name: "a clock that is set leaves a term that loads in the future",
    file: "src/engine/engine.ts",
    find: '    this.#role = { name: "starting", epoch: null };\n    try {',
    replace: "    try {",
    by: "test/simulator/clock.test.ts",
  },
  {
    name: "two ends of one sale in one batch",
    file: "src/store/journal.ts",
    find: "changedSaleRow(command, outcome, before));",
    replace: "before ?? changedSaleRow(command, outcome, before));",
    by: "test/integration/records-twin.test.ts",
  },
  ...waitingFaults,
  ...checksIn("src/ledger/check.ts", "test/unit/check."),
  ...checksIn("src/ledger/check-waiting.ts", "test/unit/waitlist.test.ts"),
  ...checksIn("src/ledger/waitlist.ts", "test/unit/waitlist.test.ts"),
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
function checksIn(file: string, by: string): Fault[] {
  const complaint = "complaints.push(";
  const parts = readFileSync(join(root, file), "utf8").split(complaint);
  return parts.slice(1).map((_, index) => {
    const before = parts.slice(0, index + 1).join(complaint);
    const after = parts.slice(index + 1).join(complaint);
    return {
      name: `line ${before.split("\n").length} of ${file} is left out`,
      file,
      find: before + complaint + after,
      replace: `${before}([] as string[]).push(${after}`,
      by,
    };
  });
}
