/**
 * One port for several processes of one program, and for nobody else.
 *
 * The kernel lets processes listen on the same port, and spreads the connections over them, if each
 * says so beforehand (SO_REUSEPORT). That they belong together it does not ask: a second program
 * that says so too would take its share of the customers. So the port is taken first as any program
 * takes it, which fails when somebody has it, and is kept for as long as the program lives: not
 * listened on, and open to be shared.
 */
import { closeSync } from "node:fs";
import { Sockets } from "../http/descriptors.ts";
import { errorCode } from "../postgres/client.ts";
import { poll } from "../postgres/poll.ts";

type KeptPort = { readonly port: number; readonly release: () => void };

/** How long those who shared the port of a program that was killed may take to end. */
const leftoverWaitMaxMs = 2_000;
const askEveryMs = 20;

/** Whether processes can share a port here; it needs Linux, and its C library. */
export const canSharePort = (): boolean => Sockets.of(0) !== null;

/**
 * Takes a port for processes that share it.
 * @param port 0: any
 * @throws the system's error when somebody else has it
 */
export async function keepPort(host: string, port: number): Promise<KeptPort> {
  const bounds = { everyMs: askEveryMs, waitMaxMs: leftoverWaitMaxMs };
  // One that the system has chosen is chosen anew when it is closed, unless it was asked for.
  const wanted = port === 0 ? freePort(host) : port;
  const listening =
    (await poll(bounds, () => listenUnlessTaken(host, wanted))) ?? listen(host, wanted);
  const kept = Sockets.of(wanted)?.keepPort(() => listening.stop(true));
  if (kept === undefined) throw new Error("processes cannot share a port here");
  return { port: wanted, release: () => closeSync(kept) };
}

const listen = (hostname: string, port: number) =>
  Bun.listen({ hostname, port, socket: { data() {} } });

/** Undefined when somebody has the port. */
function listenUnlessTaken(host: string, port: number): ReturnType<typeof listen> | undefined {
  try {
    return listen(host, port);
  } catch (error) {
    if (errorCode(error) === "EADDRINUSE") return undefined;
    throw error;
  }
}

function freePort(host: string): number {
  const listening = listen(host, 0);
  listening.stop(true);
  return listening.port;
}
