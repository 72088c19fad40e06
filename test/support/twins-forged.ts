/** What the ledger would never decide, and PostgreSQL and its twin both refuse. */
import { expect } from "bun:test";
import type { Buyer } from "../../src/ledger/buyers.ts";
import { extensionMsMax, type SoldUnit } from "../../src/ledger/commands.ts";
import type { Batch } from "../../src/store/records.ts";
import { buyers, type Twins } from "./twins.ts";

/** What the ledger would never decide, and the constraints refuse. */
export async function forge(twins: Twins): Promise<void> {
  const dice = twins.dice;
  const unit = twins.sold.at(-dice.between(1, 5));
  const firstSeq = twins.open.seq + 1;
  if (unit === undefined) return;
  const other = { ...unit, code: twins.code() };
  const forged: SoldUnit[] = [
    unit,
    { ...other, userOrdinal: unit.userOrdinal + 1 },
    { ...other, unit: unit.unit + 1 },
    { ...other, unit: unit.itemStock + 1, userOrdinal: unit.userLimit },
    { ...other, unit: unit.itemStock, userOrdinal: unit.userLimit + 1 },
    { ...other, unit: 0, userOrdinal: unit.userLimit },
    { ...other, itemStock: unit.itemStock + 1, unit: unit.itemStock + 1 },
    { ...other, userLimit: unit.userLimit + 1, userOrdinal: unit.userLimit + 1 },
    { ...other, itemId: 99 },
  ];
  for (const of of forged) await forgedSale(twins, firstSeq, of, unit);
  await stolen(twins, firstSeq);
  await forgedExtensions(twins, firstSeq, unit);
  await forgedOffers(twins, firstSeq);
  await forgedClaims(twins, firstSeq);
  // A number that was given already: another writer was there.
  if (twins.open.seq > 0) await forgedSale(twins, twins.open.seq, other, unit);
}

async function forgedSale(
  twins: Twins,
  firstSeq: number,
  of: SoldUnit,
  { buyer }: SoldUnit,
): Promise<void> {
  const sell = { kind: "purchase", code: of.code, by: buyer, expectedPriceCents: null } as const;
  const batch: Batch = {
    asked: [],
    firstSeq,
    at: twins.now,
    commands: [{ ...sell, lookup: null }],
    outcomes: [{ word: "purchased", of }],
  };
  expect(await twins.tried(({ term }) => term.commit(batch))).toBe(false);
}

/** What somebody has reserved is sold to another one, and is not refused for anything else. */
async function stolen(twins: Twins, firstSeq: number): Promise<void> {
  const thief: Buyer = { kind: "customer", userId: "thief" };
  for (const { id: saleId, stock, perUserLimit: userLimit } of twins.view((view) => view.sales())) {
    const [open] = twins.view((view) => view.checkpoint(saleId)?.open ?? []);
    if (open === undefined) continue;
    const { code, itemId, seq: reservedSeq, buyer, key, request } = open;
    const sold = { seq: firstSeq, at: twins.now, refundedBy: null };
    const itemStock = stock[itemId - 1] ?? 0;
    const unit = 1 + (twins.view((view) => view.soldOf(saleId))?.[itemId - 1] ?? 0);
    const limits = { itemStock, userLimit, unit, userOrdinal: 1, expiresAt: 0, key, request };
    const of: SoldUnit = { code, saleId, itemId, buyer: thief, sold, reservedSeq, ...limits };
    const owner = { ...of, buyer, userOrdinal: userLimit };
    const forged: SoldUnit[] = [of, { ...owner, reservedSeq: reservedSeq + 1_000_000 }];
    for (const one of forged) await forgedSale(twins, firstSeq, one, one);
  }
}

async function forgedExtensions(twins: Twins, firstSeq: number, of: SoldUnit): Promise<void> {
  const extend = { kind: "extend", code: of.code, ms: 1, lookup: null } as const;
  for (const [ms, saleId] of [
    [0, of.saleId],
    [extensionMsMax + 1, of.saleId],
    [1, 999],
  ] as const) {
    const due = twins.now + ms;
    const batch: Batch = {
      asked: [],
      firstSeq,
      at: twins.now,
      commands: [extend],
      outcomes: [{ word: "extended", of: { ...of, saleId }, due }],
    };
    expect(await twins.tried(({ term }) => term.commit(batch))).toBe(false);
  }
}

/** What is offered to another one, of another item, for a line that nobody joined, or once too often. */
async function forgedOffers(twins: Twins, firstSeq: number): Promise<void> {
  const sales = twins.view((view) => view.sales().map(({ id }) => id));
  for (const saleId of sales) {
    const [line] = twins.view((view) => view.checkpoint(saleId)?.waiting ?? []);
    if (line === undefined) continue;
    const { buyer, seq: joinedBy, item } = line;
    const itemId = item === "any" ? 1 : item;
    const right = { buyer, itemId, joinedBy, ordinal: 3 };
    const eve: Buyer = { kind: "account", userId: "eve" };
    for (const forged of [
      { ...right, buyer: eve },
      ...(item === "any" ? [] : [{ ...right, itemId: itemId + 1 }]),
      { ...right, joinedBy: firstSeq },
      { ...right, ordinal: 0 },
    ]) {
      const code = twins.code();
      const of = { code, saleId, itemId: forged.itemId, buyer: forged.buyer };
      const reservation = { ...of, expiresAt: 0, sold: null };
      const { joinedBy: joined, ordinal } = forged;
      const batch: Batch = {
        asked: [],
        firstSeq,
        at: twins.now,
        commands: [{ kind: "offer", saleId, code }],
        outcomes: [{ word: "reserved", reservation, joinedBy: joined, ordinal }],
      };
      expect(await twins.tried(({ term }) => term.commit(batch))).toBe(false);
    }
  }
}

async function forgedClaims(twins: Twins, firstSeq: number): Promise<void> {
  const coupon = twins.view((view) => view.coupon("TEN"));
  if (coupon === null) return;
  const [buyer] = buyers;
  if (buyer === undefined) return;
  const claimed = await twins.both(({ records }) => records.loadClaims("TEN"));
  const at = twins.now;
  const left = coupon.remaining - 1;
  const claims = [
    { ordinal: claimed.size, remaining: left },
    { ordinal: coupon.amount + 1, remaining: left },
    { ordinal: claimed.size + 1, remaining: -1 },
    { ordinal: claimed.size + 1, remaining: coupon.amount + 1 },
    { ordinal: 0, remaining: left },
  ];
  for (const { ordinal, remaining } of claims) {
    const batch: Batch = {
      asked: [],
      firstSeq,
      at,
      commands: [{ kind: "claim", coupon: "TEN", buyer, key: null }],
      outcomes: [
        { word: "claimed", claim: { coupon: { ...coupon, remaining }, buyer, ordinal, at } },
      ],
    };
    expect(await twins.tried(({ term }) => term.commit(batch))).toBe(false);
  }
  const made: Batch = {
    asked: [],
    firstSeq,
    at,
    commands: [{ kind: "create_coupon", coupon: "TEN", amount: 3 }],
    outcomes: [{ word: "coupon_created", coupon: { ...coupon, id: 77 } }],
  };
  expect(await twins.tried(({ term }) => term.commit(made))).toBe(false);
}

/** Notes what came of a draw: once, and of a sale with a queue alone. */
export async function noteDraw(twins: Twins): Promise<void> {
  const { dice, open } = twins;
  const id = dice.pick(twins.view((view) => view.sales().map((sale) => sale.id))) ?? 99;
  const entriesDigest = dice.between(1, 9).toString().repeat(64);
  const draw = { entriesDigest, drawn: dice.between(0, 3), seq: open.seq };
  await twins.tried(({ records, term }) => records.noteDraw(term.epoch - 1, id, draw));
  await twins.both(({ records, term }) => records.noteDraw(term.epoch, id, draw));
  await twins.both(({ records }) => records.findDraw(id));
}
