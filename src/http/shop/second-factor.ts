/** The second factor of whoever is logged in: whether it is on, switching it on and off. */
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { factorUri } from "../../access/otp.ts";
import type { Appearance } from "../appearance.ts";
import { unauthenticated } from "../callers.ts";
import { json, problem, type ProblemCode } from "../problems.ts";
import type { Operation, Route } from "../server.ts";
import {
  fresh,
  givenOtp,
  givenPassword,
  guarded,
  refused,
  withBody,
  withUser,
} from "./accounts.ts";

const state = z.object({
  on: z.boolean(),
  recovery_codes_left: z.int(),
});
const withPassword = z.object({ password: givenPassword });
const withCode = z.object({ otp: givenOtp });
const withBoth = withPassword.extend(withCode.shape);

const begun = z.object({
  secret: z.string().describe("In base32, for an app that reads no QR code"),
  uri: z.string().meta({ example: "otpauth://totp/Stampede:anna?secret=…" }),
});
const codes = z.object({
  recovery_codes: z.array(z.string()).describe("Shown this once; each is good once"),
});

const withItsCode = [
  ...guarded,
  "second_factor_off",
  "second_factor_required",
  "invalid_second_factor",
] as const satisfies readonly ProblemCode[];

const route = (path: string, methods: Route["methods"]): Route => ({
  path: `/api/auth/second-factor${path}`,
  methods,
});

export const secondFactorRoutes = (accounts: Accounts, appearance: Appearance): Route[] => [
  route("", { GET: reading(accounts), POST: beginning(accounts, appearance) }),
  route("/confirm", { POST: confirming(accounts) }),
  route("/recovery-codes", { POST: renewing(accounts) }),
  route("/disable", { POST: disabling(accounts) }),
];

const reading = (accounts: Accounts): Operation => ({
  cost: "records",
  handle: withUser(accounts, async (_request, _server, me) => {
    const { isOn, recoveryCodesLeft } = await accounts.secondFactors.state(me);
    return fresh(json({ on: isOn, recovery_codes_left: recoveryCodesLeft }));
  }),
  summary: "Whether one's second factor is on, and how many recovery codes are left",
  auth: "user",
  answers: { 200: state },
  refusals: ["unauthenticated"],
});

const beginning = (accounts: Accounts, appearance: Appearance): Operation => ({
  handle: withBody(accounts, withPassword, async ({ body, me, from }) => {
    const outcome = await accounts.secondFactors.begin(me, body.password, from);
    switch (outcome.word) {
      case "begun": {
        const { secret, username } = outcome;
        const { name } = await appearance.now();
        return fresh(json({ secret, uri: factorUri(secret, username, name) }));
      }
      case "second_factor_on":
        return problem(outcome.word);
      default:
        return refused(outcome);
    }
  }),
  summary: "Ask for the secret of a second factor, which is on once a code confirms it",
  auth: "user",
  body: withPassword,
  answers: { 200: begun },
  refusals: [...guarded, "second_factor_on"],
});

const confirming = (accounts: Accounts): Operation => ({
  handle: withBody(accounts, withCode, async ({ body, request, me }) => {
    const outcome = await accounts.secondFactors.confirm(request, me, body.otp);
    switch (outcome.word) {
      case "switched_on":
        return fresh(json({ recovery_codes: outcome.recoveryCodes }));
      case "unauthenticated":
        return unauthenticated(outcome.word);
      case "invalid_second_factor":
      case "too_many_attempts":
        return refused(outcome);
      case "second_factor_on":
      case "second_factor_off":
        return problem(outcome.word);
      default:
        return outcome satisfies never;
    }
  }),
  summary: "Switch the second factor on by a first code; every other session of the account ends",
  auth: "user",
  body: withCode,
  answers: { 200: codes },
  refusals: [
    "invalid_request",
    "unauthenticated",
    "invalid_second_factor",
    "cross_site",
    "too_many_attempts",
    "second_factor_on",
    "second_factor_off",
  ],
});

const renewing = (accounts: Accounts): Operation => ({
  handle: withBody(accounts, withBoth, async ({ body, me, from }) => {
    const outcome = await accounts.secondFactors.renew(me, body, from);
    switch (outcome.word) {
      case "renewed":
        return fresh(json({ recovery_codes: outcome.recoveryCodes }));
      case "second_factor_off":
        return problem(outcome.word);
      default:
        return refused(outcome);
    }
  }),
  summary: "Get new recovery codes; those that were left count no more",
  auth: "user",
  body: withBoth,
  answers: { 200: codes },
  refusals: withItsCode,
});

const disabling = (accounts: Accounts): Operation => ({
  handle: withBody(accounts, withBoth, async ({ body, request, me, from }) => {
    const outcome = await accounts.secondFactors.switchOff(request, me, body, from);
    switch (outcome.word) {
      case "switched_off":
        return new Response(null, { status: 204 });
      case "unauthenticated":
        return unauthenticated(outcome.word);
      case "second_factor_off":
        return problem(outcome.word);
      default:
        return refused(outcome);
    }
  }),
  summary: "Switch the second factor off; every other session of the account ends",
  auth: "user",
  body: withBoth,
  answers: { 204: null },
  refusals: withItsCode,
});
