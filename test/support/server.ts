/**
 * The program itself, as a process: started as a user starts it, watched by what it says,
 * ended by a signal to its own pid.
 */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Client } from "./client.ts";
import { atEnd, newFolder } from "./leftovers.ts";
import { runFolder } from "./runs.ts";
import { until, within } from "./wait.ts";

const root = join(import.meta.dir, "../..");
/** `npm test` has made one file of it. */
const program = process.env["TEST_PROGRAM"] ?? join(root, "src/main.ts");
/** Of a machine that is busy with something else, as the bounds of all that is waited for. */
const startMaxMs = 90_000;
const exitMaxMs = 45_000;

/** What a shell calls the program by. */
export const programCommand = (): string => `'${process.execPath}' '${program}'`;

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
  FRONTS: "0",
  SALE_SCHEDULE: lastingSchedule(),
  SALE_ITEMS: "20",
});

/** What the system allows it, and what it is. */
export type Limits = {
  readonly descriptors?: number;
  /** A command that runs the one after it. */
  readonly within?: readonly string[];
  /** Another program than this one. */
  readonly main?: string;
};

/** A process of the program, with everything that it says. */
export class Program {
  readonly #process: Bun.Subprocess<"ignore" | Blob, "pipe", "pipe">;
  readonly #read: Promise<unknown>;
  output = "";
  log = "";

  /** @param input what it finds on its standard input; nothing without */
  constructor(
    args: readonly string[],
    env: Environment,
    input?: string,
    limits: Limits = {},
    main = program,
  ) {
    const { descriptors, within: around = [] } = limits;
    const limited =
      descriptors === undefined ? [] : ["sh", "-c", `ulimit -n ${descriptors} && exec "$0" "$@"`];
    this.#process = Bun.spawn([...around, ...limited, process.execPath, main, ...args], {
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

/**
 * The program of a version to come: this one under another number, which speaks the next version of
 * the link.
 * @param statements of one more migration, as SQL; without them the schema is as it is now
 */
export function newerProgram(statements: string | null): string {
  const folder = newFolder();
  const parts = ["src", "docs", "drizzle", "CONTRIBUTING.md", "package.json", "tsconfig.json"];
  for (const name of parts) {
    cpSync(join(root, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  replaceIn(join(folder, "package.json"), /"version": "[^"]+"/, `"version": "${newerVersion}"`);
  replaceIn(join(folder, "src/link/frames.ts"), /(?<=protocolVersion = )\d+/, (of) => `${+of + 1}`);
  if (statements !== null) migrateIn(folder, statements);
  return join(folder, "src/main.ts");
}

const newerVersion = "99.0.0";

function replaceIn(path: string, what: RegExp, by: string | ((found: string) => string)): void {
  const text = readFileSync(path, "utf8");
  const changed = text.replace(what, (found) => (typeof by === "string" ? by : by(found)));
  if (changed === text) throw new Error(`${path} has nothing like ${what}`);
  writeFileSync(path, changed);
}

function migrateIn(folder: string, statements: string): void {
  const path = join(folder, "drizzle/meta/_journal.json");
  const journal = journalShape.parse(JSON.parse(readFileSync(path, "utf8")));
  const { idx, when, ...entry } = journal.entries.at(-1) ?? { idx: 0, when: 0 };
  const next = { ...entry, idx: idx + 1, when: when + 1, tag: "newer" };
  writeFileSync(path, JSON.stringify({ ...journal, entries: [...journal.entries, next] }));
  writeFileSync(join(folder, "drizzle/newer.sql"), statements);
}

const journalShape = z.looseObject({
  entries: z.array(z.looseObject({ idx: z.int(), when: z.int() })),
});

/** Runs a command of the program, or of another one, to its end. */
export async function runProgram(
  args: readonly string[],
  env: Environment = {},
  input?: string,
  main = program,
) {
  const running = new Program(args, env, input, {}, main);
  const exitCode = await running.exited(startMaxMs);
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
  const running = new Program(["serve"], env, undefined, limits, limits.main);
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

/** What the kernel says of a process; empty for one that is gone. */
export function readProc(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** The fronts of a program that run now, by what the kernel says. */
export const frontsOf = ({ program: { pid } }: TestServer): number[] =>
  readProc(`/proc/${pid}/task/${pid}/children`)
    .split(" ")
    .filter((child) => readProc(`/proc/${child}/cmdline`).split("\0").includes("front"))
    .map(Number);
