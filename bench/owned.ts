/**
 * Owns what a run starts and makes: processes, by their handles, and one temporary folder.
 * Whatever happens, `release` ends the one and removes the other; it ends nothing else.
 * A PostgreSQL that outlives its Stampede is found through the folders below ours.
 */
import { chmodSync, mkdirSync, mkdtempSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive, serversBelow } from "./proc.ts";
import { BenchError } from "./scenario.ts";

/** Stampede ends by itself within 8 s; a database that is being made finishes first. */
const gracefulSecondsMax = 15;
const immediateSecondsMax = 5;
const pollMs = 10;

export type Child = Bun.Subprocess<"pipe", "pipe", "inherit" | number>;

export class Owned {
  readonly #root: string;
  readonly #children = new Set<Child>();
  #folders = 0;
  #closed = false;

  constructor() {
    this.#root = realpathSync(mkdtempSync(join(tmpdir(), "stampede-bench-")));
    // As root, PostgreSQL runs as another user, who has to get to its data.
    chmodSync(this.#root, 0o755);
  }

  get root(): string {
    return this.#root;
  }

  /** Whether the run is ending: what fails from now on fails because of that. */
  get closed(): boolean {
    return this.#closed;
  }

  /** A new, empty folder. */
  folder(): string {
    this.#folders += 1;
    const path = join(this.#root, String(this.#folders));
    mkdirSync(path, { mode: 0o755 });
    return path;
  }

  /**
   * Starts a program with an environment of its own. Its standard input stays open until it is
   * ended, so that our own programs can notice when we are gone.
   */
  spawn(
    command: readonly string[],
    options: {
      readonly cwd?: string;
      readonly env?: Readonly<Record<string, string>>;
      /** An open file; by default our own standard error. */
      readonly stderr?: number;
    } = {},
  ): Child {
    if (this.#closed) throw new BenchError("the run is ending");
    const child = Bun.spawn([...command], {
      cwd: options.cwd ?? this.#root,
      env: { PATH: process.env["PATH"] ?? "", ...options.env },
      stdin: "pipe",
      stdout: "pipe",
      stderr: options.stderr ?? "inherit",
    });
    this.#children.add(child);
    void child.exited.then(() => this.#children.delete(child));
    return child;
  }

  /** Ends every process that was started here. */
  async endAll(): Promise<void> {
    const children = [...this.#children];
    for (const child of children) child.kill("SIGTERM");
    await Promise.race([
      Promise.all(children.map((child) => child.exited)),
      Bun.sleep(gracefulSecondsMax * 1000),
    ]);
    for (const child of this.#children) child.kill("SIGKILL");
    for (const signal of ["SIGQUIT", "SIGKILL"] as const) {
      const left = serversBelow(this.#root);
      for (const pid of left) kill(pid, signal);
      // The second signal is for those that the first one has not ended.
      // oxlint-disable-next-line no-await-in-loop
      await allGone(left);
    }
  }

  /** Ends everything, removes the folder, and starts nothing more. */
  async release(): Promise<void> {
    this.#closed = true;
    await this.endAll();
    await rm(this.#root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** A signal to a process that may just have ended. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has.
  }
}

async function allGone(left: readonly number[]): Promise<void> {
  const until = performance.now() + immediateSecondsMax * 1000;
  while (left.some(isAlive) && performance.now() < until) {
    // oxlint-disable-next-line no-await-in-loop
    await Bun.sleep(pollMs);
  }
}
