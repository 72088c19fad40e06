/** What happens in a world, step by step, and how often each of it does. */

export const stepWeights = {
  checkout: 30,
  purchase: 22,
  release: 7,
  extend: 6,
  buy: 8,
  wait: 15,
  leave: 1,
  refund: 5,
  repeat: 8,
  rush: 3,
  claim: 8,
  join: 14,
  change_queue: 2,
  create_coupon: 2,
  change_coupon: 3,
  read: 8,
  announce: 3,
  change: 4,
  close: 1,
  open: 1,
  withdraw: 2,
  restock: 3,
  delete_product: 1,
  restore: 3,
  checkpoint: 3,
  mishap: 6,
  kill: 1,
  stop: 1,
  clock: 2,
} as const;

export type StepKind = keyof typeof stepWeights;

export type Step = { readonly waitMs: number; readonly kind: StepKind; readonly dice: number };
