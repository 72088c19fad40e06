/** What has become of a code. */
import type { Known } from "./history.ts";

export const isOwned = ({ sold, refundedBy }: Known): boolean =>
  sold !== null && refundedBy === null;

export const isGone = (known: Known): boolean =>
  isOwned(known) || (known.refundedBy !== null && !known.restocked);
