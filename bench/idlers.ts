/**
 * A program of its own: clients that hold connections. Some ask once and are idle then, some send a
 * request and never all of it, a byte a second. Who is closed comes again. Prints a line when all are
 * there. `bun bench/idlers.ts PORT IDLE SLOW`
 */
import type { Socket } from "bun";

const [port, idle, slow] = process.argv.slice(2).map(Number);
if (port === undefined || idle === undefined || slow === undefined) {
  throw new Error("a port, and how many are idle and slow");
}

const whole = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
const begun = "POST /api/coupons HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{";
const againMs = 100;
const openingAtOnce = 64;
const byteEveryMs = 1_000;

const slowOnes = new Set<Socket>();

async function hold(isSlow: boolean): Promise<void> {
  try {
    await Bun.connect({
      hostname: "127.0.0.1",
      port: port ?? 0,
      socket: {
        open(socket) {
          socket.write(isSlow ? begun : whole);
          if (isSlow) slowOnes.add(socket);
        },
        data() {},
        close(socket) {
          slowOnes.delete(socket);
          setTimeout(() => void hold(isSlow), againMs);
        },
      },
    });
  } catch {
    setTimeout(() => void hold(isSlow), againMs);
  }
}

setInterval(() => {
  for (const socket of slowOnes) socket.write(" ");
}, byteEveryMs);

let opened = 0;
const all = idle + slow;
await Promise.all(
  Array.from({ length: openingAtOnce }, async () => {
    while (opened < all) {
      opened += 1;
      // oxlint-disable-next-line no-await-in-loop
      await hold(opened <= slow);
    }
  }),
);
process.stdout.write("all are there\n");
