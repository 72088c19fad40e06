/** Coupons as they are shown, and named in paths. */
import type { BunRequest } from "bun";
import type { StoredCoupon } from "../../ledger/coupons.ts";
import { time } from "../fields.ts";
import { Invalid, parseText, pathOf } from "../parse.ts";

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

/** The last segment of a path, decoded strictly: what is not UTF-8 names no coupon. */
export function nameIn({ url, params }: BunRequest): string | Invalid {
  // The request's URL has dot segments taken out, %2E too; the router's parameter has not.
  const segment: unknown = Reflect.get(params, "name");
  if (segment === "." || segment === "..") return segment;
  const path = pathOf(url);
  try {
    return parseText(decodeURIComponent(path.slice(path.lastIndexOf("/") + 1)), "name");
  } catch {
    return new Invalid("name", "is not percent-encoded UTF-8");
  }
}
