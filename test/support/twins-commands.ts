/** Batches of commands, drawn for PostgreSQL and its twin. */
import { extensionMsMax, type Command } from "../../src/ledger/commands.ts";
import { drawChange } from "../unit/coupon-model.ts";
import { buyers, keys, names, ttlMs, type Twins } from "./twins.ts";
import { upTo } from "./wait.ts";

const batchCommandsMax = 12;

/** What has happened to sales meanwhile is noted with them. */
export function drawCommands(twins: Twins): Command[] {
  const drawn = upTo(twins.dice.between(1, batchCommandsMax)).map(() => command(twins));
  if (twins.dice.chance(0.7)) drawn.push(...waits(twins));
  const noted = [...twins.open.milestones(), ...drawn];
  return twins.dice.chance(0.1) ? [...noted, ...ends(twins)] : noted;
}

/** Somebody waits for what somebody else gives back. */
function waits(twins: Twins): Command[] {
  // Of what there is no more to be had of.
  const all = twins.view((view) =>
    view.sales().flatMap(({ id: sale }) => {
      const free = view.free(sale);
      const open = view.checkpoint(sale)?.open ?? [];
      return open
        .filter(({ itemId }) => free?.[itemId - 1] === 0)
        .map(({ code, itemId }) => ({ sale, code, itemId }));
    }),
  );
  const held = twins.dice.pick(all);
  const waiter = twins.dice.pick(buyers.filter(({ kind }) => kind !== "guest"));
  if (held === undefined || waiter === undefined) return [];
  const { sale } = held;
  const back = { code: held.code, saleId: null, by: "merchant", lookup: null } as const;
  const item = twins.dice.chance(0.1) ? "any" : held.itemId;
  return [
    { kind: "waitlist_join", buyer: waiter, sale, item },
    { kind: "release", ...back },
  ];
}

/** A sale's end is moved twice at once. */
function ends(twins: Twins): Command[] {
  const now = twins.now;
  const open = twins.view((view) => view.sales()).filter((sale) => sale.endsAt > now);
  const sale = twins.dice.pick(open.filter(({ startsAt }) => startsAt <= now));
  if (sale === undefined) return [];
  const end = { ...change, saleId: sale.id };
  return [
    { ...end, endsAt: sale.endsAt + 1_000 },
    { ...end, endsAt: twins.dice.chance(0.5) ? "now" : sale.endsAt + 2_000 },
  ];
}

const by = { kind: "key", name: "shop" } as const;
const change = { kind: "change_sale", opens: false, title: null, by } as const;

function command(twins: Twins): Command {
  const dice = twins.dice;
  const sales = twins.view((view) => view.sales().map(({ id }) => id));
  const sale = dice.pick(sales) ?? 1;
  const buyer = dice.pick(buyers) ?? { kind: "guest", userId: "ann" };
  const key = dice.chance(0.4) ? (dice.pick(keys) ?? null) : null;
  const item = dice.chance(0.1) ? 3_000_000_000 : dice.between(1, 4);
  const expectedPriceCents = dice.chance(0.2) ? 100 : null;
  const code = twins.code();
  const known = dice.pick(twins.codes) ?? code;
  const whose = dice.chance(0.6) ? buyer : null;
  const kind = dice.between(0, 20);
  if (kind > 19) return { kind: "waitlist_leave", buyer, sale };
  if (kind > 17) {
    return { kind: "waitlist_join", buyer, sale, item: dice.chance(0.3) ? "any" : item };
  }
  if (kind > 16) return { kind: "join", buyer, sale, ticket: code, key };
  if (kind > 15) {
    const paused = dice.pick([null, true, false]) ?? null;
    return { kind: "change_queue", saleId: sale, admitPerSecond: dice.between(1, 9), paused, by };
  }
  if (kind > 13) return refund(twins);
  if (kind < 5) {
    return { kind: "checkout", buyer, item, sale, code, key, expectedPriceCents };
  }
  if (kind < 7)
    return { kind: "purchase", code: known, by: whose, expectedPriceCents, lookup: null };
  if (kind < 8) return { kind: "release", code: known, saleId: null, by: whose, lookup: null };
  if (kind < 10) {
    const quantity = dice.between(1, 2);
    return {
      kind: "buy",
      buyer,
      saleId: sale,
      itemId: item,
      quantity,
      code,
      key,
      expectedPriceCents,
    };
  }
  const coupon = dice.pick(names) ?? "TEN";
  if (kind < 11) return couponCommand(twins, coupon);
  if (kind < 12) return { kind: "claim", coupon, buyer, key };
  if (kind < 13) {
    const ms = dice.chance(0.2) ? extensionMsMax : dice.between(1, 3 * ttlMs);
    return { kind: "extend", code: known, ms, lookup: null };
  }
  const endsAt = dice.chance(0.5) ? "now" : twins.now + dice.between(1, 100_000);
  if (dice.chance(0.3)) return { kind: "withdraw", saleId: sale, by };
  if (dice.chance(0.4)) {
    return { kind: "restock", saleId: sale, itemId: item, units: dice.between(1, 2), by };
  }
  const title = dice.chance(0.3) ? { from: "A sale", to: `A "new" title` } : null;
  return { ...change, saleId: sale, opens: dice.chance(0.3), endsAt, title };
}

function couponCommand({ dice, now }: Twins, coupon: string): Command {
  const which = dice.between(0, 5);
  if (which < 2) return { kind: "create_coupon", coupon, amount: dice.between(1, 4) };
  if (which < 3) return { kind: "create_coupon", coupon, amount: dice.between(1, 4), by };
  if (which < 4) return { kind: "remove_coupon", coupon, by };
  return drawChange(dice, coupon, now);
}

function refund({ dice, sold }: Twins): Command {
  const of = dice.chance(0.5) ? sold.at(-dice.between(1, 4)) : dice.pick(sold);
  return {
    kind: "refund",
    order: of?.sold?.seq ?? 1,
    units: dice.chance(0.5) ? null : dice.between(1, 2),
    restock: dice.chance(0.6),
    reason: dice.chance(0.5) ? null : 'it "broke", \\ twice',
    by: { kind: dice.chance(0.5) ? "key" : "account", name: "o'hara {1}" },
    key: dice.chance(0.4) ? (dice.pick(keys) ?? null) : null,
    lookup: null,
  };
}
