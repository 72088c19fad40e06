/** What administrators see and make of API keys. A key makes no other: it could outlive itself. */
import type { BunRequest } from "bun";
import { z } from "zod";
import type { Account, Accounts } from "../../access/accounts.ts";
import type { Actor } from "../../ledger/commands.ts";
import { integerMax } from "../../store/integer.ts";
import { scopes, type StoredKey } from "../../store/keys.ts";
import { readBody, textField } from "../body.ts";
import { idIn, idParam, instant, pageOf, pageParams, time, timeShape } from "../fields.ts";
import { Invalid, queryOf } from "../parse.ts";
import { json, problem } from "../problems.ts";
import type { Route } from "../server.ts";
import { fresh, withAdmin } from "../shop/accounts.ts";

const keysPerPage = 100;
const keysPerPageMax = 500;

const scope = z.enum(scopes, "is none of sell, manage and read");

const newKey = z.strictObject({
  name: textField.meta({ example: "Shop server" }),
  scopes: z
    .array(scope, "is not a list of scopes")
    .min(1, "is empty")
    .max(scopes.length, "has more scopes than there are")
    .refine((given) => new Set(given).size === given.length, "names a scope twice")
    .meta({ example: ["sell"] }),
  expires_at: instant.nullish().meta({ example: "2030-01-31T12:00:00Z" }),
});

const keyShape = z.object({
  id: z.int(),
  name: z.string(),
  scopes: z.array(scope),
  created_at: timeShape,
  expires_at: timeShape.nullable(),
  last_used_at: timeShape.nullable(),
  revoked_at: timeShape.nullable(),
});
const madeKey = keyShape.extend({
  key: z.string().describe("The key itself, shown this once").meta({ example: "sk_…" }),
});
const keyPage = z.object({ keys: z.array(keyShape), next_after: z.int().nullable() });

export function keyRoutes(accounts: Accounts): Route[] {
  return [
    {
      path: "/api/admin/keys",
      methods: {
        GET: {
          handle: withAdmin(accounts, (request) => list(accounts, queryOf(request.url))),
          cost: "records",
          summary: "A page of the API keys, the youngest first, those that were revoked too",
          auth: "admin",
          query: z.object(pageParams("key's id", keysPerPageMax)),
          answers: { 200: keyPage },
          refusals: ["invalid_request"],
        },
        POST: {
          handle: withAdmin(accounts, (request, _server, admin) =>
            create(accounts, request, admin),
          ),
          summary: "Make an API key, which is shown this once",
          description:
            "`sell` buys in the name of any customer, `manage` changes what there is, `read` sees " +
            "everything. Only its hash is stored.",
          auth: "admin",
          body: newKey,
          answers: { 201: madeKey },
          refusals: ["key_exists", "cross_site"],
        },
      },
    },
    {
      path: "/api/admin/keys/:id",
      methods: {
        DELETE: {
          handle: withAdmin(accounts, (request, _server, admin) =>
            revoke(accounts, request, admin),
          ),
          summary: "Revoke an API key: it is dead within two seconds, on every process",
          auth: "admin",
          path: idParam("The key's id"),
          answers: { 204: null },
          refusals: ["key_not_found", "cross_site"],
        },
      },
    },
  ];
}

async function list(accounts: Accounts, query: string): Promise<Response> {
  const bounds = { limit: keysPerPage, limitMax: keysPerPageMax, after: integerMax };
  const page = pageOf(query, bounds);
  if (page instanceof Invalid) return problem("invalid_request", page);
  const found = await accounts.keys.list({
    before: Math.min(page.after, integerMax),
    limit: page.limit + 1,
  });
  const shown = found.slice(0, page.limit);
  return fresh(
    json({
      keys: shown.map(showKey),
      next_after: found.length > page.limit ? (shown.at(-1)?.id ?? null) : null,
    }),
  );
}

const asActor = ({ username }: Account): Actor => ({ kind: "account", name: username });

async function create(accounts: Accounts, request: Request, admin: Account): Promise<Response> {
  const body = await readBody(request, newKey);
  if (body instanceof Response) return body;
  const { name, scopes: granted, expires_at: expires } = body;
  const expiresAt = expires == null ? null : new Date(expires);
  const made = await accounts.keys.create({ name, scopes: granted, expiresAt }, asActor(admin));
  if (made === null) return problem("key_exists");
  return fresh(json({ ...showKey(made.key), key: made.text }, 201));
}

async function revoke(accounts: Accounts, request: BunRequest, admin: Account): Promise<Response> {
  const id = idIn(request, "id");
  const revoked = id === null ? null : await accounts.keys.revoke(id, asActor(admin));
  return revoked === null ? problem("key_not_found") : new Response(null, { status: 204 });
}

const showKey = (key: StoredKey) => ({
  id: key.id,
  name: key.name,
  scopes: key.scopes,
  created_at: time(key.createdAt.getTime()),
  expires_at: key.expiresAt === null ? null : time(key.expiresAt.getTime()),
  last_used_at: key.lastUsedAt === null ? null : time(key.lastUsedAt.getTime()),
  revoked_at: key.revokedAt === null ? null : time(key.revokedAt.getTime()),
});
