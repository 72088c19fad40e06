/**
 * The tickets of one queue: compact, for a million of them may wait. A ticket is 16 random bytes,
 * which are a secret, and a number, from 1 in the order of joining; a buyer has one that counts, the
 * last. Kept in pages of typed arrays that never move, so that none of it holds the thread for long.
 */
import type { Buyer, BuyerKind } from "./buyers.ts";
import { Slots } from "./slots.ts";

const ticketBytes = 16;
const dash = 0x2d;

/** Tickets on one page. */
const pageTickets = 8_192;
/** Bytes for the names of one page, to begin with. */
const nameBytesMin = 16_384;

const kinds: readonly BuyerKind[] = ["guest", "account", "customer"];

/** Somebody who has joined. */
type Ticket = {
  /** As a UUID is written. */
  readonly ticket: string;
  readonly buyer: Buyer;
  /** The idempotency key that it was joined with; null without one. */
  readonly key: string | null;
  readonly joinedAt: number;
};

/** Where names are: a page's own bytes, and where each ticket's begin. */
type Page = {
  readonly tickets: Uint8Array;
  readonly joinedAt: Float64Array;
  /** When its buyer held or bought something last, ms; 0 for never. */
  readonly activeAt: Float64Array;
  readonly buyerHashes: Uint32Array;
  /** Of ticket N of the page, its names begin at N and end at N + 1. */
  readonly nameEnds: Uint32Array;
  /** The kind, the length of the user id, the user id, and the key where there is one. */
  names: Uint8Array;
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Tickets {
  readonly #pages: Page[] = [];
  readonly #byTicket = new Slots((number) => this.#ticketHash(number));
  readonly #byBuyer = new Slots((number) => this.#buyerHash(number));
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** The next one; it counts from now on for its buyer. @returns its number */
  add({ ticket, buyer, key, joinedAt }: Ticket): number {
    const before = this.ofBuyer(buyer);
    const number = this.#count + 1;
    const index = this.#count % pageTickets;
    const page = index === 0 ? this.#newPage() : this.#pageOf(number);
    writeTicket(page.tickets, index * ticketBytes, ticket);
    page.joinedAt[index] = joinedAt;
    const hash = hashOf(buyer);
    page.buyerHashes[index] = hash;
    writeNames(page, index, buyer, key);
    this.#count = number;
    this.#byTicket.set(this.#ticketHash(number), number, 0);
    this.#byBuyer.set(hash, number, before);
    return number;
  }

  /** The number of a buyer's ticket that counts; 0 without one. */
  ofBuyer(buyer: Buyer): number {
    return this.#byBuyer.find(hashOf(buyer), (number) => isOf(this.buyerOf(number), buyer));
  }

  /** The number of a ticket; 0 for one that was never given. */
  find(ticket: string): number {
    const bytes = new Uint8Array(ticketBytes);
    writeTicket(bytes, 0, ticket);
    const hash = hashOfTicket(bytes, 0);
    return this.#byTicket.find(hash, (number) => this.ticketOf(number) === ticket);
  }

  buyerOf(number: number): Buyer {
    const { names, start, length } = this.#namesOf(number);
    return {
      kind: kinds[names[start] ?? 0] ?? "guest",
      userId: decoder.decode(names.subarray(start + 3, start + 3 + length)),
    };
  }

  keyOf(number: number): string | null {
    const { names, start, length, end } = this.#namesOf(number);
    const from = start + 3 + length;
    return from === end ? null : decoder.decode(names.subarray(from, end));
  }

  ticketOf(number: number): string {
    const at = ((number - 1) % pageTickets) * ticketBytes;
    return textOf(this.#pageOf(number).tickets, at);
  }

  joinedAt(number: number): number {
    return this.#pageOf(number).joinedAt[(number - 1) % pageTickets] ?? 0;
  }

  activeAt(number: number): number {
    return this.#pageOf(number).activeAt[(number - 1) % pageTickets] ?? 0;
  }

  /** Notes when the buyer of a ticket held or bought something; an earlier time changes nothing. */
  noteActive(number: number, at: number): void {
    const { activeAt } = this.#pageOf(number);
    const index = (number - 1) % pageTickets;
    activeAt[index] = Math.max(activeAt[index] ?? 0, at);
  }

  /** Of whom that was after a time, and when, by number. */
  activeAfter(time: number): (readonly [number: number, at: number])[] {
    const found: [number, number][] = [];
    for (const [page, { activeAt }] of this.#pages.entries()) {
      activeAt.forEach((at, index) => {
        if (at > time && at > 0) found.push([page * pageTickets + index + 1, at]);
      });
    }
    return found;
  }

  #pageOf(number: number): Page {
    const page = this.#pages[Math.floor((number - 1) / pageTickets)];
    if (page === undefined) throw new Error(`there is no ticket ${number}`);
    return page;
  }

  #newPage(): Page {
    const page: Page = {
      tickets: new Uint8Array(pageTickets * ticketBytes),
      joinedAt: new Float64Array(pageTickets),
      activeAt: new Float64Array(pageTickets),
      buyerHashes: new Uint32Array(pageTickets),
      nameEnds: new Uint32Array(pageTickets + 1),
      names: new Uint8Array(nameBytesMin),
    };
    this.#pages.push(page);
    return page;
  }

  #ticketHash(number: number): number {
    const at = ((number - 1) % pageTickets) * ticketBytes;
    return hashOfTicket(this.#pageOf(number).tickets, at);
  }

  #buyerHash(number: number): number {
    return this.#pageOf(number).buyerHashes[(number - 1) % pageTickets] ?? 0;
  }

  #namesOf(number: number) {
    const { names, nameEnds } = this.#pageOf(number);
    const index = (number - 1) % pageTickets;
    const start = nameEnds[index] ?? 0;
    const length = ((names[start + 1] ?? 0) << 8) | (names[start + 2] ?? 0);
    return { names, start, length, end: nameEnds[index + 1] ?? 0 };
  }
}

const isOf = (a: Buyer, b: Buyer): boolean => a.kind === b.kind && a.userId === b.userId;

function writeNames(page: Page, index: number, { kind, userId }: Buyer, key: string | null): void {
  const start = page.nameEnds[index] ?? 0;
  const most = start + 3 + 3 * (userId.length + (key?.length ?? 0));
  if (most > page.names.length) {
    const grown = new Uint8Array(Math.max(2 * page.names.length, most));
    grown.set(page.names);
    page.names = grown;
  }
  const { names } = page;
  names[start] = kinds.indexOf(kind);
  const from = start + 3;
  const length = writeText(names, from, userId);
  names[start + 1] = length >>> 8;
  names[start + 2] = length & 0xff;
  const keyLength = key === null ? 0 : writeText(names, from + length, key);
  page.nameEnds[index + 1] = from + length + keyLength;
}

/** @returns how many bytes it takes, as UTF-8 */
function writeText(to: Uint8Array, at: number, text: string): number {
  // Of what is plain each character is a byte; the encoder asks for a view of where to write.
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return encoder.encodeInto(text, to.subarray(at)).written;
    to[at + index] = code;
  }
  return text.length;
}

/** FNV-1a, by the units of the text. */
function hashOf({ kind, userId }: Buyer): number {
  let hash = 0x81_1c_9d_c5 ^ kinds.indexOf(kind);
  for (let index = 0; index < userId.length; index += 1) {
    hash = Math.imul(hash ^ userId.charCodeAt(index), 0x01_00_01_93);
  }
  // Its lowest bits choose a slot, its highest a part: both are to be of all of it.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85_eb_ca_6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** A ticket is random: some of its bytes are a hash of it. */
const hashOfTicket = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)) >>>
  0;

const digits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** The text of a ticket, of its bytes from `at` on. */
function textOf(bytes: Uint8Array, at: number): string {
  const hex = (from: number): string => digits[bytes[at + from] ?? 0] ?? "";
  const first = hex(0) + hex(1) + hex(2) + hex(3);
  const middle = `${hex(4)}${hex(5)}-${hex(6)}${hex(7)}-${hex(8)}${hex(9)}`;
  return `${first}-${middle}-${hex(10)}${hex(11)}${hex(12)}${hex(13)}${hex(14)}${hex(15)}`;
}

/** What each character is worth as a digit of hex, by its code. */
const worths = new Uint8Array(128);
for (let worth = 0; worth < 16; worth += 1) {
  const digit = worth.toString(16);
  worths[digit.charCodeAt(0)] = worth;
  worths[digit.toUpperCase().charCodeAt(0)] = worth;
}

/** @param ticket 32 digits, and dashes between them; shorter than that, the rest is 0 */
function writeTicket(to: Uint8Array, at: number, ticket: string): void {
  const worthAt = (index: number): number => worths[ticket.charCodeAt(index)] ?? 0;
  let from = 0;
  for (let index = 0; index < ticketBytes; index += 1) {
    if (ticket.charCodeAt(from) === dash) from += 1;
    to[at + index] = (worthAt(from) << 4) | worthAt(from + 1);
    from += 2;
  }
}
