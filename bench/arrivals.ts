/**
 * A program of its own: a crowd that arrives at its own pace, and how long each of it waits. Writes a file
 * of JSON (`ArrivalReport`) where it is told to; ends when its standard input does.
 * `bun bench/arrivals.ts '{"port":…}'` (`CrowdSettings`)
 *
 * Where a pace is given a request is due at its moment, and its time counts from there: whoever finds
 * every connection busy, or a server that stands still, has waited all the same. One request at a time
 * on each keep-alive connection, over plain sockets: what this program takes of a small machine is
 * missing to the server that is measured. So answers are not parsed but for what is needed of them; one
 * is written by the server at once and smaller than loopback's packets, so it comes whole, and what
 * does not is noted as wrong.
 */
import { writeFileSync } from "node:fs";
import type { Socket } from "bun";
import { crowdSchema, type ArrivalReport } from "./arriving.ts";
import { LatencyCounts, percentile } from "./latencies.ts";

const { port, connections, pace, asks, sale, firstItem, buys, tellsAt, name, reportPath } =
  crowdSchema.parse(JSON.parse(process.argv[2] ?? ""));
const random = (most: number): number => 1 + Math.floor(Math.random() * most);
const users = 1_000_000;
const items = 10_000;
const tickMs = 1;
const tenthMs = 100;
const openingAtOnce = 256;
/** After the last request is due. */
const lateAnswerMsMax = 20_000;
const wrongMax = 10;
const firstByte = "H".charCodeAt(0);
const zero = "0".charCodeAt(0);
const statusAt = 9;

/** One connection; `dueAt` is of the request under way, NaN where there is none. */
type Client = { socket: Socket | null; dueAt: number; isPurchase: boolean };

const clients: Client[] = [];
const idle: Client[] = [];
const latencies = new LatencyCounts();
const purchaseLatencies = new LatencyCounts();
const lateness = new LatencyCounts();
const answersByTenth: number[] = [];
const answers: Record<string, number> = {};
const orders: [string, string, number][] = [];
const wrong: string[] = [];
let [issued, waiting, lastAt, lastOrderAt, longestSilenceMs] = [0, 0, 0, 0, 0];
let [broken, unanswered] = [0, 0];

void Bun.stdin.bytes().then(() => process.exit(1));
await open();
const startedAt = performance.now();
const endsAt = startedAt + (pace.kind === "instant" ? 0 : pace.seconds * 1000);
lastAt = startedAt;
for (const client of clients) next(client);
const timer = setInterval(tick, tickMs);

async function open(): Promise<void> {
  await Promise.all(Array.from({ length: openingAtOnce }, openOnAndOn));
}

async function openOnAndOn(): Promise<void> {
  while (clients.length < connections) {
    const client: Client = { socket: null, dueAt: Number.NaN, isPurchase: false };
    clients.push(client);
    client.socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_, chunk) => take(client, chunk),
        close: () => lose(client),
        error: () => lose(client),
      },
    });
  }
}

/** When the next request is due, ms; null where there is none yet, or none any more. */
function nextDue(now: number): number | null {
  switch (pace.kind) {
    case "flood":
      return now < endsAt ? now : null;
    case "instant":
      return issued < pace.requests ? startedAt : null;
    case "steady": {
      const due = startedAt + (issued * 1000) / pace.perSecond;
      return due <= now && due < endsAt ? due : null;
    }
    default:
      return pace satisfies never;
  }
}

function isAllIssued(now: number): boolean {
  return pace.kind === "instant" ? issued >= pace.requests : now >= endsAt && nextDue(now) === null;
}

/** Sends what is due next, or notes that the connection is free. */
function next(client: Client): void {
  const now = performance.now();
  const due = nextDue(now);
  if (due === null) {
    rest(client);
    idle.push(client);
    return;
  }
  send(client, pathOf(issued), due);
  issued += 1;
}

function rest(client: Client): void {
  if (!Number.isNaN(client.dueAt)) waiting -= 1;
  client.dueAt = Number.NaN;
}

function send(client: Client, path: string, due: number): void {
  if (Number.isNaN(client.dueAt)) waiting += 1;
  client.dueAt = due;
  const text = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 0\r\n\r\n`;
  if (client.socket?.write(text) !== text.length) lose(client);
}

function pathOf(n: number): string {
  switch (asks) {
    case "random":
      return `/checkout?user_id=${random(users)}&id=${random(items)}`;
    case "free":
      return `/checkout?user_id=${name}-${n}&id=any`;
    case "items":
      return `/checkout?user_id=${name}-${n}&id=${firstItem + (n % items)}`;
    case "place":
      return `/sales/${sale}/queue?user_id=${name}-${n}`;
    default:
      return asks satisfies never;
  }
}

/** An answer. */
function take(client: Client, chunk: Buffer): void {
  const now = performance.now();
  if (chunk[0] !== firstByte || Number.isNaN(client.dueAt)) return complain("an answer in pieces");
  longestSilenceMs = Math.max(longestSilenceMs, now - lastAt);
  lastAt = now;
  const tenth = Math.floor((now - startedAt) / tenthMs);
  answersByTenth[tenth] = (answersByTenth[tenth] ?? 0) + 1;
  const status =
    ((chunk[statusAt] ?? 0) - zero) * 100 +
    ((chunk[statusAt + 1] ?? 0) - zero) * 10 +
    ((chunk[statusAt + 2] ?? 0) - zero);
  const { isPurchase } = client;
  const kind = `${isPurchase ? "purchase" : "checkout"} ${status}`;
  answers[kind] = (answers[kind] ?? 0) + 1;
  (isPurchase ? purchaseLatencies : latencies).note(now - client.dueAt);
  client.isPurchase = false;
  if (isPurchase && status === 200) keep(chunk, now);
  if (!isPurchase && buys && status === 200) return buy(client, chunk, now);
  next(client);
}

function field(chunk: Buffer, pattern: RegExp): string {
  const found = pattern.exec(chunk.toString("latin1"))?.[1];
  if (found === undefined) complain(`an answer without ${pattern.source}`);
  return found ?? "";
}

function buy(client: Client, chunk: Buffer, now: number): void {
  client.isPurchase = true;
  send(client, `/purchase?code=${field(chunk, /"code":"([^"]+)"/)}`, now);
}

function keep(chunk: Buffer, now: number): void {
  const code = field(chunk, /"code":"([^"]+)"/);
  const item = Number(field(chunk, /"item":\{"id":(\d+)/));
  orders.push([code, field(chunk, /"order_id":"([^"]+)"/), item]);
  lastOrderAt = now;
  if (orders.length === tellsAt) process.stdout.write("bought\n");
}

function lose(client: Client): void {
  if (client.socket === null) return;
  client.socket = null;
  broken += 1;
  if (Number.isNaN(client.dueAt)) return;
  unanswered += 1;
  rest(client);
}

function complain(text: string): void {
  if (wrong.length < wrongMax) wrong.push(text);
}

function tick(): void {
  for (;;) {
    const now = performance.now();
    // The one that has rested for longest: the program closes those that nobody uses.
    const client = idle[0];
    const due = client === undefined ? null : nextDue(now);
    if (client === undefined || due === null) break;
    idle.shift();
    if (client.socket === null) continue;
    if (pace.kind === "steady") lateness.note(now - due);
    send(client, pathOf(issued), due);
    issued += 1;
  }
  const now = performance.now();
  const isOver = isAllIssued(now) && waiting === 0;
  if (isOver || broken === connections || now > endsAt + lateAnswerMsMax) finish();
}

function finish(): void {
  clearInterval(timer);
  const report: Omit<ArrivalReport, "crowdSeconds"> = {
    seconds: (lastAt - startedAt) / 1000,
    latencies: latencies.report(),
    purchaseLatencies: purchaseLatencies.report(),
    answersByTenth: Array.from(answersByTenth, (count: number | undefined) => count ?? 0),
    answers,
    orders,
    lastOrderSeconds: lastOrderAt === 0 ? 0 : (lastOrderAt - startedAt) / 1000,
    longestSilenceMs,
    lateP99Ms: lateness.report().count === 0 ? 0 : percentile(lateness.report(), 0.99),
    unanswered: unanswered + waiting,
    broken,
    wrong,
  };
  writeFileSync(reportPath, JSON.stringify(report));
  process.exit(0);
}
