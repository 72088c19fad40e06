/** Where webhooks may go, and how one try goes there: the table of addresses, and names that change. */
import { describe, expect, test } from "bun:test";
import { failed, failingMsMax, retryMsMax } from "../../src/webhooks/courier.ts";
import {
  complaintOfTarget,
  isPublic,
  targetOf,
  type Resolve,
} from "../../src/webhooks/addresses.ts";
import { Pace } from "../../src/webhooks/pace.ts";
import { send } from "../../src/webhooks/send.ts";
import { Receiver } from "../support/receiver.ts";

const never = new AbortController().signal;
const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const leadsTo =
  (...addresses: string[]): Resolve =>
  () =>
    Promise.resolve(addresses);
const unknown: Resolve = () => Promise.reject(new Error("not found"));
const unheard: Resolve = () => new Promise(() => {});
const options = (resolve: Resolve, mayBePrivate = true): Parameters<typeof send>[2] => ({
  resolve,
  mayBePrivate,
  now: () => 1_000,
  version: "0.0.0",
});

describe("an address", () => {
  const closed = [
    ..."0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.255".split(" "),
    ..."168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1".split(" "),
    ..."192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1".split(" "),
    ..."255.255.255.255 :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:a9fe:a9fe".split(
      " ",
    ),
    ..."64:ff9b::7f00:1 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1::1 fc00::1".split(" "),
    ..."fd00:ec2::254 fe80::1 fec0::1 ff02::1 shop.example".split(" "),
  ];
  const open = "1.1.1.1 8.8.8.8 172.15.0.1 172.32.0.1 100.63.0.1 2606:4700::1111 2a00:1450::1";

  test.each(closed)("%s is not sent to", (address) => {
    expect(isPublic(address)).toBe(false);
  });
  test.each(open.split(" "))("%s is", (address) => {
    expect(isPublic(address)).toBe(true);
  });
});

describe("a name", () => {
  const url = new URL("https://shop.example:8443/hook");

  test("is refused where any of its addresses is private", async () => {
    expect(await complaintOfTarget(url, leadsTo("1.1.1.1"))).toBeNull();
    for (const found of [["10.0.0.1"], ["1.1.1.1", "10.0.0.1"], ["1.1.1.1", "::1"]]) {
      expect(await complaintOfTarget(url, leadsTo(...found))).toContain("private");
      expect(targetOf(url, leadsTo(...found), false)).rejects.toThrow("private");
    }
    expect(await targetOf(url, leadsTo("1.1.1.1"), false)).toEqual({
      address: "1.1.1.1",
      family: 4,
    });
    expect(await targetOf(url, leadsTo("2606:4700::1111"), false)).toMatchObject({ family: 6 });
  });

  test("that nobody knows yet may be made, and is not sent to", async () => {
    expect(await complaintOfTarget(url, unknown)).toBeNull();
    expect(targetOf(url, unknown, true)).rejects.toThrow("not found");
    expect(targetOf(url, leadsTo(), true)).rejects.toThrow("no address");
  });
});

describe("a try", () => {
  const message = {
    id: "evt_1",
    body: '{"type":"a","timestamp":"2030-01-01T00:00:00Z","seq":1,"data":{}}',
  };

  test("goes to the address that was checked, under the name that was asked for, and resolves it once", async () => {
    const receiver = new Receiver();
    let asked = 0;
    const resolve: Resolve = () => Promise.resolve([asked++ === 0 ? "127.0.0.1" : "127.0.0.9"]);
    const url = `http://hook.example:${receiver.port}/a?b=c`;
    expect(await send(message, { url, secret }, options(resolve), never)).toMatchObject({
      status: 204,
      error: null,
    });
    expect(asked).toBe(1);
    expect(receiver.received[0]?.headers.get("host")).toBe(`hook.example:${receiver.port}`);
  });

  test("whose answer says that it is packed has nothing unpacked, nor anything of that in the log", async () => {
    const path = Bun.resolveSync("../../src/webhooks/send.ts", import.meta.dir);
    const script = `
      import { send } from ${JSON.stringify(path)};
      const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () =>
        new Response("abcde", { headers: { "Content-Encoding": "gzip" } }) });
      const options = { resolve: async () => [], mayBePrivate: true, now: Date.now, version: "1" };
      const to = { url: server.url.href, secret: ${JSON.stringify(secret)} };
      const tried = await send({ id: "evt_1", body: "{}" }, to, options, new AbortController().signal);
      console.log(tried.status, tried.error);
      await server.stop();`;
    const run = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "pipe" });
    const streams = [run.stdout, run.stderr];
    const said = await Promise.all(streams.map((stream) => new Response(stream).text()));
    expect(said).toEqual(["200 null\n", ""]);
  });

  test("does not go where its name leads by now, though it led elsewhere when it was made", async () => {
    const receiver = new Receiver();
    let asked = 0;
    const resolve: Resolve = () => Promise.resolve([asked++ === 0 ? "1.1.1.1" : "127.0.0.1"]);
    const url = `http://hook.example:${receiver.port}/`;
    expect(await complaintOfTarget(new URL(url), resolve)).toBeNull();
    const tried = await send(message, { url, secret }, options(resolve, false), never);
    expect(tried).toMatchObject({ status: null, error: "hook.example leads to a private address" });
    expect(receiver.received).toEqual([]);
  });

  test("is given up where the program stops, also while a name is looked up", async () => {
    const stops = new AbortController();
    const to = { url: "http://hook.example/", secret };
    const tried = send(message, to, options(unheard), stops.signal);
    stops.abort();
    expect(await tried).toMatchObject({ status: null, error: "given up" });
  });
});

test("waits grow to an hour, and three days after the first failure it is off", () => {
  let progress = failed(
    { cursor: 5, tries: 0, offWhy: null, failingSince: null, nextTryAt: null },
    "no answer",
    0,
  );
  const waits: number[] = [];
  let now = 0;
  while (progress.nextTryAt !== null) {
    waits.push(progress.nextTryAt.getTime() - now);
    now = progress.nextTryAt.getTime();
    progress = failed(progress, "no answer", now);
  }
  expect(waits.slice(0, 13)).toEqual([
    1_000,
    2_000,
    4_000,
    8_000,
    16_000,
    32_000,
    64_000,
    128_000,
    256_000,
    512_000,
    1_024_000,
    2_048_000,
    retryMsMax,
  ]);
  expect(Math.max(...waits)).toBe(retryMsMax);
  expect(now).toBeGreaterThanOrEqual(failingMsMax);
  expect(progress).toMatchObject({ cursor: 5, offWhy: expect.stringContaining("no answer") });
});

/** A pace that saw this many attempts in each 200 ms, and the moment after them. */
function paceAfter(...attempts: number[]): { readonly pace: Pace; readonly now: number } {
  const pace = new Pace();
  let [now, seq] = [10_000, 5_000_000];
  pace.see(seq, now);
  for (const more of attempts) {
    now += 200;
    seq += more;
    pace.see(seq, now);
  }
  return { pace, now };
}

/** How long each of three events waits. */
function restsOf(...attempts: number[]): number[] {
  const { pace, now } = paceAfter(...attempts);
  return [pace.next(now), pace.next(now), pace.next(now)];
}

/** How often is done what is to be done each 200 ms. */
function everyOf(...attempts: number[]): number {
  const { pace, now } = paceAfter(...attempts);
  return pace.every(200, now);
}

const quiet = (looks: number): number[] => Array.from({ length: looks }, () => 0);

describe("the pace", () => {
  test("is none while few buy, also where a term begins with many attempts before it", () => {
    expect(restsOf()).toEqual([0, 0, 0]);
    expect(restsOf(0, 99, 99, 99)).toEqual([0, 0, 0]);
    expect(everyOf(0, 99, 99, 99)).toBe(200);
  });

  test("is an event each 100 ms beside a crowd, whosesoever it is, and for two seconds after it", () => {
    expect(restsOf(100)).toEqual([0, 100, 200]);
    expect(restsOf(4_000, ...quiet(9))).toEqual([0, 100, 200]);
    expect(restsOf(4_000, ...quiet(10))).toEqual([0, 0, 0]);
  });

  test("has what is done at intervals done more rarely as long", () => {
    expect(everyOf(100)).toBe(800);
    expect(everyOf(4_000, ...quiet(9))).toBe(800);
    expect(everyOf(4_000, ...quiet(10))).toBe(200);
  });
});
