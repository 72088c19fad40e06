/** Coupons as they are shown, and where they are. */
import type { StoredCoupon } from "../../ledger/coupons.ts";
import { time } from "../fields.ts";

const timeOf = (ms: number | null): string | null => (ms === null ? null : time(ms));

export const showCoupon = ({ id, name, amount, remaining, createdAt, ...life }: StoredCoupon) => ({
  id,
  name,
  amount,
  remaining_amount: remaining,
  created_at: time(createdAt),
  starts_at: timeOf(life.startsAt),
  ends_at: timeOf(life.endsAt),
  disabled: life.disabled,
});

/** A name of dots alone is written in full: clients take dot segments out of a path. */
export const pathTo = (name: string): string => {
  const segment = /^\.{1,2}$/.test(name) ? name.replaceAll(".", "%2E") : encodeURIComponent(name);
  return `/api/coupons/${segment}`;
};
