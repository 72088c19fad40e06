/**
 * Two ends of the link, over sockets: who is let in, what arrives, and when it ends. A stranger, another
 * release, one that says nothing, one that never reads and one that sends too much are turned away,
 * and the log says why.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { addressText } from "../../src/link/address.ts";
import { sendBytesMax } from "../../src/link/connection.ts";
import { frameTypes, strangerBytesMax } from "../../src/link/frames.ts";
import { helloOf, proofBytes, writeHello } from "../../src/link/handshake.ts";
import type { LeaderLine } from "../../src/link/line.ts";
import { peersMax, strangersMax } from "../../src/link/listener.ts";
import { callBytesMax } from "../../src/link/messages.ts";
import { newFolder } from "../support/leftovers.ts";
import { inTurn, until, upTo } from "../support/wait.ts";
import {
  asking,
  claim,
  counted,
  dialled,
  epoch,
  intruder,
  newEars,
  newLeader,
  newProcess,
  notFound,
  rawTo,
  schema,
} from "../support/link-ends.ts";

describe("two processes", () => {
  test("ask, answer, tell and call, each as it was sent", async () => {
    const leader = newLeader();
    const { heard, events } = newEars();
    const line = await newProcess().link.dial(leader.record, events);
    line.ask(asking);
    await until("its being asked", () => leader.asked.length === 1);
    expect(leader.asked).toEqual([asking]);
    const [follower] = leader.lines;
    follower?.change({ kind: "time", seq: 5, at: 6 });
    follower?.answer([4], [claim], [notFound]);
    follower?.answer([7, 8], [claim, claim], [null, notFound]);
    follower?.refuse([9], "overdue");
    line.counts(counted);
    follower?.counts(counted);
    line.call(1, { what: "ever" });
    await until("the reply", () => heard.replies.length === 1);
    expect(heard).toEqual({
      answers: [
        [4, notFound],
        [8, notFound],
        [9, { word: "overdue" }],
      ],
      changes: [{ kind: "time", seq: 5, at: 6 }],
      replies: [{ ok: true, body: [{ what: "ever" }] }],
      counts: [counted],
      closed: null,
    });
    expect(leader.counts).toEqual([counted]);
  });

  test("of one machine meet at a socket that is nobody else's", async () => {
    const unix = join(newFolder(), "link.sock");
    const leader = newLeader({ unix });
    expect(statSync(unix).mode & 0o777).toBe(0o600);
    const noPort = addressText({ unix, hosts: [], port: 0 });
    const { events } = newEars();
    await newProcess().link.dial({ ...leader.record, link: noPort }, events);
    expect(leader.lines.length).toBe(1);
    leader.link.stop();
    expect(existsSync(unix)).toBe(false);
  });

  test("have one line: who connects again has the first closed, and is heard on it no more", async () => {
    const leader = newLeader();
    const process = newProcess();
    const first = newEars();
    await process.link.dial(leader.record, first.events);
    await process.link.dial(leader.record, newEars().events);
    expect(leader.lines.map(({ isOpen }) => isOpen)).toEqual([false, true]);
    expect(leader.left).toEqual(leader.lines.slice(0, 1));
    await until("the first one's end", () => first.heard.closed !== null);
  });

  test("part when a term ends, and the one that followed hears why", async () => {
    const leader = newLeader();
    const { heard, events } = newEars();
    await newProcess().link.dial(leader.record, events);
    leader.link.serve(null);
    await until("its end", () => heard.closed !== null);
    expect(heard.closed).toContain("leads no more");
    await expect(dialled(leader.record)).rejects.toThrow("does not lead");
  });
});

describe("a process is not taken for the leader", () => {
  test("that is another than the one that is meant, such as itself", async () => {
    const { record } = newLeader();
    await expect(dialled({ ...record, instance: crypto.randomUUID() })).rejects.toThrow(
      "another process is there",
    );
  });

  test("of an earlier term", async () => {
    const { record } = newLeader();
    await expect(dialled({ ...record, epoch: epoch + 1 })).rejects.toThrow("of the past");
  });

  test("that does not know the secret", async () => {
    const { record } = newLeader();
    const stranger = newProcess({ secret: "guessed" });
    await expect(stranger.link.dial(record, newEars().events)).rejects.toThrow("a stranger");
  });

  test("that says nothing at all", async () => {
    using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const link = addressText({ unix: null, hosts: ["127.0.0.1"], port: silent.port });
    await expect(dialled({ epoch, url: "", instance: null, link })).rejects.toThrow("no answer");
  });
});

describe("a leader turns away", () => {
  test("who does not know the secret", async () => {
    const leader = newLeader();
    const hello = helloOf({ instance: crypto.randomUUID(), epoch, schema });
    const raw = await rawTo(leader.link.port);
    raw.send(frameTypes.hello, (to) => writeHello(to, hello));
    raw.send(frameTypes.proof, (to) => to.bytes(new Uint8Array(proofBytes)));
    await raw.closed();
    expect(leader.lines).toEqual([]);
    expect(leader.said).toEqual(["a stranger, without the secret"]);
  });

  test("who asks before it has proven anything", async () => {
    const leader = newLeader();
    const raw = await rawTo(leader.link.port);
    raw.send(frameTypes.commands, (to) => to.u32(0));
    await raw.closed();
    expect(leader.said).toEqual(["a frame of type 7 has no place here"]);
  });

  test("a stranger who sends much, by its first bytes", async () => {
    const leader = newLeader();
    const raw = await rawTo(leader.link.port);
    raw.send(frameTypes.hello, (to) => to.bytes(new Uint8Array(strangerBytesMax)));
    await raw.closed();
    expect(leader.said.join()).toContain("are the most");
  });

  test("what is no frame of anybody", async () => {
    const leader = newLeader();
    const raw = await rawTo(leader.link.port);
    raw.socket.write("GET /checkout HTTP/1.1\r\nHost: here\r\n\r\n");
    await raw.closed();
    expect(leader.said.length).toBe(1);
  });

  test("who knows the secret, and sends what cannot be meant", async () => {
    const leader = newLeader();
    const raw = await intruder(leader.link.port);
    await until("its being let in", () => leader.lines.length === 1);
    raw.send(frameTypes.commands, (to) => to.bytes(new Uint8Array(40).fill(0xff)));
    await raw.closed();
    expect(leader.asked).toEqual([]);
    expect(leader.left.length).toBe(1);
  });

  test("who never reads, when as much waits as may", async () => {
    const leader = newLeader();
    const raw = await intruder(leader.link.port);
    raw.socket.pause();
    const line = await until("its being let in", () => leader.lines[0]);
    // A sale of a million items, again and again.
    const items = new Int32Array(1_000_000);
    const terms = {
      id: 1,
      kind: "hourly",
      access: "everyone",
      entry: { kind: "open" },
      startsAt: 0,
      endsAt: 1,
      closed: false,
      perUserLimit: 1,
      reservationTtlMs: 1,
      stock: items,
      priceCents: items,
    } as const;
    const frameBytes = 8 * items.length;
    for (let sent = 0; line.isOpen && sent < 2 * sendBytesMax; sent += frameBytes) {
      line.change({ kind: "sale", seq: 0, at: 0, terms, attempts: 0 });
    }
    expect(line.isOpen).toBe(false);
    expect(leader.said).toEqual(["the other end does not read"]);
  });
});

describe("there are at most", () => {
  test("so many connections of which nobody knows whose they are", async () => {
    const leader = newLeader();
    await Promise.all(upTo(strangersMax).map(() => rawTo(leader.link.port)));
    const one = await rawTo(leader.link.port);
    await one.closed();
    expect(leader.said).toEqual(["too many connections from other processes"]);
  });

  test("so many processes that follow", async () => {
    const leader = newLeader();
    await inTurn(upTo(peersMax), () => intruder(leader.link.port));
    await until("their being let in", () => leader.lines.length === peersMax);
    const dial = newProcess().link.dial(leader.record, newEars().events);
    await expect(dial).rejects.toThrow("closed it");
  });

  test("so many bytes in a call", async () => {
    const leader = newLeader();
    const { heard, events } = newEars();
    const line = await newProcess().link.dial(leader.record, events);
    const quotes = 2;
    line.call(1, "x".repeat(callBytesMax - quotes));
    await until("the reply, or the end", () => heard.replies.length > 0 || heard.closed !== null);
    expect(() => line.call(2, "x".repeat(callBytesMax))).toThrow("too long");
  });
});

test("a line to a leader that is gone asks nothing, and does no harm", async () => {
  const leader = newLeader();
  const { heard, events } = newEars();
  const line: LeaderLine = await newProcess().link.dial(leader.record, events);
  leader.link.stop();
  await until("its end", () => heard.closed !== null);
  line.ask(asking);
  line.close(new Error("enough"));
  expect(leader.asked).toEqual([]);
});
