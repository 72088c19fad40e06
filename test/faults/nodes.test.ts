/** Which processes there are, as each of them says: the one that leads, those that stand by, fronts. */
import { expect, test } from "bun:test";
import { z } from "zod";
import { usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";
import { EventStream } from "../support/sse.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = usePostgres();

const nodes = z.object({
  nodes: z.array(
    z.object({
      instance: z.string(),
      process: z.string().nullable(),
      role: z.enum(["leader", "standby", "front"]),
      version: z.string(),
      url: z.string(),
      machine: z.string(),
      pid: z.int(),
      parent_pid: z.int().nullable(),
      since: z.string(),
      epoch: z.int(),
      lag_ms: z.int().min(0).nullable(),
      streams: z.int(),
      requests: z.int(),
      memory_bytes: z.int(),
    }),
  ),
});
type Listed = z.output<typeof nodes>["nodes"];

/** What one process lists, with a key that may read. */
async function listedBy({ client }: TestServer, key: string): Promise<Listed> {
  const answer = await client.get("/api/admin/nodes", {
    headers: { Authorization: `Bearer ${key}` },
  });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("Cache-Control")).toBe("no-store");
  return nodes.parse(answer.json()).nodes;
}

const kinds = (listed: Listed): string[] =>
  listed.map(({ role, process, pid, parent_pid: parent, epoch }) =>
    [role, process, parent === null ? pid : `of ${parent}`, epoch].join(" "),
  );

async function readKey(url: string): Promise<string> {
  const args = ["key", "create", "looks", "--scope", "read"];
  const { output } = await runProgram(args, { DATABASE_URL: url });
  return /sk_\S+/.exec(output)?.[0] ?? "";
}

test("every process is listed by every process, and who is gone is not", async () => {
  const url = await postgres.newRecords();
  const key = await readKey(url);
  await using leader = await startServer({ DATABASE_URL: url });
  const alone = await listedBy(leader, key);
  expect(kinds(alone)).toEqual([`leader  ${leader.program.pid} 1`]);
  expect(alone[0]).toMatchObject({ url: leader.url, lag_ms: 0 });

  await using standby = await startServer({ DATABASE_URL: url });
  await using family = await startServer({ DATABASE_URL: url, FRONTS: "2" });
  const stream = await EventStream.open(standby.url);
  const { pid } = family.program;
  const all = [
    `leader  ${leader.program.pid} 1`,
    `standby  ${standby.program.pid} 1`,
    `standby main ${pid} 1`,
    `front front-1 of ${pid} 1`,
    `front front-2 of ${pid} 1`,
  ];
  await inTurn([leader, standby, family], async (server) => {
    const listed = await until("all of them", async () => {
      const found = await listedBy(server, key);
      const isCurrent = found.every(({ lag_ms: lag }) => lag !== null);
      const hasStream = found.some(({ streams }) => streams === 1);
      return found.length === all.length && isCurrent && hasStream && found;
    });
    expect(kinds(listed).toSorted()).toEqual(all.toSorted());
    expect(kinds(listed)[0]).toBe(all[0] ?? "");
    const listening = listed.find(({ streams }) => streams === 1);
    expect(listening).toMatchObject({ pid: standby.program.pid, url: standby.url });
    // A front stands after the process that has started it, and is found at the same place.
    const at = listed.findIndex(({ process }) => process === "main");
    expect(listed.slice(at, at + 3).map(({ process }) => process)).toEqual([
      "main",
      "front-1",
      "front-2",
    ]);
    expect(new Set(listed.slice(at, at + 3).map((one) => one.url))).toEqual(new Set([family.url]));
  });
  stream.close();
  await inTurn([leader, standby], async ({ client }) => {
    const figures = await until("figures of what is heard", async () => {
      const { text } = await client.get("/metrics");
      const behind = /^stampede_link_behind_seconds (\S+)$/m.exec(text)?.[1];
      return behind !== "+Inf" && { behind: Number(behind), text };
    });
    // Who has not been heard of for a second is not read from.
    expect(figures.behind).toBeGreaterThanOrEqual(0);
    expect(figures.behind).toBeLessThanOrEqual(1);
    expect(figures.text).toContain("\nstampede_link_connected 1\n");
  });

  await leader.kill();
  const left = await until("its being gone, and another leading", async () => {
    const answer = await standby.client.get("/api/admin/nodes", {
      headers: { Authorization: `Bearer ${key}` },
    });
    const found = answer.status === 200 ? nodes.parse(answer.json()).nodes : [];
    return found.length === all.length - 1 && found;
  });
  expect(left.filter(({ role }) => role === "leader").map(({ epoch }) => epoch)).toEqual([2]);
  expect(left.map(({ pid: listed }) => listed)).not.toContain(leader.program.pid);
});

test("who may not read is not told which processes there are", async () => {
  const url = await postgres.newRecords();
  await using server = await startServer({ DATABASE_URL: url });
  expect((await server.client.get("/api/admin/nodes")).status).toBe(401);
  const { output } = await runProgram(["key", "create", "sells", "--scope", "sell"], {
    DATABASE_URL: url,
  });
  const headers = { Authorization: `Bearer ${/sk_\S+/.exec(output)?.[0] ?? ""}` };
  expect((await server.client.get("/api/admin/nodes", { headers })).status).toBe(403);
});
