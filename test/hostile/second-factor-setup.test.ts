/** Guessing the code that switches a second factor on, by whoever has a session of its owner's. */
import { expect, test } from "bun:test";
import { z } from "zod";
import { expectRefusal, openAccountShop } from "../support/accounts.ts";
import { codeOf } from "../support/authenticator.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock } from "../support/shop.ts";
import { inTurn, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const password = "a good password";
const path = "/api/auth/second-factor";

test("codes of a second factor that is set up are tried as seldom as those of one that is on", async () => {
  const clock = new Clock(Date.parse("2026-06-01T12:00:10Z"));
  const { client } = await openAccountShop(await postgres.newRecords(), { clock });
  await client.register("anna", password);
  const owner = await client.enter("anna", password);
  const begun = await client.send("POST", path, { password }, owner);
  const { secret } = z.object({ secret: z.string() }).parse(begun.json());
  const good = new Set([-1, 0, 1].map((step) => codeOf(secret, clock.now + step * 30_000)));
  const wrong = ["111111", "222222", "333333", "444444"].find((one) => !good.has(one)) ?? "";
  await inTurn(upTo(10), async () => {
    const answer = await client.send("POST", `${path}/confirm`, { otp: wrong }, owner);
    expectRefusal(answer, 401, "invalid_second_factor");
  });
  const right = { otp: codeOf(secret, clock.now) };
  const stopped = await client.send("POST", `${path}/confirm`, right, owner);
  expectRefusal(stopped, 429, "too_many_attempts");
  clock.now += 6 * 60_000;
  const next = { otp: codeOf(secret, clock.now) };
  expect((await client.send("POST", `${path}/confirm`, next, owner)).status).toBe(200);
});
