/** What is said of queues: their figures, and their audit. */
import { z } from "zod";

const count = z.int().min(0);

/** What is said of a queue to everybody. */
export const queueFigures = z.object({
  sale_id: z.int().min(1),
  state: z.enum(["gathering", "admitting", "closed"]),
  joined: count,
  admitted_up_to: count.describe("Those of ranks up to this are let in"),
  admit_per_second: count,
  paused: z.boolean(),
});

export const queueAuditShape = z.object({
  joined: count,
  drawn: count,
  broken_commitments: count.describe("Seeds and promises that are not what was announced"),
  broken_draws: count.describe("Draws of other entries than there are"),
  left_out_of_draw: count,
  missing_tickets: count,
  tickets_without_attempt: count,
  attempts_without_ticket: count,
  rates_without_attempt: count.describe("Rates that nobody has set, or not so or then"),
  attempts_without_rate: count,
  reserved_without_ticket: count,
  reserved_before_turn: count.describe("By the ranks, reckoned again"),
  reserved_after_pass: count,
});
