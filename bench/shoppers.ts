/**
 * A program of its own: a crowd that buys a sale, as fast as its connections allow. Every buyer
 * asks for items at random first, for `any` after some refusals, buys what is reserved, and
 * never holds more than the limit. Prints one line of JSON (`ShoppingReport`); ends when its standard
 * input does.
 * `bun bench/shoppers.ts '{"hostname":…}'` (`Shopping`)
 *
 * One request at a time on each keep-alive connection, over plain sockets: see `http.ts`.
 */
import { quantile } from "./report.ts";
import { HttpConnection, type Answer } from "./http.ts";
import { orderSchema, problemSchema, reservationSchema, shoppingSchema } from "./shopping.ts";
import type { ShoppingReport } from "./shopping.ts";

/** Random items that a buyer asks for before taking whatever is left. */
const randomTries = 3;
/** When all that is left is in somebody's basket. */
const basketPauseMs = 1;

type Buyer = { readonly id: string; bought: number };

const shopping = shoppingSchema.parse(JSON.parse(process.argv[2] ?? ""));
const { hostname, port, connections, buyers, limit, items, want, secondsMax } = shopping;

const waiting: Buyer[] = Array.from({ length: buyers }, (_, i) => ({
  id: `buyer-${i}`,
  bought: 0,
}));
const answers: Record<string, number> = {};
const soldItems = new Set<number>();
const wrong: string[] = [];
const checkoutMs: number[] = [];
const purchaseMs: number[] = [];
let requests = 0;
let purchases = 0;
let lastAt = 0;

void Bun.stdin.bytes().then(() => process.exit(1));
setTimeout(() => {
  wrong.push(`after ${secondsMax} s only ${purchases} of ${want} were bought`);
  finish();
}, secondsMax * 1000);

/** What a crowd that keeps to its limit may be told. */
const refusals = new Set(["item_reserved", "item_sold_out", "sold_out"]);

const crowd = await Promise.all(
  Array.from({ length: connections }, () => HttpConnection.open(hostname, port)),
);
const startedAt = performance.now();
await Promise.all(crowd.map(shop));
finish();

function finish(): never {
  const report: ShoppingReport = {
    seconds: (lastAt - startedAt) / 1000,
    purchases,
    requests,
    distinctItems: soldItems.size,
    answers,
    checkoutP99Ms: quantile(checkoutMs, 0.99),
    purchaseP99Ms: quantile(purchaseMs, 0.99),
    wrong: wrong.slice(0, 10),
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exit(0);
}

/** One connection: serves whoever is next, until everything wanted is bought. */
async function shop(connection: HttpConnection): Promise<void> {
  while (purchases < want && wrong.length === 0) {
    const buyer = waiting.shift();
    if (buyer === undefined) {
      wrong.push("the buyers have all they may have, and there is some left");
      return;
    }
    // One request at a time on each connection: that is what a connection is here.
    // oxlint-disable-next-line no-await-in-loop
    await turn(connection, buyer);
    if (buyer.bought < limit) waiting.push(buyer);
  }
}

async function turn(connection: HttpConnection, buyer: Buyer): Promise<void> {
  const code = await reserve(connection, buyer);
  if (code === null) return;
  const answer = await ask(connection, `/purchase?code=${code}`, purchaseMs);
  if (answer.status !== 200) {
    wrong.push(`a reserved code was not sold: ${answer.status} ${answer.body}`);
    return;
  }
  const { item } = orderSchema.parse(JSON.parse(answer.body));
  if (soldItems.has(item.id)) wrong.push(`item ${item.id} was sold twice`);
  soldItems.add(item.id);
  buyer.bought += 1;
  purchases += 1;
  if (purchases <= want) lastAt = performance.now();
}

async function reserve(connection: HttpConnection, buyer: Buyer): Promise<string | null> {
  for (let tries = 0; tries <= randomTries; tries += 1) {
    const item = tries < randomTries ? 1 + Math.floor(Math.random() * items) : "any";
    const path = `/checkout?user_id=${buyer.id}&id=${item}`;
    // oxlint-disable-next-line no-await-in-loop
    const answer = await ask(connection, path, checkoutMs);
    if (answer.status === 200) return reservationSchema.parse(JSON.parse(answer.body)).code;
    const { code } = problemSchema.parse(JSON.parse(answer.body));
    if (!refusals.has(code)) {
      wrong.push(`a checkout was answered with ${answer.status} ${code}`);
      return null;
    }
    if (purchases >= want) return null;
  }
  await Bun.sleep(basketPauseMs);
  return null;
}

async function ask(
  connection: HttpConnection,
  path: string,
  latenciesMs: number[],
): Promise<Answer> {
  const from = performance.now();
  const answer = await connection.post(path);
  latenciesMs.push(performance.now() - from);
  requests += 1;
  const kind = `${path.slice(1, path.indexOf("?"))} ${answer.status}`;
  answers[kind] = (answers[kind] ?? 0) + 1;
  return answer;
}
