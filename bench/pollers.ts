/**
 * A program of its own: people who wait and ask where the queue stands, so many times a second in
 * all, over connections that they share, one request at a time on each. Prints a line when it has begun, and one of JSON
 * (`PollReport`) when it is told to end by a line on its standard input.
 * `bun bench/pollers.ts PORT PATH PER_SECOND`
 */
import type { Socket } from "bun";

export type PollReport = { readonly asked: number; readonly answered: number };

const [port, path, perSecond] = process.argv.slice(2);
const connections = 1_000;
const tickMs = 20;
const text = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
const mark = "HTTP/1.1 200";

let [asked, answered] = [0, 0];
/** Those that wait for no answer. */
const idle = new Set<Socket>();

async function connect(): Promise<void> {
  await Bun.connect({
    hostname: "127.0.0.1",
    port: Number(port),
    socket: {
      open: (socket) => void idle.add(socket),
      data(socket, bytes) {
        // An answer is smaller than a packet.
        if (bytes.indexOf(mark) === 0) answered += 1;
        idle.add(socket);
      },
      close: (socket) => void idle.delete(socket),
    },
  });
}

await Promise.all(Array.from({ length: connections }, connect));
const startedAt = performance.now();
const timer = setInterval(() => {
  let due = Math.floor(((performance.now() - startedAt) / 1000) * Number(perSecond) - asked);
  for (const socket of idle) {
    if (due <= 0) break;
    idle.delete(socket);
    socket.write(text);
    due -= 1;
    asked += 1;
  }
}, tickMs);
process.stdout.write("begun\n");
await Bun.stdin.stream().getReader().read();
clearInterval(timer);
const report: PollReport = { asked, answered };
await Bun.write(Bun.stdout, `${JSON.stringify(report)}\n`);
process.exit(0);
