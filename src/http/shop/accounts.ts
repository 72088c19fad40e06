/** Who may call a route; and registering, logging in and out, and changing one's password. */
import type { BunRequest, Server } from "bun";
import { z } from "zod";
import type { Account, Accounts } from "../../access/accounts.ts";
import { cookieOf, deviceCookie, sessionCookie, setCookie } from "../../access/cookies.ts";
import type { LoginFrom, Refused, TooMany } from "../../access/credentials.ts";
import { deviceLifeMs } from "../../access/devices.ts";
import { administrates } from "../../access/identity.ts";
import { complaintOfPassword, complaintOfUsername } from "../../access/rules.ts";
import { readBody, textField } from "../body.ts";
import { notAdmin, unauthenticated } from "../callers.ts";
import { json, problem, type ProblemCode } from "../problems.ts";
import type { Handler, Route } from "../server.ts";

/** A handler of a request whose sender is known. */
type AccountHandler = (
  request: BunRequest,
  server: Server<undefined>,
  account: Account,
) => Response | Promise<Response>;

/**
 * Lets in whoever is logged in; answers everybody else by itself.
 * @param others why it is not for keys and customers, for a person
 */
export function withUser(
  accounts: Accounts,
  handle: AccountHandler,
  others = "This is for accounts.",
): Handler {
  return async (request, server) => {
    const who = await accounts.identify(request);
    if (who === "unauthenticated" || who.kind === "guest") {
      return unauthenticated("unauthenticated");
    }
    if (who.kind !== "account") return problem("forbidden", { detail: others });
    return await handle(request, server, who.account);
  };
}

/** What is asked by somebody who is logged in, with what they sent and where from. */
type Asked<T> = {
  readonly body: T;
  readonly request: BunRequest;
  readonly me: Account;
  readonly from: LoginFrom;
};

/** As `withUser`, of a request with a body; answers one that is not of this shape by itself. */
export const withBody = <T>(
  accounts: Accounts,
  shape: z.ZodType<T>,
  handle: (asked: Asked<T>) => Promise<Response>,
): Handler =>
  withUser(accounts, async (request, server, me) => {
    const body = await readBody(request, shape);
    if (body instanceof Response) return body;
    return await handle({ body, request, me, from: fromOf(accounts, request, server) });
  });

/** As `withUser`, for administrators alone; a user gets 403. */
export function withAdmin(accounts: Accounts, handle: AccountHandler, others?: string): Handler {
  const checked: AccountHandler = (request, server, account) =>
    administrates(account) ? handle(request, server, account) : notAdmin(account);
  return withUser(accounts, checked, others);
}

const tooMany = ({ retryAfterMs }: TooMany): Response =>
  problem("too_many_attempts", { retryAfterMs });

/** A text that keeps to a rule. Zod's own messages could repeat what was sent. */
const ruled = (complaintOf: (text: string) => string | null) =>
  z
    .string({ error: ({ input }) => (input === undefined ? "is missing" : "is not a text") })
    .superRefine((text, context) => {
      const complaint = complaintOf(text);
      if (complaint !== null) context.addIssue({ code: "custom", message: complaint });
    });

/** Trimmed first, as every name is. */
const newUsername = textField.superRefine((name, context) => {
  const complaint = complaintOfUsername(name);
  if (complaint !== null) context.addIssue({ code: "custom", message: complaint });
});

const newAccount = z.object({
  username: newUsername,
  password: ruled(complaintOfPassword),
});

/** Names and passwords that the rules refuse are wrong like others; only not none at all. */
export const givenPassword = ruled((text) => (text === "" ? "is blank" : null));

/** Of an app, or a recovery code. */
export const givenOtp = givenPassword
  .describe("A code of the second factor, or a recovery code")
  .meta({ example: "123456" });

const credentials = z.object({
  username: textField,
  password: givenPassword,
  otp: givenOtp.optional(),
});

const newPassword = z.object({
  current_password: givenPassword,
  new_password: ruled(complaintOfPassword),
});

export const accountShape = z.object({
  id: z.int(),
  username: z.string(),
  role: z.enum(["user", "admin"]),
  second_factor: z.boolean(),
});
const ownShape = accountShape.extend({
  second_factor_demanded: z
    .boolean()
    .describe("Whether the operator demands a second factor of this account, which has none"),
});
const login = z.object({ token: z.string(), expires_in: z.int(), user: ownShape });

export const accountRoutes = (accounts: Accounts): Route[] => [
  ...sessionRoutes(accounts),
  ...ownRoutes(accounts),
];

/** In and out, for whoever comes. */
function sessionRoutes(accounts: Accounts): Route[] {
  return [
    {
      path: "/api/auth/register",
      methods: {
        POST: {
          handle: (request, server) => register(accounts, request, server),
          summary: "Make an account",
          body: newAccount,
          answers: { 201: ownShape },
          refusals: [
            "invalid_request",
            "user_exists",
            "cross_site",
            "too_many_attempts",
            "overloaded",
          ],
        },
      },
    },
    {
      path: "/api/auth/login",
      methods: {
        POST: {
          handle: (request, server) => logIn(accounts, request, server),
          summary: "Log in: a token for the Authorization header, and the same as a cookie",
          description:
            "An account with a second factor takes its code too, as `otp`: without it the right password " +
            "is `second_factor_required`. A code is good once.",
          body: credentials,
          answers: { 200: login },
          sends: ["Set-Cookie"],
          refusals: [
            "invalid_request",
            "invalid_credentials",
            "second_factor_required",
            "invalid_second_factor",
            "cross_site",
            "too_many_attempts",
            "overloaded",
          ],
        },
      },
    },
    {
      path: "/api/auth/logout",
      methods: {
        POST: {
          handle: (request) => logOut(accounts, request),
          summary: "End the session of the token or cookie; good also without one",
          answers: { 204: null },
          sends: ["Set-Cookie"],
          refusals: ["cross_site"],
        },
      },
    },
  ];
}

/** Of what takes the password of somebody who is logged in. */
export const guarded = [
  "invalid_request",
  "unauthenticated",
  "invalid_credentials",
  "cross_site",
  "too_many_attempts",
  "overloaded",
] as const satisfies readonly ProblemCode[];

/** What somebody who is logged in may ask and change. */
function ownRoutes(accounts: Accounts): Route[] {
  return [
    {
      path: "/api/auth/password",
      methods: {
        POST: {
          handle: withBody(accounts, newPassword, (asked) => changePassword(accounts, asked)),
          summary: "Change one's password: every other session and token of the account ends",
          auth: "user",
          body: newPassword,
          answers: { 204: null },
          refusals: guarded,
        },
      },
    },
    {
      path: "/api/auth/me",
      methods: {
        GET: {
          handle: withUser(accounts, (_request, _server, me) => fresh(json(showOwn(me)))),
          summary: "Who is logged in",
          auth: "user",
          answers: { 200: ownShape },
          refusals: ["unauthenticated"],
        },
      },
    },
  ];
}

async function register(
  accounts: Accounts,
  request: Request,
  server: Server<undefined>,
): Promise<Response> {
  const body = await readBody(request, newAccount);
  if (body instanceof Response) return body;
  const outcome = await accounts.register(body, accounts.clients.of(request, server).address);
  switch (outcome.word) {
    case "registered":
      return json(showOwn(outcome.account), 201);
    case "user_exists":
      return problem("user_exists");
    case "too_many_attempts":
      return tooMany(outcome);
    default:
      return outcome satisfies never;
  }
}

/** A login across sites would have somebody buy in another's name. */
async function logIn(
  accounts: Accounts,
  request: Request,
  server: Server<undefined>,
): Promise<Response> {
  const body = await readBody(request, credentials);
  if (body instanceof Response) return body;
  const given = { ...body, otp: body.otp ?? null };
  const outcome = await accounts.login(given, fromOf(accounts, request, server));
  switch (outcome.word) {
    case "logged_in": {
      const { token, device, lifeMs, account } = outcome;
      const seconds = Math.floor(lifeMs / 1000);
      const response = fresh(json({ token, expires_in: seconds, user: showOwn(account) }));
      response.headers.append("Set-Cookie", setCookie(request, sessionCookie, token, seconds));
      const known = setCookie(request, deviceCookie, device, Math.floor(deviceLifeMs / 1000));
      response.headers.append("Set-Cookie", known);
      return response;
    }
    default:
      return refused(outcome);
  }
}

/** Where a password is tried from. */
const fromOf = (accounts: Accounts, request: Request, server: Server<undefined>): LoginFrom => ({
  address: accounts.clients.of(request, server).address,
  deviceCookie: cookieOf(request, deviceCookie),
});

async function changePassword(
  accounts: Accounts,
  { body, request, me, from }: Asked<z.infer<typeof newPassword>>,
): Promise<Response> {
  const given = { present: body.current_password, next: body.new_password };
  const outcome = await accounts.changePassword(request, me, given, from);
  switch (outcome.word) {
    case "changed":
      return new Response(null, { status: 204 });
    case "unauthenticated":
      return unauthenticated("unauthenticated");
    default:
      return refused(outcome);
  }
}

export function refused(outcome: Refused): Response {
  switch (outcome.word) {
    case "invalid_credentials":
    case "second_factor_required":
    case "invalid_second_factor":
      return unauthenticated(outcome.word);
    case "too_many_attempts":
      return tooMany(outcome);
    default:
      return outcome satisfies never;
  }
}

async function logOut(accounts: Accounts, request: Request): Promise<Response> {
  await accounts.logout(request);
  const ended = setCookie(request, sessionCookie, "", 0);
  return new Response(null, { status: 204, headers: { "Set-Cookie": ended } });
}

const showOwn = ({ id, username, role, hasSecondFactor, lacksFactor }: Account) => ({
  id,
  username,
  role,
  second_factor: hasSecondFactor,
  second_factor_demanded: lacksFactor,
});

/** For nobody's cache to keep. */
export function fresh(response: Response): Response {
  response.headers.set("Cache-Control", "no-store");
  return response;
}
