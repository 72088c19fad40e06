/** A Redis of the bench's own, on a socket in one of its folders; where `redis-server` is installed. */
import { join } from "node:path";
import { RedisClient } from "bun";
import type { Child, Owned } from "../owned.ts";
import { BenchError, within } from "../scenario.ts";

/** When its file is flushed to disk. */
export type Sync = "everysec" | "always";

const startSecondsMax = 30;
const pollMs = 20;

/** Its version, or null where there is none. */
export function redisVersion(): string | null {
  const program = Bun.which("redis-server");
  if (program === null) return null;
  const said = Bun.spawnSync([program, "--version"]).stdout.toString();
  return /v=(\S+)/.exec(said)?.[1] ?? "of unknown version";
}

export class Redis {
  readonly socket: string;
  readonly #child: Child;

  private constructor(child: Child, socket: string) {
    this.#child = child;
    this.socket = socket;
  }

  /** @param folder what it kept there before is read back */
  static async start(owned: Owned, folder: string, sync: Sync): Promise<Redis> {
    const socket = join(folder, "redis.sock");
    const settings = {
      port: "0",
      unixsocket: socket,
      dir: folder,
      save: "",
      appendonly: "yes",
      appendfsync: sync,
      logfile: join(folder, "redis.log"),
    };
    const options = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const child = owned.spawn(["redis-server", ...options], { cwd: folder });
    await within(startSecondsMax, "starting Redis", isThere(socket, child));
    return new Redis(child, socket);
  }

  async crash(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

async function isThere(socket: string, child: Child): Promise<void> {
  while (child.exitCode === null) {
    const redis = new RedisClient(`redis+unix://${socket}`, { autoReconnect: false });
    try {
      await redis.connect();
      if (String(await redis.ping()) === "PONG") return;
    } catch {
      // Not yet, or it still reads what it has.
    } finally {
      redis.close();
    }
    await Bun.sleep(pollMs);
  }
  throw new BenchError(`Redis ended with ${child.exitCode}`);
}
