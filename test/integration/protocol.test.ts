/** What holds for every path: methods, sizes, request ids, and answers when nothing can sell. */
import { beforeAll, describe, expect, spyOn, test } from "bun:test";
import { serve } from "../../src/http/server.ts";
import { refused } from "../support/contract.ts";
import type { Client } from "../support/client.ts";
import { freePort } from "../support/leftovers.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { Program, startServer, TestServer } from "../support/server.ts";
import { quietLog } from "../support/shop.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const bodyBytesMax = 65_536;
let server: TestServer;
let client: Client;
let url: string;
let picture: string;

beforeAll(async () => {
  url = await postgres.newRecords();
  server = await startServer({ DATABASE_URL: url });
  ({ client } = server);
  const { id } = await client.openSale();
  picture = `/sales/${id}/items/1/image.svg`;
});

const readable = () => ["/health", "/ready", "/sale", "/sales/1", "/sales/1/items", picture, "/"];

/** The methods that a path answers, as it says when it refuses one. */
async function allow(method: string, path: string): Promise<string[]> {
  const answer = await client.ask(method, path);
  refused(answer, "method_not_allowed");
  return (answer.headers.get("Allow") ?? "").split(", ").toSorted();
}

const checkoutBy = (user: string) => `/checkout?user_id=${user}&id=any`;

/** The id that comes back for one that was sent. */
async function answered(path: string, id: string, method = "GET"): Promise<string | null> {
  const { headers } = await client.ask(method, path, { headers: { "X-Request-Id": id } });
  return headers.get("X-Request-Id");
}

describe("a method", () => {
  test("that a path does not know is refused with those that it does", async () => {
    expect(await allow("GET", "/checkout?user_id=a&id=1")).toEqual(["DELETE", "POST"]);
    expect(await allow("PUT", "/checkout")).toEqual(["DELETE", "POST"]);
    expect(await allow("GET", "/purchase")).toEqual(["POST"]);
    expect(await allow("DELETE", "/purchase")).toEqual(["POST"]);
    await inTurn([...readable(), "/events", "/sales/1/audit"], async (path) => {
      expect(await allow("POST", path)).toEqual(["GET", "HEAD"]);
      expect(await allow("OPTIONS", path)).toEqual(["GET", "HEAD"]);
    });
  });

  test("HEAD is answered as GET is, without a body", async () => {
    await inTurn(readable(), async (path) => {
      const [head, get] = [await client.ask("HEAD", path), await client.get(path)];
      expect({ path, status: head.status, text: head.text }).toEqual({
        path,
        status: get.status,
        text: "",
      });
      expect(head.headers.get("Content-Type")).toBe(get.headers.get("Content-Type"));
    });
    expect((await client.ask("HEAD", "/sales/999")).status).toBe(404);
    expect((await client.ask("HEAD", "/checkout")).status).toBe(405);
    expect((await client.ask("HEAD", "/events")).status).toBe(200);
  });
});

describe("a path", () => {
  test.each(["/nothing", "/checkout/", "/sale/1", "/sales/1/nothing", "/%00", "/%ff", "/.env"])(
    "%s that nobody knows is refused",
    async (path) => {
      refused(await client.get(path), "not_found");
      refused(await client.ask("POST", path), "not_found");
    },
  );
});

describe("a body", () => {
  test("of 64 KiB is let pass, of one byte more it is not", async () => {
    const fits = await client.ask("POST", checkoutBy("fits"), { body: "x".repeat(bodyBytesMax) });
    expect(fits.status).toBe(200);
    const large = await client.ask("POST", checkoutBy("large"), {
      body: "x".repeat(bodyBytesMax + 1),
    });
    refused(large, "payload_too_large");
    const huge = await client.ask("POST", checkoutBy("huge"), {
      body: "x".repeat(9 * 1024 * 1024),
    });
    refused(huge, "payload_too_large");
  });

  test("that does not say how long it is, is measured", async () => {
    const body = new ReadableStream<Uint8Array>({
      start: (stream) => {
        for (let sent = 0; sent <= bodyBytesMax; sent += 4_096)
          stream.enqueue(new Uint8Array(4_096));
        stream.close();
      },
    });
    const response = await fetch(`${server.url}${checkoutBy("chunks")}`, { method: "POST", body });
    expect(response.status).toBe(413);
  });

  test("that was refused leaves the connection usable, and nothing stored", async () => {
    await inTurn(upTo(5), async () => {
      const large = await client.ask("POST", checkoutBy("many"), { body: "x".repeat(100_000) });
      expect(large.status).toBe(413);
      expect((await client.get("/health")).status).toBe(200);
    });
    const rows = await lookInto(url)`select 1 from attempts where user_id in ('large', 'many')`;
    expect(rows.length).toBe(0);
  });
});

describe("a request's id", () => {
  test("comes back when it is sane", async () => {
    const paths = [...readable(), "/nothing", "/sales/999", "/purchase"];
    await inTurn(paths, async (path) => {
      const id = crypto.randomUUID();
      expect({ path, id: await answered(path, id) }).toEqual({ path, id });
    });
    expect(await answered("/checkout?user_id=id&id=any", "abc.DEF_1:2/3", "POST")).toBe(
      "abc.DEF_1:2/3",
    );
    expect(await answered("/health", "x".repeat(128))).toBe("x".repeat(128));
  });

  test.each(["with space", "tab\tbed", "é", ""])("such as %j does not", async (id) => {
    expect(await answered("/health", id)).toBeNull();
  });

  test("of 129 bytes does not", async () => {
    expect(await answered("/health", "x".repeat(129))).toBeNull();
  });

  test("is not left on the answers to others", async () => {
    await answered("/checkout?id=1", "mine", "POST");
    const other = await client.ask("POST", "/checkout?id=1");
    expect(other.headers.get("X-Request-Id")).toBeNull();
    await answered("/purchase?code=00000000-0000-4000-8000-000000000000", "mine", "POST");
    const unknown = await client.purchase("00000000-0000-4000-8000-000000000000");
    expect(unknown.headers.get("X-Request-Id")).toBeNull();
  });
});

/** Records that contradict themselves, a purchase without an attempt: nothing may be sold from them. */
async function startOnBrokenRecords(): Promise<TestServer> {
  const broken = await postgres.newRecords();
  const sql = lookInto(broken);
  await sql`
    insert into sales (kind, title, starts_at, ends_at, per_user_limit, reservation_ttl_ms, item_count)
    values ('hourly', 'broken', '2020-01-01', '2120-01-01', 1, 1000, 1)`;
  await sql`
    insert into items (sale_id, id, name, picture_seed, price_cents, stock)
    values (1, 1, 'item', 'seed', 1, 1)`;
  await sql`alter table purchases disable trigger purchases_reserved`;
  await sql`
    insert into purchases (sale_id, item_id, unit, item_stock, buyer, user_id, user_ordinal, user_limit,
                           code, seq, purchased_at)
    values (1, 1, 1, 1, 'guest', 'u', 1, 1, gen_random_uuid(), 1, now())`;
  const port = freePort();
  const running = new Program(["serve"], { DATABASE_URL: broken, PORT: String(port) });
  await until("its refusal to sell", () => running.log.includes("not selling"));
  return new TestServer(running, `http://127.0.0.1:${port}`);
}

describe("while nothing can be sold", () => {
  test("the program lives, says why, and asks to try again", async () => {
    await using stuck = await startOnBrokenRecords();
    expect((await stuck.client.get("/health")).status).toBe(200);
    expect(stuck.program.log).toContain("stampede verify");
    const code = crypto.randomUUID();
    refused(await stuck.client.checkout("a", "any"), "unavailable", "retry");
    refused(await stuck.client.purchase(code), "unavailable", "retry");
    refused(await stuck.client.release(code), "unavailable", "retry");
  });

  test("it is not ready, and the answer can be found in the log by its id", async () => {
    await using stuck = await startOnBrokenRecords();
    refused(await stuck.client.get("/ready"), "unavailable", "retry");
  });

  test("it can be stopped all the same", async () => {
    await using stuck = await startOnBrokenRecords();
    expect(await stuck.stop()).toBe(0);
  });

  test("a flood of invented codes is refused past its bound, and passes", async () => {
    const lookupsMax = 64;
    const past = 16;
    const sql = lookInto(url);
    const free = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    const blocking = sql.begin(async (tx) => {
      await tx`lock table attempts in access exclusive mode`;
      locked.resolve();
      await free.promise;
    });
    await locked.promise;
    let done = 0;
    const asked = upTo(lookupsMax + past).map(async () => {
      const answer = await client.purchase(crypto.randomUUID());
      done += 1;
      return answer;
    });
    await until("the refusals past the bound", () => done === past);
    free.resolve();
    await blocking;
    const answers = await Promise.all(asked);
    const overloaded = answers.filter(({ status }) => status === 503);
    expect(overloaded.length).toBe(past);
    for (const answer of overloaded) refused(answer, "overloaded", "retry");
    for (const answer of answers) if (answer.status !== 503) refused(answer, "code_not_found");
    expect((await client.checkout("after", "any")).status).toBe(200);
  });
});

test("an export that waits for its turn is not cut off as a connection on which nothing is said", async () => {
  const [first, begun] = [Promise.withResolvers<Response>(), Promise.withResolvers<void>()];
  const costly = { cost: "costly", summary: "", answers: {}, refusals: [] } as const;
  const audit = () => {
    begun.resolve();
    return first.promise;
  };
  const lines = { ...costly, mediaType: "text/csv", handle: () => new Response("a,b\r\n") };
  const routes = [
    { path: "/audit", methods: { GET: { ...costly, handle: audit } } },
    { path: "/lines.csv", methods: { GET: lines } },
  ];
  const serving = serve({ routes, host: "127.0.0.1", port: 0, log: quietLog });
  const before = fetch(new URL("/audit", serving.url));
  await begun.promise;
  const patience = spyOn(serving, "timeout");
  const asked = fetch(new URL("/lines.csv", serving.url));
  await until("more time for it", () => patience.mock.calls.length > 0);
  // Bun's own is ten.
  expect(patience.mock.calls[0]?.[1]).toBeGreaterThan(10);
  first.resolve(new Response());
  expect((await before).status).toBe(200);
  expect(await (await asked).text()).toBe("a,b\r\n");
  await serving.stop(true);
});
