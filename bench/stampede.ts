/**
 * The program that is measured: building it, starting it on a folder of its own with its own
 * PostgreSQL, asking it about itself, ending it gently or not.
 */
import { copyFile } from "node:fs/promises";
import { closeSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { logOf } from "./complaints.ts";
import { type Child, kill, type Owned } from "./owned.ts";
import {
  familyCpuSeconds,
  cpuSeconds,
  isAlive,
  memoryOf,
  type Memory,
  postmasterOf,
} from "./proc.ts";
import { BenchError, within } from "./scenario.ts";

const repository = join(import.meta.dir, "..");
const built = join(repository, "dist/stampede");
/** What the executable is made from. Four patterns: Bun finds nothing by one with slashes in braces. */
const sources = ["src/**/*", "drizzle/**/*", "build.ts", "package-lock.json"].map(
  (pattern) => new Bun.Glob(pattern),
);

const buildSecondsMax = 300;
const startSecondsMax = 90;
const stopSecondsMax = 60;
const answerSecondsMax = 60;
const pollMs = 3;

/** Time for what was on its way to be recorded, after those who asked have gone. */
const settleSecondsMax = 10;
const settlePollMs = 40;

const saleSchema = z.object({
  id: z.number().int(),
  stock: z.number().int(),
  sold: z.number().int(),
  reserved: z.number().int(),
  available: z.number().int(),
  attempts: z.number().int(),
});
export type Sale = z.output<typeof saleSchema>;

const auditSchema = z.object({
  sold: z.number().int(),
  stock: z.number().int(),
  max_units_one_user: z.number().int(),
  ok: z.boolean(),
});
export type Audit = z.output<typeof auditSchema>;

const currentSchema = z.object({ current: saleSchema.nullable() });

/**
 * Makes sure that `dist/stampede` is as new as its sources, and gives a copy of it, so that
 * whoever builds meanwhile does not change what is measured.
 * @param given an executable to measure instead
 */
export async function prepareExecutable(owned: Owned, given: string | undefined): Promise<string> {
  if (given === undefined && isStale()) {
    const build = owned.spawn([process.execPath, "build.ts"], { cwd: repository });
    const printed = new Response(build.stdout).text();
    const exitCode = await within(buildSecondsMax, "building dist/stampede", build.exited);
    if (exitCode !== 0) throw new BenchError(`dist/stampede cannot be built:\n${await printed}`);
  }
  if (given !== undefined && modified(given) === null)
    throw new BenchError(`There is no executable at ${given}.`);
  const copy = join(owned.folder(), "stampede");
  await copyFile(given ?? built, copy);
  return copy;
}

function isStale(): boolean {
  const made = modified(built);
  if (made === null) return true;
  return sources.some((pattern) =>
    [...pattern.scanSync(repository)].some(
      (path) => (modified(join(repository, path)) ?? 0) > made,
    ),
  );
}

function modified(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null;
}

/** Where a Stampede lives, across its starts. */
export type Home = {
  readonly folder: string;
  readonly dataFolder: string;
  readonly port: number;
  /** Of the program, beside what every home has. */
  readonly environment: Readonly<Record<string, string>>;
};

export function makeHome(owned: Owned, environment: Home["environment"] = {}): Home {
  const folder = owned.folder();
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return { folder, dataFolder: join(folder, "data"), port, environment };
}

/**
 * One sale for the whole year, so that no run meets its end: the schedule is the only thing
 * that differs from the hourly sale.
 */
const environmentOf = ({ dataFolder, port, environment }: Home): Record<string, string> => ({
  HOST: "127.0.0.1",
  PORT: String(port),
  STAMPEDE_DATA: dataFolder,
  SALE_SCHEDULE: "0 0 1 1 *",
  SALE_ITEMS: "10000",
  FRONTS: "0",
  ...environment,
});

export class Stampede {
  readonly origin: string;
  /** From the start of the process to the first 200 of /ready; ms. */
  readonly readyMs: number;
  /** As the program says it: `embedded PostgreSQL 18.4`. */
  readonly database: string;
  readonly #child: Child;
  readonly #home: Home;

  private constructor(child: Child, home: Home, started: { readyMs: number; records: string }) {
    this.origin = originOf(home);
    this.#child = child;
    this.#home = home;
    this.readyMs = started.readyMs;
    this.database = started.records.replace(/^Records: /, "").replace(/ in .*$/, "");
  }

  /** @throws BenchError when it ends before it sells, with what it said */
  static async start(owned: Owned, executable: string, home: Home): Promise<Stampede> {
    const from = performance.now();
    const log = openSync(logOf(home), "a");
    const child = owned.spawn([executable, "serve"], {
      cwd: home.folder,
      env: environmentOf(home),
      stderr: log,
    });
    closeSync(log);
    try {
      return await within(
        startSecondsMax,
        "starting Stampede",
        Stampede.#settled(child, home, from),
      );
    } catch (error) {
      const logged = await Bun.file(logOf(home)).text();
      throw new BenchError(`Stampede does not start: ${String(error)}\n${logged}`);
    }
  }

  static async #settled(child: Child, home: Home, from: number): Promise<Stampede> {
    const ready = becomesReady(originOf(home), child).then(() => performance.now() - from);
    const lines = await linesThrough(child, "Records: ");
    if (!lines.some((line) => line.includes("sells at http://"))) {
      throw new BenchError(`it does not say where it sells: ${lines.join(" / ")}`);
    }
    return new Stampede(child, home, { readyMs: await ready, records: lines.at(-1) ?? "" });
  }

  get pid(): number {
    return this.#child.pid;
  }

  get postmaster(): number {
    const pid = postmasterOf(this.#home.dataFolder);
    if (pid === null) throw new BenchError("there is no PostgreSQL below Stampede");
    return pid;
  }

  get memory(): Memory {
    return memoryOf(this.#child.pid);
  }

  cpu(): { readonly server: number; readonly database: number } {
    return {
      server: cpuSeconds(this.#child.pid),
      database: familyCpuSeconds(this.postmaster),
    };
  }

  /** The sale that is open. */
  async sale(): Promise<Sale> {
    const { current } = currentSchema.parse(await this.#get("/sale"));
    if (current === null) throw new BenchError("no sale is open");
    return saleSchema.parse(await this.#get(`/sales/${current.id}`));
  }

  /** The same, when nothing is on its way any more. */
  async settledSale(): Promise<Sale> {
    const until = performance.now() + settleSecondsMax * 1000;
    let before = await this.sale();
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop
      await Bun.sleep(settlePollMs);
      // oxlint-disable-next-line no-await-in-loop
      const now = await this.sale();
      if (now.attempts === before.attempts) return now;
      if (performance.now() > until) throw new BenchError("attempts grow although nobody asks");
      before = now;
    }
  }

  /** Streams of events that it holds. */
  async streams(): Promise<number> {
    const response = await fetch(`${this.origin}/metrics`, {
      signal: AbortSignal.timeout(answerSecondsMax * 1000),
    });
    const figure = /^stampede_event_streams (\d+)$/m.exec(await response.text())?.[1];
    if (figure === undefined) throw new BenchError("/metrics does not count the streams");
    return Number(figure);
  }

  async audit(): Promise<Audit> {
    const { id } = await this.sale();
    return auditSchema.parse(await this.#get(`/sales/${id}/audit`));
  }

  /** SIGTERM; how long it took, ms. */
  async stop(): Promise<number> {
    const from = performance.now();
    this.#child.kill("SIGTERM");
    const exitCode = await within(stopSecondsMax, "stopping Stampede", this.#child.exited);
    if (exitCode !== 0) throw new BenchError(`Stampede ended with ${exitCode} after SIGTERM`);
    return performance.now() - from;
  }

  /** SIGKILL; with `database` PostgreSQL's postmaster too, right after. */
  async crash(options: { readonly database: boolean }): Promise<void> {
    const { postmaster } = this;
    this.#child.kill("SIGKILL");
    if (options.database) kill(postmaster, "SIGKILL");
    await within(stopSecondsMax, "ending Stampede", this.#child.exited);
    if (!options.database && !isAlive(postmaster)) {
      throw new BenchError("PostgreSQL ended together with Stampede");
    }
  }

  async #get(path: string): Promise<unknown> {
    const signal = AbortSignal.timeout(answerSecondsMax * 1000);
    let response = await fetch(this.origin + path, { signal });
    // After a flood there may be much that has to be done first.
    while (response.status === 503) {
      // oxlint-disable-next-line no-await-in-loop
      await Bun.sleep(Number(response.headers.get("Retry-After")) * 1000);
      // oxlint-disable-next-line no-await-in-loop
      response = await fetch(this.origin + path, { signal });
    }
    if (!response.ok) throw new BenchError(`GET ${path} gave ${response.status}`);
    return await response.json();
  }
}

const originOf = ({ port }: Home): string => `http://127.0.0.1:${port}`;

async function becomesReady(origin: string, child: Child): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    // oxlint-disable-next-line no-await-in-loop
    if (await isReady(origin)) return;
    // oxlint-disable-next-line no-await-in-loop
    await Bun.sleep(pollMs);
  }
}

async function isReady(origin: string): Promise<boolean> {
  try {
    const response = await fetch(`${origin}/ready`, {
      keepalive: false,
      signal: AbortSignal.timeout(1_000),
    });
    await response.bytes();
    return response.status === 200;
  } catch {
    return false;
  }
}

/**
 * The lines that a program prints, up to the first that begins with `last`. What it prints after
 * that is read too, and thrown away: it must not find its output closed.
 */
function linesThrough(child: Child, last: string): Promise<string[]> {
  const { promise, resolve, reject } = Promise.withResolvers<string[]>();
  const readAll = async (): Promise<void> => {
    const decoder = new TextDecoder();
    let text = "";
    let found = false;
    for await (const chunk of child.stdout) {
      if (found) continue;
      text += decoder.decode(chunk, { stream: true });
      const lines = text.split("\n").slice(0, -1);
      const end = lines.findIndex((line) => line.startsWith(last));
      found = end >= 0;
      if (found) resolve(lines.slice(0, end + 1));
    }
    reject(new BenchError(`it ended: ${text.trim()}`));
  };
  readAll().catch(reject);
  return promise;
}
