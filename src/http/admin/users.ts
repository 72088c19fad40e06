/** What administrators see and change of users. */
import type { BunRequest } from "bun";
import { z } from "zod";
import type { Account, Accounts } from "../../access/accounts.ts";
import { integerMax } from "../../store/integer.ts";
import type { StoredUser } from "../../store/users.ts";
import { accountShape, fresh, withAdmin } from "../shop/accounts.ts";
import { readBody } from "../body.ts";
import { Invalid, parseWhole, queryOf, queryValue } from "../parse.ts";
import { json, problem } from "../problems.ts";
import type { Route } from "../server.ts";

const user = accountShape.extend({ disabled: z.boolean(), created_at: z.iso.datetime() });
const userPage = z.object({ users: z.array(user), next_after: z.int().nullable() });

const usersPerPage = 100;
const usersPerPageMax = 500;

const change = z
  .object({
    role: z.enum(["user", "admin"], "is neither user nor admin").optional(),
    disabled: z.boolean("is neither true nor false").optional(),
    second_factor: z
      .literal(false, "is not false: its owner alone can switch it on")
      .optional()
      .describe("Takes it away from somebody who has lost it, and ends their sessions"),
  })
  .refine((given) => Object.values(given).some((value) => value !== undefined), {
    message: "has neither role nor disabled nor second_factor",
  });

export function userRoutes(accounts: Accounts): Route[] {
  return [
    {
      path: "/api/admin/users",
      methods: {
        GET: {
          handle: withAdmin(accounts, (request) => list(accounts, queryOf(request.url))),
          cost: "records",
          summary: "A page of the users, in the order of their making",
          auth: "admin",
          query: z.object({
            after: z.int().optional().describe("Id of the last user of the page before"),
            limit: z.int().optional().describe(`1 to ${usersPerPageMax}`).meta({ example: 100 }),
            q: z.string().optional().describe("A part of the name").meta({ example: "ann" }),
          }),
          answers: { 200: userPage },
          refusals: ["invalid_request", "unauthenticated", "forbidden"],
        },
      },
    },
    {
      path: "/api/admin/users/:id",
      methods: {
        PATCH: {
          handle: withAdmin(accounts, (request, _server, admin) =>
            changeOne(accounts, request, admin),
          ),
          summary: "Change a user's role, disable the account, reset its second factor: at once",
          auth: "admin",
          path: z.object({ id: z.int().describe("The user's id").meta({ example: 1 }) }),
          body: change,
          answers: { 200: user },
          refusals: [
            "invalid_request",
            "unauthenticated",
            "forbidden",
            "cross_site",
            "user_not_found",
            "own_account",
            "last_admin",
          ],
        },
      },
    },
  ];
}

async function list(accounts: Accounts, query: string): Promise<Response> {
  const after = parseWhole(query, "after", { min: 0, max: integerMax, otherwise: 0 });
  if (after instanceof Invalid) return problem("invalid_request", after);
  const bounds = { min: 1, max: usersPerPageMax, otherwise: usersPerPage };
  const limit = parseWhole(query, "limit", bounds);
  if (limit instanceof Invalid) return problem("invalid_request", limit);
  const q = queryValue(query, "q") ?? "";
  if (q instanceof Invalid) return problem("invalid_request", q);
  if (q.includes("\0")) return problem("invalid_request", new Invalid("q", "holds a NUL"));
  const users = await accounts.list({ after, limit: limit + 1, q });
  const page = users.slice(0, limit);
  const next = users.length > limit ? (page.at(-1)?.id ?? null) : null;
  return fresh(json({ users: page.map(showUser), next_after: next }));
}

async function changeOne(
  accounts: Accounts,
  request: BunRequest,
  admin: Account,
): Promise<Response> {
  const id = idIn(request);
  if (id === null) return problem("user_not_found");
  const body = await readBody(request, change);
  if (body instanceof Response) return body;
  const { role, disabled, second_factor: factor } = body;
  const asked = { role, disabled, resetsFactor: factor === false };
  const outcome = await accounts.change(admin, id, asked);
  return outcome.word === "changed" ? fresh(json(showUser(outcome.user))) : problem(outcome.word);
}

/** The id in a path; null for what no user can have. */
function idIn({ params }: { readonly params: Record<string, string> }): number | null {
  const id = /^[1-9]\d{0,9}$/.test(params["id"] ?? "") ? Number(params["id"]) : 0;
  return id >= 1 && id <= integerMax ? id : null;
}

const showUser = ({ id, username, role, disabled, hasSecondFactor, createdAt }: StoredUser) => ({
  id,
  username,
  role,
  disabled,
  second_factor: hasSecondFactor,
  created_at: createdAt.toISOString(),
});
