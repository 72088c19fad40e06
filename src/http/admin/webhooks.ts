/** What administrators do with webhooks: see `webhooks/`. */
import type { BunRequest } from "bun";
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import type { Actor } from "../../ledger/commands.ts";
import { eventTypes } from "../../store/feed.ts";
import { integerMax } from "../../store/integer.ts";
import { deliveriesKeptMax, webhooksMax, type StoredWebhook } from "../../store/webhooks.ts";
import { messageIdOf } from "../../webhooks/events.ts";
import type { Webhooks } from "../../webhooks/webhooks.ts";
import { readBody } from "../body.ts";
import { withScope } from "../callers.ts";
import { idIn, idParam, pageOf, pageParams, time, timeShape, whole } from "../fields.ts";
import { Invalid, queryOf } from "../parse.ts";
import { json, problem } from "../problems.ts";
import type { Route } from "../server.ts";
import { fresh } from "../shop/accounts.ts";

const perPage = 50;
const perPageMax = 200;

const wrongUrl = "is not a URL of at most 2048 characters";
const url = z
  .string(wrongUrl)
  .min(1, wrongUrl)
  .max(2_048, wrongUrl)
  .meta({ example: "https://shop.example/stampede" });
const eventType = z.enum(eventTypes, `is none of ${eventTypes.join(", ")}`);
const types = z
  .array(eventType, "is not a list of types")
  .min(1, "is empty")
  .max(eventTypes.length, "has more types than there are")
  .refine((given) => new Set(given).size === given.length, "names a type twice")
  .meta({ example: ["order.created", "order.refunded"] });
const state = z.enum(["on", "off"], "is neither on nor off");

const newWebhook = z.object({ url, types });
const webhookChange = z
  .object({ url: url.optional(), types: types.optional(), state: state.optional() })
  .refine((given) => Object.values(given).some((value) => value !== undefined), {
    message: "has nothing that can be changed",
  });
const replayBody = z.object({
  after: whole(0, Number.MAX_SAFE_INTEGER).describe("The events after this one are sent again"),
});

const webhookShape = z.object({
  id: z.int(),
  url: z.string(),
  types: z.array(eventType),
  state,
  off_why: z.string().nullable().describe("Why it is off"),
  delivered_up_to: z.int().describe("Every event up to this one was answered, or is not for it"),
  tries: z.int().describe("Of the next event, those that failed"),
  failing_since: timeShape.nullable(),
  next_try_at: timeShape.nullable(),
  created_at: timeShape,
});
const madeWebhook = webhookShape.extend({
  secret: z
    .string()
    .describe("What its deliveries are signed with, shown this once")
    .meta({ example: "whsec_…" }),
});
const webhookPage = z.object({
  webhooks: z.array(webhookShape),
  next_after: z.int().nullable(),
});
const deliveryPage = z.object({
  deliveries: z.array(
    z.object({
      id: z.int(),
      webhook_id: z.string().describe("The header: the same in each try, and in a replay"),
      seq: z.int(),
      type: z.string(),
      at: timeShape,
      delivered: z.boolean(),
      status: z.int().nullable(),
      ms: z.int(),
      error: z.string().nullable(),
    }),
  ),
  next_after: z.int().nullable(),
});

const guarded = ["unauthenticated", "forbidden"] as const;
const writing = ["invalid_request", ...guarded, "cross_site", "unavailable"] as const;

export function webhookRoutes(accounts: Accounts, webhooks: Webhooks): Route[] {
  return [
    {
      path: "/api/admin/webhooks",
      methods: {
        GET: {
          handle: withScope(accounts, "manage", (request) => list(webhooks, queryOf(request.url))),
          cost: "records",
          summary: "Webhooks, the youngest first, and how far each has come",
          auth: "admin",
          query: z.object(pageParams("webhook's id", perPageMax)),
          answers: { 200: webhookPage },
          refusals: ["invalid_request", ...guarded],
        },
        POST: {
          handle: withScope(accounts, "manage", (request, _, by) => make(webhooks, request, by)),
          summary: "Have events sent to an address, from now on",
          description:
            "Signed as Standard Webhooks describe, each event in order and at least once. The secret " +
            "is shown this once. Private and loopback addresses are refused, unless WEBHOOK_PRIVATE " +
            `says otherwise. There may be ${webhooksMax}.`,
          auth: "admin",
          body: newWebhook,
          answers: { 201: madeWebhook },
          sends: ["Location"],
          refusals: [...writing, "too_many_webhooks"],
        },
      },
    },
    ...oneRoutes(accounts, webhooks),
    ...deliveryRoutes(accounts, webhooks),
  ];
}

function oneRoutes(accounts: Accounts, webhooks: Webhooks): Route[] {
  return [
    {
      path: "/api/admin/webhooks/:id",
      methods: {
        GET: {
          handle: withScope(accounts, "manage", async (request) => {
            const id = idIn(request, "id");
            return answer(id === null ? null : await webhooks.find(id));
          }),
          cost: "records",
          summary: "A webhook, and how far it has come",
          auth: "admin",
          path: idParam("The webhook's id"),
          answers: { 200: webhookShape },
          refusals: ["webhook_not_found", ...guarded],
        },
        PATCH: {
          handle: withScope(accounts, "manage", (request, _, by) => change(webhooks, request, by)),
          summary: "Change a webhook; what had failed is tried again at once",
          description: "One that is on again goes on where it was.",
          auth: "admin",
          path: idParam("The webhook's id"),
          body: webhookChange,
          answers: { 200: webhookShape },
          refusals: [...writing, "webhook_not_found"],
        },
        DELETE: {
          handle: withScope(accounts, "manage", async (request, _, by) => {
            const id = idIn(request, "id");
            const isGone = id !== null && (await webhooks.remove(id, by));
            return isGone ? new Response(null, { status: 204 }) : problem("webhook_not_found");
          }),
          summary: "Remove a webhook, with what is known of its deliveries",
          auth: "admin",
          path: idParam("The webhook's id"),
          answers: { 204: null },
          refusals: [...guarded, "cross_site", "unavailable", "webhook_not_found"],
        },
      },
    },
  ];
}

function deliveryRoutes(accounts: Accounts, webhooks: Webhooks): Route[] {
  return [
    {
      path: "/api/admin/webhooks/:id/replay",
      methods: {
        POST: {
          handle: withScope(accounts, "manage", (request, _, by) => replay(webhooks, request, by)),
          summary: "Send the events after one again, in order, and then what follows",
          description: "Under the ids that they were sent under before.",
          auth: "admin",
          path: idParam("The webhook's id"),
          body: replayBody,
          answers: { 200: webhookShape },
          refusals: [...writing, "webhook_not_found"],
        },
      },
    },
    {
      path: "/api/admin/webhooks/:id/deliveries",
      methods: {
        GET: {
          handle: withScope(accounts, "manage", (request) => deliveries(webhooks, request)),
          cost: "records",
          summary: `The last ${deliveriesKeptMax} tries of a webhook, newest first`,
          auth: "admin",
          path: idParam("The webhook's id"),
          query: z.object(pageParams("try, which is older", perPageMax)),
          answers: { 200: deliveryPage },
          refusals: ["invalid_request", "webhook_not_found", ...guarded],
        },
      },
    },
  ];
}

/** A page, the youngest first. */
function pageIn(query: string) {
  const bounds = { limit: perPage, limitMax: perPageMax, after: Number.MAX_SAFE_INTEGER };
  const page = pageOf(query, bounds);
  return page instanceof Invalid ? problem("invalid_request", page) : page;
}

async function list(webhooks: Webhooks, query: string): Promise<Response> {
  const page = pageIn(query);
  if (page instanceof Response) return page;
  const before = Math.min(page.after, integerMax);
  const found = await webhooks.list({ before, limit: page.limit + 1 });
  const shown = found.slice(0, page.limit);
  const next_after = found.length > page.limit ? (shown.at(-1)?.id ?? null) : null;
  return fresh(json({ webhooks: shown.map(show), next_after }));
}

async function make(webhooks: Webhooks, request: BunRequest, by: Actor): Promise<Response> {
  const body = await readBody(request, newWebhook);
  if (body instanceof Response) return body;
  const target = await webhooks.target(body.url);
  if (typeof target !== "string") return wrong(target);
  const made = await webhooks.make({ url: target, types: body.types }, by);
  if (made === null) return problem("too_many_webhooks");
  const { webhook, secret } = made;
  const response = json({ ...show(webhook), secret }, 201);
  response.headers.set("Location", `/api/admin/webhooks/${webhook.id}`);
  return fresh(response);
}

async function change(webhooks: Webhooks, request: BunRequest, by: Actor): Promise<Response> {
  const body = await readBody(request, webhookChange);
  if (body instanceof Response) return body;
  const id = idIn(request, "id");
  if (id === null) return problem("webhook_not_found");
  const target = body.url === undefined ? undefined : await webhooks.target(body.url);
  if (typeof target === "object") return wrong(target);
  return answer(await webhooks.change(id, { ...body, url: target }, by));
}

async function replay(webhooks: Webhooks, request: BunRequest, by: Actor): Promise<Response> {
  const body = await readBody(request, replayBody);
  if (body instanceof Response) return body;
  const id = idIn(request, "id");
  return answer(id === null ? null : await webhooks.replay(id, body.after, by));
}

async function deliveries(webhooks: Webhooks, request: BunRequest): Promise<Response> {
  const page = pageIn(queryOf(request.url));
  if (page instanceof Response) return page;
  const id = idIn(request, "id");
  if (id === null || (await webhooks.find(id)) === null) return problem("webhook_not_found");
  const found = await webhooks.deliveries(id, { before: page.after, limit: page.limit + 1 });
  const shown = found.slice(0, page.limit);
  return fresh(
    json({
      deliveries: shown.map(({ seq, at, ...one }) => ({
        ...one,
        webhook_id: messageIdOf(seq),
        seq,
        at: time(at.getTime()),
        delivered: one.error === null,
      })),
      next_after: found.length > page.limit ? (shown.at(-1)?.id ?? null) : null,
    }),
  );
}

const wrong = ({ complaint }: { readonly complaint: string }): Response =>
  problem("invalid_request", { detail: `url ${complaint}` });

const answer = (webhook: StoredWebhook | null): Response =>
  webhook === null ? problem("webhook_not_found") : fresh(json(show(webhook)));

const timeOf = (at: Date | null): string | null => (at === null ? null : time(at.getTime()));

const show = (webhook: StoredWebhook) => ({
  id: webhook.id,
  url: webhook.url,
  types: webhook.types,
  state: webhook.offWhy === null ? "on" : "off",
  off_why: webhook.offWhy,
  delivered_up_to: webhook.cursor,
  tries: webhook.tries,
  failing_since: timeOf(webhook.failingSince),
  next_try_at: timeOf(webhook.nextTryAt),
  created_at: time(webhook.createdAt.getTime()),
});
