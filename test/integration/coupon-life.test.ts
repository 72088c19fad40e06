/**
 * The life of a coupon: how many there are, when it can be claimed and whether at all are changed by
 * those who may, one that nobody has is removed, and who did what is told.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { usePostgres } from "../support/postgres.ts";
import { Clock } from "../support/shop.ts";
import { newKey, openStorefront, Person, read, told } from "../support/storefront.ts";
import { inTurn } from "../support/wait.ts";

const postgres = usePostgres();
const minuteMs = 60_000;

let clock: Clock;
let front: Awaited<ReturnType<typeof openStorefront>>;
let admin: Person;
let ann: Person;
let nobody: Person;
let merchant: Record<string, string>;

beforeAll(async () => {
  clock = new Clock(Math.floor(Date.now() / 3_600_000) * 3_600_000 + 20 * minuteMs);
  front = await openStorefront(await postgres.newRecords(), clock);
  admin = await front.person("boss", "admin");
  ann = await front.person("ann");
  nobody = new Person("nobody", front.client, null);
  merchant = await newKey(admin, "manage", "read");
});

const couponShape = z.object({
  id: z.int(),
  name: z.string(),
  amount: z.int(),
  remaining_amount: z.int(),
  created_at: z.iso.datetime(),
  starts_at: z.iso.datetime().nullable(),
  ends_at: z.iso.datetime().nullable(),
  disabled: z.boolean(),
});

const pathOf = (name: string): string => `/api/coupons/${encodeURIComponent(name)}`;
const at = (ms: number): string => new Date(clock.now + ms).toISOString();

const make = (name: string, amount: number) => nobody.post("/api/coupons", { name, amount });
const change = (name: string, to: object) => admin.ask("PATCH", pathOf(name), to);
const remove = (name: string) => admin.ask("DELETE", pathOf(name));
const claim = (user: string, name: string) =>
  nobody.post("/api/coupons/claim", { user_id: user, coupon_name: name });
/** By a merchant's key. */
const by = (method: string, path: string, body?: object) =>
  nobody.ask(method, path, body, merchant);
const found = async (name: string) => read(await nobody.get(pathOf(name)), couponShape);

/** What was noted of coupons, the oldest first. */
async function activity() {
  const shape = z.object({
    activity: z.array(
      z.object({ who: z.string(), what: z.string(), before: z.unknown(), after: z.unknown() }),
    ),
  });
  const { activity: all } = read(await admin.get("/api/admin/activity?limit=500"), shape);
  return all.filter(({ what }) => what.startsWith("coupon.")).toReversed();
}

describe("a coupon", () => {
  test("has another amount, never below what is claimed", async () => {
    await make("Amount", 2);
    for (const user of ["ann", "bob"]) expect(told(await claim(user, "Amount"))).toBe("200");
    expect(told(await claim("cyd", "Amount"))).toBe("409 sold_out");
    expect(told(await change("Amount", { amount: 1 }))).toBe("409 amount_too_small");
    const more = read(await change("Amount", { amount: 3 }), couponShape);
    expect(more).toMatchObject({ amount: 3, remaining_amount: 1, disabled: false });
    expect(told(await claim("cyd", "Amount"))).toBe("200");
    expect(told(await change("Amount", { amount: 2 }))).toBe("409 amount_too_small");
    expect(read(await change("Amount", { amount: 9 }), couponShape).remaining_amount).toBe(6);
    expect(read(await change("Amount", { amount: 3 }), couponShape).remaining_amount).toBe(0);
  });

  test("is claimed from its beginning to its end, and not while it is disabled", async () => {
    await make("Life", 9);
    expect(await found("Life")).toMatchObject({ starts_at: null, ends_at: null, disabled: false });
    expect(told(await claim("ann", "Life"))).toBe("200");
    const window = { starts_at: at(minuteMs), ends_at: at(2 * minuteMs) };
    expect(read(await change("Life", window), couponShape)).toMatchObject(window);
    const early = await claim("bob", "Life");
    expect(told(early)).toBe("409 coupon_not_active");
    expect(early.headers.get("Retry-After")).toBe("60");
    expect(told(await claim("ann", "Life"))).toBe("409 already_claimed");
    clock.now += minuteMs - 1;
    expect(told(await claim("bob", "Life"))).toBe("409 coupon_not_active");
    clock.now += 1;
    expect(told(await claim("bob", "Life"))).toBe("200");
    expect(told(await change("Life", { disabled: true }))).toBe("200");
    const off = await claim("cyd", "Life");
    expect([told(off), off.headers.get("Retry-After")]).toEqual(["409 coupon_not_active", null]);
    expect(told(await change("Life", { disabled: false }))).toBe("200");
    clock.now += minuteMs - 1;
    expect(told(await claim("cyd", "Life"))).toBe("200");
    clock.now += 1;
    const late = await claim("dan", "Life");
    expect([told(late), late.headers.get("Retry-After")]).toEqual(["409 coupon_not_active", null]);
    // Null clears a time, and leaves the other.
    read(await change("Life", { ends_at: null }), couponShape);
    expect(await found("Life")).toMatchObject({ starts_at: window.starts_at, ends_at: null });
    expect(told(await claim("dan", "Life"))).toBe("200");
    // Before sold_out.
    read(await change("Life", { amount: 4, disabled: true }), couponShape);
    expect(told(await claim("eve", "Life"))).toBe("409 coupon_not_active");
    expect(told(await claim("eve", "no such"))).toBe("404 coupon_not_found");
  });

  test("that somebody has is not removed; of one that is gone another is made", async () => {
    await make("Gone ü/%", 1);
    expect(told(await remove("Gone ü/%"))).toBe("204");
    expect(told(await nobody.get(pathOf("Gone ü/%")))).toBe("404 coupon_not_found");
    expect(told(await claim("ann", "Gone ü/%"))).toBe("404 coupon_not_found");
    expect(told(await remove("Gone ü/%"))).toBe("404 coupon_not_found");
    expect(told(await change("Gone ü/%", { amount: 2 }))).toBe("404 coupon_not_found");
    expect(told(await make("Gone ü/%", 2))).toBe("201");
    expect(told(await claim("ann", "Gone ü/%"))).toBe("200");
    expect(told(await remove("Gone ü/%"))).toBe("409 coupon_claimed");
    expect(await found("Gone ü/%")).toMatchObject({ amount: 2, remaining_amount: 1 });
  });

  test("of the name claim has its path to itself", async () => {
    await make("claim", 1);
    expect(read(await change("claim", { amount: 5 }), couponShape).amount).toBe(5);
    expect(told(await remove("claim"))).toBe("204");
  });
});

test("what is no change is 400 and names the field", async () => {
  await make("Field", 1);
  const wrong: [body: object, detail: string][] = [
    [{}, "body has nothing that can be changed"],
    [{ amount: 0 }, "amount is not an integer from 1 to 2147483647"],
    [{ amount: null }, "amount is not"],
    [{ starts_at: "tomorrow" }, "starts_at is not a time"],
    [{ ends_at: 5 }, "ends_at is not a time"],
    [{ disabled: "yes" }, "disabled is neither true nor false"],
    [{ name: "Other" }, "name is not a field of this body"],
    [{ starts_at: at(5), ends_at: at(5) }, "ends_at is not after starts_at"],
  ];
  await inTurn(wrong, async ([body, detail]) => {
    const answer = await change("Field", body);
    expect(told(answer)).toBe("400 invalid_request");
    expect(answer.text).toContain(detail);
  });
  read(await change("Field", { starts_at: at(minuteMs) }), couponShape);
  expect((await change("Field", { ends_at: at(5) })).text).toContain("ends_at is not after");
  expect((await found("Field")).ends_at).toBeNull();
});

test("those who may not are refused, and change nothing", async () => {
  await make("Mine", 1);
  for (const [method, body] of [["PATCH", { amount: 5 }], ["DELETE"]] as const) {
    expect(told(await nobody.ask(method, pathOf("Mine"), body))).toBe("401 unauthenticated");
    expect(told(await ann.ask(method, pathOf("Mine"), body))).toBe("403 forbidden");
  }
  const reader = await newKey(admin, "read", "sell");
  expect(told(await nobody.ask("DELETE", pathOf("Mine"), undefined, reader))).toBe("403 forbidden");
  const wrong = { Authorization: "Bearer sk_wrong" };
  expect(told(await nobody.post("/api/coupons", { name: "x", amount: 1 }, wrong))).toBe(
    "401 unauthenticated",
  );
  expect(await found("Mine")).toMatchObject({ amount: 1 });
});

test("who made, changed and removed a coupon is told: administrators and keys, not guests", async () => {
  const before = (await activity()).length;
  expect(told(await by("POST", "/api/coupons", { name: "Key's", amount: 4 }))).toBe("201");
  expect(told(await by("POST", "/api/coupons", { name: "Key's", amount: 4 }))).toBe(
    "409 coupon_exists",
  );
  expect(told(await make("Guest's", 1))).toBe("201");
  expect(told(await ann.post("/api/coupons", { name: "Ann's", amount: 1 }))).toBe("201");
  expect(told(await by("PATCH", pathOf("Key's"), { amount: 2 }))).toBe("200");
  const end = at(minuteMs);
  expect(told(await change("Key's", { ends_at: end, disabled: true }))).toBe("200");
  expect(told(await change("Key's", { ends_at: at(-1), starts_at: at(0) }))).toBe(
    "400 invalid_request",
  );
  expect(told(await remove("Key's"))).toBe("204");
  const noted = (await activity()).slice(before);
  const key = noted[0]?.who ?? "";
  const name = "Key's";
  expect(noted).toEqual([
    { who: key, what: "coupon.made", before: null, after: { name, amount: 4 } },
    { who: key, what: "coupon.changed", before: { name, amount: 4 }, after: { name, amount: 2 } },
    {
      who: "boss",
      what: "coupon.changed",
      before: { name, ends_at: null, disabled: false },
      after: { name, ends_at: end, disabled: true },
    },
    { who: "boss", what: "coupon.removed", before: { name, amount: 2 }, after: null },
  ]);
  expect(key).not.toBe("boss");
});
