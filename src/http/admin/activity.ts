/** Who has changed what, for administrators and keys that read. */
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { listActivity, type Activity } from "../../store/activity.ts";
import type { Db } from "../../store/db.ts";
import { actorKind } from "../../store/schema.ts";
import { withScope } from "../callers.ts";
import { pageOf, pageParams, time, timeShape } from "../fields.ts";
import { Invalid, queryOf } from "../parse.ts";
import { json, problem } from "../problems.ts";
import type { Route } from "../server.ts";

const changesPerPage = 50;
const changesPerPageMax = 500;

const something = z.record(z.string(), z.unknown()).nullable();
const change = z.object({
  seq: z.int(),
  at: timeShape,
  by: z.enum(actorKind.enumValues).describe("Whether `who` is an account or a key"),
  who: z.string(),
  what: z.string().meta({ example: "order.refunded" }),
  before: something.describe("What it was, as far as it differs; null for what was made"),
  after: something.describe("What it is now; null for what is gone"),
});
const changePage = z.object({ activity: z.array(change), next_after: z.int().nullable() });

export function activityRoutes(accounts: Accounts, { db }: { readonly db: Db }): Route[] {
  return [
    {
      path: "/api/admin/activity",
      methods: {
        GET: {
          cost: "records",
          handle: withScope(accounts, "read", (request) => list(db, queryOf(request.url))),
          summary: "Every change that an administrator or a key has made, newest first",
          auth: "admin",
          query: z.object(pageParams("change, which is older", changesPerPageMax)),
          answers: { 200: changePage },
          refusals: ["invalid_request", "unauthenticated", "forbidden"],
        },
      },
    },
  ];
}

async function list(db: Db, query: string): Promise<Response> {
  const bounds = {
    limit: changesPerPage,
    limitMax: changesPerPageMax,
    after: Number.MAX_SAFE_INTEGER,
  };
  const page = pageOf(query, bounds);
  if (page instanceof Invalid) return problem("invalid_request", page);
  const { after: before, limit } = page;
  const found = await listActivity(db, { before, limit: limit + 1 });
  const shown = found.slice(0, limit);
  return json({
    activity: shown.map(showChange),
    next_after: found.length > limit ? (shown.at(-1)?.seq ?? null) : null,
  });
}

const showChange = ({ seq, at, by, who, what, before, after }: Activity) => ({
  seq,
  at: time(at.getTime()),
  by,
  who,
  what,
  before,
  after,
});
