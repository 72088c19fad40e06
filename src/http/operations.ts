/** What whoever runs the program asks: does it live, can it sell, its figures, its document. */
import { z } from "zod";
import type { Accounts } from "../access/accounts.ts";
import type { Access } from "../access/identity.ts";
import { networkOf } from "../access/clients.ts";
import { noticedMs } from "../engine/clock.ts";
import type { Engine } from "../engine/engine.ts";
import type { Metrics } from "../engine/metrics.ts";
import { sendCompressed, type Compressed } from "./compressed.ts";
import { json, problem } from "./problems.ts";
import { healthShape, readyShape } from "./schemas.ts";
import type { Handler, Route } from "./server.ts";
import { withScope } from "./callers.ts";
import { isLoopback } from "./connections.ts";

export type OperationsContext = {
  readonly engine: Engine;
  readonly metrics: Pick<Metrics, "text" | "contentType">;
  readonly accounts: Accounts;
  readonly access: Access;
  /** The API's document. */
  readonly document: () => Promise<Compressed>;
};

export function operationRoutes(context: OperationsContext): Route[] {
  const { engine, metrics, accounts, access, document } = context;
  const figures = async (): Promise<Response> =>
    new Response(await metrics.text(), {
      headers: {
        "Content-Type": metrics.contentType,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
      },
    });
  return [
    {
      path: "/health",
      methods: {
        GET: {
          handle: () => json({ status: "ok" }),
          summary: "200 while the process lives",
          answers: { 200: healthShape },
          refusals: [],
        },
      },
    },
    {
      path: "/ready",
      methods: {
        GET: {
          handle: () => ready(engine),
          summary: "200 only when it can sell, or pass on to the one that can",
          answers: { 200: readyShape },
          refusals: ["unavailable"],
        },
      },
    },
    {
      path: "/metrics",
      methods: {
        GET: {
          handle: access === "open" ? figures : guarded(accounts, figures),
          summary: "Figures of this process, for Prometheus",
          description:
            "With `ACCESS=guarded` for this machine itself, for administrators, and for keys with " +
            "the scope `read`.",
          answers: { 200: z.string() },
          mediaType: "text/plain",
          refusals: access === "open" ? [] : ["unauthenticated", "forbidden"],
        },
      },
    },
    {
      path: "/openapi.json",
      methods: {
        GET: {
          handle: async (request) => sendCompressed(request, await document(), "no-cache"),
          summary: "This document",
          answers: { 200: z.looseObject({ openapi: z.string() }), 304: null },
          refusals: [],
        },
      },
    },
  ];
}

/** A standby is ready too: it passes what only the leader may do on to it. */
function ready({ role, clockDifferenceMs }: Engine): Response {
  if (role.name === "starting") {
    return problem("unavailable", { detail: "Not selling yet.", retryAfterMs: 1000 });
  }
  const isOff = Math.abs(clockDifferenceMs) >= noticedMs;
  const seconds = Math.round(Math.abs(clockDifferenceMs) / 1000);
  const way = clockDifferenceMs > 0 ? "ahead of" : "behind";
  return json({
    role: role.name,
    epoch: role.epoch,
    database: "up",
    clock: {
      difference_ms: clockDifferenceMs,
      warning: isOff
        ? `The machine's clock is ${seconds} s ${way} the time that sales go by.`
        : null,
    },
  });
}

/** Lets in this machine itself, and whoever may read. */
function guarded(accounts: Accounts, handle: Handler): Handler {
  const proven = withScope(accounts, "read", handle);
  return (request, server) => {
    const isAnonymous =
      request.headers.get("Authorization") === null && request.headers.get("Cookie") === null;
    return isAnonymous && isLoopback(networkOf(accounts.clients.addressOf(request, server)))
      ? handle(request, server)
      : proven(request, server);
  };
}
