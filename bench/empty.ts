/**
 * A program of its own: what Bun's HTTP alone can do. Answers everything with the headers and the
 * number of bytes that it is given, and does nothing else. Prints its address; ends when its
 * standard input does.
 * `bun bench/empty.ts '{"headers":{…},"bytes":228}'`
 */
import { z } from "zod";

const { headers, bytes } = z
  .object({ headers: z.record(z.string(), z.string()), bytes: z.number().int() })
  .parse(JSON.parse(process.argv[2] ?? ""));

const body = "x".repeat(bytes);
const init = { status: 200, headers: new Headers(headers) };
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  fetch: () => new Response(body, init),
});
process.stdout.write(`${server.url.origin}\n`);
await Bun.stdin.bytes();
process.exit(0);
