/**
 * Sees to it that the claims of a coupon are in memory before it is claimed, and that those
 * of coupons which nobody claims do not stay there for ever. One for each writer.
 */
import type { Sql } from "postgres";
import { claimsHeldMax, dropIdleClaims, holdClaims, type Coupon } from "../ledger/coupons.ts";
import { loadClaims } from "../store/coupons.ts";
import type { Writer } from "./writer.ts";

export class Claims {
  readonly #sql: Sql;
  readonly #writer: Writer;
  readonly #loading = new Map<string, Promise<void>>();

  constructor(sql: Sql, writer: Writer) {
    this.#sql = sql;
    this.#writer = writer;
  }

  /** Resolves when the claims of `coupon` are in memory. */
  async load({ name }: Coupon): Promise<void> {
    let loading = this.#loading.get(name);
    if (loading === undefined) {
      // While they are not in memory nobody can claim it, so what is read stays true.
      loading = this.#load(name).finally(() => this.#loading.delete(name));
      this.#loading.set(name, loading);
    }
    await loading;
  }

  async #load(name: string): Promise<void> {
    const claims = await loadClaims(this.#sql, name);
    await this.#writer.read((state) => {
      const coupon = state.coupons.get(name);
      if (coupon !== undefined) holdClaims(state, coupon, claims);
    });
  }

  /** Keeps memory within its bound; to be called now and then. */
  async tidy(): Promise<void> {
    await this.#writer.read((state, waiting) => {
      if (state.claimsHeld <= claimsHeldMax) return;
      const busy = new Set<string>();
      for (const command of waiting) if (command.kind === "claim") busy.add(command.coupon);
      dropIdleClaims(state, busy);
    });
  }
}
