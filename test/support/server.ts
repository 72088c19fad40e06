/**
 * The program itself, as a process: started as a user starts it, watched by what it says,
 * ended by a signal to its own pid.
 */
import { join } from "node:path";
import { Client } from "./client.ts";
import { atEnd, newFolder } from "./leftovers.ts";
import { runFolder } from "./runs.ts";
import { until, within } from "./wait.ts";

const program = join(import.meta.dir, "../../src/main.ts");
const startMaxMs = 30_000;
const exitMaxMs = 15_000;

export type Environment = Readonly<Record<string, string>>;

/** A schedule whose sale has been open since yesterday and stays so for a year. */
export function lastingSchedule(): string {
  const yesterday = new Date(Date.now() - 86_400_000);
  return `0 0 ${yesterday.getUTCDate()} ${yesterday.getUTCMonth() + 1} *`;
}

/** What every program needs, and by what a sweep knows it. */
export const surroundings = (): Environment => ({
  PATH: process.env["PATH"] ?? "",
  HOME: process.env["HOME"] ?? "/",
  TMPDIR: runFolder(),
});

const defaults = (): Environment => ({
  ...surroundings(),
  HOST: "127.0.0.1",
  PORT: "0",
  SALE_SCHEDULE: lastingSchedule(),
  SALE_ITEMS: "20",
});

/** What the system allows it. */
export type Limits = { readonly descriptors?: number };

/** A process of the program, with everything that it says. */
export class Program {
  readonly #process: Bun.Subprocess<"ignore" | Blob, "pipe", "pipe">;
  readonly #read: Promise<unknown>;
  output = "";
  log = "";

  /** @param input what it finds on its standard input; nothing without */
  constructor(args: readonly string[], env: Environment, input?: string, limits: Limits = {}) {
    const { descriptors } = limits;
    const limited =
      descriptors === undefined ? [] : ["sh", "-c", `ulimit -n ${descriptors} && exec "$0" "$@"`];
    this.#process = Bun.spawn([...limited, process.execPath, program, ...args], {
      cwd: newFolder(),
      env: { ...defaults(), ...env },
      stdio: [input === undefined ? "ignore" : new Blob([input]), "pipe", "pipe"],
    });
    atEnd(() => this.kill());
    this.#read = Promise.all([
      collect(this.#process.stdout, (text) => {
        this.output += text;
      }),
      collect(this.#process.stderr, (text) => {
        this.log += text;
      }),
    ]);
  }

  get pid(): number {
    return this.#process.pid;
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Waits for the end, and returns the exit code; a signal's is 128 and more. */
  async exited(boundMs = exitMaxMs): Promise<number> {
    const code = await within(() => `the end of\n${this.said}`, boundMs, this.#process.exited);
    await this.#read;
    return code;
  }

  get said(): string {
    return `stdout:\n${this.output}\nstderr:\n${this.log}`;
  }

  signal(name: NodeJS.Signals): void {
    if (this.isRunning) this.#process.kill(name);
  }

  /** As `kill -9`. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.#process.exited;
  }
}

async function collect(stream: ReadableStream<Uint8Array>, take: (text: string) => void) {
  const decoder = new TextDecoder();
  for await (const bytes of stream) take(decoder.decode(bytes, { stream: true }));
}

/** Runs a command of the program to its end. */
export async function runProgram(args: readonly string[], env: Environment = {}, input?: string) {
  const running = new Program(args, env, input);
  const exitCode = await running.exited(30_000);
  return { exitCode, output: running.output, log: running.log };
}

/** A process that sells, or stands by. */
export class TestServer {
  readonly program: Program;
  readonly url: string;
  readonly client: Client;

  constructor(running: Program, url: string) {
    this.program = running;
    this.url = url;
    this.client = new Client(() => url);
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Ends it as a supervisor does; returns the exit code. */
  async stop(): Promise<number> {
    this.program.signal("SIGTERM");
    return await this.program.exited();
  }

  async kill(): Promise<void> {
    await this.program.kill();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

/** Starts the program and waits until it says where it sells. */
export async function startServer(env: Environment, limits: Limits = {}): Promise<TestServer> {
  const running = new Program(["serve"], env, undefined, limits);
  const url = await until(
    "the program's start",
    () => {
      if (!running.isRunning) throw new Error(`the program ended\n${running.said}`);
      return /^Stampede \S+ sells at (http:\S+)$/m.exec(running.output)?.[1];
    },
    startMaxMs,
  ).catch(async (error: unknown) => {
    await running.kill();
    throw new Error(`${String(error)}\n${running.said}`);
  });
  return new TestServer(running, url.replace("localhost", "127.0.0.1"));
}
