/** Webhooks: events sent in order, signed, tried again, replayed; and addresses that nothing is sent to. */
import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { z } from "zod";
import { eventTypes } from "../../src/store/feed.ts";
import { deliveriesKeptMax, webhooksMax } from "../../src/store/webhooks.ts";
import { usePostgres } from "../support/postgres.ts";
import { Receiver } from "../support/receiver.ts";
import { Clock } from "../support/shop.ts";
import { newKey, openStorefront, Person, read, told } from "../support/storefront.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const minuteMs = 60_000;
const dayMs = 86_400_000;

const webhookShape = z.strictObject({
  id: z.int(),
  url: z.string(),
  types: z.array(z.string()),
  state: z.enum(["on", "off"]),
  off_why: z.string().nullable(),
  delivered_up_to: z.int(),
  tries: z.int(),
  failing_since: z.iso.datetime().nullable(),
  next_try_at: z.iso.datetime().nullable(),
  created_at: z.iso.datetime(),
});
const madeShape = webhookShape.extend({ secret: z.string().regex(/^whsec_[A-Za-z0-9+/]{43}=$/) });
const deliveryShape = z.strictObject({
  id: z.int(),
  webhook_id: z.string(),
  seq: z.int(),
  type: z.string(),
  at: z.iso.datetime(),
  delivered: z.boolean(),
  status: z.int().nullable(),
  ms: z.int().min(0),
  error: z.string().nullable(),
});

let clock: Clock;
let front: Awaited<ReturnType<typeof openStorefront>>;
let admin: Person;
let receiver: Receiver;
let coupons = 0;

beforeAll(async () => {
  // Far from the hour, so that the hourly sale that is open stays so.
  clock = new Clock(Math.floor(Date.now() / 3_600_000) * 3_600_000 + 20 * minuteMs);
  front = await openStorefront(await postgres.newRecords(), clock, { WEBHOOK_PRIVATE: "1" });
  admin = await front.person("boss", "admin");
});

beforeEach(async () => {
  const { webhooks } = read(
    await admin.get("/api/admin/webhooks?limit=200"),
    z.object({ webhooks: z.array(webhookShape) }),
  );
  await inTurn(webhooks, ({ id }) => admin.ask("DELETE", `/api/admin/webhooks/${id}`));
  receiver = new Receiver();
});

const make = async (types: readonly string[] = ["coupon.claimed"], url = receiver.url) =>
  read(await admin.post("/api/admin/webhooks", { url, types }), madeShape, 201);
const look = async (id: number) => read(await admin.get(`/api/admin/webhooks/${id}`), webhookShape);
const deliveries = async (id: number, query = "") =>
  read(
    await admin.get(`/api/admin/webhooks/${id}/deliveries${query}`),
    z.object({ deliveries: z.array(deliveryShape), next_after: z.int().nullable() }),
  );

/** So many events, of claims of a coupon. */
async function claims(count: number): Promise<void> {
  coupons += 1;
  const coupon_name = `C${coupons}`;
  expect(told(await admin.post("/api/coupons", { name: coupon_name, amount: 1_000 }))).toBe("201");
  for (const n of upTo(count)) {
    const nobody = new Person("nobody", front.client, null);
    const claimed = await nobody.post("/api/coupons/claim", { user_id: `u${n}`, coupon_name });
    expect(told(claimed)).toBe("200");
  }
}

const came = (count: number) =>
  until(`${count} deliveries`, () => receiver.received.length >= count);
const isTried = (id: number, tries: number) =>
  until(`try ${tries}`, async () => (await look(id)).tries === tries);

describe("an endpoint", () => {
  test("is sent each event from its making on, in order, as the feed tells it, and signed", async () => {
    await claims(1);
    const { secret, ...made } = await make();
    expect(made).toMatchObject({ url: receiver.url, state: "on", tries: 0, off_why: null });
    await claims(3);
    await came(3);
    const feed = read(
      await admin.get(`/api/admin/feed?after=${made.delivered_up_to}`),
      z.object({ events: z.array(z.record(z.string(), z.unknown())) }),
    );
    expect(
      receiver.received.map(({ sent: { timestamp: at, ...one } }) => ({ at, ...one })),
    ).toEqual(feed.events as never[]);
    for (const { id, headers, text, sent } of receiver.received) {
      expect(id).toBe(`evt_${sent.seq}`);
      expect(headers.get("content-type")).toBe("application/json");
      // By the library, which wants a time that is now.
      const named = Object.fromEntries(headers);
      const tolerant = { ...named, "webhook-timestamp": named["webhook-timestamp"] ?? "" };
      const signed = `${id}.${tolerant["webhook-timestamp"]}.${text}`;
      const key = Buffer.from(secret.slice("whsec_".length), "base64");
      const byHand = createHmac("sha256", key).update(signed).digest("base64");
      expect(headers.get("webhook-signature")).toBe(`v1,${byHand}`);
      const at = new Date(Number(tolerant["webhook-timestamp"]) * 1_000);
      expect(new Webhook(secret).sign(id, at, text)).toBe(`v1,${byHand}`);
      expect(at.getTime()).toBe(Math.floor(clock.now / 1_000) * 1_000);
    }
    await until("its cursor", async () => {
      return (await look(made.id)).delivered_up_to === receiver.seqs.at(-1);
    });
    const { deliveries: all } = await deliveries(made.id);
    expect(all.map(({ seq }) => seq)).toEqual(receiver.seqs.toReversed());
    expect(all[0]).toMatchObject({
      webhook_id: receiver.received[2]?.id,
      delivered: true,
      status: 204,
      error: null,
    });
  });

  test("is sent the types that it wants alone, and others once it wants them", async () => {
    const { id } = await make(["coupon.claimed"]);
    const order = await front.client.reserveAndBuy("ann", 1);
    await claims(1);
    await came(1);
    const types = ["reservation.made", "order.created"];
    expect(told(await admin.ask("PATCH", `/api/admin/webhooks/${id}`, { types }))).toBe("200");
    await front.client.reserve("ann", 2);
    await came(2);
    expect(receiver.received.map(({ sent }) => sent.type)).toEqual([
      "coupon.claimed",
      "reservation.made",
    ]);
    expect(order.order_id).not.toBe("");
  });

  test("that fails is tried after 1 s, 2 s, 4 s …, the same under the same id, and nothing else before", async () => {
    let isDown = true;
    receiver.answering = () => new Response(null, { status: isDown ? 500 : 200 });
    const { id } = await make();
    await claims(2);
    let waitedMs = 0;
    for (const tries of upTo(5)) {
      await came(tries);
      await isTried(id, tries);
      const { next_try_at, failing_since, state } = await look(id);
      const nextMs = 1_000 * 2 ** (tries - 1);
      expect({ state, wait: Date.parse(next_try_at ?? "") - clock.now }).toEqual({
        state: "on",
        wait: nextMs,
      });
      expect(Date.parse(failing_since ?? "")).toBe(clock.now - waitedMs);
      clock.now += nextMs;
      waitedMs += nextMs;
      isDown = tries < 5;
    }
    await came(7);
    const [first] = receiver.received;
    expect(new Set(receiver.received.slice(0, 6).map((one) => one.id + one.text)).size).toBe(1);
    expect(receiver.seqs[6]).toBeGreaterThan(first?.sent.seq ?? 0);
    await until("its success", async () => (await look(id)).tries === 0);
    const { deliveries: all } = await deliveries(id);
    expect(all.map(({ status }) => status)).toEqual([200, 200, 500, 500, 500, 500, 500]);
    expect(all[2]).toMatchObject({ delivered: false, error: "answered 500" });
  });

  test("is off after three days without an answer, says so, and goes on where it was once it is on", async () => {
    receiver.answering = () => new Response(null, { status: 503 });
    const { id } = await make();
    await claims(1);
    await isTried(id, 1);
    clock.now += 3 * dayMs;
    await until("its end", async () => (await look(id)).state === "off");
    const { off_why, next_try_at } = await look(id);
    expect({ off_why, next_try_at }).toEqual({
      off_why: "nothing was answered for three days; last: answered 503",
      next_try_at: null,
    });
    const before = receiver.received.length;
    await claims(1);
    receiver.answering = () => new Response("thanks");
    const on = await admin.ask("PATCH", `/api/admin/webhooks/${id}`, { state: "on" });
    expect(read(on, webhookShape)).toMatchObject({ state: "on", tries: 0, off_why: null });
    await came(before + 2);
    expect(receiver.seqs.slice(before)).toEqual(receiver.seqs.slice(before).toSorted());
    expect(receiver.received[before]?.id).toBe(receiver.received[0]?.id ?? "");
  });

  test("has a replay: the events after one again, under their own ids, and then what follows", async () => {
    const { id, delivered_up_to: after } = await make();
    await claims(3);
    await came(3);
    const ids = receiver.received.map((one) => one.id);
    const path = `/api/admin/webhooks/${id}/replay`;
    expect(told(await admin.post(path, { after: receiver.seqs[0] }))).toBe("200");
    await came(5);
    expect(receiver.received.slice(3).map((one) => one.id)).toEqual(ids.slice(1));
    expect(told(await admin.post(path, { after }))).toBe("200");
    await came(8);
    await claims(1);
    await came(9);
    // Nothing is skipped by one from a later event on.
    expect(told(await admin.post(path, { after: Number.MAX_SAFE_INTEGER }))).toBe("200");
    await claims(1);
    await came(10);
    expect(new Set(receiver.seqs).size).toBe(5);
  });

  test("that answers with a redirect is not followed, and what it says is not read to its end", async () => {
    const elsewhere = new Receiver();
    receiver.answering = () => Response.redirect(elsewhere.url, 307);
    const { id } = await make();
    await claims(1);
    await isTried(id, 1);
    const [redirected] = (await deliveries(id)).deliveries;
    expect(redirected).toMatchObject({
      status: 307,
      error: "answered 307: redirects are not followed",
    });
    expect(elsewhere.received).toEqual([]);
    // As much as whoever reads takes.
    receiver.answering = () =>
      new Response(new ReadableStream({ pull: (body) => body.enqueue(new Uint8Array(65_536)) }));
    clock.now += 1_000;
    await until("its success", async () => (await look(id)).tries === 0);
  });

  test("that does not answer is in nobody's way", async () => {
    const silent = new Receiver();
    const ends = Promise.withResolvers<Response>();
    silent.answering = () => ends.promise;
    await make(undefined, silent.url);
    await make(undefined, "http://127.0.0.1:1/refused");
    await make();
    await claims(20);
    await came(20);
    expect(receiver.seqs).toEqual(receiver.seqs.toSorted((a, b) => a - b));
    expect(silent.received).toHaveLength(1);
    ends.resolve(new Response());
  });

  test(`has its last ${deliveriesKeptMax} tries kept, in pages`, async () => {
    const { id, delivered_up_to: after } = await make();
    await claims(deliveriesKeptMax / 2 + 10);
    await came(deliveriesKeptMax / 2 + 10);
    await admin.post(`/api/admin/webhooks/${id}/replay`, { after });
    await came(deliveriesKeptMax + 20);
    await until("the last", async () => (await look(id)).delivered_up_to === receiver.seqs.at(-1));
    const first = await deliveries(id, "?limit=150");
    const rest = await deliveries(id, `?limit=150&after=${first.next_after}`);
    expect(first.deliveries).toHaveLength(150);
    expect(rest.deliveries.length).toBeGreaterThanOrEqual(deliveriesKeptMax - 150);
    expect(rest.deliveries.length).toBeLessThanOrEqual(deliveriesKeptMax - 150);
    expect(rest.next_after).toBeNull();
    expect(first.deliveries[0]?.seq).toBe(receiver.seqs.at(-1) ?? 0);
  });
});

test("there are so many webhooks, and no more", async () => {
  for (const _ of upTo(webhooksMax)) await make();
  const body = { url: receiver.url, types: ["order.created"] };
  expect(told(await admin.post("/api/admin/webhooks", body))).toBe("409 too_many_webhooks");
  const pages = z.object({ webhooks: z.array(webhookShape), next_after: z.int().nullable() });
  const first = read(await admin.get("/api/admin/webhooks?limit=30"), pages);
  const next = read(
    await admin.get(`/api/admin/webhooks?limit=30&after=${first.next_after}`),
    pages,
  );
  const ids = [...first.webhooks, ...next.webhooks].map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => b - a));
  expect(ids).toHaveLength(webhooksMax);
  expect(next.next_after).toBeNull();
});

test("what is asked wrongly is refused, naming the field, and who may not ask", async () => {
  const url = "https://shop.example/hook";
  const types = ["order.created"];
  const wrong: readonly [body: object, names: string][] = [
    [{ types }, "url"],
    [{ url }, "types"],
    [{ url, types: [] }, "types"],
    [{ url, types: ["order.made"] }, "types"],
    [{ url, types: [...types, ...types] }, "types"],
    [{ url, types: "order.created" }, "types"],
    [{ url: "ftp://shop.example/", types }, "url"],
    [{ url: "file:///etc/passwd", types }, "url"],
    [{ url: "shop.example", types }, "url"],
    [{ url: "https://me:secret@shop.example/", types }, "url"],
    [{ url: `https://shop.example/${"x".repeat(2_048)}`, types }, "url"],
    [{ url, types, secret: "whsec_mine" }, "secret"],
  ];
  for (const [body, name] of wrong) {
    const answer = await admin.post("/api/admin/webhooks", body);
    expect([body, told(answer)]).toEqual([body, "400 invalid_request"]);
    expect(answer.text).toContain(`"detail":"${name}`);
  }
  const { id } = await make([...eventTypes]);
  const path = `/api/admin/webhooks/${id}`;
  for (const body of [{}, { url: "gopher://x/" }, { state: "paused" }, { types: ["x"] }]) {
    expect(told(await admin.ask("PATCH", path, body))).toBe("400 invalid_request");
  }
  for (const body of [{}, { after: -1 }, { after: "0" }]) {
    expect(told(await admin.post(`${path}/replay`, body))).toBe("400 invalid_request");
  }
  expect(told(await admin.get(`${path}/deliveries?page=2`))).toBe("400 invalid_request");
  const none = "/api/admin/webhooks/999999";
  expect(told(await admin.get(none))).toBe("404 webhook_not_found");
  expect(told(await admin.get(`${none}/deliveries`))).toBe("404 webhook_not_found");
  expect(told(await admin.ask("PATCH", none, { state: "on" }))).toBe("404 webhook_not_found");
  expect(told(await admin.ask("DELETE", none))).toBe("404 webhook_not_found");
  expect(told(await admin.post(`${none}/replay`, { after: 0 }))).toBe("404 webhook_not_found");

  const ann = await front.person("ann");
  const nobody = new Person("nobody", front.client, null);
  expect(told(await ann.get(path))).toBe("403 forbidden");
  expect(told(await nobody.get(path))).toBe("401 unauthenticated");
  for (const scope of ["read", "sell"]) {
    const key = await newKey(admin, scope);
    expect(told(await nobody.ask("DELETE", path, undefined, key))).toBe("403 forbidden");
  }
  const manager = await newKey(admin, "manage");
  expect(told(await nobody.ask("GET", "/api/admin/webhooks", undefined, manager))).toBe("200");
  expect(told(await nobody.ask("DELETE", path, undefined, manager))).toBe("204");
});

test("who made, changed, replayed and removed one is in the activity, and no secret", async () => {
  const changes = z.object({
    activity: z.array(
      z.object({
        seq: z.int(),
        who: z.string(),
        what: z.string(),
        before: z.any(),
        after: z.any(),
      }),
    ),
  });
  const activity = async () => read(await admin.get("/api/admin/activity?limit=20"), changes);
  const before = (await activity()).activity[0]?.seq ?? 0;
  const { id, secret } = await make();
  const path = `/api/admin/webhooks/${id}`;
  await admin.ask("PATCH", path, { state: "off" });
  await admin.post(`${path}/replay`, { after: 0 });
  await admin.ask("DELETE", path);
  const { activity: all } = await activity();
  const since = all.filter(({ seq }) => seq > before).toReversed();
  expect(since.map(({ what, who }) => `${who} ${what}`)).toEqual([
    "boss webhook.made",
    "boss webhook.changed",
    "boss webhook.replayed",
    "boss webhook.removed",
  ]);
  expect(since[1]).toMatchObject({ before: { state: "on" }, after: { state: "off" } });
  const said = JSON.stringify([all, await admin.get("/api/admin/webhooks")]);
  expect(said).not.toContain(secret.slice("whsec_".length));
  const [stored] = await front.sql<{ found: boolean }[]>`
    select exists (select from webhooks where secret like '%whsec%') as found`;
  expect(stored?.found).toBe(false);
});

test("private addresses are refused where they are not allowed, when one is made and when it is changed", async () => {
  const other = await openStorefront(await postgres.newRecords(), clock);
  const boss = await other.person("boss", "admin");
  const types = ["order.created"];
  const refused = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://0x7f000001/",
    "http://2130706433/",
    "http://0/",
    "http://localhost/",
    "http://shop.localhost./",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://192.168.1.1:8080/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
  ];
  for (const url of refused) {
    const answer = await boss.post("/api/admin/webhooks", { url, types });
    expect([url, told(answer)]).toEqual([url, "400 invalid_request"]);
    expect(answer.text).toContain("url leads to a private address");
  }
  const made = await boss.post("/api/admin/webhooks", { url: "https://1.1.1.1/hook", types });
  const { id } = read(made, madeShape, 201);
  const changed = await boss.ask("PATCH", `/api/admin/webhooks/${id}`, { url: refused[0] });
  expect(told(changed)).toBe("400 invalid_request");
});
