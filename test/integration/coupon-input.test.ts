/**
 * Hostile and odd input to the coupons: amounts, names, users, bodies, methods, types. All of
 * it is either taken as it is, byte for byte, or refused by naming the field; none of it does
 * the server any harm.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { Sql } from "postgres";
import { CouponClient, couponShape, given, pageShape, refusedWith } from "./coupon-client.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { rawRequest, sendRaw } from "../support/raw.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { inTurn } from "../support/wait.ts";

const postgres = usePostgres();
const bodyBytesMax = 65_536;
const integerMax = 2_147_483_647;
let url: string;
let server: TestServer;
let client: CouponClient;
let sql: Sql;

beforeAll(async () => {
  url = await postgres.newRecords();
  server = await startServer({ DATABASE_URL: url });
  client = new CouponClient(() => server.url);
  sql = lookInto(url);
  await client.make("TARGET", 1000);
});

/** The body `{"name": …, "amount": …}`, both as JSON texts. */
const couponBody = (name: string, amount: string): string => `{"name":${name},"amount":${amount}}`;

describe("an amount", () => {
  const good: [text: string, amount: number][] = [
    ["1", 1],
    ["2147483647", integerMax],
    ["1.0", 1],
    ["1e2", 100],
  ];

  test.each(good)("of %s is taken", async (text, amount) => {
    const answer = await client.post("/api/coupons", couponBody(`"AMOUNT ${text}"`, text));
    expect(given(answer, couponShape, 201)).toMatchObject({ amount, remaining_amount: amount });
  });

  test("of the most there may be counts down", async () => {
    await client.make("MOST", integerMax);
    expect((await client.take("ann", "MOST")).remaining_amount).toBe(integerMax - 1);
    expect((await client.details("MOST")).remaining_amount).toBe(integerMax - 1);
  });

  const bad = ["0", "-0", "-1", "1.5", "2147483648", "4294967297", "1e400", "-1e400", "1e-400"];
  test.each([...bad, '"100"', '""', "null", "true", "[]", "[1]", "{}"])(
    "of %s is 400",
    async (amount) => {
      const answer = await client.post("/api/coupons", couponBody('"REFUSED"', amount));
      expect(refusedWith(answer, "invalid_request").detail).toStartWith("amount ");
      refusedWith(await client.read("REFUSED"), "coupon_not_found");
    },
  );

  test("that is missing is 400", async () => {
    const answer = await client.post("/api/coupons", '{"name":"REFUSED"}');
    expect(refusedWith(answer, "invalid_request").detail).toStartWith("amount ");
  });
});

/** What names and users may be. */
const texts: [title: string, text: string][] = [
  ["255 characters", "n".repeat(255)],
  ["255 emoji", "🎟".repeat(255)],
  ["255 of three bytes", "券".repeat(255)],
  ["quotes", `'"\`''""`],
  ["a text of SQL", `'); drop table claims; --`],
  ["an array of PostgreSQL", '{a,NULL,"b"}'],
  ["braces", "{}"],
  ["a backslash at the end", "back\\slash\\"],
  ["slashes", "a/b//c/../d"],
  ["percent signs", "100%25%2F%"],
  ["a question and a fragment", "a?b=c&d#e"],
  ["plus signs", "a+b +"],
  ["spaces in it", "a  b"],
  ["emoji that are joined", "👩‍👩‍👧‍👦 🏳️‍🌈"],
  ["right to left", "קופון קיץ عرض خاص"],
  ["accents composed", "caf\u00e9"],
  ["accents that are not composed with anything", "cafx\u0301"],
  ["a character that is never assigned", "\uffff\u{10ffff}"],
  ["null", "null"],
  ["NULL", "NULL"],
  ["nULl", "nULl"],
  ["a path of the contract", "claim"],
  ["a path of the contract, encoded", "%63laim"],
  ["a number", "0"],
  ["a name of JavaScript", "__proto__"],
  ["another name of JavaScript", "constructor"],
  ["a wildcard of SQL", "%_%"],
  ["a comma", ","],
];

/** Name and user of a coupon, wherever they are stored, in the bytes of UTF-8. */
const storedBytes = (id: number) => sql`
  select encode(convert_to(c.name, 'UTF8'), 'hex') as name,
         encode(convert_to(l.coupon_name, 'UTF8'), 'hex') as coupon,
         encode(convert_to(l.user_id, 'UTF8'), 'hex') as user,
         encode(convert_to(a.coupon_name, 'UTF8'), 'hex') as tried,
         encode(convert_to(a.user_id, 'UTF8'), 'hex') as by
  from coupons c join claims l on l.coupon_name = c.name join attempts a on a.seq = l.seq
  where c.id = ${id}`;

describe("a name and a user", () => {
  test.each(texts)("of %s come back byte for byte", async (_title, text) => {
    const answer = await client.create(text, 2);
    const made = given(answer, couponShape, 201);
    const path = answer.headers.get("Location") ?? "";
    expect(decodeURIComponent(path.replace("/api/coupons/", ""))).toBe(text);

    const claim = await client.take(text, text, "key");
    expect([claim.coupon_name, claim.user_id]).toEqual([text, text]);
    expect(await client.take(text, text, "key")).toEqual(claim);
    refusedWith(await client.claim(text, text), "already_claimed");

    expect((await client.send("GET", path)).json()).toMatchObject({ name: text });
    expect(await client.details(text)).toMatchObject({ name: text, claimed_by: [text] });
    const { coupons } = given(await client.list({ after: made.id - 1, limit: 1 }), pageShape);
    expect(coupons).toEqual([{ ...made, remaining_amount: 1 }]);

    const hex = Buffer.from(text).toString("hex");
    const bytes = { name: hex, coupon: hex, user: hex, tried: hex, by: hex };
    expect([...(await storedBytes(made.id))]).toEqual([bytes]);
  });

  test("are the same after a restart, and known again", async () => {
    const again = { DATABASE_URL: await postgres.newRecords() };
    const all = texts.map(([, text]) => text);
    await using before = await startServer(again);
    const its = new CouponClient(() => before.url);
    await inTurn(all, (text) => its.make(text, 2));
    await Promise.all(all.map((text) => its.take(text, text)));
    await before.kill();
    await using after = await startServer(again);
    const same = new CouponClient(() => after.url);
    await Promise.all(
      all.map(async (text) => {
        refusedWith(await same.claim(text, text), "already_claimed");
        expect((await same.details(text)).claimed_by).toEqual([text]);
      }),
    );
  });

  test("a dot, or two, is a name that can be read where clients leave paths alone", async () => {
    await inTurn([".", ".."], async (name) => {
      const made = await client.create(name, 1);
      given(made, couponShape, 201);
      const path = `/api/coupons/${name.replaceAll(".", "%2E")}`;
      // A dot as it is would be taken out of the path by most clients.
      expect(made.headers.get("Location")).toBe(path);
      const { status, text } = await sendRaw(server.url, rawRequest(`GET ${path}`));
      expect(status).toBe(200);
      expect(text).toContain(`"name":"${name}"`);
    });
  });

  /** What they may not be, as JSON. */
  const bad: [title: string, text: string][] = [
    ["nothing", '""'],
    ["a space", '" "'],
    ["white space of all kinds", '"\\t\\r\\n\u00a0\u2003\ufeff"'],
    ["256 characters", `"${"n".repeat(256)}"`],
    ["256 emoji", `"${"🎟".repeat(256)}"`],
    ["10,000 characters", `"${"n".repeat(10_000)}"`],
    ["a NUL in it", '"a\\u0000b"'],
    ["half a character", '"a\\ud83c"'],
    ["the other half", '"\\udf9f"'],
    ["two halves in the wrong order", '"\\udf9f\\ud83c"'],
    ["null", "null"],
    ["a number", "1"],
    ["true", "true"],
    ["an array", '["a"]'],
    ["an object", '{"a":"b"}'],
  ];

  test.each(bad)("of %s is 400, and names the field", async (_title, text) => {
    const create = await client.post("/api/coupons", couponBody(text, "1"));
    expect(refusedWith(create, "invalid_request").detail).toStartWith("name ");
    const path = "/api/coupons/claim";
    const user = await client.post(path, `{"user_id":${text},"coupon_name":"TARGET"}`);
    expect(refusedWith(user, "invalid_request").detail).toStartWith("user_id ");
    const coupon = await client.post(path, `{"user_id":"ann","coupon_name":${text}}`);
    expect(refusedWith(coupon, "invalid_request").detail).toStartWith("coupon_name ");
  });

  test("that are missing are 400", async () => {
    const path = "/api/coupons/claim";
    const noName = await client.post("/api/coupons", '{"amount":1}');
    expect(refusedWith(noName, "invalid_request").detail).toStartWith("name ");
    const noUser = await client.post(path, '{"coupon_name":"TARGET"}');
    expect(refusedWith(noUser, "invalid_request").detail).toStartWith("user_id ");
    const noCoupon = await client.post(path, '{"user_id":"ann"}');
    expect(refusedWith(noCoupon, "invalid_request").detail).toStartWith("coupon_name ");
    const inherited = '{"__proto__":{"user_id":"ann","coupon_name":"TARGET"}}';
    refusedWith(await client.post(path, inherited), "invalid_request");
  });

  test.each(["%", "%ff", "%C3", "%ED%A0%80", "a%00b", "%20", "n".repeat(256)])(
    "a path of %s is 400",
    async (segment) => {
      const { status, text } = await sendRaw(server.url, rawRequest(`GET /api/coupons/${segment}`));
      expect(status).toBe(400);
      expect(text).toContain('"code":"invalid_request"');
    },
  );
});

/** `{"user_id":"…","coupon_name":"TARGET"}` with bytes of which nothing can be made. */
const notUtf8 = (bytes: readonly number[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from([
    ...new TextEncoder().encode('{"user_id":"x'),
    ...bytes,
    ...new TextEncoder().encode('","coupon_name":"TARGET"}'),
  ]);

const claimBody = (user: string, more = ""): string =>
  `{"user_id":"${user}","coupon_name":"TARGET"${more}}`;

describe("a body", () => {
  const bad: [title: string, body: string | Uint8Array<ArrayBuffer>][] = [
    ["nothing", ""],
    ["white space", " \n"],
    ["half of it", '{"user_id":"ann","coupon_na'],
    ["more than it", `${claimBody("ann")}}`],
    ["a null", "null"],
    ["a text", '"TARGET"'],
    ["a number", "1"],
    ["an array", `[${claimBody("ann")}]`],
    ["no JSON", "user_id=ann&coupon_name=TARGET"],
    ["a comment in it", `/* */${claimBody("ann")}`],
    ["a byte that is not UTF-8", notUtf8([0xe9])],
    ["half of a character of UTF-8", notUtf8([0xf0, 0x9f])],
    ["half a surrogate in UTF-8", notUtf8([0xed, 0xa0, 0x80])],
    ["an overlong form of UTF-8", notUtf8([0xc0, 0xaf])],
    ["UTF-16", new Uint8Array(Buffer.from(claimBody("ann"), "utf16le"))],
    ["30,000 levels and no end", "[".repeat(30_000)],
    ["30,000 levels", `${"[".repeat(30_000)}${"]".repeat(30_000)}`],
  ];

  test.each(bad)("of %s is 400", async (_title, body) => {
    const { claimed_by: before } = await client.details("TARGET");
    const answers = [
      await client.post("/api/coupons/claim", body),
      await client.post("/api/coupons", body),
    ];
    for (const answer of answers) refusedWith(answer, "invalid_request");
    expect((await client.details("TARGET")).claimed_by).toEqual(before);
  });

  test("of the most bytes is taken, of one more is 413, of a megabyte too", async () => {
    const path = "/api/coupons/claim";
    const body = claimBody("full");
    expect((await client.post(path, body.padEnd(bodyBytesMax))).status).toBe(200);
    const tooLarge = [bodyBytesMax + 1, 1_048_576];
    const answers = await inTurn(tooLarge, (size) => client.post(path, body.padEnd(size)));
    for (const answer of answers) refusedWith(answer, "payload_too_large");
  });

  test("whose length is not told is 413 all the same", async () => {
    const chunk = `${(8192).toString(16)}\r\n${" ".repeat(8192)}\r\n`;
    const head = rawRequest(
      "POST /api/coupons/claim",
      "Content-Type: application/json",
      "Transfer-Encoding: chunked",
    );
    const { status, text } = await sendRaw(server.url, `${head}${chunk.repeat(9)}0\r\n\r\n`);
    expect(status).toBe(413);
    expect(text).toContain('"code":"payload_too_large"');
  });

  const good: [user: string, body: string][] = [
    ["last", `{"user_id":1,"user_id":"first",${claimBody("last").slice(1)}`],
    ["escaped", claimBody("\\u0065scaped")],
    ["spaced", ` \r\n${claimBody("spaced")}\n`],
  ];

  test.each([
    ["coupon", claimBody("extra", ',"coupon":1')],
    ["toString", claimBody("extra", ',"toString":null')],
    ["__proto__", claimBody("extra", ',"__proto__":{"user_id":1}')],
    ["more", claimBody("deep", `,"more":${"[".repeat(1000)}${"]".repeat(1000)}`)],
  ])("with the field %s, which there is not, is refused by its name", async (field, body) => {
    const answer = await client.post("/api/coupons/claim", body);
    expect(refusedWith(answer, "invalid_request").detail).toStartWith(`${field} `);
  });

  test.each(good)("%s is taken", async (user, body) => {
    const answer = await client.post("/api/coupons/claim", body);
    expect({ status: answer.status, user: answer.json() }).toMatchObject({
      status: 200,
      user: { user_id: user },
    });
  });
});

const claimTyped = (type: string, user: string) =>
  client.send("POST", "/api/coupons/claim", {
    body: claimBody(user),
    headers: { "Content-Type": type },
  });

describe("a content type", () => {
  test.each([
    "application/json",
    "application/json; charset=utf-8",
    "APPLICATION/JSON",
    "application/vnd.coupon+json",
  ])("of %s is taken", async (type) => {
    expect((await claimTyped(type, `by ${type}`)).status).toBe(200);
  });

  test("that is missing is taken, when the body is JSON", async () => {
    const bare = await client.send("POST", "/api/coupons/claim", {
      body: claimBody("bare"),
      headers: null,
    });
    expect(bare.status).toBe(200);
    const none = await client.send("POST", "/api/coupons/claim", { body: "user", headers: null });
    refusedWith(none, "invalid_request");
  });

  test.each(["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"])(
    "of %s is 415",
    async (type) => {
      refusedWith(await claimTyped(type, "ann"), "unsupported_media_type");
      expect((await client.details("TARGET")).claimed_by).not.toContain("ann");
    },
  );
});

describe("a method", () => {
  const wrong: [method: string, path: string, allowed: string[]][] = [
    ["PUT", "/api/coupons", ["GET", "HEAD", "POST"]],
    ["DELETE", "/api/coupons", ["GET", "HEAD", "POST"]],
    // A coupon may be called `claim`.
    ["PUT", "/api/coupons/claim", ["DELETE", "GET", "HEAD", "PATCH", "POST"]],
    ["PUT", "/api/coupons/TARGET", ["DELETE", "GET", "HEAD", "PATCH"]],
    ["POST", "/api/coupons/TARGET", ["DELETE", "GET", "HEAD", "PATCH"]],
  ];

  test.each(wrong)(
    "of %s at %s is 405, and says what is allowed",
    async (method, path, allowed) => {
      const answer = await client.send(method, path, { body: "{}" });
      refusedWith(answer, "method_not_allowed");
      expect((answer.headers.get("Allow") ?? "").split(", ").toSorted()).toEqual(allowed);
    },
  );
});

test("a standby passes bodies and names on as they came", async () => {
  await using standby = await startServer({ DATABASE_URL: url });
  const there = new CouponClient(() => standby.url);
  for (const bytes of [[0xe9], [0xf0, 0x9f], [0xed, 0xa0, 0x80]]) {
    refusedWith(await there.post("/api/coupons/claim", notUtf8(bytes)), "invalid_request");
  }
  await inTurn(texts, async ([, text]) => {
    const name = [...`by standby ${text}`].slice(0, 255).join("");
    const answer = await there.create(name, 1);
    expect(given(answer, couponShape, 201).name).toBe(name);
    expect((await there.take("ann", name)).coupon_name).toBe(name);
    expect((await there.details(name)).claimed_by).toEqual(["ann"]);
  });
  expect((await client.details("TARGET")).claimed_by.join()).not.toContain("\ufffd");
});

test("nothing of all this has done the server any harm", async () => {
  expect(server.program.isRunning).toBe(true);
  // Pino's number for an error.
  expect(server.program.log).not.toContain('"level":50');
  await client.make("AFTERWARDS", 1);
  await client.take("ann", "AFTERWARDS");
});
