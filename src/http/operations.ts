/** What whoever runs the program asks: does it live, can it sell, its figures, its document. */
import { z } from "zod";
import type { Accounts } from "../access/accounts.ts";
import type { Access } from "../access/identity.ts";
import { networkOf } from "../access/clients.ts";
import { noticedMs } from "../engine/clock.ts";
import type { DiskWatch } from "../engine/disk-watch.ts";
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
  /** Which of the program's processes this is, where there are several. */
  readonly process: string | null;
  readonly disk: DiskWatch;
  readonly metrics: Pick<Metrics, "text" | "contentType">;
  readonly accounts: Accounts;
  readonly access: Access;
  /** The API's document. */
  readonly document: () => Promise<Compressed>;
};

export function operationRoutes(context: OperationsContext): Route[] {
  const { engine, process, disk, metrics, accounts, access, document } = context;
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
          handle: () => ready(engine, process, disk),
          summary: "200 only when it can sell, or ask the one that can",
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
          // Nobody scrapes more often than once a second.
          cost: "large",
          summary: "Figures of this process, and of those that share its port, for Prometheus",
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
          cost: "large",
          summary: "This document",
          answers: { 200: z.looseObject({ openapi: z.string() }), 304: null },
          refusals: [],
        },
      },
    },
  ];
}

/**
 * A standby is ready too, while it reaches the leader; who is about to end is not, nor a leader that
 * may be none any more.
 */
async function ready(engine: Engine, process: string | null, disk: DiskWatch): Promise<Response> {
  const { role, writer, isDeparting, clockDifferenceMs } = engine;
  if (role.name === "starting" || !writer.isReachable || isDeparting) {
    const detail = isDeparting ? "This process is about to end." : "Nobody is known to sell.";
    return problem("unavailable", { detail, retryAfterMs: 1000 });
  }
  // One that leads for certain is asked nothing; otherwise whoever reads is refused, too.
  if (role.name === "leader") await role.writer.read(() => {});
  const isOff = Math.abs(clockDifferenceMs) >= noticedMs;
  const seconds = Math.round(Math.abs(clockDifferenceMs) / 1000);
  const way = clockDifferenceMs > 0 ? "ahead of" : "behind";
  return json({
    role: role.name,
    epoch: role.epoch,
    process,
    database: "up",
    clock: {
      difference_ms: clockDifferenceMs,
      warning: isOff
        ? `The machine's clock is ${seconds} s ${way} the time that sales go by.`
        : null,
    },
    disk: { free_bytes: disk.freeBytes, warning: disk.warning },
  });
}

/** What proxies say of whom they pass on. */
const passedOn = ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"] as const;

/** Lets in this machine itself, and whoever may read; not whom a proxy on it passes on. */
function guarded(accounts: Accounts, handle: Handler): Handler {
  const proven = withScope(accounts, "read", handle);
  return (request, server) => {
    const isAnonymous =
      request.headers.get("Authorization") === null && request.headers.get("Cookie") === null;
    const isDirect = !passedOn.some((name) => request.headers.has(name));
    return isAnonymous &&
      isDirect &&
      isLoopback(networkOf(accounts.clients.addressOf(request, server)))
      ? handle(request, server)
      : proven(request, server);
  };
}
