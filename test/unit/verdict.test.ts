/** The verdict of an audit: each promise by itself is enough for a no. */
import { describe, expect, test } from "bun:test";
import { isSound, type SaleAudit } from "../../src/store/audit.ts";

describe("the verdict is no", () => {
  const rows: Omit<SaleAudit, "ok"> = {
    sale_id: 1,
    title: "A sale",
    stock: 10,
    sold: 10,
    per_user_limit: 2,
    max_units_one_user: 2,
    oversold_items: 0,
    users_over_limit: 0,
    purchases_without_attempt: 0,
    purchases_without_reservation: 0,
    purchases_outside_window: 0,
    attempts_without_purchase: 0,
    duplicate_codes: 0,
    refunded: 0,
    units_owned_twice: 0,
    refunds_without_attempt: 0,
    attempts_without_refund: 0,
    refunds_miscounted: 0,
    extensions_without_attempt: 0,
    attempts_without_extension: 0,
    extensions_beyond_bounds: 0,
    offers_without_attempt: 0,
    attempts_without_offer: 0,
    offers_out_of_line: 0,
    announcement_altered: 0,
    purchases_altered: 0,
    queue: null,
  };
  const alone: readonly Partial<SaleAudit>[] = [
    { sold: 11 },
    { max_units_one_user: 3 },
    { oversold_items: 1 },
    { users_over_limit: 1 },
    { purchases_without_attempt: 1 },
    { purchases_without_reservation: 1 },
    { purchases_outside_window: 1 },
    { attempts_without_purchase: 1 },
    { duplicate_codes: 1 },
    { units_owned_twice: 1 },
    { refunds_without_attempt: 1 },
    { attempts_without_refund: 1 },
    { refunds_miscounted: 1 },
    { extensions_without_attempt: 1 },
    { attempts_without_extension: 1 },
    { extensions_beyond_bounds: 1 },
    { offers_without_attempt: 1 },
    { attempts_without_offer: 1 },
    { offers_out_of_line: 1 },
    { announcement_altered: 1 },
    { purchases_altered: 1 },
  ];

  test.each(alone)("for %j alone", (off) => {
    expect(isSound(rows)).toBe(true);
    expect(isSound({ ...rows, ...off })).toBe(false);
  });

  test("for every figure that there is", () => {
    const known = ["sale_id", "title", "stock", "refunded", "per_user_limit", "queue"];
    const named = alone.flatMap((off) => Object.keys(off));
    expect([...known, ...named].toSorted()).toEqual(Object.keys(rows).toSorted());
  });
});
