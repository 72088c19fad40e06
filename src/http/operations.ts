/** Whether the process lives, and whether it can sell. */
import type { Engine } from "../engine.ts";
import { json, problem } from "./problems.ts";
import type { Route } from "./server.ts";

export function operationRoutes(engine: Engine): Route[] {
  return [
    { path: "/health", methods: { GET: () => json({ status: "ok" }) } },
    { path: "/ready", methods: { GET: () => ready(engine) } },
  ];
}

/** A standby is ready too: it passes what only the leader may do on to it. */
function ready({ role }: Engine): Response {
  if (role.name === "starting") {
    return problem("unavailable", { detail: "Not selling yet.", retryAfterMs: 1000 });
  }
  return json({ role: role.name, epoch: role.epoch, database: "up" });
}
