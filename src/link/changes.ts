/** What happened to the ledger, as it goes over the link. */
import type { Effect, LedgerChange, RecordedTicket } from "../ledger/changes.ts";
import type { Entry } from "../ledger/queue.ts";
import type { Sale } from "../ledger/sale.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import {
  readClaim,
  readCoupon,
  readStoredCoupon,
  writeClaim,
  writeCoupon,
  writeStoredCoupon,
} from "./coupon-outcomes.ts";
import { readCodes, writeCodes } from "./outcomes.ts";
import { readBuyer, writeBuyer } from "./people.ts";

/** What one batch can have changed, the sales that it can name, and the items of one sale. */
const effectsMax = 65_536;
const salesMax = 65_536;
const itemsMax = 1_000_000;

const kinds = ["batch", "sale", "settled", "time"] as const;
const kindNumbers: Readonly<Record<LedgerChange["kind"], number>> = {
  batch: 0,
  sale: 1,
  settled: 2,
  time: 3,
};

const words = [
  "reserved",
  "purchased",
  "released",
  "extended",
  "sale_changed",
  "coupon_created",
  "claimed",
  "refunded",
  "joined",
  "queue_changed",
  "withdrawn",
  "restocked",
  "coupon_changed",
  "coupon_removed",
  "offered",
  "waiting",
  "left",
  "offer_lapsed",
] as const;
const wordNumbers: Readonly<Record<Effect["word"], number>> = {
  reserved: 0,
  purchased: 1,
  released: 2,
  extended: 3,
  sale_changed: 4,
  coupon_created: 5,
  claimed: 6,
  refunded: 7,
  joined: 8,
  queue_changed: 9,
  withdrawn: 10,
  restocked: 11,
  coupon_changed: 12,
  coupon_removed: 13,
  offered: 14,
  waiting: 15,
  left: 16,
  offer_lapsed: 17,
};

/** Since which version of the link there are words that not every peer knows. */
const wordsSince: { readonly [word in Effect["word"]]?: number } = {
  coupon_changed: 4,
  coupon_removed: 4,
  waiting: 4,
  left: 4,
  offer_lapsed: 4,
};

/** `"any"` is no number. */
const anyItem = 0;

const saleKinds = ["hourly", "product"] as const;
const accesses = ["everyone", "proven"] as const;
const entries = ["open", "queue"] as const;

/** @param version what is spoken with whoever it is for: what they do not know they are not told */
export function writeChange(to: ByteWriter, change: LedgerChange, version: number): void {
  to.u8(kindNumbers[change.kind]);
  to.number(change.seq);
  to.number(change.at);
  switch (change.kind) {
    case "batch":
      to.number(change.firstSeq);
      writeEffects(to, change.effects, version);
      to.u32(change.attempts.length);
      for (const [saleId, attempts] of change.attempts) {
        to.number(saleId);
        to.number(attempts);
      }
      return;
    case "sale":
      writeSale(to, change.terms);
      to.number(change.attempts);
      return;
    case "settled":
      to.number(change.saleId);
      return;
    case "time":
      return;
    default:
      change satisfies never;
  }
}

/** @throws FrameError */
export function readChange(from: ByteReader): LedgerChange {
  const kind = from.oneOf(kinds);
  const moment = { seq: from.number(), at: from.number() };
  const change = readRest(from, kind, moment);
  from.end();
  return change;
}

function readRest(
  from: ByteReader,
  kind: LedgerChange["kind"],
  moment: { readonly seq: number; readonly at: number },
): LedgerChange {
  switch (kind) {
    case "batch": {
      const firstSeq = from.number();
      const effects = Array.from({ length: from.count(effectsMax, 9) }, () =>
        readEffect(from, moment.at),
      );
      const attempts = Array.from(
        { length: from.count(salesMax, 16) },
        () => [from.number(), from.number()] as const,
      );
      return { kind, ...moment, firstSeq, effects, attempts };
    }
    case "sale":
      return { kind, ...moment, terms: readSale(from), attempts: from.number() };
    case "settled":
      return { kind, ...moment, saleId: from.number() };
    case "time":
      return { kind, ...moment };
    default:
      return kind satisfies never;
  }
}

function writeEffects(to: ByteWriter, all: readonly Effect[], version: number): void {
  const effects = all.filter(({ word }) => (wordsSince[word] ?? 0) <= version);
  to.u32(effects.length);
  // Who knows of no offers is told that something was reserved, for it is.
  const isNews = version >= 4;
  for (const effect of effects) {
    const isPlain = isNews || effect.word !== "offered";
    writeEffect(to, isPlain ? effect : { ...effect, word: "reserved" });
  }
}

/** Its time is the batch's. */
function writeEffect(to: ByteWriter, effect: Effect): void {
  to.u8(wordNumbers[effect.word]);
  to.number(effect.seq);
  switch (effect.word) {
    case "reserved":
    case "offered":
    case "purchased":
    case "released":
      to.number(effect.saleId);
      to.number(effect.itemId);
      writeBuyer(to, effect.buyer);
      to.code(effect.code);
      to.nullableText(effect.key);
      to.nullableText(effect.request);
      to.nullable(effect.quantity);
      writeCodes(to, effect.own);
      return;
    case "refunded":
      to.number(effect.saleId);
      writeCodes(to, effect.codes);
      to.boolean(effect.restocked);
      return;
    case "extended":
      to.number(effect.saleId);
      to.code(effect.code);
      to.number(effect.due);
      return;
    case "sale_changed":
      to.number(effect.saleId);
      to.number(effect.startsAt);
      to.number(effect.endsAt);
      to.boolean(effect.closed);
      return;
    case "joined":
      return writeTicket(to, effect);
    case "queue_changed":
      to.number(effect.saleId);
      to.number(effect.admitPerSecond);
      to.boolean(effect.paused);
      return;
    case "withdrawn":
      to.number(effect.saleId);
      return;
    case "restocked":
      to.number(effect.saleId);
      to.number(effect.itemId);
      to.number(effect.units);
      return;
    case "waiting":
    case "left":
    case "offer_lapsed":
      return writeWait(to, effect);
    case "coupon_created":
    case "coupon_changed":
    case "coupon_removed":
    case "claimed":
      return writeCouponEffect(to, effect);
    default:
      effect satisfies never;
  }
}

type CouponEffect = Extract<
  Effect,
  { readonly word: "coupon_created" | "coupon_changed" | "coupon_removed" | "claimed" }
>;

function writeCouponEffect(to: ByteWriter, effect: CouponEffect): void {
  switch (effect.word) {
    case "coupon_created":
      writeCoupon(to, effect.coupon);
      return;
    case "coupon_changed":
      writeStoredCoupon(to, effect.coupon);
      return;
    case "coupon_removed":
      to.text(effect.coupon);
      return;
    case "claimed":
      writeClaim(to, effect.claim);
      to.nullableText(effect.key);
      return;
    default:
      effect satisfies never;
  }
}

type Wait = Extract<Effect, { readonly word: "waiting" | "left" | "offer_lapsed" }>;

function writeWait(to: ByteWriter, effect: Wait): void {
  to.number(effect.saleId);
  if (effect.word === "offer_lapsed") return to.code(effect.code);
  writeBuyer(to, effect.buyer);
  if (effect.word === "waiting") to.number(effect.item === "any" ? anyItem : effect.item);
}

function writeTicket(to: ByteWriter, of: RecordedTicket): void {
  to.number(of.saleId);
  to.number(of.number);
  writeBuyer(to, of.buyer);
  to.code(of.ticket);
  to.nullableText(of.key);
}

const readTicket = (from: ByteReader) => ({
  saleId: from.number(),
  number: from.number(),
  buyer: readBuyer(from),
  ticket: from.code(),
  key: from.nullableText(),
});

function readEffect(from: ByteReader, at: number): Effect {
  const word = from.oneOf(words);
  const seq = from.number();
  switch (word) {
    case "reserved":
    case "offered":
    case "purchased":
    case "released":
      return {
        seq,
        at,
        word,
        saleId: from.number(),
        itemId: from.number(),
        buyer: readBuyer(from),
        code: from.code(),
        key: from.nullableText(),
        request: from.nullableText(),
        quantity: from.nullable(),
        own: readCodes(from),
      };
    case "refunded": {
      const [saleId, codes] = [from.number(), readCodes(from)];
      return { seq, at, word, saleId, codes, restocked: from.boolean() };
    }
    case "extended":
      return { seq, at, word, saleId: from.number(), code: from.code(), due: from.number() };
    case "sale_changed":
      return {
        seq,
        at,
        word,
        saleId: from.number(),
        startsAt: from.number(),
        endsAt: from.number(),
        closed: from.boolean(),
      };
    case "joined":
      return { seq, at, word, ...readTicket(from) };
    case "queue_changed": {
      const [saleId, admitPerSecond] = [from.number(), from.number()];
      return { seq, at, word, saleId, admitPerSecond, paused: from.boolean() };
    }
    case "restocked": {
      const [saleId, itemId] = [from.number(), from.number()];
      return { seq, at, word, saleId, itemId, units: from.number() };
    }
    case "withdrawn":
      return { seq, at, word, saleId: from.number() };
    case "waiting":
    case "left":
    case "offer_lapsed":
      return { seq, at, ...readWait(from, word) };
    case "coupon_created":
      return { seq, at, word, coupon: readCoupon(from) };
    case "coupon_changed":
      return { seq, at, word, coupon: readStoredCoupon(from) };
    case "coupon_removed":
      return { seq, at, word, coupon: from.text() };
    case "claimed":
      return { seq, at, word, claim: readClaim(from), key: from.nullableText() };
    default:
      return word satisfies never;
  }
}

function readWait(from: ByteReader, word: Wait["word"]) {
  const saleId = from.number();
  if (word === "offer_lapsed") return { word, saleId, code: from.code() };
  const buyer = readBuyer(from);
  if (word === "left") return { word, saleId, buyer };
  const item = from.number();
  return { word, saleId, buyer, item: item === anyItem ? ("any" as const) : item };
}

function writeSale(to: ByteWriter, sale: Sale): void {
  to.number(sale.id);
  to.u8(saleKinds.indexOf(sale.kind));
  to.u8(accesses.indexOf(sale.access));
  writeEntry(to, sale.entry);
  to.number(sale.startsAt);
  to.number(sale.endsAt);
  to.boolean(sale.closed);
  to.number(sale.perUserLimit);
  to.number(sale.reservationTtlMs);
  to.int32s(sale.stock);
  to.int32s(sale.priceCents);
}

function writeEntry(to: ByteWriter, entry: Entry): void {
  to.u8(entries.indexOf(entry.kind));
  if (entry.kind === "open") return;
  to.number(entry.admitPerSecond);
  to.number(entry.passTtlMs);
}

function readEntry(from: ByteReader): Entry {
  const kind = from.oneOf(entries);
  return kind === "open"
    ? { kind }
    : { kind, admitPerSecond: from.number(), passTtlMs: from.number() };
}

const readSale = (from: ByteReader): Sale => ({
  id: from.number(),
  kind: from.oneOf(saleKinds),
  access: from.oneOf(accesses),
  entry: readEntry(from),
  startsAt: from.number(),
  endsAt: from.number(),
  closed: from.boolean(),
  perUserLimit: from.number(),
  reservationTtlMs: from.number(),
  stock: from.int32s(itemsMax),
  priceCents: from.int32s(itemsMax),
});
