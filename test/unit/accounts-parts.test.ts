/** The parts of accounts by themselves: limits, the cache, hashing, and who a client is. */
import { describe, expect, test } from "bun:test";
import { BlockList } from "node:net";
import { cachedTokensMax, SessionCache } from "../../src/access/cache.ts";
import { type Client, Clients, networkOf, parseNetworks } from "../../src/access/clients.ts";
import { keysMax, Limit } from "../../src/access/limits.ts";
import {
  argon2id,
  hashesAtOnceMax,
  hashesWaitingMax,
  nobodysHash,
  Passwords,
} from "../../src/access/passwords.ts";
import { OverloadedError } from "../../src/engine/writer.ts";
import { inTurn, upTo } from "../support/wait.ts";

/** Algorithm, version and costs. */
const costs = (hash: string): string[] => hash.split("$").slice(1, 4);

/** A server whose peer has an address. */
const from = (address: string) => ({
  requestIP: () => ({ address, port: 1, family: "IPv4" as const }),
});

describe("what is counted and kept", () => {
  test("comes back evenly, and never takes longer than the whole", () => {
    const limit = new Limit({ times: 3, perMs: 3_000 });
    expect([0, 0, 0, 0].map(() => limit.take("a", 0))).toEqual([0, 0, 0, 1_000]);
    expect([limit.take("a", 999), limit.take("a", 1_000), limit.take("a", 1_000)]).toEqual([
      1, 0, 1_000,
    ]);
    expect(limit.take("b", 1_000)).toBe(0);
    // The clock was set back by a day.
    const earlier = 1_000 - 86_400_000;
    expect(limit.take("a", earlier)).toBe(1_000);
    expect([limit.take("a", earlier + 999), limit.take("a", earlier + 1_000)]).toEqual([1, 0]);
    limit.giveBack("a", earlier + 1_000);
    expect([limit.take("a", 1_000), limit.take("a", 1_000)]).toEqual([0, 0]);
    limit.giveBack("c", 1_000);
    limit.giveBack("b", 1_000);
    expect(limit.size).toBe(1);
  });

  test("is bounded", () => {
    const limit = new Limit({ times: 1, perMs: 1_000 });
    for (const n of upTo(keysMax + 10)) limit.take(String(n), 0);
    expect(limit.size).toBe(keysMax);
    expect(limit.take(String(keysMax + 10), 0)).toBe(1_000);
    const cache = new SessionCache();
    const session = { userId: 1, account: null, expiresAt: 1, readAt: 0 };
    for (const n of upTo(cachedTokensMax + 10)) {
      cache.put(String(n), { ...session, sessionId: String(n) }, 0);
    }
    expect(cache.size).toBe(cachedTokensMax);
  });

  test("is not what was read before something was dropped", () => {
    const cache = new SessionCache();
    const session = { sessionId: "s", userId: 1, account: null, expiresAt: 9, readAt: 0 };
    const { version } = cache;
    cache.dropUser(2);
    cache.put("token", session, version);
    expect(cache.get("token", 1)).toBeUndefined();
    cache.put("token", session, cache.version);
    expect(cache.get("token", 1)).toEqual(session);
    expect(cache.get("token", 9)).toBeUndefined();
    cache.dropSession("s");
    expect(cache.get("token", 1)).toBeUndefined();
  });
});

describe("hashing", () => {
  test("does few at once, in order, and has few wait", async () => {
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const passwords = new Passwords({
      hash: async (text) => {
        begun.push(text);
        await new Promise<void>((resolve) => ends.push(resolve));
        if (text === "1") throw new Error("broken");
        return text;
      },
      verify: () => Promise.resolve(true),
    });
    const all = hashesAtOnceMax + hashesWaitingMax;
    const results = upTo(all).map((n) => passwords.hash(String(n)).catch(String));
    expect(begun.length).toBe(hashesAtOnceMax);
    expect(passwords.verify("one more", null)).rejects.toThrow(OverloadedError);
    await inTurn(upTo(all), async (n) => {
      ends[n - 1]?.();
      await results[n - 1];
      expect(begun.length).toBe(Math.min(all, hashesAtOnceMax + n));
    });
    expect(await Promise.all(results)).toEqual(
      upTo(all).map((n) => (n === 1 ? "Error: broken" : String(n))),
    );
    expect(await passwords.verify("again", "hash")).toBe(true);
  });

  test("is argon2id, with the same work for a hash that stands in for none", async () => {
    expect(costs(nobodysHash)).toEqual(["argon2id", "v=19", "m=65536,t=2,p=1"]);
    const passwords = new Passwords();
    const hash = await passwords.hash("Gru\u0308n und gut");
    expect(costs(hash)).toEqual(costs(nobodysHash));
    expect(await passwords.verify("Gr\u00fcn und gut", hash)).toBe(true);
    expect(await passwords.verify("grün und gut", hash)).toBe(false);
    // Also one that is right for the stand-in would not do.
    const always = new Passwords({ ...argon2id, verify: () => Promise.resolve(true) });
    expect(await always.verify("whatever", null)).toBe(false);
  });
});

describe("a client", () => {
  const trustedProxies = parseNetworks("10.0.0.0/8, fd00::/8") ?? new BlockList();
  const clients = new Clients({ trustedProxies });
  const seen = (peer: string, headers: Record<string, string>): Client =>
    clients.of(new Request("http://inside/", { headers }), from(peer));

  test.each([
    ["192.0.2.1", "203.0.113.7", "192.0.2.1"],
    ["10.1.1.1", "203.0.113.7", "203.0.113.7"],
    ["::ffff:10.1.1.1", "203.0.113.7", "203.0.113.7"],
    ["fd00::1", "1.1.1.1, 203.0.113.7, 10.2.2.2", "203.0.113.7"],
    ["10.1.1.1", "203.0.113.7, nonsense", "10.1.1.1"],
    ["10.1.1.1", "", "10.1.1.1"],
    ["10.1.1.1", "10.3.3.3", "10.3.3.3"],
    ["10.1.1.1", "203.0.113.7:4711", "203.0.113.7"],
    ["10.1.1.1", "203.0.113.7:4711, 10.2.2.2:80", "203.0.113.7"],
    ["10.1.1.1", "[2001:db8::7]:4711", "2001:db8::7"],
    ["10.1.1.1", "203.0.113.7, [fd00::2]", "203.0.113.7"],
    ["::ffff:a01:101", "203.0.113.7", "203.0.113.7"],
    ["10.1.1.1", "[203.0.113.7", "10.1.1.1"],
  ])("at %p, forwarded for %p, is %p", (peer, forwardedFor, address) => {
    expect(seen(peer, { "X-Forwarded-For": forwardedFor }).address).toBe(address);
  });

  test("is this machine's own where nothing else can connect, and nobody is asked for it", () => {
    const own = new Clients({ trustedProxies, onlyPeer: "::1" });
    const asked = new Request("http://inside/", { headers: { "X-Forwarded-For": "203.0.113.7" } });
    const unasked = { requestIP: () => expect.unreachable() };
    expect(own.addressOf(asked, unasked)).toBe("::1");
    const behind = parseNetworks("::1") ?? new BlockList();
    const proxied = { trustedProxies: behind, onlyPeer: "::1" };
    expect(new Clients(proxied).addressOf(asked, unasked)).toBe("203.0.113.7");
  });

  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:0001:2::6", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::ffff:c000:201", "192.0.2.1"],
    ["0:0:0:0:0:FFFF:192.0.2.1", "192.0.2.1"],
    ["::1", "::1"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["::7", "0:0:0:0::/64"],
    ["::ffff:0:c000:201", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
    ["unknown", "unknown"],
  ])("at %p counts as %p", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  test("is no network when it is not written as one", () => {
    for (const bad of ["", "x", "10.0.0.0/33", "10.0.0.0/", "::/129", "1.2.3.4/8/8", "1.2.3.4,"]) {
      expect(parseNetworks(bad)).toBeNull();
    }
  });
});
