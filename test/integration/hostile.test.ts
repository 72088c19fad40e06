/**
 * What nobody should send, and somebody will: every text that breaks parsers, every number
 * that is none. What is refused is refused properly; what is accepted is stored as it was
 * sent; and afterwards the server still sells.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import type { Client } from "../support/client.ts";
import { accepted, refused, reservation } from "../support/contract.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { rawRequest, sendRaw } from "../support/raw.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { inTurn, upTo } from "../support/wait.ts";

const postgres = usePostgres();
let server: TestServer;
let client: Client;
let sql: Sql;

beforeAll(async () => {
  const url = await postgres.newRecords();
  server = await startServer({ DATABASE_URL: url, SALE_ITEMS: "200" });
  ({ client } = server);
  sql = lookInto(url);
});

/** The name or id that was stored last for an attempt. */
async function lastStored(column: "user_id" | "idempotency_key"): Promise<string | null> {
  const [row] = await sql<{ value: string | null }[]>`
    select ${sql(column)} as value from attempts order by seq desc limit 1`;
  return row?.value ?? null;
}

const attempts = async (): Promise<number> => {
  const [row] = await sql<{ count: number }[]>`select count(*)::int as count from attempts`;
  return row?.count ?? 0;
};

const emoji = "👩‍🚀";

/** Texts that are perfectly good user ids. */
const strange = [
  "a",
  "0",
  "x".repeat(255),
  "😀".repeat(255),
  `${emoji}${emoji}`,
  "مرحبا بالعالم",
  "Ångström",
  "می\u200Cخواهم",
  '"',
  '""',
  "\\",
  '\\"',
  "\\\\\\",
  "'; drop table attempts; --",
  "' or 1=1 --",
  "{",
  "}",
  "{}",
  '{"a","b"}',
  "a,b",
  ",",
  "(a)",
  "[1:2]={a}",
  "NULL",
  "null",
  "Null",
  '"NULL"',
  "undefined",
  "NaN",
  "true",
  "$1",
  "$$",
  "%",
  "%s",
  "%00",
  "\\x00",
  "\uFFFD",
  "\u{10FFFF}",
  "<script>alert(1)</script>",
  "../../etc/passwd",
  "${7*7}",
  "a+b",
  "a&b=c#d?e",
  "__proto__",
  "constructor",
];

describe("a user id", () => {
  const labelled = strange.map((user) => [user.length > 40 ? `${user.slice(0, 10)}…` : user, user]);

  test.each(labelled)("%j is stored as it was sent, and bought under", async (_, user = "") => {
    const { code, user_id: answered } = await client.reserve(user);
    expect(answered).toBe(user);
    expect(await lastStored("user_id")).toBe(user);
    const order = await client.buy(code);
    expect(order.user_id).toBe(user);
    const [row] = await sql<{ user_id: string }[]>`
      select user_id from purchases where code = ${code}`;
    expect(row?.user_id).toBe(user);
    // What a key has made is found again by its user: the ledger knows the user, too.
    const held = await client.reserve(user, "any", { key: "again" });
    expect(await client.reserve(user, "any", { key: "again" })).toEqual(held);
    await client.release(held.code);
  });

  test("of a refused attempt is stored as it was sent, too", async () => {
    await inTurn(strange, async (user) => {
      refused(await client.checkout(user, 9999), "item_not_found");
      expect(await lastStored("user_id")).toBe(user);
    });
  });

  test.each([
    [" leading and trailing ", "leading and trailing"],
    ["\u00A0x\u3000", "x"],
    ["A\u030Angstro\u0308m", "Ångström"],
    ["\u2126", "Ω"],
    ["e\u0301".repeat(255), "é".repeat(255)],
  ])("%j is trimmed and composed", async (given, name) => {
    const { code, user_id: answered } = await client.reserve(given);
    expect(answered).toBe(name);
    expect(await lastStored("user_id")).toBe(name);
    await client.release(code);
  });

  test.each(
    ["\u0001", "\t", "\n", "\r", "\u007F", "\u0085", "\u200B", "\u2060", "\uFEFF"]
      .concat(["\u202A", "\u202B", "\u202C", "\u202D", "\u202E"])
      .concat(["\u2066", "\u2067", "\u2068", "\u2069"])
      .map((character) => [character]),
  )("with %j in it, or at an end, is refused", async (character) => {
    await inTurn([`a${character}b`, `a${character}`, `${character}a`], async (user) => {
      const answer = await client.checkout(user, "any");
      expect(refused(answer, "invalid_request").detail).toContain("user_id");
    });
  });

  test("is not mistaken for another that looks alike", async () => {
    const users = ["limit", "LIMIT", "l\u0131mit", "lim\u200Cit", "lim\u200Dit"];
    const codes = await inTurn(users, async (user) => (await client.reserve(user)).code);
    expect(new Set(codes).size).toBe(users.length);
    await inTurn(codes, (code) => client.release(code));
  });

  test.each([
    ["missing", ""],
    ["empty", "user_id="],
    ["without a value", "user_id"],
    ["a space", "user_id=%20"],
    ["a plus", "user_id=+"],
    ["blank in other scripts", "user_id=%C2%A0%E3%80%80%09%0A"],
    ["256 characters long", `user_id=${"x".repeat(256)}`],
    ["256 characters beyond the BMP", `user_id=${encodeURIComponent("😀".repeat(256))}`],
    ["10,000 characters long", `user_id=${"x".repeat(10_000)}`],
    ["NUL", "user_id=%00"],
    ["with NUL in it", "user_id=a%00b"],
    ["half a percent encoding", "user_id=%"],
    ["half a percent encoding more", "user_id=%4"],
    ["no hex digits", "user_id=%zz"],
    ["no UTF-8", "user_id=%ff%fe"],
    ["overlong UTF-8", "user_id=%c0%80"],
    ["half a surrogate pair", "user_id=%ed%a0%80"],
    ["cut UTF-8", "user_id=%f0%9f%98"],
  ])("that is %s is refused, naming the field", async (_, query) => {
    const before = await attempts();
    const answer = await client.ask("POST", `/checkout?id=any&${query}`);
    expect(refused(answer, "invalid_request").detail).toContain("user_id");
    expect(await attempts()).toBe(before);
  });

  test("given twice counts once, the first time", async () => {
    const answer = await client.ask("POST", "/checkout?user_id=first&user_id=second&id=any");
    expect(accepted(answer, reservation).user_id).toBe("first");
  });

  test("is not taken from a parameter that only begins alike", async () => {
    const answer = await client.ask("POST", "/checkout?user_id2=a&xuser_id=b&user=c&id=any");
    refused(answer, "invalid_request");
    const found = await client.ask("POST", "/checkout?user_id2=a&&=&=x&user_id=right&id=any");
    expect(accepted(found, reservation).user_id).toBe("right");
  });
});

describe("an item's id", () => {
  test.each(
    ["", "0", "-1", "+1", "1.5", "1.0", "1e3", "0x10", "ANY", "any ", "Any", "NaN", "Infinity"]
      .concat(["null", "١", "１", "1;2", "1 2", "--", "1'", "%", "any%00"])
      .map((id) => [id]),
  )("%j is refused, naming the field", async (id) => {
    const answer = await client.checkout("ann", id);
    expect(refused(answer, "invalid_request").detail).toContain("id");
  });

  test("that is broken or missing is refused", async () => {
    await inTurn(["id=%zz", "id=%", "id", "", "item=1", "Id=1"], async (query) => {
      refused(await client.ask("POST", `/checkout?user_id=ann&${query}`), "invalid_request");
    });
  });

  test.each([
    ["one too many", "201"],
    ["the largest integer", "2147483647"],
    ["one larger", "2147483648"],
    ["no exact number", "9007199254740993"],
    ["of 21 digits", "9".repeat(21)],
    ["of 999 digits", "9".repeat(999)],
  ])("that is %s is not found, and the attempt is stored", async (_, id) => {
    const before = await attempts();
    refused(await client.checkout("ann", id), "item_not_found");
    expect(await attempts()).toBe(before + 1);
  });
});

describe("a sale's id", () => {
  test.each([
    "0",
    "-1",
    "1.5",
    "999",
    "2147483647",
    "2147483648",
    "9".repeat(30),
    "junk",
    "",
    "null",
  ])("%j is a sale that is not there, and the attempt is stored", async (sale) => {
    const before = await attempts();
    refused(await client.checkout("ann", "any", { sale }), "sale_not_found");
    expect(await attempts()).toBe(before + 1);
  });

  test.each(["0", "-1", "1.5", "2147483648", "9".repeat(30), "junk", "%00", "%ff", "1%20", "1'"])(
    "%s in a path is a sale that is not there",
    async (sale) => {
      await inTurn(
        ["", "/items", "/items/1", "/items/1/image.svg", "/catalogue", "/availability", "/audit"],
        async (rest) => {
          refused(await client.get(`/sales/${sale}${rest}`), "sale_not_found");
        },
      );
    },
  );
});

const codeIn = (text = "") => /"code":"([0-9a-f-]{36})"/.exec(text)?.[1];

describe("an idempotency key", () => {
  test("of 128 bytes is remembered, of 129 is refused", async () => {
    const key = "k".repeat(128);
    const first = await client.reserve("keys", "any", { key });
    expect(await client.reserve("keys", "any", { key })).toEqual(first);
    expect(await lastStored("idempotency_key")).toBe(key);
    refused(await client.checkout("keys", "any", { key: `${key}k` }), "invalid_request");
    refused(await client.checkout("keys", "any", { key: "k".repeat(8_000) }), "invalid_request");
  });

  test.each(['"', "\\", "{}", "NULL", "a,b", "'; --", "a b", "%00", '{"a"}'])(
    "%j is remembered as it was sent",
    async (key) => {
      const first = await client.reserve("odd keys", "any", { key });
      expect(await client.reserve("odd keys", "any", { key })).toEqual(first);
      expect(await lastStored("idempotency_key")).toBe(key);
      await client.release(first.code);
    },
  );

  test("of 128 bytes is remembered whatever the bytes are", async () => {
    const line = "POST /checkout?user_id=bytes&id=any";
    const request = (bytes: number) => {
      const [head = "", tail = ""] = rawRequest(line, "Idempotency-Key: @").split("@");
      return Buffer.concat([Buffer.from(head), Buffer.alloc(bytes, 0xe9), Buffer.from(tail)]);
    };
    const first = await sendRaw(server.url, request(128));
    expect(first.status).toBe(200);
    expect(codeIn((await sendRaw(server.url, request(128))).text)).toBe(codeIn(first.text) ?? "");
    expect((await sendRaw(server.url, request(129))).status).toBe(400);
  });

  test("an empty one is none", async () => {
    const line = "POST /checkout?user_id=empty%20key&id=any";
    const [first, second] = await inTurn([1, 2], () =>
      sendRaw(server.url, rawRequest(line, "Idempotency-Key:")),
    );
    expect(codeIn(first?.text)).toBeDefined();
    expect(codeIn(first?.text)).not.toBe(codeIn(second?.text) ?? "");
  });
});

describe("a request", () => {
  test.each(["{", "null", '{"user_id":"body","id":1}', "\0\0\0", "a=b&c=d", "x".repeat(65_536)])(
    "with a body that nobody asked for is answered by its query alone",
    async (body) => {
      const headers = { "Content-Type": "application/json" };
      const answer = await client.ask("POST", "/checkout?user_id=body&id=9999", { body, headers });
      refused(answer, "item_not_found");
    },
  );

  test("with raw bytes in its query does no harm", async () => {
    const bytes = Buffer.from(rawRequest("POST /checkout?user_id=é☃&id=9999"));
    expect([400, 404]).toContain((await sendRaw(server.url, bytes)).status);
    const latin = Buffer.from(rawRequest("POST /checkout?user_id=é&id=9999"), "latin1");
    expect([400, 404]).toContain((await sendRaw(server.url, latin)).status);
  });

  test("of many parameters, or a long one, is answered", async () => {
    const many = upTo(500).map((n) => `p${n}=${n}`);
    const answer = await client.ask("POST", `/checkout?${many.join("&")}&user_id=many&id=9999`);
    refused(answer, "item_not_found");
    const long = await client.ask("POST", `/checkout?x=${"y".repeat(12_000)}&user_id=many&id=9999`);
    refused(long, "item_not_found");
  });

  test("that is no HTTP does no harm", async () => {
    await inTurn(["\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\x00\r\n\r\n"], async (bytes) => {
      const { status } = await sendRaw(server.url, bytes).catch(() => ({ status: 400 }));
      expect([0, 400]).toContain(status);
    });
  });

  test.each(["\0", "a\0b"])("whose header holds %j does no harm", async (value) => {
    const line = "POST /checkout?user_id=header&id=9999";
    const { status } = await sendRaw(server.url, rawRequest(line, `Idempotency-Key: ${value}`));
    expect([0, 400, 404]).toContain(status);
  });
});

test("afterwards the server still sells, and its figures are those of the records", async () => {
  expect((await client.get("/ready")).status).toBe(200);
  await client.reserveAndBuy("afterwards");
  expect(server.program.log).not.toContain('"level":50');
  const { id } = await client.openSale();
  const { sold, attempts: counted } = await client.sale(id);
  const [row] = await sql<{ sold: number; attempts: number }[]>`
    select (select count(*)::int from purchases) as sold,
           (select count(*)::int from attempts where sale_id = ${id}) as attempts`;
  expect(row).toEqual({ sold, attempts: counted });
});
