/** The queue of a sale as an administrator watches it: what has become of those who were let in. */
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { withScope } from "../callers.ts";
import { idIn, idParam } from "../fields.ts";
import { problem } from "../problems.ts";
import type { Queues } from "../queue/queues.ts";
import { queueFigures } from "../queue-shapes.ts";
import type { Route } from "../server.ts";

const count = z.int().min(0).nullable();

const progress = queueFigures
  .extend({
    bought: count.describe("Buyers who own something. This and what follows: null long after it"),
    holding: count.describe("Others who hold something"),
    given_up: count.describe("Tickets of which the pass has ended without a purchase"),
  })
  .meta({ id: "QueueProgress" });

export const queueProgressRoute = (accounts: Accounts, queues: Queues): Route => ({
  path: "/api/admin/flash-sales/:id/queue",
  methods: {
    GET: {
      cost: "large",
      handle: withScope(accounts, "read", (request) => {
        const id = idIn(request, "id");
        return id === null ? problem("sale_not_found") : queues.progress(id);
      }),
      summary: "The queue of a sale: who was let in, bought, and gave up",
      auth: "admin",
      path: idParam("The sale, of either kind"),
      answers: { 200: progress },
      refusals: ["sale_not_found", "no_queue", "unauthenticated", "forbidden", "unavailable"],
    },
  },
});
