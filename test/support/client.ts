/** A tiny client of the HTTP contract. */
import { accepted, item, order, reservation, sale, currentSale } from "./contract.ts";

export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: () => unknown;
};

export type Ask = {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal;
};

type Query = Readonly<Record<string, string | number | undefined>>;

/** A path with a query, percent-encoded. */
export function withQuery(path: string, query: Query): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return given.length === 0 ? path : `${path}?${given.join("&")}`;
}

export class Client {
  readonly #base: () => string;

  /** @param base where the server listens; a server started again may listen elsewhere */
  constructor(base: () => string) {
    this.#base = base;
  }

  async ask(method: string, path: string, { headers, body, signal }: Ask = {}): Promise<Answer> {
    const response = await fetch(this.#base() + path, {
      method,
      redirect: "manual",
      ...(headers === undefined ? {} : { headers }),
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: () => JSON.parse(text) as unknown,
    };
  }

  get(path: string, ask?: Ask): Promise<Answer> {
    return this.ask("GET", path, ask);
  }

  checkout(
    user: string,
    id: number | string,
    { sale: saleId, key, ...ask }: { sale?: number | string; key?: string } & Ask = {},
  ): Promise<Answer> {
    const path = withQuery("/checkout", { user_id: user, id, sale_id: saleId });
    const keyed = key === undefined ? {} : { headers: { "Idempotency-Key": key } };
    return this.ask("POST", path, { ...keyed, ...ask });
  }

  purchase(code: string, ask?: Ask): Promise<Answer> {
    return this.ask("POST", withQuery("/purchase", { code }), ask);
  }

  release(code: string, ask?: Ask): Promise<Answer> {
    return this.ask("DELETE", withQuery("/checkout", { code }), ask);
  }

  /** @param headers of a merchant's key */
  extend(code: string, body: object, headers: NonNullable<Ask["headers"]> = {}): Promise<Answer> {
    const path = `/reservations/${code}/extend`;
    return this.ask("POST", path, { body: JSON.stringify(body), headers });
  }

  /** Reserves, or throws. */
  async reserve(user: string, id: number | string = "any", options: { key?: string } = {}) {
    return accepted(await this.checkout(user, id, options), reservation);
  }

  /** Buys, or throws. */
  async buy(code: string) {
    return accepted(await this.purchase(code), order);
  }

  async reserveAndBuy(user: string, id: number | string = "any") {
    const { code } = await this.reserve(user, id);
    return await this.buy(code);
  }

  /** The open hourly sale, or throws. */
  async openSale() {
    const { current } = accepted(await this.get("/sale"), currentSale);
    if (current === null) throw new Error("no sale is open");
    return current;
  }

  async sale(id: number) {
    return accepted(await this.get(`/sales/${id}`), sale);
  }

  async item(saleId: number, id: number) {
    return accepted(await this.get(`/sales/${saleId}/items/${id}`), item);
  }
}
