/**
 * Requests that come in floods: each as Lua for wrk, and as a function for autocannon. The two
 * draw from the same numbers.
 */

import { createHmac } from "node:crypto";

export type Flood = {
  /** Lua that defines `function request()`, which returns a whole HTTP request. `head` is defined. */
  readonly lua: string;
  readonly request: () => {
    readonly method: "POST";
    readonly path: string;
    readonly body?: string;
    readonly headers?: Readonly<Record<string, string>>;
  };
};

const users = 1_000_000;
const items = 10_000;
/** So few that each has been verified before what counts begins. */
const customers = 1_000;

/** What the tokens of `proven` are signed with. */
export const tokenSecret = "what the bench signs its customers' tokens with";
const people = 1_000_000_000;
/** The hourly sale that opens next, where there was none before the one that is open. */
export const nextSale = 2;

const random = (most: number): number => 1 + Math.floor(Math.random() * most);

/** As a proxy forwards it: one of sixteen million. */
const address = (): string => `10.${random(255)}.${random(255)}.${random(255)}`;
const addressLua = `"10." .. random(255) .. "." .. random(255) .. "." .. random(255)`;

const base64 = (of: object): string => Buffer.from(JSON.stringify(of)).toString("base64url");

/** User tokens of as many customers, good for hours. */
function tokens(): string[] {
  const exp = Math.floor(Date.now() / 1000) + 6 * 3_600;
  return Array.from({ length: customers }, (_, n) => {
    const signed = `${base64({ alg: "HS256" })}.${base64({ sub: `customer ${n}`, exp })}`;
    return `${signed}.${createHmac("sha256", tokenSecret).update(signed).digest("base64url")}`;
  });
}

let made: readonly string[] | null = null;

export const floods = {
  checkout: {
    lua: `
local random = math.random
local tail = " HTTP/1.1" .. head .. "Content-Length: 0\\r\\n\\r\\n"
function request()
  return "POST /checkout?user_id=" .. random(${users}) .. "&id=" .. random(${items}) .. tail
end`,
    request: () => ({
      method: "POST",
      path: `/checkout?user_id=${random(users)}&id=${random(items)}`,
    }),
  },
  /** By guests behind a proxy, from an address of their own each time. */
  forwarded: {
    lua: `
local random = math.random
local tail = " HTTP/1.1" .. head .. "Content-Length: 0\\r\\nX-Forwarded-For: "
function request()
  return "POST /checkout?user_id=" .. random(${users}) .. "&id=" .. random(${items}) .. tail
    .. ${addressLua} .. "\\r\\n\\r\\n"
end`,
    request: () => ({
      method: "POST",
      path: `/checkout?user_id=${random(users)}&id=${random(items)}`,
      headers: { "X-Forwarded-For": address() },
    }),
  },
  /** The same by customers with user tokens. */
  proven: {
    get lua() {
      const list = tokens().map((token) => JSON.stringify(token));
      return `
local random = math.random
local tokens = { ${list.join(",")} }
local tail = " HTTP/1.1" .. head .. "Content-Length: 0\\r\\nX-Forwarded-For: "
function request()
  return "POST /checkout?id=" .. random(${items}) .. tail .. ${addressLua}
    .. "\\r\\nAuthorization: Bearer " .. tokens[random(${customers})] .. "\\r\\n\\r\\n"
end`;
    },
    request: () => {
      made ??= tokens();
      const Authorization = `Bearer ${made[random(customers) - 1]}`;
      return {
        method: "POST",
        path: `/checkout?id=${random(items)}`,
        headers: { Authorization, "X-Forwarded-For": address() },
      };
    },
  },
  // Hardly anybody twice: each is a join.
  join: {
    lua: `
local random = math.random
local tail = " HTTP/1.1" .. head .. "Content-Length: 0\\r\\n\\r\\n"
function request()
  return "POST /sales/${nextSale}/queue?user_id=" .. random(${people}) .. tail
end`,
    request: () => ({
      method: "POST",
      path: `/sales/${nextSale}/queue?user_id=${random(people)}`,
    }),
  },
} as const satisfies Record<string, Flood>;

export type FloodName = keyof typeof floods;

export const isFloodName = (name: string): name is FloodName => Object.hasOwn(floods, name);
