/**
 * A network namespace of its own for a process of the tests, joined to this one by a cable that can
 * be pulled: then packets vanish, and nobody is told. It needs Linux and root.
 */
import { atEnd } from "./leftovers.ts";

/** Whether there can be any. Where `CI` is set there must be: a skipped test proves nothing. */
export const canHaveNamespaces =
  process.platform === "linux" && process.getuid?.() === 0 && Bun.which("ip") !== null;

async function ip(...args: readonly string[]): Promise<void> {
  const run = Bun.spawn(["ip", ...args], { stdout: "ignore", stderr: "pipe" });
  const said = await new Response(run.stderr).text();
  if ((await run.exited) !== 0) throw new Error(`ip ${args.join(" ")}: ${said}`);
}

let made = 0;

export class Namespace {
  readonly name: string;
  /** Addresses of this side of the cable, and of the other one. */
  readonly here: string;
  readonly there: string;

  private constructor(number: number) {
    this.name = `st${process.pid}n${number}`;
    // Private to each test process, and to each cable of it.
    const block = `10.${200 + (process.pid % 50)}.${(process.pid >> 6) % 256}`;
    this.here = `${block}.${4 * number + 1}`;
    this.there = `${block}.${4 * number + 2}`;
  }

  static async make(): Promise<Namespace> {
    made += 1;
    const space = new Namespace(made);
    const { name, here, there, cable } = space;
    await ip("netns", "add", name);
    atEnd(() => ip("netns", "del", name));
    await ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name);
    await ip("addr", "add", `${here}/30`, "dev", cable);
    await ip("link", "set", cable, "up");
    await ip("-n", name, "addr", "add", `${there}/30`, "dev", "eth0");
    for (const device of ["lo", "eth0"]) await ip("-n", name, "link", "set", device, "up");
    return space;
  }

  get cable(): string {
    return `${this.name}v`;
  }

  /** How a command is run in it. */
  get within(): readonly string[] {
    return ["ip", "netns", "exec", this.name];
  }

  /** From now on packets vanish on their way, in both directions. */
  async pull(): Promise<void> {
    await ip("link", "set", this.cable, "down");
  }

  async plug(): Promise<void> {
    await ip("link", "set", this.cable, "up");
  }
}
