/** Faults of the waiting room that somebody might make: as those of `faults.ts`. */
import type { Fault } from "./faults.ts";

export const queueFaults: readonly Fault[] = [
  {
    name: "somebody is let in early",
    file: "src/ledger/queue.ts",
    find: "Math.floor(this.#roomAt(now) / 1_000))",
    replace: "Math.ceil(this.#roomAt(now) / 1_000))",
    by: "simulator",
  },
  {
    name: "a paused queue lets people in",
    file: "src/ledger/queue.ts",
    find: "return paused ? 0 : ms * admitPerSecond;",
    replace: "return ms * admitPerSecond;",
    by: "simulator",
  },
  {
    name: "a pause lets in who comes then",
    file: "src/ledger/queue.ts",
    find: "banked = Math.min(banked, change.atMost * 1_000);",
    replace: "",
    by: "simulator",
  },
  {
    name: "after a takeover a pause is for those, too, who came later",
    file: "src/ledger/rejoining.ts",
    find: "joined ?? queue.tickets.count",
    replace: "queue.tickets.count",
    by: "test/unit/queue.test.ts",
  },
  {
    name: "a buyer has two tickets",
    file: "src/ledger/admission.ts",
    find: "if (isSame || (isProven(buyer)",
    replace: "if (isSame || (isProven(buyer) && key === null",
    by: "simulator",
  },
  {
    name: "a rank is another one after a takeover",
    file: "src/sales/draws.ts",
    find: "    this.#drawn.set(id, drawn);",
    replace:
      "    if (found.noted !== null) drawn.ranks.reverse();\n    this.#drawn.set(id, drawn);",
    by: "simulator",
  },
  {
    name: "who joins after the opening is drawn",
    file: "src/ledger/queue.ts",
    find: "    if (this.#firstLate === 0 && at >= this.#startsAt)",
    replace: "    if (this.#firstLate === 0 && at >= this.#startsAt + 60_000)",
    by: "simulator",
  },
  {
    name: "somebody buys without having been let in",
    file: "src/ledger/admission.ts",
    find: '  if (state === "admitted") return null;',
    replace: '  if (state === "admitted" || state === "waiting") return null;',
    by: "simulator",
  },
  {
    name: "somebody else's ticket lets in",
    file: "src/ledger/admission.ts",
    find: "if (own === 0 || queue.tickets.ticketOf(own) !== ticket)",
    replace: 'if (own === 0 || queue.tickets.find(ticket ?? "") === 0)',
    by: "simulator",
  },
  {
    name: "a pass outlives its time",
    file: "src/ledger/admission.ts",
    find: "tickets.activeAt(number)) + ttl;",
    replace: "tickets.activeAt(number)) + ttl + 1_000;",
    by: "simulator",
  },
  {
    name: "a recovery forgets what kept a pass",
    file: "src/ledger/rejoining.ts",
    find: "for (const [number, at] of active) queueOf",
    replace: "for (const [number, at] of active.slice(1)) queueOf",
    by: "test/unit/queue.test.ts",
  },
];
