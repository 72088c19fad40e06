/** What whoever runs the program asks: does it live, can it sell, its figures, its document. */
import { z } from "zod";
import { noticedMs } from "../engine/clock.ts";
import type { Engine } from "../engine/engine.ts";
import type { Metrics } from "../engine/metrics.ts";
import { sendCompressed, type Compressed } from "./compressed.ts";
import { json, problem } from "./problems.ts";
import { healthShape, readyShape } from "./schemas.ts";
import type { Route } from "./server.ts";

export type OperationsContext = {
  readonly engine: Engine;
  readonly metrics: Pick<Metrics, "text" | "contentType">;
  /** The API's document. */
  readonly document: () => Promise<Compressed>;
};

export function operationRoutes({ engine, metrics, document }: OperationsContext): Route[] {
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
          handle: async () =>
            new Response(await metrics.text(), {
              headers: { "Content-Type": metrics.contentType, "Cache-Control": "no-store" },
            }),
          summary: "Figures of this process, for Prometheus",
          answers: { 200: z.string() },
          mediaType: "text/plain",
          refusals: [],
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
