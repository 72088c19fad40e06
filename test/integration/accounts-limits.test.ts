/** How often somebody may try to log in or to register, and how many at once. */
import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { BlockList } from "node:net";
import { parseNetworks } from "../../src/access/clients.ts";
import { allowances } from "../../src/access/limits.ts";
import { hashesAtOnceMax, hashesWaitingMax } from "../../src/access/passwords.ts";
import {
  type AccountClient,
  CountedHashing,
  expectRefusal,
  openAccountShop,
} from "../support/accounts.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock } from "../support/shop.ts";
import { inTurn, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const clock = new Clock(Date.parse("2026-06-01T12:00:00Z"));
const hashing = new CountedHashing();
const password = "a good password";
const minuteMs = 60_000;

let client: AccountClient;
let count = 0;
const newName = (): string => `user.${(count += 1)}`;
let addresses = 0;
/** The header by which the tests' proxy names a client that no test has had. */
const newAddress = () => ({ "X-Forwarded-For": `192.0.2.${(addresses += 1)}` });

beforeAll(async () => {
  const proxies = new BlockList();
  proxies.addAddress("127.0.0.1");
  const url = await postgres.newRecords();
  ({ client } = await openAccountShop(url, { clock, hashing, proxies }));
});

beforeEach(() => {
  clock.now += 24 * 3_600_000;
});

async function newUser() {
  const name = newName();
  expect((await client.register(name, password)).status).toBe(201);
  return { name };
}

describe("a limit", () => {
  const { loginOfAccountFromAddress, loginFromAddress, loginOfAccount } = allowances;

  test("on guessing one account locks out who guesses, and tells when to come again", async () => {
    const { name } = await newUser();
    const headers = newAddress();
    const guess = () => client.login(name, "not the password", { headers });
    await inTurn(upTo(loginOfAccountFromAddress.times), async () => {
      expectRefusal(await guess(), 401, "invalid_credentials");
    });
    const refused = await guess();
    expectRefusal(refused, 429, "too_many_attempts");
    const waitMs = loginOfAccountFromAddress.perMs / loginOfAccountFromAddress.times;
    expect(Number(refused.headers.get("Retry-After"))).toBe(waitMs / 1000);
    expectRefusal(await client.login(name, password, { headers }), 429, "too_many_attempts");
    await client.enter(name, password, { headers: newAddress() });
    clock.now += waitMs;
    await client.enter(name, password, { headers });
  });

  test("counts the current password of a change of it like a login", async () => {
    const { name } = await newUser();
    const headers = newAddress();
    const { headers: known } = await client.enter(name, password, { headers });
    const change = (current: string) =>
      client.send(
        "POST",
        "/api/auth/password",
        { current_password: current, new_password: password },
        { headers: { ...headers, ...known } },
      );
    await inTurn(upTo(loginOfAccountFromAddress.times), () => change(password));
    await inTurn(upTo(loginOfAccountFromAddress.times - 1), async () => {
      expectRefusal(await change("not the password"), 401, "invalid_credentials");
    });
    const guess = await client.login(name, "not the password", { headers });
    expectRefusal(guess, 401, "invalid_credentials");
    const refused = await change(password);
    expectRefusal(refused, 429, "too_many_attempts");
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(0);
    expectRefusal(await client.login(name, password, { headers }), 429, "too_many_attempts");
  });

  test("is the same for names that nobody has", async () => {
    const headers = newAddress();
    const name = newName();
    hashing.verified.length = 0;
    const answers = await inTurn(upTo(loginOfAccountFromAddress.times + 1), () =>
      client.login(name, "not the password", { headers }),
    );
    expect(answers.map(({ status }) => status)).toEqual([
      ...upTo(loginOfAccountFromAddress.times).map(() => 401),
      429,
    ]);
    expect(hashing.verified.length).toBe(loginOfAccountFromAddress.times);
  });

  test("holds for many guesses at once", async () => {
    const { name } = await newUser();
    const headers = newAddress();
    const answers = await Promise.all(
      upTo(40).map(() => client.login(name, "not the password", { headers })),
    );
    const tried = answers.filter(({ status }) => status === 401);
    expect(tried.length).toBe(loginOfAccountFromAddress.times);
  });

  test("on an address counts all its accounts; logins that succeed are free", async () => {
    const { name } = await newUser();
    const headers = newAddress();
    await inTurn(upTo(loginFromAddress.times + 5), () => client.enter(name, password, { headers }));
    await inTurn(upTo(loginFromAddress.times), () =>
      client.login(newName(), "not the password", { headers }),
    );
    expectRefusal(await client.login(name, password, { headers }), 429, "too_many_attempts");
    await client.enter(name, password, { headers: newAddress() });
  });

  test("on guessing from many addresses does not shut out the owner", async () => {
    const { name } = await newUser();
    const headers = newAddress();
    await client.enter(name, password, { headers });
    await inTurn(upTo(loginOfAccount.times), () =>
      client.login(name, "not the password", { headers: newAddress() }),
    );
    const elsewhere = newAddress();
    const refused = await client.login(name, password, { headers: elsewhere });
    expectRefusal(refused, 429, "too_many_attempts");
    await client.enter(name, password, { headers });
    clock.now += loginOfAccount.perMs / loginOfAccount.times;
    await client.enter(name, password, { headers: elsewhere });
  });

  test("on registering counts the address", async () => {
    const headers = newAddress();
    const { times } = allowances.registration;
    const statuses = await inTurn(upTo(times + 1), async () => {
      return (await client.register(newName(), password, { headers })).status;
    });
    expect(statuses).toEqual([...upTo(times).map(() => 201), 429]);
    expect((await client.register(newName(), password, { headers: newAddress() })).status).toBe(
      201,
    );
    clock.now += minuteMs;
    expect((await client.register(newName(), password, { headers })).status).toBe(201);
  });
});

test("hashing that has too many waiting is told as overload, and costs no attempt", async () => {
  const held = Promise.withResolvers<boolean>();
  const slow = await openAccountShop(await postgres.newRecords(), {
    clock,
    hashing: { hash: () => Promise.reject(new Error("unused")), verify: () => held.promise },
    // One address would not be let try so often.
    proxies: parseNetworks("127.0.0.1") ?? new BlockList(),
  });
  const tooMany = 20;
  const place = hashesAtOnceMax + hashesWaitingMax;
  const waiting = upTo(place + tooMany).map(() =>
    slow.client.login(newName(), password, { headers: newAddress() }),
  );
  let refused = 0;
  const statuses = waiting.map(async (login) => {
    const answer = await login;
    if (answer.status !== 503) return answer.status;
    expectRefusal(answer, 503, "overloaded");
    expect(answer.headers.get("Retry-After")).toBe("1");
    // The others are held until all who are too many have been told.
    refused += 1;
    if (refused === tooMany) held.resolve(false);
    return answer.status;
  });
  expect((await Promise.all(statuses)).toSorted()).toEqual([
    ...upTo(place).map(() => 401),
    ...upTo(tooMany).map(() => 503),
  ]);
});
