/** Starts clients that hold connections and ask for nothing more, and ends them. */
import { join } from "node:path";
import type { Child, Owned } from "./owned.ts";
import { openFilesMax } from "./proc.ts";
import { BenchError, within } from "./scenario.ts";

const openSecondsMax = 60;
/** Files that a process holds open besides connections. */
const otherFiles = 100;

export class Idlers {
  readonly #owned: Owned;
  readonly #port: number;
  #child: Child | null = null;

  constructor(owned: Owned, port: number) {
    this.#owned = owned;
    this.#port = port;
  }

  /** Resolves when all of them are there. */
  async open({ idle, slow }: { readonly idle: number; readonly slow: number }): Promise<void> {
    if (openFilesMax() < idle + slow + otherFiles) {
      throw new BenchError(`a process may not open ${idle + slow} files here: raise ulimit -n`);
    }
    const program = join(import.meta.dir, "idlers.ts");
    const figures = [this.#port, idle, slow].map(String);
    this.#child = this.#owned.spawn([process.execPath, program, ...figures]);
    const { value } = await within(
      openSecondsMax,
      "opening connections",
      this.#child.stdout.getReader().read(),
    );
    if (value === undefined) throw new BenchError("the idle clients ended");
  }

  async end(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }
}
