/** What is kept of sales for whoever is shown them: never what was read before it changed. */
import { expect, test } from "bun:test";
import { Catalogue } from "../../src/sales/catalogue.ts";
import type { StoredSale } from "../../src/store/sales.ts";
import { until } from "../support/wait.ts";

const saleOf = (stock: number): StoredSale => ({
  sale: {
    id: 1,
    kind: "product",
    access: "proven",
    entry: { kind: "open" },
    startsAt: 0,
    endsAt: 60_000,
    closed: false,
    perUserLimit: 1,
    reservationTtlMs: 1_000,
    stock: [stock],
    priceCents: [500],
  },
  title: "A sale",
  items: [{ id: 1, name: "Lamp", pictureSeed: "lamp", priceCents: 500, stock }],
  endByHand: false,
  commitment: null,
  attempts: 0,
  attemptsSeq: 0,
});

test("what is held while the sale is read stays, and what was read before is not kept", async () => {
  const readings: ((sales: StoredSale[]) => void)[] = [];
  const catalogue = new Catalogue(
    () => new Promise((resolve) => readings.push(resolve)),
    () => 0,
  );
  catalogue.hold(saleOf(1));
  const found = catalogue.findAnew(1);
  await until("its being read", () => readings.length === 1);
  catalogue.hold(saleOf(3));
  readings[0]?.([saleOf(1)]);
  expect((await found)?.stock).toBe(1);
  expect(catalogue.held(1)?.stock).toBe(3);
  expect((await catalogue.find(1))?.stock).toBe(3);
});

test("what the ledger holds is held once it is read, also for who asks for it anew meanwhile", async () => {
  const readings: ((sales: StoredSale[]) => void)[] = [];
  const catalogue = new Catalogue(
    () => new Promise((resolve) => readings.push(resolve)),
    () => 0,
  );
  // A process hears of a sale while the answer to who announced it through here asks for it.
  catalogue.changed(1, true);
  const found = catalogue.findAnew(1);
  await until("both readings", () => {
    for (const read of readings) read([saleOf(1)]);
    return readings.length === 2;
  });
  expect((await found)?.stock).toBe(1);
  expect(catalogue.held(1)?.stock).toBe(1);
});
