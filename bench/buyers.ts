/**
 * Buyers who come at a steady rate while something else is measured, so that there is always
 * news. What they were refused is noted as wrong.
 */
import { HttpConnection } from "./http.ts";
import { reservationSchema } from "./shopping.ts";

const buyerConnections = 8;
/** On each connection: one item, reserved and bought, this often. */
const buyEveryMs = 20;
export const buysPerSecond = (buyerConnections * 1_000) / buyEveryMs;

/** A few who buy at a steady rate, each time as somebody else, one item after another. */
export class Crowd {
  readonly #port: number;
  /** When the checkout of an item was acknowledged, ms since the epoch. */
  readonly acknowledged = new Map<number, number>();
  readonly wrong: string[] = [];
  readonly #items: number;
  #turns = 0;

  /** @param items the first half of the sale's, which others ask for; these buy the other half */
  constructor(port: number, items: number) {
    this.#port = port;
    this.#items = items;
  }

  /** Buys until `work` is done; how many units. */
  async buy(work: () => Promise<void>): Promise<number> {
    const before = this.#turns;
    // Anew each time: the server closes those that are idle.
    const opening = Array.from({ length: buyerConnections }, () =>
      HttpConnection.open("127.0.0.1", this.#port),
    );
    const all = await Promise.all(opening);
    const working = work();
    const isOver = settled(working);
    await Promise.all(all.map((connection) => this.#buyOn(connection, isOver)));
    for (const connection of all) connection.close();
    await working;
    return this.#turns - before;
  }

  async #buyOn(connection: HttpConnection, isOver: () => boolean): Promise<void> {
    let next = performance.now() + Math.random() * buyEveryMs;
    while (!isOver()) {
      // oxlint-disable-next-line no-await-in-loop
      await Bun.sleep(Math.max(0, next - performance.now()));
      next = Math.max(next + buyEveryMs, performance.now());
      // oxlint-disable-next-line no-await-in-loop
      await this.#turn(connection);
    }
  }

  async #turn(connection: HttpConnection): Promise<void> {
    const item = this.#items + 1 + (this.#turns % this.#items);
    this.#turns += 1;
    const checkout = await connection.post(`/checkout?user_id=steady-${this.#turns}&id=${item}`);
    if (checkout.status !== 200) return this.#complain("checkout", checkout.body);
    this.acknowledged.set(item, performance.timeOrigin + performance.now());
    const { code } = reservationSchema.parse(JSON.parse(checkout.body));
    const purchase = await connection.post(`/purchase?code=${code}`);
    if (purchase.status !== 200) this.#complain("purchase", purchase.body);
  }

  #complain(what: string, body: string): void {
    if (this.wrong.length < 10) this.wrong.push(`a ${what} was answered with ${body}`);
  }
}

/** Tells whether work has ended, well or not; who awaits it learns which. */
export function settled(work: Promise<unknown>): () => boolean {
  let isOver = false;
  const end = (): void => {
    isOver = true;
  };
  work.then(end, end);
  return () => isOver;
}
