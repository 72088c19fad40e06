/**
 * Erasing whoever has a name, in the name of an administrator. It cannot be undone, so no key may: one
 * that is stolen ends with being revoked. One at a time, for each looks through all of the journal.
 */
import type { BunRequest, Server } from "bun";
import type { Sql } from "postgres";
import { z } from "zod";
import type { Account, Accounts } from "../../access/accounts.ts";
import { erase } from "../../access/erase.ts";
import { isTooSlow } from "../../postgres/client.ts";
import { readBody, textField } from "../body.ts";
import { json, problem } from "../problems.ts";
import { patient, type Route } from "../server.ts";
import { withAdmin } from "../shop/accounts.ts";

export type ErasingContext = {
  /** For what may take minutes. */
  readonly lastingSql: Sql;
};

const whom = z.strictObject({ user_id: textField.meta({ example: "ann" }) });

const count = z.int().min(0);
const erasedShape = z.object({
  pseudonym: z.string().describe("What whoever had the name is called now; told this once"),
  accounts: count,
  rows: z.record(z.string(), count).describe("How many records had the name, by table"),
});

export function erasingRoutes(accounts: Accounts, { lastingSql }: ErasingContext): Route[] {
  const erasing = new Erasing(accounts, lastingSql);
  return [
    {
      path: "/api/admin/buyer/erase",
      methods: {
        POST: {
          handle: withAdmin(accounts, (...asked) => erasing.answer(...asked), forPeople),
          summary: "Replace a name by a pseudonym in every record, of any kind of buyer",
          description:
            "Figures, limits and codes stay what they were. An account of this name lets nobody in " +
            "any more. It cannot be undone, and takes an administrator's session: no key may do it. " +
            "Where nobody can tell whether it was done, the same request may be sent again: " +
            "`user_not_found` says that it was.",
          auth: "admin",
          body: whom,
          answers: { 200: erasedShape },
          refusals: ["user_not_found", "own_account", "last_admin", "cross_site", "overloaded"],
        },
      },
    },
  ];
}

const forPeople = "No key may erase a name, for it cannot be undone: log in as an administrator.";
const another = "Another name is being erased at this process.";
const nobody = "Nobody has this name.";
const tooLong =
  "The journal is too long to be looked through while somebody waits, and nothing was changed: " +
  "whoever runs the program can do it, by stampede user erase.";

/** Longer than it may take to look through the journal, of an answer's wait. */
const answerSeconds = 240;
const retryAfterMs = 5_000;

class Erasing {
  readonly #accounts: Accounts;
  readonly #sql: Sql;
  #isUnderWay = false;

  constructor(accounts: Accounts, sql: Sql) {
    this.#accounts = accounts;
    this.#sql = sql;
  }

  async answer(request: BunRequest, server: Server<undefined>, admin: Account): Promise<Response> {
    const body = await readBody(request, whom);
    if (body instanceof Response) return body;
    if (this.#isUnderWay) return problem("overloaded", { detail: another, retryAfterMs });
    this.#isUnderWay = true;
    try {
      const answer = (): Promise<Response> => this.#erase(admin, body.user_id);
      return await patient(request, server, answer, answerSeconds);
    } finally {
      this.#isUnderWay = false;
    }
  }

  async #erase(admin: Account, name: string): Promise<Response> {
    const by = { kind: "account", name: admin.username } as const;
    try {
      const disable = () => this.#accounts.disable(admin, name);
      const erased = await erase(this.#sql, { name, by }, disable);
      if (erased === "user_not_found") return problem(erased, { detail: nobody });
      return typeof erased === "string" ? problem(erased) : json(erased);
    } catch (error) {
      if (!isTooSlow(error)) throw error;
      return problem("overloaded", { detail: tooLong, retryAfterMs });
    }
  }
}
