/**
 * Reads what clients send. Everything is checked here, once; what comes out is safe to store:
 * well-formed text without NUL, numbers in range. A parser returns the value, or an `Invalid`
 * that names the field.
 */
import { isOverTls } from "../access/cookies.ts";
import { nameOf } from "../access/text.ts";
import { integerMax } from "../store/integer.ts";
import type { Checkout } from "../ledger/commands.ts";

export class Invalid {
  readonly detail: string;

  constructor(field: string, complaint: string) {
    this.detail = `${field} ${complaint}`;
  }
}

export { textCharactersMax } from "../access/text.ts";

const idempotencyKeyBytesMax = 128;

/** The query of a URL, undecoded, without its question mark. */
export function queryOf(url: string): string {
  const mark = url.indexOf("?");
  return mark < 0 ? "" : url.slice(mark + 1);
}

/**
 * The path of a request's URL, undecoded. Not by `URL`: a request of HTTP/1.0 without a `Host` has
 * a path for its URL, and one with `Host: [` a URL that is none.
 */
export function pathOf(url: string): string {
  const scheme = url.startsWith("/") ? -1 : url.indexOf("://");
  const start = url.indexOf("/", scheme < 0 ? 0 : scheme + 3);
  const mark = url.indexOf("?");
  if (start < 0 || (mark >= 0 && mark < start)) return "/";
  return mark < 0 ? url.slice(start) : url.slice(start, mark);
}

/** The origin in the visitor's address bar, as far as a request tells; empty where it tells none. */
export function originOf(request: Request): string {
  // Without a host, or with one that is none, a request has no URL.
  if (!URL.canParse(request.url)) return "";
  const { protocol, host } = new URL(request.url);
  const origin = `${isOverTls(request) ? "https:" : protocol}//${host}`;
  return /^https?:\/\/[\w.:[\]-]+$/.test(origin) ? origin : "";
}

/**
 * The first value of a query parameter, decoded; null when it is missing. Written by hand:
 * URLSearchParams costs as much as the rest of a checkout's parsing together.
 */
export function queryValue(query: string, name: string): string | null | Invalid {
  for (let start = 0; start <= query.length;) {
    const ampersand = query.indexOf("&", start);
    const end = ampersand < 0 ? query.length : ampersand;
    if (query.startsWith(name, start)) {
      const after = start + name.length;
      if (after === end) return "";
      if (query[after] === "=" && after < end) return decode(query.slice(after + 1, end), name);
    }
    start = end + 1;
  }
  return null;
}

function decode(text: string, name: string): string | Invalid {
  if (!text.includes("%") && !text.includes("+")) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return new Invalid(name, "is not percent-encoded UTF-8");
  }
}

/** A name or id as it is stored: trimmed and composed, of 1 to 255 characters that can be seen. */
export function parseText(value: unknown, field: string): string | Invalid {
  if (value === null || value === undefined) return new Invalid(field, "is missing");
  if (typeof value !== "string") return new Invalid(field, "is not a text");
  const read = nameOf(value);
  return "name" in read ? read.name : new Invalid(field, read.complaint);
}

/** The first parameter of a query that is none of those that there are; null without one. */
export function unknownParameter(query: string, known: ReadonlySet<string>): string | null {
  for (const name of new URLSearchParams(query).keys()) {
    if (!known.has(name)) return name;
  }
  return null;
}

const digits = /^[0-9]+$/;

/** What a checkout's URL asks for. */
export type CheckoutAsked = Pick<Checkout, "item" | "sale" | "expectedPriceCents"> & {
  /** Of a queue; the header may have one, too. */
  readonly ticket: string | null;
  /** Null where nobody is named: then the request has to prove somebody. */
  readonly userId: string | null;
};

/**
 * A checkout's URL as nearly every client writes it: the contract's order, and nothing that has to
 * be decoded or refused. One look takes two fifths of the time of all those below, and leaves fewer
 * strings behind.
 */
const usualCheckout =
  /^[^?]*\?(?:user_id=([\w.@:-]{1,255})&)?id=([1-9][0-9]{0,8}|any)(?:&sale_id=([1-9][0-9]{0,8}))?$/;

/** What a checkout asks for, by its URL; the first field that is wrong when one is. */
export function parseCheckout(url: string): CheckoutAsked | Invalid {
  const [, userId, item, sale] = usualCheckout.exec(url) ?? [];
  if (item === undefined) return parseUnusualCheckout(queryOf(url));
  return {
    userId: userId ?? null,
    item: item === "any" ? item : Number(item),
    sale: sale === undefined ? "current" : Number(sale),
    expectedPriceCents: null,
    ticket: null,
  };
}

function parseUnusualCheckout(query: string): CheckoutAsked | Invalid {
  const user = queryValue(query, "user_id");
  const userId = user === null || user instanceof Invalid ? user : parseText(user, "user_id");
  if (userId instanceof Invalid) return userId;
  const id = queryValue(query, "id") ?? queryValue(query, "item_id");
  const item = id instanceof Invalid ? id : parseItem(id);
  if (item instanceof Invalid) return item;
  const expectedPriceCents = parseExpectedPrice(query);
  if (expectedPriceCents instanceof Invalid) return expectedPriceCents;
  const saleId = queryValue(query, "sale_id");
  const sale = saleId instanceof Invalid ? "unknown" : parseSale(saleId);
  return { userId, item, sale, expectedPriceCents, ticket: ticketIn(queryValue(query, "ticket")) };
}

/** What a buyer believes an item to cost, in minor units; null where nothing is said. */
export function parseExpectedPrice(query: string): number | null | Invalid {
  const none = -1;
  const bounds = { min: 0, max: integerMax, otherwise: none };
  const price = parseWhole(query, "expected_price_cents", bounds);
  return price === none ? null : price;
}

/** An item's number, or `any`. Numbers past those that can be exact stand for no item. */
function parseItem(value: string | null): number | "any" | Invalid {
  if (value === "any") return "any";
  if (value === null) return new Invalid("id", "is missing");
  const number = digits.test(value) ? Number(value) : 0;
  if (number < 1) return new Invalid("id", "is neither a positive integer nor any");
  return Math.min(number, Number.MAX_SAFE_INTEGER);
}

/** A sale's number; "unknown" for what no sale can have. */
export function parseSale(value: string | null): number | "current" | "unknown" {
  if (value === null) return "current";
  const number = digits.test(value) ? Number(value) : 0;
  return number >= 1 && number <= integerMax ? number : "unknown";
}

/** A whole number in a query, with its bounds and its default. */
export function parseWhole(
  query: string,
  name: string,
  { min, max, otherwise }: { min: number; max: number; otherwise: number },
): number | Invalid {
  const value = queryValue(query, name);
  if (value === null) return otherwise;
  if (value instanceof Invalid) return value;
  const number = digits.test(value) ? Number(value) : Number.NaN;
  if (number >= min && number <= max) return number;
  return new Invalid(name, `is not a whole number from ${min} to ${max}`);
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A reservation's code. */
export function parseCode(value: string | null | Invalid): string | Invalid {
  if (value instanceof Invalid) return value;
  if (value === null) return new Invalid("code", "is missing");
  const code = value.toLowerCase();
  return uuid.test(code) ? code : new Invalid("code", "is not a code that a checkout returns");
}

/** The ticket that a request shows by its header or its query; null for none. */
export const parseTicket = (request: Request): string | null =>
  ticketInHeader(request) ?? ticketIn(queryValue(queryOf(request.url), "ticket"));

/** For who has looked at the query. */
export const ticketInHeader = (request: Request): string | null =>
  ticketIn(request.headers.get("Queue-Ticket"));

/** What can be no ticket is none: nobody is let in by it. */
function ticketIn(value: string | null | Invalid): string | null {
  if (value === null || value instanceof Invalid) return null;
  const ticket = value.toLowerCase();
  return uuid.test(ticket) ? ticket : null;
}

/** The Idempotency-Key header; null without one. */
export function parseIdempotencyKey(value: string | null): string | null | Invalid {
  if (value === null || value === "") return null;
  // A header's value has one character for each byte that came.
  if (value.length > idempotencyKeyBytesMax) {
    return new Invalid("Idempotency-Key", `has more than ${idempotencyKeyBytesMax} bytes`);
  }
  return value;
}
