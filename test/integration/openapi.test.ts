/**
 * The API's document: that it is OpenAPI 3.1, that it is about the table that is served, and
 * that the program answers as it says, in success and in refusal.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { z } from "zod";
import packageJson from "../../package.json" with { type: "json" };
import { createAccount } from "../../src/access/accounts.ts";
import { Passwords } from "../../src/access/passwords.ts";
import { LedgerClock } from "../../src/engine/clock.ts";
import { idleDocument, idleRoutes } from "../../src/idle.ts";
import { refusalCodes } from "../../src/http/openapi/document.ts";
import { operationsOf, serve, type Route } from "../../src/http/server.ts";
import { OutcomeUnknownError, OverloadedError, UnavailableError } from "../../src/engine/writer.ts";
import { openDb } from "../../src/store/db.ts";
import { codeOf } from "../support/authenticator.ts";
import { type Ask, Client } from "../support/client.ts";
import { type Call, DocumentedApi } from "../support/document.ts";
import { atEnd } from "../support/leftovers.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { quietLog } from "../support/shop.ts";
import { succeedInCoupons, succeedInWebhooks } from "../support/coupon-calls.ts";
import { succeedInErasing } from "../support/erasing-calls.ts";
import { succeedInPictures } from "../support/picture-calls.ts";
import { succeedInQueue } from "../support/queue-calls.ts";
import { inTurn } from "../support/wait.ts";

const postgres = usePostgres();
const { version } = packageJson;
const hourMs = 3_600_000;
const any = z.unknown();
const withId = z.object({ id: z.int() });
const withCode = z.object({ code: z.string() });

let server: TestServer;
let api: DocumentedApi;
let document: unknown;
let userId: number;
let user: NonNullable<Ask["headers"]>;
let admin: NonNullable<Ask["headers"]>;
/** A key with the scope `sell`. */
let merchant: NonNullable<Ask["headers"]>;

beforeAll(async () => {
  const url = await postgres.newRecords();
  server = await startServer({ DATABASE_URL: url, CHALLENGE: "join" });
  document = (await server.client.get("/openapi.json")).json();
  api = new DocumentedApi(server.client, document);
  const password = "a good password";
  const root = { username: "root", password, role: "admin" } as const;
  await createAccount(openDb(lookInto(url)), new Passwords(), root);
  userId = (await api.succeed("postApiAuthRegister", withId)).id;
  user = await enter({});
  admin = await enter({ username: "root", password });
  // The first is revoked, as the example of that says.
  await api.succeed("postApiAdminKeys", any, { headers: admin });
  const selling = { name: "a shop's server", scopes: ["sell"], expires_at: null };
  const { key } = await api.succeed("postApiAdminKeys", z.object({ key: z.string() }), {
    headers: admin,
    body: selling,
  });
  merchant = { Authorization: `Bearer ${key}` };
});

async function enter(body: NonNullable<Call["body"]>) {
  const { token } = await api.succeed("postApiAuthLogin", z.object({ token: z.string() }), {
    body,
  });
  return { Authorization: `Bearer ${token}` };
}

describe("the document", () => {
  test("is OpenAPI 3.1", async () => {
    const { valid, errors } = await new Validator().validate(z.looseObject({}).parse(document));
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
    expect(document).toMatchObject({ openapi: "3.1.0", info: { version } });
  });

  test("is about every route of the table, with every code that it refuses by", () => {
    const routes = idleRoutes(version, new LedgerClock());
    const table = operationsOf(routes).map(
      ({ method, path }) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, "{$1}")}`,
    );
    const said = api.operations.map(({ method, path }) => `${method} ${path}`);
    expect(said.toSorted()).toEqual(table.toSorted());
    const ids = api.operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const codes = new Set<string>(["not_found", "method_not_allowed"]);
    for (const route of routes) {
      for (const [method, operation] of Object.entries(route.methods)) {
        for (const code of refusalCodes(route, method, operation)) codes.add(code);
      }
    }
    const known = z.object({
      components: z.object({
        schemas: z.object({
          Problem: z.object({
            properties: z.object({ code: z.object({ enum: z.array(z.string()) }) }),
          }),
        }),
      }),
    });
    const { Problem } = known.parse(document).components.schemas;
    expect([...codes].toSorted()).toEqual(Problem.properties.code.enum.toSorted());
  });

  test("has examples that fit its own schemas", () => {
    expect(api.checkExamples()).toBeGreaterThan(50);
  });

  test("is what the command prints", async () => {
    const { exitCode, output, log } = await runProgram(["openapi"]);
    expect({ exitCode, log }).toEqual({ exitCode: 0, log: "" });
    expect(JSON.parse(output)).toEqual(
      JSON.parse(JSON.stringify(idleDocument(version, new LedgerClock()))),
    );
    expect(JSON.parse(output)).toEqual(document);
  });
});

const inFuture = (hours: number): string => new Date(Date.now() + hours * hourMs).toISOString();
const fresh = () => ({ "Idempotency-Key": crypto.randomUUID() });

const isOfQueue = ({ path }: { path: string }): boolean => /queue|draw|waitlist/.test(path);

/** What is different from the examples, for operations that need something that is there. */
async function succeedInAll(): Promise<void> {
  const product = await api.succeed("postApiAdminProducts", withId, { headers: admin });
  const other = await api.succeed("postApiAdminProducts", withId, { headers: admin });
  const items = [{ product_id: product.id, stock: 10, price_cents: 100 }];
  const times = { starts_at: inFuture(-0.001), ends_at: inFuture(1) };
  const toAll = { entry: "open", admit_per_second: undefined, pass_ttl_ms: undefined };
  const open = { ...times, per_user_limit: 5, items, ...toAll };
  const sale = await api.succeed("postApiAdminFlashSales", withId, { headers: admin, body: open });
  const coming = { starts_at: inFuture(2), ends_at: inFuture(3), items };
  const announce = () =>
    api.succeed("postApiAdminFlashSales", withId, { headers: admin, body: coming });
  const ofNext = { headers: admin, path: { id: (await announce()).id } };
  const path = { id: sale.id };
  await api.succeed("patchApiAdminFlashSalesId", any, {
    ...ofNext,
    body: { ...coming, ends_at: inFuture(4) },
  });
  await api.succeed("postApiAdminFlashSalesIdOpen", any, ofNext);
  const ofThird = { headers: admin, path: { id: (await announce()).id } };
  await api.succeed("deleteApiAdminFlashSalesId", any, ofThird);
  await api.succeed("patchApiAdminProductsId", any, { headers: admin, path: { id: other.id } });
  await api.succeed("deleteApiAdminProductsId", any, { headers: admin, path: { id: other.id } });
  await api.succeed("patchApiAdminUsersId", any, { headers: admin, path: { id: userId } });
  // The example has taken a second factor away, which ends the sessions.
  user = await enter({});
  await succeedInSecondFactor();
  await api.succeed("getApiFlashSalesId", any, { path });

  // The price of the examples is another one.
  const whateverItCosts = { expected_price_cents: undefined };
  const reserve = () =>
    api.succeed("postApiFlashSalesIdCheckout", withCode, {
      path,
      body: whateverItCosts,
      headers: { ...user, "Idempotency-Key": crypto.randomUUID() },
    });
  const back = { code: (await reserve()).code };
  await api.succeed("deleteApiFlashSalesIdCheckout", any, { headers: user, path, query: back });
  const kept = { code: (await reserve()).code, ...whateverItCosts };
  await api.succeed("postApiPurchases", any, { headers: user, body: kept });
  const body = { flash_sale_id: sale.id, product_id: product.id, quantity: 2 };
  const atOnce = JSON.stringify(body);
  const order = await api.succeed("postApiPurchases", z.object({ order_id: z.string() }), {
    headers: user,
    text: atOnce,
  });
  await api.succeed("getApiAdminOrdersOrderId", any, { headers: admin, path: order });
  await api.succeed("getApiOrdersOrderId", any, { headers: user, path: order, query: noCode });
  const taken = { headers: admin, path: order, body: { units: 1 } };
  await api.succeed("postApiAdminOrdersOrderIdRefund", any, taken);
  const ofProduct = { path: { product: product.id }, headers: user };
  await api.succeed("getApiPurchasesCheckProductProduct", any, ofProduct);
  await api.succeed("getApiProductsId", any, { path: product });
  await succeedInPictures(api, admin, product);
  const more = { item_id: 1, units: 1 };
  await api.succeed("postApiAdminFlashSalesIdRestock", any, { headers: admin, path, body: more });
  await api.succeed("postApiAdminFlashSalesIdClose", any, { headers: admin, path });

  const current = await api.succeed("getSale", z.object({ current: withId }));
  const hourly = { sale_id: current.current.id };
  const asked = { ...hourly, ...whateverItCosts };
  const first = await api.succeed("postCheckout", withCode, { query: asked, headers: fresh() });
  await api.succeed("deleteCheckout", any, { query: { code: first.code } });
  const second = await api.succeed("postCheckout", withCode, { query: asked, headers: fresh() });
  const held = { path: { code: second.code }, headers: merchant };
  await api.succeed("postReservationsCodeExtend", any, held);
  await api.succeed("postPurchase", any, { query: { code: second.code, ...whateverItCosts } });
  await succeedInErasing(api, admin, asked);
  await succeedInQueue(
    api,
    { admin, user },
    { ...times, per_user_limit: 5, items, entry: "queue" },
  );
  const ofSale = api.operations.filter((one) => one.path.startsWith("/sales/") && !isOfQueue(one));
  await inTurn(ofSale, ({ operationId }) => api.succeed(operationId, any, { path: hourly }));

  await succeedInWebhooks(api, admin);
  await succeedInCoupons(api, admin);
  await api.succeed("getApiCouponsNameClaimsCsv", any, { headers: admin });
}

async function succeedInSecondFactor(): Promise<void> {
  const withSecret = z.object({ secret: z.string() });
  const { secret } = await api.succeed("postApiAuthSecondFactor", withSecret, { headers: user });
  let otp: string | undefined = codeOf(secret, Date.now());
  const withCodes = z.object({ recovery_codes: z.array(z.string()) });
  for (const step of ["Confirm", "RecoveryCodes"]) {
    const call: Call = { headers: user, body: { otp } };
    // oxlint-disable-next-line no-await-in-loop
    const answer = await api.succeed(`postApiAuthSecondFactor${step}`, withCodes, call);
    [otp] = answer.recovery_codes;
  }
  await api.succeed("postApiAuthSecondFactorDisable", any, { headers: user, body: { otp } });
}

/** The owner needs none. */
const noCode = { code: undefined };

const isSeen = (id: string): boolean => [...api.seen].some((one) => one.startsWith(`${id} 2`));

test("every operation succeeds as it says, called with its example", async () => {
  await succeedInAll();
  const events = api.operation("getEvents");
  const stream = await fetch(`${server.url}/events`);
  const reader = stream.body?.getReader();
  const said = new TextDecoder().decode((await reader?.read())?.value);
  expect(said).toContain(": welcome");
  api.check(events, { status: stream.status, headers: stream.headers, text: said });
  await reader?.cancel();

  // Everything else as it stands in the document; logging out ends the others' token.
  const rest = api.operations.filter(({ operationId }) => !isSeen(operationId));
  await inTurn(rest, ({ operationId, path, security }) => {
    const headers = path.startsWith("/api/admin") ? admin : security.length > 0 ? user : {};
    // Keys alone name a customer.
    const query = path === "/reservations" ? { user_id: undefined } : {};
    return api.succeed(operationId, any, { headers, query });
  });
  const missed = api.operations.filter(({ operationId }) => !isSeen(operationId));
  expect(missed.map(({ operationId }) => operationId)).toEqual([]);
});

async function expectRefusal(id: string, call: Call, status: number, code: string): Promise<void> {
  const answer = await api.call(id, call);
  const told = z.object({ code: z.string() }).parse(answer.json());
  expect([id, answer.status, told.code]).toEqual([id, status, code]);
}

/** As whoever may call an operation: there is one that no role may. */
const allowed = (id: string, more: Call): Call => {
  const headers = id === "postReservationsCodeExtend" ? merchant : admin;
  const query = /Queue|Waitlist/.test(id) ? { user_id: undefined, altcha: undefined } : {};
  return { ...more, headers: { ...headers, ...more.headers }, query: { ...query, ...more.query } };
};

describe("refusals are as the document says", () => {
  test("to nobody, to users and to pages of other sites", async () => {
    const guarded = api.operations.filter(({ security }) => security.length > 0);
    expect(guarded.length).toBeGreaterThan(15);
    await inTurn(guarded, async ({ operationId, method, path }) => {
      await expectRefusal(operationId, {}, 401, "unauthenticated");
      if (path.startsWith("/api/admin")) {
        await expectRefusal(operationId, { headers: user }, 403, "forbidden");
      }
      if (method === "get") return;
      const token = admin["Authorization"]?.replace("Bearer ", "");
      const headers = { Cookie: `stampede_token=${token}`, "Sec-Fetch-Site": "cross-site" };
      await expectRefusal(operationId, { headers }, 403, "cross_site");
    });
  });

  test("of bodies that are no JSON, too large, or of another type", async () => {
    const withBody = api.operations.filter(
      ({ requestBody }) => requestBody !== undefined && "application/json" in requestBody.content,
    );
    expect(withBody.length).toBeGreaterThan(8);
    await inTurn(withBody, async ({ operationId }) => {
      const [broken, empty] = ["{", "{}"].map((text) => allowed(operationId, { text }));
      await expectRefusal(operationId, broken ?? {}, 400, "invalid_request");
      // A refund's body may say nothing.
      const mayBeEmpty = operationId === "postApiAdminOrdersOrderIdRefund";
      if (!mayBeEmpty) await expectRefusal(operationId, empty ?? {}, 400, "invalid_request");
      const large = allowed(operationId, { text: `"${"x".repeat(70_000)}"` });
      await expectRefusal(operationId, large, 413, "payload_too_large");
      const typed = allowed(operationId, { headers: { "Content-Type": "text/plain" } });
      await expectRefusal(operationId, typed, 415, "unsupported_media_type");
    });
  });

  test("of what is not there", async () => {
    const number = 999_999;
    const name = "nothing of the kind";
    const gone = { sale_id: number, id: number, order_id: number, product: number, name };
    const ofOne = api.operations.filter(({ path }) => path.includes("{"));
    expect(ofOne.length).toBeGreaterThan(15);
    await inTurn(ofOne, async ({ operationId }) => {
      const answer = await api.call(operationId, allowed(operationId, { path: gone }));
      expect([operationId, answer.status]).toEqual([operationId, 404]);
    });
  });

  test("of parameters and decisions", async () => {
    const late = { code: crypto.randomUUID() };
    const keyless: Call = { headers: { "Idempotency-Key": "" } };
    const noItem = { sale_id: undefined, id: 999_999 };
    const foreign = { "Sec-Fetch-Site": "cross-site" };
    const blank: Call = { query: { user_id: " " } };
    const cases: readonly (readonly [string, Call, number, string])[] = [
      ["postCheckout", blank, 400, "invalid_request"],
      ["postCheckout", { query: { id: 0 } }, 400, "invalid_request"],
      ["postCheckout", { query: { sale_id: 999_999 } }, 422, "idempotency_key_reused"],
      ["postCheckout", { ...keyless, query: { sale_id: 999_999 } }, 404, "sale_not_found"],
      ["postCheckout", { ...keyless, query: noItem }, 404, "item_not_found"],
      ["postPurchase", { query: late }, 404, "code_not_found"],
      ["postPurchase", { query: { code: "x" } }, 400, "invalid_request"],
      ["deleteCheckout", { query: late }, 404, "code_not_found"],
      ["deleteCheckout", { query: { code: "x" } }, 400, "invalid_request"],
      ["getSalesSaleIdItems", { query: { limit: 0 } }, 400, "invalid_request"],
      ["getSales", { query: { kind: "x" } }, 400, "invalid_request"],
      ["getSales", { query: { before: 0 } }, 400, "invalid_request"],
      ["getApiCoupons", { query: { limit: 0 } }, 400, "invalid_request"],
      ["getApiCouponsName", { query: { claims_after: -1 } }, 400, "invalid_request"],
      ["postApiCoupons", {}, 409, "coupon_exists"],
      ["postApiCoupons", { body: { amount: 0 } }, 400, "invalid_request"],
      ["deleteApiCouponsName", { headers: admin }, 409, "coupon_claimed"],
      ["postApiCouponsClaim", keyless, 409, "already_claimed"],
      ["postApiCouponsClaim", { body: { coupon_name: "none" } }, 422, "idempotency_key_reused"],
      ["postApiAuthRegister", {}, 409, "user_exists"],
      ["postApiAuthRegister", { headers: foreign }, 403, "cross_site"],
      ["postApiAuthLogin", { headers: foreign }, 403, "cross_site"],
      ["postApiAuthLogout", { headers: foreign }, 403, "cross_site"],
      ["postApiAuthLogin", { body: { password: "another" } }, 401, "invalid_credentials"],
      ["patchApiAdminUsersId", { headers: admin, path: { id: 1 } }, 409, "last_admin"],
      ["getApiProducts", { query: { limit: 0 } }, 400, "invalid_request"],
      ["getApiFlashSales", { query: { status: "x" } }, 400, "invalid_request"],
      ["postApiPurchases", { headers: admin, body: late }, 404, "code_not_found"],
    ];
    await inTurn(cases, ([id, call, status, code]) => expectRefusal(id, call, status, code));
  });
});

/** The program's table in this process, which leads nothing and has no PostgreSQL. */
function serveIdle(change: (route: Route) => Route): DocumentedApi {
  const routes = idleRoutes(version, new LedgerClock()).map(change);
  const idle = serve({ routes, host: "127.0.0.1", port: 0, log: quietLog });
  atEnd(() => idle.stop(true));
  const client = new Client(() => `http://127.0.0.1:${idle.port}`);
  return new DocumentedApi(client, document);
}

/** As a key looks: whether there is one PostgreSQL alone can tell. */
const keyLike = `Bearer sk_${"k".repeat(43)}`;

describe("answers of 500 and above are as the document says", () => {
  test("where nobody leads and PostgreSQL is away", async () => {
    const idle = serveIdle((route) => route);
    const answered: string[] = [];
    await inTurn(idle.operations, async ({ operationId, path }) => {
      if (path === "/events") return;
      const { status } = await idle.call(operationId, { headers: { Authorization: keyLike } });
      if (status !== 503) answered.push(path);
    });
    // A key is no session that could end.
    expect(answered).toEqual([
      "/challenge",
      "/api/auth/logout",
      "/api/logo",
      "/health",
      "/metrics",
      "/openapi.json",
    ]);
  });

  test.each([
    ["unavailable", 503, new UnavailableError("test")],
    ["overloaded", 503, new OverloadedError("test")],
    ["outcome_unknown", 503, new OutcomeUnknownError("test")],
    ["internal", 500, new Error("test")],
  ] as const)("%s, of every operation that may be", async (code, status, error) => {
    const handle = (): Promise<Response> => Promise.reject(error);
    const told = new Set<string>();
    const failing = serveIdle((route) => {
      const methods = Object.entries(route.methods).map(([method, operation]) => {
        const id = `${method.toLowerCase()} ${route.path.replaceAll(/:(\w+)/g, "{$1}")}`;
        if (refusalCodes(route, method, operation).includes(code)) told.add(id);
        return [method, { ...operation, handle }] as const;
      });
      return { ...route, methods: Object.fromEntries(methods) };
    });
    expect(told.size).toBeGreaterThan(10);
    await inTurn(failing.operations, async ({ operationId, method, path }) => {
      if (!told.has(`${method} ${path}`)) return;
      const answer = await failing.call(operationId);
      expect([answer.status, answer.json()]).toMatchObject([status, { code }]);
    });
  });
});

test("a coupon that is sold out is refused by the status that was configured", async () => {
  const settings = { DATABASE_URL: await postgres.newRecords(), COUPON_SOLD_OUT_STATUS: "400" };
  await using other = await startServer(settings);
  const said = (await other.client.get("/openapi.json")).json();
  const theirs = new DocumentedApi(other.client, said);
  await theirs.succeed("postApiCoupons", any, { body: { amount: 1 } });
  await theirs.succeed("postApiCouponsClaim", any);
  const answer = await theirs.call("postApiCouponsClaim", { body: { user_id: "bert" } });
  expect([answer.status, [...theirs.seen].at(-1)]).toEqual([
    400,
    "postApiCouponsClaim 400 sold_out",
  ]);
});
