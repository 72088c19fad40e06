/**
 * Who buys. The same name in two kinds is two buyers, with two limits; to everybody who is asked
 * for a buyer both are shown.
 */

/**
 * `guest`: whose name is anybody's word. `account`: logged in here. `customer`: vouched for by the
 * merchant.
 */
export type BuyerKind = "guest" | "account" | "customer";

export type Buyer = { readonly kind: BuyerKind; readonly userId: string };

/** Whether somebody has proven to be who they say. */
export const isProven = ({ kind }: Buyer): boolean => {
  switch (kind) {
    case "guest":
      return false;
    case "account":
    case "customer":
      return true;
    default:
      return kind satisfies never;
  }
};

export const sameBuyer = (a: Buyer, b: Buyer): boolean =>
  a.kind === b.kind && a.userId === b.userId;

/** One text for a buyer, which no other buyer has. */
export const buyerId = ({ kind, userId }: Buyer): string => `${kind}:${userId}`;
