/** What every answer carries, one to what went wrong too: seen over HTTP, with handlers that fail. */
import { afterAll, describe, expect, test } from "bun:test";
import { BlockList } from "node:net";
import { z } from "zod";
import { Clients } from "../../src/access/clients.ts";
import { OverloadedError, UnavailableError } from "../../src/engine/writer.ts";
import { Gate } from "../../src/http/gate.ts";
import { serve, type Operation } from "../../src/http/server.ts";

const origin = "https://shop.example";
const gate = new Gate({
  accounts: { identify: () => ({ kind: "guest" }) },
  clients: new Clients({ trustedProxies: new BlockList() }),
  rates: null,
  corsOrigins: new Set([origin]),
});

const operation = (handle: Operation["handle"]): Operation => ({
  handle,
  summary: "",
  answers: { 200: z.object({}) },
  refusals: [],
});
const failing: Readonly<Record<string, Operation["handle"]>> = {
  "/later": async () => {
    throw new UnavailableError("nobody leads");
  },
  "/at-once": () => {
    throw new OverloadedError("too many requests are waiting");
  },
  "/broken": async () => {
    throw new Error("broken");
  },
};

const logged = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};
let isDeparting = false;
const server = serve({
  routes: Object.entries(failing).map(([path, handle]) => ({
    path,
    methods: { GET: operation(handle), POST: operation(handle) },
  })),
  host: "127.0.0.1",
  port: 0,
  log: logged,
  gate,
  isDeparting: () => isDeparting,
});
afterAll(async () => await server.stop(true));

const ask = (path: string, method = "GET", headers = {}) =>
  fetch(new URL(path, server.url), {
    method,
    headers: { Origin: origin, Authorization: "Bearer some", ...headers },
  });

describe.each(["/later", "/at-once", "/broken"])("an answer to what failed, at %s", (path) => {
  test.each(["GET", "POST"])("is read by the pages that may read others: %s", async (method) => {
    for (const headers of [{}, { "X-Request-Id": "mine" }]) {
      // oxlint-disable-next-line no-await-in-loop
      const answer = await ask(path, method, headers);
      expect(answer.status).toBe(path === "/broken" ? 500 : 503);
      expect(answer.headers.get("Access-Control-Allow-Origin")).toBe(origin);
      expect(answer.headers.get("Access-Control-Expose-Headers")).toContain("Retry-After");
      expect(answer.headers.get("X-Request-Id")).not.toBeNull();
    }
  });

  test("tells who asks to connect anew, once the program is about to end", async () => {
    isDeparting = true;
    const answer = await ask(path);
    isDeparting = false;
    expect(answer.headers.get("Connection")).toBe("close");
  });
});

test("what is at no path is told to those pages too", async () => {
  const answer = await ask("/nothing-here");
  expect(answer.status).toBe(404);
  expect(answer.headers.get("Access-Control-Allow-Origin")).toBe(origin);
  isDeparting = true;
  const parting = await ask("/nothing-here");
  isDeparting = false;
  expect(parting.headers.get("Connection")).toBe("close");
});
