/** What a leader knows of the other processes: as long as they tell it, in order, and of so many. */
import { expect, test } from "bun:test";
import { Nodes, nodesMax, type Node } from "../../src/engine/nodes.ts";
import { inTurn, upTo } from "../support/wait.ts";

/** A leader's list, and processes that tell it of themselves. */
function aLeader() {
  const time = { now: 1_000_000 };
  const nodes = new Nodes({
    instance: "the leader",
    process: null,
    version: "1.0.0",
    isFront: false,
    url: () => "http://here:1",
    load: () => ({ streams: 0, requests: 0 }),
    clock: () => time.now,
  });
  const tell = (instance: string, more: object = {}): unknown =>
    nodes.answer({
      call: "about",
      facts: {
        instance,
        process: null,
        role: "standby",
        version: "1.0.0",
        url: "http://there:1",
        machine: "there",
        pid: 7,
        parentPid: null,
        startedAt: 0,
        epoch: 1,
        readsAsOf: time.now,
        streams: 0,
        requests: 0,
        memoryBytes: 1,
        ...more,
      },
    });
  const list = (): Promise<readonly Node[]> =>
    Nodes.list({ call: (body) => Promise.resolve(nodes.answer(body)) });
  return { time, nodes, tell, list };
}

test("it says how far behind each was when it told, and nothing of who cannot be read", async () => {
  const { time, tell, list } = aLeader();
  expect(tell("a", { readsAsOf: time.now - 250 })).toBeNull();
  tell("b", { readsAsOf: time.now + 5 });
  tell("c", { readsAsOf: null });
  expect((await list()).map(({ lagMs }) => lagMs)).toEqual([250, 0, null]);
});

test("a front stands after the process that has started it", async () => {
  const { tell, list } = aLeader();
  tell("2", { role: "front", process: "front-2", pid: 3, parentPid: 9 });
  tell("1", { role: "front", process: "front-1", pid: 4, parentPid: 9 });
  tell("other", { pid: 95 });
  tell("main", { process: "main", pid: 9 });
  expect((await list()).map(({ instance }) => instance)).toEqual(["main", "1", "2", "other"]);
});

test("who says nothing for three seconds is gone, and who tells again is there once", async () => {
  const { time, tell, list } = aLeader();
  tell("a");
  time.now += 2_000;
  tell("b");
  tell("b");
  time.now += 999;
  expect((await list()).length).toBe(2);
  time.now += 1;
  expect((await list()).map(({ instance }) => instance)).toEqual(["b"]);
});

test("of so many it keeps what they say, and goes on hearing them", async () => {
  const { tell, list } = aLeader();
  await inTurn(upTo(nodesMax + 1), (n) => tell(String(n)));
  tell("1", { epoch: 2 });
  const listed = await list();
  expect(listed.length).toBe(nodesMax);
  expect(listed.find(({ instance }) => instance === "1")?.epoch).toBe(2);
});

test("what else is called is not its business, nor what says nothing of a process", () => {
  const { nodes, tell } = aLeader();
  expect(nodes.answer({ call: "create" })).toBeUndefined();
  expect(nodes.answer(null)).toBeUndefined();
  expect(tell("a", { role: "king" })).toBeUndefined();
  expect(tell("a".repeat(301))).toBeUndefined();
});
