/** Faults of waiting lists: see `faults.ts`. */
import type { Fault } from "./faults.ts";

export const waitingFaults: readonly Fault[] = [
  {
    name: "what has lapsed is free to whoever comes before who waits",
    file: "src/engine/writer.ts",
    find: "    unasked.offer(0);\n",
    replace: "",
    by: "simulator",
  },
  {
    name: "what is given back is free to whoever comes before who waits",
    file: "src/engine/writer.ts",
    find: "      unasked.offer(index + 1);\n",
    replace: "",
    by: "simulator",
  },
  {
    name: "what lapses while nobody asks is offered to nobody",
    file: "src/engine/upkeep.ts",
    find: "    writer.offerDue();\n",
    replace: "",
    by: "test/unit/upkeep.test.ts",
  },
  {
    name: "who waits for any comes before who waits for the item",
    file: "src/ledger/waitlist.ts",
    find: "        if (first !== null && first.place < line.place) break;\n",
    replace: "",
    by: "simulator",
  },
  {
    name: "who waits is offered more than they may have",
    file: "src/ledger/offers.ts",
    find: "heldBy(holder) < sale.terms.perUserLimit;",
    replace: "heldBy(holder) <= sale.terms.perUserLimit;",
    by: "test/unit/waitlist.test.ts",
  },
  {
    name: "an offer that is given back keeps its line",
    file: "src/ledger/books.ts",
    find: "  if (releasedAt !== null) sale.waitingList?.close(reservation.code);\n",
    replace: "",
    by: "simulator",
  },
  {
    name: "whom the limit passed over is forgotten",
    file: "src/ledger/waitlist.ts",
    find: "    for (const line of this.of(buyer)) this.#freed.add(numberOf(line));\n",
    replace: "",
    by: "simulator",
  },
  {
    name: "what was due when a term ended is forgotten",
    file: "src/ledger/restore.ts",
    find: "      sale.waitingList?.noteAll(",
    replace: "      if (now < 0) sale.waitingList?.noteAll(",
    by: "test/unit/waitlist.test.ts",
  },
  {
    name: "a checkpoint forgets who waits",
    file: "src/ledger/view.ts",
    find: "const waiting = (sale.waitingList?.all() ?? [])",
    replace: "const waiting = (sale.waitingList?.all().slice(1) ?? [])",
    by: "simulator",
  },
  {
    name: "a replica does not hear who leaves a line",
    file: "src/ledger/changes.ts",
    find: 'return word === "left"',
    replace: 'return word === "left" && seq < 0',
    by: "test/unit/waitlist.test.ts",
  },
];
