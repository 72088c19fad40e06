/**
 * Commands as they go over the link.
 *
 * A code that a command may give is not part of it: who decides draws it, when there is something
 * to give. Nor is what the records say of a code: who decides asks them.
 */
import type { Buyer } from "../ledger/buyers.ts";
import {
  extensionMsMax,
  type Buy,
  type Checkout,
  type CodeUser,
  type CreateCoupon,
  type Join,
  type Refund,
  type WaitlistJoin,
  type WaitlistLeave,
} from "../ledger/commands.ts";
import { FrameError, type ByteReader, type ByteWriter } from "./bytes.ts";
import { readAmount, readChangeCoupon, writeChangeCoupon } from "./coupon-outcomes.ts";
import { readActor, readBuyer, writeActor, writeBuyer } from "./people.ts";
import {
  buyerKinds,
  commandKinds,
  commandNumbers,
  createCouponByNumber,
  type LinkedCommand,
} from "./words.ts";

/** `"current"` and `"any"` are no number, and `"unknown"` is none of a sale. */
const unnamed = 0;
const unknown = -1;
/** Who shows a code. */
const nobody = 0xff;
const merchant = 0xfe;

/** A command as its kind, and what is asked. @throws FrameError for a text that is too long */
export function writeCommand(to: ByteWriter, command: LinkedCommand): void {
  const isBySomebody = command.kind === "create_coupon" && command.by != null;
  to.u8(isBySomebody ? createCouponByNumber : commandNumbers[command.kind]);
  switch (command.kind) {
    case "checkout":
      writeBuyer(to, command.buyer);
      to.number(command.item === "any" ? unnamed : command.item);
      to.number(
        command.sale === "current" ? unnamed : command.sale === "unknown" ? unknown : command.sale,
      );
      to.nullableText(command.key);
      to.nullable(command.expectedPriceCents);
      to.nullableCode(command.ticket ?? null);
      return;
    case "purchase":
      to.code(command.code);
      writeCodeUser(to, command.by);
      to.nullable(command.expectedPriceCents);
      return;
    case "release":
      to.code(command.code);
      writeCodeUser(to, command.by);
      to.nullable(command.saleId);
      return;
    case "extend":
      to.code(command.code);
      to.number(command.ms);
      return;
    case "buy":
      writeBuyer(to, command.buyer);
      to.number(command.itemId === "unknown" ? unknown : command.itemId);
      to.number(command.saleId === "unknown" ? unknown : command.saleId);
      to.number(command.quantity);
      to.nullableText(command.key);
      to.nullable(command.expectedPriceCents);
      to.nullableCode(command.ticket ?? null);
      return;
    case "join":
    case "waitlist_join":
    case "waitlist_leave":
      return writeWaiting(to, command);
    case "refund":
      return writeRefund(to, command);
    case "create_coupon":
      to.text(command.coupon);
      to.number(command.amount);
      if (command.by != null) writeActor(to, command.by);
      return;
    case "change_coupon":
      return writeChangeCoupon(to, command);
    case "remove_coupon":
      to.text(command.coupon);
      writeActor(to, command.by);
      return;
    case "claim":
      writeBuyer(to, command.buyer);
      to.text(command.coupon);
      to.nullableText(command.key);
      return;
    default:
      command satisfies never;
  }
}

/** @throws FrameError for what is no command */
export function readCommand(from: ByteReader): LinkedCommand {
  const number = from.u8();
  if (number === createCouponByNumber) return { ...readCreateCoupon(from), by: readActor(from) };
  const kind = commandKinds[number];
  switch (kind) {
    case undefined:
      throw new FrameError(`there is no command of the number ${number}`);
    case "checkout":
      return readCheckout(from);
    case "purchase": {
      const [code, by] = [from.code(), readCodeUser(from)];
      return { kind, code, by, expectedPriceCents: readPrice(from), lookup: null };
    }
    case "release": {
      const [code, by] = [from.code(), readCodeUser(from)];
      return { kind, code, by, saleId: from.nullable(), lookup: null };
    }
    case "extend":
      return { kind, code: from.code(), ms: from.whole(1, extensionMsMax), lookup: null };
    case "buy":
      return readBuy(from);
    case "refund":
      return readRefund(from);
    case "join":
      return readJoin(from);
    case "waitlist_join":
      return readWaitlistJoin(from);
    case "waitlist_leave":
      return { kind, buyer: readBuyer(from), sale: readSale(from) };
    case "create_coupon":
      return readCreateCoupon(from);
    case "change_coupon":
      return readChangeCoupon(from);
    case "remove_coupon":
      return { kind, coupon: from.text(), by: readActor(from) };
    case "claim":
      return { kind, buyer: readBuyer(from), coupon: from.text(), key: from.nullableText() };
    default:
      return kind satisfies never;
  }
}

const readCreateCoupon = (from: ByteReader): CreateCoupon => ({
  kind: "create_coupon",
  coupon: from.text(),
  amount: readAmount(from),
});

function writeRefund(to: ByteWriter, command: Refund): void {
  to.number(command.order);
  to.nullable(command.units);
  to.boolean(command.restock);
  to.nullableText(command.reason);
  writeActor(to, command.by);
  to.nullableText(command.key);
}

const readRefund = (from: ByteReader): Refund => ({
  kind: "refund",
  order: from.whole(1),
  units: from.nullable(),
  restock: from.boolean(),
  reason: from.nullableText(),
  by: readActor(from),
  key: from.nullableText(),
  lookup: null,
});

function writeCodeUser(to: ByteWriter, by: CodeUser): void {
  if (by === null) to.u8(nobody);
  else if (by === "merchant") to.u8(merchant);
  else writeBuyer(to, by);
}

function readCodeUser(from: ByteReader): CodeUser {
  const kind = from.u8();
  if (kind === nobody) return null;
  if (kind === merchant) return "merchant";
  const known = buyerKinds[kind];
  if (known === undefined) throw new FrameError(`there is no kind ${kind} of buyer`);
  return { kind: known, userId: from.text() };
}

const readPrice = (from: ByteReader): number | null => from.nullable();

function readCheckout(from: ByteReader): Checkout {
  const buyer = readBuyer(from);
  const item = from.whole(unnamed);
  const sale = from.whole(unknown);
  const key = from.nullableText();
  const price = readPrice(from);
  return new LinkedCheckout({ buyer, item, sale, key, price, ticket: from.nullableCode() });
}

type CheckoutRead = {
  readonly buyer: Buyer;
  readonly item: number;
  readonly sale: number;
  readonly key: string | null;
  readonly price: number | null;
  readonly ticket: string | null;
};

/** Most checkouts of a flood are refused, and what is not reserved needs no code. */
class LinkedCheckout implements Checkout {
  readonly kind = "checkout";
  readonly buyer: Buyer;
  readonly item: Checkout["item"];
  readonly sale: Checkout["sale"];
  readonly key: string | null;
  readonly expectedPriceCents: number | null;
  readonly ticket: string | null;
  #code: string | null = null;

  constructor({ buyer, item, sale, key, price, ticket }: CheckoutRead) {
    this.buyer = buyer;
    this.item = item === unnamed ? "any" : item;
    this.sale = sale === unnamed ? "current" : sale === unknown ? "unknown" : sale;
    this.key = key;
    this.expectedPriceCents = price;
    this.ticket = ticket;
  }

  get code(): string {
    return (this.#code ??= Bun.randomUUIDv7());
  }
}

function readBuy(from: ByteReader): Buy {
  const buyer = readBuyer(from);
  const item = from.whole(unknown);
  const sale = from.whole(unknown);
  return {
    kind: "buy",
    buyer,
    itemId: item === unknown ? "unknown" : item,
    saleId: sale === unknown ? "unknown" : sale,
    quantity: from.whole(1),
    key: from.nullableText(),
    expectedPriceCents: readPrice(from),
    ticket: from.nullableCode(),
    code: Bun.randomUUIDv7(),
  };
}

function readSale(from: ByteReader): number | "unknown" {
  const sale = from.whole(unknown);
  return sale === unknown ? "unknown" : sale;
}

const readJoin = (from: ByteReader): Join => ({
  kind: "join",
  buyer: readBuyer(from),
  sale: readSale(from),
  key: from.nullableText(),
  ticket: crypto.randomUUID(),
});

/** In a queue, or on a waiting list. */
function writeWaiting(to: ByteWriter, command: Join | WaitlistJoin | WaitlistLeave): void {
  writeBuyer(to, command.buyer);
  to.number(command.sale === "unknown" ? unknown : command.sale);
  if (command.kind === "join") to.nullableText(command.key);
  if (command.kind === "waitlist_join") to.number(command.item === "any" ? unnamed : command.item);
}

function readWaitlistJoin(from: ByteReader): WaitlistJoin {
  const buyer = readBuyer(from);
  const sale = readSale(from);
  const item = from.whole(unnamed);
  return {
    kind: "waitlist_join",
    buyer,
    sale,
    item: item === unnamed ? "any" : item,
  };
}
