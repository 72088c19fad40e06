/**
 * A whole sale while two webhooks are sent what happens in it, one of which never answers: what that
 * takes from buyers, beside the same sale without any. It is right when the one that answers is sent
 * every order, once or more, in order.
 */
import { z } from "zod";
import { complaintsOf } from "./complaints.ts";
import { median, type Measure, measureTable, number, verdictsOf } from "./report.ts";
import { BenchError, type Bench, type Found, type Plan, type Scenario } from "./scenario.ts";
import { goShopping, type ShoppingReport } from "./shopping.ts";
import { type Home, makeHome, Stampede } from "./stampede.ts";

const connections = 256;
const buyers = 1_200;
const perUserLimit = 10;
const saleSeconds = 4;
const saleSecondsMax = 60;
const startSeconds = 5;
/** For what is still to be sent when all is sold. */
const deliverSeconds = 20;
const deliverSecondsMax = 300;
const pollMs = 100;

export const webhooks: Scenario = {
  name: "webhooks",
  seconds: ({ webhookRuns }: Plan) =>
    webhookRuns * (2 * (startSeconds + saleSeconds) + deliverSeconds),
  run,
};

type Run = { readonly report: ShoppingReport; readonly database: string; readonly wrong: string[] };

async function run(bench: Bench): Promise<Found> {
  const { webhookRuns } = bench.plan;
  const alone: Run[] = [];
  const beside: Run[] = [];
  for (let i = 1; i <= webhookRuns; i += 1) {
    // oxlint-disable-next-line no-await-in-loop
    alone.push(await sell(bench, `${i} of ${webhookRuns}, without`, false));
    // oxlint-disable-next-line no-await-in-loop
    beside.push(await sell(bench, `${i} of ${webhookRuns}, with two`, true));
  }
  const rate = (runs: readonly Run[]): number =>
    median(runs.map(({ report }) => report.requests / report.seconds));
  const lost = 100 * (1 - rate(beside) / rate(alone));
  const measures: Measure[] = [
    { what: "requests/s without webhooks", value: rate(alone), digits: 0, unit: "" },
    { what: "requests/s with two, one dead", value: rate(beside), digits: 0, unit: "" },
    {
      what: "lost by them",
      value: lost,
      digits: 1,
      unit: "%",
      target: { is: "<", bound: 5 },
    },
  ];
  const wrong = [...alone, ...beside].flatMap((one) => one.wrong);
  return {
    database: beside[0]?.database ?? null,
    lines: [
      `A sale of 10,000 beside two webhooks: ${connections} connections; medians of ${number(webhookRuns)}`,
      ...measureTable(measures),
      "Server, PostgreSQL, buyers and who is sent the events share this machine.",
      "",
    ],
    verdicts: verdictsOf(measures),
    wrong: wrong.map((text) => `webhooks: ${text}`),
  };
}

async function sell(bench: Bench, which: string, hasWebhooks: boolean): Promise<Run> {
  const { owned, progress, executable } = bench;
  const home = makeHome(owned, { WEBHOOK_PRIVATE: "1" });
  const stampede = await progress.step(`webhooks: starting, ${which}`, startSeconds, () =>
    Stampede.start(owned, executable, home),
  );
  const receiver = new Receiver();
  try {
    if (hasWebhooks) await announce(executable, home, stampede.origin, receiver);
    const { stock } = await stampede.sale();
    const shopping = {
      hostname: "127.0.0.1",
      port: home.port,
      connections,
      buyers,
      limit: perUserLimit,
      items: stock,
      want: stock,
      secondsMax: saleSecondsMax,
    };
    const report = await progress.step(`webhooks: selling, ${which}`, saleSeconds, () =>
      goShopping(owned, shopping),
    );
    const wrong = [...report.wrong];
    if (hasWebhooks) {
      await progress.step(`webhooks: delivering, ${which}`, deliverSeconds, () =>
        receiver.waitFor(stock),
      );
      if (!receiver.isInOrder) wrong.push("an order came before one that was earlier");
      if (receiver.orders !== stock) wrong.push(`${receiver.orders} orders came of ${stock}`);
    }
    if (!(await stampede.audit()).ok) wrong.push("the audit is not ok");
    await stampede.stop();
    const { errors } = await complaintsOf(home);
    return { report, database: stampede.database, wrong: [...wrong, ...errors] };
  } finally {
    await receiver.stop();
  }
}

/** Two webhooks: one that answers, and one that does not. */
async function announce(
  executable: string,
  { folder, dataFolder }: Home,
  origin: string,
  receiver: Receiver,
): Promise<void> {
  const made = Bun.spawnSync([executable, "key", "create", "bench", "--scope", "manage"], {
    cwd: folder,
    env: { STAMPEDE_DATA: dataFolder },
  });
  if (made.exitCode !== 0) throw new BenchError(`no key was made: ${made.stderr.toString()}`);
  const headers = { Authorization: `Bearer ${made.stdout.toString().trim()}` };
  for (const url of [receiver.url, receiver.silentUrl]) {
    const body = JSON.stringify({ url, types: ["order.created"] });
    // oxlint-disable-next-line no-await-in-loop
    const answer = await fetch(`${origin}/api/admin/webhooks`, { method: "POST", headers, body });
    if (answer.status !== 201) throw new BenchError(`no webhook was made: ${answer.status}`);
  }
}

const sentShape = z.object({ seq: z.number().int() });

/** Who is sent the orders. */
class Receiver {
  readonly #server: ReturnType<typeof Bun.serve>;
  readonly #silence = Promise.withResolvers<Response>();
  readonly #seen = new Set<number>();
  #last = 0;
  isInOrder = true;

  constructor() {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: async (request) => {
        if (new URL(request.url).pathname === "/silent") return await this.#silence.promise;
        const { seq } = sentShape.parse(await request.json());
        // One that comes again has come before.
        this.isInOrder &&= seq > this.#last || this.#seen.has(seq);
        this.#seen.add(seq);
        this.#last = Math.max(this.#last, seq);
        return new Response();
      },
    });
  }

  get orders(): number {
    return this.#seen.size;
  }

  get url(): string {
    return `${this.#server.url.origin}/orders`;
  }

  get silentUrl(): string {
    return `${this.#server.url.origin}/silent`;
  }

  async waitFor(orders: number): Promise<void> {
    const until = performance.now() + deliverSecondsMax * 1000;
    while (this.orders < orders) {
      if (performance.now() > until)
        throw new BenchError(`${this.orders} of ${orders} orders came`);
      // oxlint-disable-next-line no-await-in-loop
      await Bun.sleep(pollMs);
    }
  }

  async stop(): Promise<void> {
    this.#silence.resolve(new Response());
    await this.#server.stop(true);
  }
}
