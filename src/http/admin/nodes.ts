/** What administrators see of the processes that there are. */
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import type { Engine } from "../../engine/engine.ts";
import { Nodes, type Node } from "../../engine/nodes.ts";
import { withScope } from "../callers.ts";
import { time, timeShape } from "../fields.ts";
import { json } from "../problems.ts";
import type { Route } from "../server.ts";
import { fresh } from "../shop/accounts.ts";

const count = z.int().min(0);

const nodeShape = z.object({
  instance: z.string().describe("An id that the process made when it started"),
  process: z
    .string()
    .nullable()
    .describe("Its name, where a program has fronts: `main`, `front-1`"),
  role: z.enum(["leader", "standby", "front", "starting"]),
  version: z.string(),
  url: z.string().describe("Where the other processes find it"),
  machine: z.string(),
  pid: count,
  parent_pid: count.nullable().describe("The process that has started a front"),
  since: timeShape.describe("Its start"),
  epoch: count.describe("The term that it knows of; 0 while it starts"),
  lag_ms: count
    .nullable()
    .describe(
      "How much older than the leader's what it reads was when it said so last: a quarter of a " +
        "second where nothing happens. Null while it cannot be read",
    ),
  streams: count.describe("Clients that listen to the events"),
  requests: count.describe("Requests under way"),
  memory_bytes: count,
});

export function nodeRoutes(accounts: Accounts, { engine }: { readonly engine: Engine }): Route[] {
  const list = async (): Promise<Response> => {
    const nodes = await Nodes.list(engine.writer);
    return fresh(json({ nodes: nodes.map(showNode) }));
  };
  return [
    {
      path: "/api/admin/nodes",
      methods: {
        GET: {
          handle: withScope(accounts, "read", list),
          summary: "Every process, the leader first; the same answer from each of them",
          description:
            "Those that do not lead tell the leader of themselves once a second, so one that has " +
            "just come may be missing, and one that is gone is listed for up to three seconds.",
          auth: "admin",
          answers: { 200: z.object({ nodes: z.array(nodeShape) }) },
          refusals: ["unauthenticated", "forbidden", "unavailable"],
        },
      },
    },
  ];
}

const showNode = (node: Node): z.input<typeof nodeShape> => ({
  instance: node.instance,
  process: node.process,
  role: node.role,
  version: node.version,
  url: node.url,
  machine: node.machine,
  pid: node.pid,
  parent_pid: node.parentPid,
  since: time(node.startedAt),
  epoch: node.epoch,
  lag_ms: node.lagMs,
  streams: node.streams,
  requests: node.requests,
  memory_bytes: node.memoryBytes,
});
