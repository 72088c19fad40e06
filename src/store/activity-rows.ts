/** That somebody has changed something by an attempt, as it is written with it. */
import type { Actor } from "../ledger/commands.ts";
import type { Note } from "./activity.ts";
import type { activity } from "./journal-rows.ts";
import { none, nullable, quote, type RowOf } from "./rows.ts";

const json = (value: object | null): string =>
  nullable(value === null ? null : JSON.stringify(value));

/** @param used the key of the request, and the parameters that it stands for; null without one */
export const activityRow = (
  nth: number,
  by: Actor,
  { what, before, after }: Note,
  used: { readonly key: string; readonly request: string } | null = null,
): RowOf<typeof activity> => ({
  nth,
  actor: by.kind,
  who: quote(by.name),
  what,
  before: json(before),
  after: json(after),
  idempotency_key: used === null ? none : quote(used.key),
  request: used === null ? none : quote(used.request),
});
