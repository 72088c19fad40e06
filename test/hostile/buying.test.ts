/**
 * In whose name is bought: what guests, accounts, customers and merchants may, where everybody may buy
 * and where nobody may who is not known. On a leader and on a standby.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { SignJWT, type JWTPayload } from "jose";
import { z } from "zod";
import { AccountClient, expectRefusal } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { inTurn } from "../support/wait.ts";

const postgres = usePostgres();
const secret = "a secret that the shop's server shares with us";
const password = "a good password";

type Headed = { readonly Authorization: string };

type Pair = {
  readonly servers: readonly TestServer[];
  readonly sell: { readonly Authorization: string };
  readonly manage: { readonly Authorization: string };
  readonly anna: { readonly Authorization: string };
};

async function openPair(access: "open" | "guarded"): Promise<Pair> {
  const url = await postgres.newRecords();
  const environment = { DATABASE_URL: url, ACCESS: access, USER_TOKEN_SECRET: secret };
  const leader = await startServer(environment);
  const standby = await startServer(environment);
  const key = async (name: string, scope: string) => {
    const made = await runProgram(["key", "create", name, "--scope", scope], environment);
    return { Authorization: `Bearer ${made.output.trim()}` };
  };
  const accounts = new AccountClient(() => leader.url);
  await accounts.register("anna", password);
  const { headers: anna } = await accounts.enter("anna", password);
  const [sell, manage] = [await key("sell", "sell"), await key("manage", "manage,read")];
  return { servers: [leader, standby], sell, manage, anna };
}

const signed = async (claims: JWTPayload) => {
  const exp = Math.floor(Date.now() / 1000) + 600;
  const token = await new SignJWT({ exp, ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .sign(Buffer.from(secret));
  return { Authorization: `Bearer ${token}` };
};

const bought = z.object({ code: z.uuid(), user_id: z.string(), buyer: z.string() });
const told = (answer: Answer) => {
  expect(answer.status).toBe(200);
  return bought.parse(answer.json());
};

let open: Pair;
let guarded: Pair;

beforeAll(async () => {
  open = await openPair("open");
  guarded = await openPair("guarded");
});

/** Each test on both processes; `item` numbers are not used twice. */
let item = 15;
const nextItem = (): number => (item += 1);

const reserve = (
  server: TestServer,
  query: string,
  headers: Readonly<Record<string, string>> = {},
) => server.client.ask("POST", `/checkout?${query}`, { headers });

describe("whoever is proven", () => {
  test("needs no user id, and may name no other", async () => {
    const customer = await signed({ sub: "carl" });
    await inTurn([open, guarded], ({ servers, anna }) =>
      inTurn(servers, async (server) => {
        expect(told(await reserve(server, "id=any", customer))).toMatchObject({
          user_id: "carl",
          buyer: "customer",
        });
        expect(told(await reserve(server, "id=any&user_id=anna", anna))).toMatchObject({
          user_id: "anna",
          buyer: "account",
        });
        const other = await reserve(server, "id=any&user_id=vera", customer);
        expectRefusal(other, 403, "user_mismatch");
        expectRefusal(await reserve(server, "id=any&user_id=vera", anna), 403, "user_mismatch");
        const invalid = await reserve(server, "id=none", { Authorization: "Bearer x" });
        expectRefusal(invalid, 400, "invalid_request");
        const nobody = await reserve(server, "id=any&user_id=a", { Authorization: "Bearer x" });
        expectRefusal(nobody, 401, "unauthenticated");
      }),
    );
  });

  test("by a token for one sale, buys in that one", async () => {
    await inTurn(open.servers, async (server) => {
      const { id } = await server.client.openSale();
      const here = await signed({ sub: "sara", sale: id });
      const elsewhere = await signed({ sub: "sara", sale: id + 1 });
      const { code } = told(await reserve(server, "id=any", here));
      expectRefusal(await reserve(server, "id=any", elsewhere), 403, "forbidden");
      expectRefusal(await reserve(server, `id=any&sale_id=${id}`, elsewhere), 403, "forbidden");
      const buying = await server.client.purchase(code, { headers: elsewhere });
      expectRefusal(buying, 403, "forbidden");
      // On the shop's paths, too.
      const inShop = (method: string, path: string, headers: Headed, body?: object) =>
        server.client.ask(method, path, {
          headers,
          ...(body && { body: JSON.stringify(body) }),
        });
      const second = await inShop("POST", "/api/purchases", elsewhere, { code });
      expectRefusal(second, 403, "forbidden");
      const back = `/checkout?code=${code}`;
      const release = await inShop("DELETE", `/api/flash-sales/${id}${back}`, elsewhere);
      expectRefusal(release, 403, "forbidden");
      const room = await inShop("GET", `/sales/${id}/queue/me`, elsewhere);
      expectRefusal(room, 403, "forbidden");
      // What is no sale's number is not whichever sale the code is of.
      const any = await signed({ sub: "sara" });
      const none = await inShop("DELETE", `/api/flash-sales/none${back}`, any);
      expectRefusal(none, 404, "code_not_found");
      expect((await server.client.purchase(code, { headers: here })).status).toBe(200);
    });
  });

  test("alone is told their code, and alone uses it; a merchant may for them", async () => {
    const victim = await signed({ sub: "victim" });
    const thief = await signed({ sub: "thief" });
    await inTurn(open.servers, async (server) => {
      const id = nextItem();
      const { code } = told(await reserve(server, `id=${id}`, victim));
      // The retry of whoever holds it.
      expect(told(await reserve(server, `id=${id}`, victim)).code).toBe(code);
      const asked = await reserve(server, `id=${id}&user_id=victim`);
      expectRefusal(asked, 409, "item_reserved");
      expectRefusal(await reserve(server, `id=${id}`, thief), 409, "item_reserved");
      const others = [{}, { headers: thief }, { headers: open.anna }];
      await inTurn(others, async (ask) => {
        expectRefusal(await server.client.purchase(code, ask), 404, "code_not_found");
        expectRefusal(await server.client.release(code, ask), 404, "code_not_found");
      });
      expect((await server.client.purchase(code, { headers: open.sell })).status).toBe(200);
    });
  });

  test("is told what they hold; others are not", async () => {
    const holder = await signed({ sub: "holder" });
    const { code } = told(await reserve(open.servers[0] as TestServer, "id=any", holder));
    await inTurn(open.servers, async ({ client }) => {
      const mine = await client.get("/reservations", { headers: holder });
      expect(mine.text).toContain(code);
      const by = await client.get("/reservations?user_id=holder", { headers: open.sell });
      expect(by.text).toContain(code);
      expectRefusal(await client.get("/reservations"), 401, "unauthenticated");
      const named = await client.get("/reservations?user_id=holder", { headers: open.anna });
      expectRefusal(named, 403, "user_mismatch");
      const manager = await client.get("/reservations", { headers: open.manage });
      expectRefusal(manager, 403, "forbidden");
    });
  });
});

describe("a merchant's key", () => {
  test("buys, claims and gives back for any customer, by its scope", async () => {
    await inTurn([open, guarded], ({ servers, sell, manage }) =>
      inTurn(servers, async (server) => {
        const reserved = told(await reserve(server, "id=any&user_id=kim", sell));
        expect(reserved).toMatchObject({ user_id: "kim", buyer: "customer" });
        const { code } = reserved;
        expect((await server.client.release(code, { headers: sell })).status).toBe(204);
        expectRefusal(await reserve(server, "id=any", sell), 400, "invalid_request");
        expectRefusal(await reserve(server, "id=any&user_id=kim", manage), 403, "forbidden");
        const used = await server.client.purchase(code, { headers: manage });
        expectRefusal(used, 403, "forbidden");
      }),
    );
  });
});

describe("a guest, where nobody buys who is not known,", () => {
  test("is refused on each path, giving back too", async () => {
    const code = "00000000-0000-4000-8000-000000000000";
    await inTurn(guarded.servers, async ({ client, url }) => {
      const post = (path: string, body: object) =>
        new AccountClient(() => url).send("POST", path, body);
      const answers = [
        await client.checkout("guest", "any"),
        await client.purchase(code),
        await client.release(code),
        await post("/api/coupons/claim", { user_id: "guest", coupon_name: "NONE" }),
        await post("/api/coupons", { name: "NONE", amount: 1 }),
      ];
      for (const answer of answers) expectRefusal(answer, 401, "unauthenticated");
      expectRefusal(await client.checkout("", "any"), 400, "invalid_request");
    });
  });

  test("does not see who has claimed a coupon; a customer sees their own claim", async () => {
    const ann = await signed({ sub: "ann" });
    const bert = await signed({ sub: "bert" });
    const [leader] = guarded.servers as [TestServer];
    const accounts = new AccountClient(() => leader.url);
    const coupon = { name: "PROMO", amount: 2 };
    const made = await accounts.send("POST", "/api/coupons", coupon, { headers: guarded.manage });
    expect(made.status).toBe(201);
    const claim = { coupon_name: "PROMO" };
    const claimed = await accounts.send("POST", "/api/coupons/claim", claim, { headers: ann });
    expect(claimed.json()).toMatchObject({ user_id: "ann", buyer: "customer" });
    const see = async (headers: Readonly<Record<string, string>>) =>
      (await leader.client.get("/api/coupons/PROMO", { headers })).json();
    expect(await see({})).toMatchObject({ claimed_by: null, remaining_amount: 1 });
    expect(await see({})).not.toHaveProperty("my_claim");
    const time = expect.stringMatching(/Z$/);
    expect(await see(ann)).toMatchObject({ claimed_by: null, my_claim: { claimed_at: time } });
    expect(await see(bert)).toMatchObject({ claimed_by: null, my_claim: null });
    expect(await see(guarded.manage)).toMatchObject({ claimed_by: ["ann"] });
    expect(await see(guarded.sell)).toMatchObject({ claimed_by: null });
    // A token that does not count is no guest's, and whether there is such a coupon comes after.
    await inTurn(["PROMO", "NO-SUCH-COUPON"], async (name) => {
      const headers = { Authorization: "Bearer expired" };
      const answer = await leader.client.get(`/api/coupons/${name}`, { headers });
      expectRefusal(answer, 401, "unauthenticated");
    });
    const stale = { Cookie: "stampede_token=expired" };
    expect(await see(stale)).toMatchObject({ claimed_by: null, remaining_amount: 1 });
  });
});

const said = (pair: Pair) => pair.servers.map(({ program }) => program.output).join();

test("the first lines of an open program say so, and what closes it", () => {
  expect(said(open)).toContain("ACCESS=guarded");
  expect(said(guarded)).not.toContain("ACCESS=guarded");
});
