/**
 * A flood while two webhooks are sent the orders of a whole sale, one of which never answers: what that
 * takes from the flood, with them on and off in turns. It is right when the one that answers is sent
 * every order, once or more, in order.
 */
import { z } from "zod";
import { complaintsOf } from "./complaints.ts";
import { failures, type Load } from "./load.ts";
import { median, type Measure, measureTable, number, verdictsOf } from "./report.ts";
import { BenchError, type Bench, type Found, type Plan, type Scenario } from "./scenario.ts";
import { goShopping } from "./shopping.ts";
import { type Home, makeHome, Stampede } from "./stampede.ts";

const connections = 256;
const buyers = 1_200;
const perUserLimit = 10;
const saleSeconds = 4;
const saleSecondsMax = 60;
const startSeconds = 5;
const floodSecondsSpare = 5;
/** A change of an endpoint is known to whoever delivers within two seconds. */
const settleMs = 2_000;
/** For what is still to be sent after the flood. */
const deliverSeconds = 20;
const deliverSecondsMax = 300;
const pollMs = 100;

export const webhooks: Scenario = {
  name: "webhooks",
  seconds: (plan) => startSeconds + saleSeconds + floodSeconds(plan) + deliverSeconds,
  run,
};

const turnSeconds = ({ roundSeconds }: Plan): number => settleMs / 1_000 + roundSeconds;
const floodSeconds = (plan: Plan): number => (2 * plan.webhookRounds + 1) * turnSeconds(plan);

async function run(bench: Bench): Promise<Found> {
  const { owned, progress, executable } = bench;
  const home = makeHome(owned, { WEBHOOK_PRIVATE: "1" });
  const stampede = await progress.step("webhooks: starting", startSeconds, () =>
    Stampede.start(owned, executable, home),
  );
  const receiver = new Receiver();
  try {
    const endpoints = await Endpoints.make(executable, home, stampede.origin, receiver);
    const { stock } = await stampede.sale();
    await endpoints.turn("off");
    const report = await progress.step("webhooks: selling", saleSeconds, () =>
      goShopping(owned, {
        hostname: "127.0.0.1",
        port: home.port,
        connections,
        buyers,
        limit: perUserLimit,
        items: stock,
        want: stock,
        secondsMax: saleSecondsMax,
      }),
    );
    const flood = await inTurns(bench, stampede, endpoints, receiver);
    await endpoints.turn("on");
    await progress.step("webhooks: delivering", deliverSeconds, () => receiver.waitFor(stock));
    const wrong = [...report.wrong];
    if (!receiver.isInOrder) wrong.push("an order came before one that was earlier");
    if (receiver.orders !== stock) wrong.push(`${receiver.orders} orders came of ${stock}`);
    const failed = failures(flood.load) + flood.load.socketErrors;
    if (failed > 0) wrong.push(`${number(failed)} of the flood failed`);
    if (flood.sent.some((orders) => orders === 0)) wrong.push("nothing was sent in a turn");
    if (!(await stampede.audit()).ok) wrong.push("the audit is not ok");
    await stampede.stop();
    const { errors, warnings } = await complaintsOf(home);
    return {
      database: stampede.database,
      lines: [
        `A flood beside two webhooks: ${connections} connections; medians of ${bench.plan.webhookRounds} turns`,
        ...measureTable(flood.measures),
        "Server, PostgreSQL, the flood and who is sent the events share this machine.",
        ...warnings,
        "",
      ],
      verdicts: verdictsOf(flood.measures),
      wrong: [...wrong.map((text) => `webhooks: ${text}`), ...errors],
    };
  } finally {
    await receiver.stop();
  }
}

/** One flood, with the webhooks off and on in turns: neighbours in time are compared. */
async function inTurns(
  { owned, plan, progress, generator }: Bench,
  stampede: Stampede,
  endpoints: Endpoints,
  receiver: Receiver,
): Promise<{
  readonly load: Load;
  readonly measures: readonly Measure[];
  readonly sent: readonly number[];
}> {
  const seconds = Math.ceil(floodSeconds(plan)) + floodSecondsSpare;
  const shot = { of: "checkout", origin: stampede.origin, connections, seconds } as const;
  const shooting = generator.shoot(owned, shot);
  const rates: Record<"on" | "off", number[]> = { on: [], off: [] };
  const sent: number[] = [];
  const turn = async (to: "on" | "off"): Promise<void> => {
    await endpoints.turn(to);
    await Bun.sleep(settleMs);
    const [before, from, attempts] = [
      receiver.orders,
      performance.now(),
      await attemptsOf(stampede),
    ];
    await Bun.sleep(plan.roundSeconds * 1_000);
    const more = (await attemptsOf(stampede)) - attempts;
    rates[to].push((1_000 * more) / (performance.now() - from));
    if (to === "on") sent.push(receiver.orders - before);
  };
  await progress.step("webhooks: a flood, with them and without", seconds, async () => {
    await Bun.sleep(turnSeconds(plan) * 1_000);
    for (let round = 0; round < plan.webhookRounds; round += 1) {
      // Each is the first of its pair as often as the other.
      const order = round % 2 === 0 ? (["off", "on"] as const) : (["on", "off"] as const);
      // oxlint-disable-next-line no-await-in-loop
      for (const to of order) await turn(to);
    }
  });
  const load = await shooting;
  const lost = rates.on.map((rate, n) => 100 * (1 - rate / (rates.off[n] ?? Number.NaN)));
  const measures: Measure[] = [
    { what: "checkouts/s without webhooks", value: median(rates.off), digits: 0, unit: "" },
    { what: "checkouts/s with two, one dead", value: median(rates.on), digits: 0, unit: "" },
    {
      what: "orders sent a second meanwhile",
      value: median(sent) / plan.roundSeconds,
      digits: 0,
      unit: "",
    },
    {
      what: "lost by them",
      value: median(lost),
      digits: 1,
      unit: "%",
      target: { is: "<", bound: 5 },
    },
  ];
  return { load, measures, sent };
}

const attemptsOf = async (stampede: Stampede): Promise<number> => (await stampede.sale()).attempts;

const madeShape = z.object({ id: z.int() });

type Ask = (method: string, path: string, body: object) => Promise<Response>;

/** Two webhooks: one that answers, and one that does not. */
class Endpoints {
  readonly #ids: readonly number[];
  readonly #ask: Ask;

  private constructor(ids: readonly number[], ask: Ask) {
    this.#ids = ids;
    this.#ask = ask;
  }

  static async make(
    executable: string,
    { folder, dataFolder }: Home,
    origin: string,
    receiver: Receiver,
  ): Promise<Endpoints> {
    const made = Bun.spawnSync([executable, "key", "create", "bench", "--scope", "manage"], {
      cwd: folder,
      env: { STAMPEDE_DATA: dataFolder },
    });
    if (made.exitCode !== 0) throw new BenchError(`no key was made: ${made.stderr.toString()}`);
    const headers = { Authorization: `Bearer ${made.stdout.toString().trim()}` };
    const ask: Ask = (method, path, body) =>
      fetch(`${origin}/api/admin/webhooks${path}`, { method, headers, body: JSON.stringify(body) });
    const ids: number[] = [];
    for (const url of [receiver.url, receiver.silentUrl]) {
      // oxlint-disable-next-line no-await-in-loop
      const answer = await ask("POST", "", { url, types: ["order.created"] });
      if (answer.status !== 201) throw new BenchError(`no webhook was made: ${answer.status}`);
      // oxlint-disable-next-line no-await-in-loop
      ids.push(madeShape.parse(await answer.json()).id);
    }
    return new Endpoints(ids, ask);
  }

  async turn(state: "on" | "off"): Promise<void> {
    for (const id of this.#ids) {
      // oxlint-disable-next-line no-await-in-loop
      const answer = await this.#ask("PATCH", `/${id}`, { state });
      if (answer.status !== 200)
        throw new BenchError(`a webhook is not ${state}: ${answer.status}`);
    }
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
