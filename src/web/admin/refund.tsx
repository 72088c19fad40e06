/**
 * Taking units of an order back. What will happen is said in words as it is filled in, before it is
 * done: it cannot be undone. One intention has one Idempotency-Key, so that a double click, a lost
 * answer and a reload take nothing back twice.
 */
import { type Signal, signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { send } from "../api.ts";
import { intend } from "../holding/keys.ts";
import { count, Field, money } from "../ui.tsx";
import { FormSheet, hasTexts, readDraft, wholeOf, Wrong } from "./forms.tsx";
import type { SaleOfOrder, WholeOrder } from "./order.tsx";

type RefundDraft = { readonly units: string; readonly restock: string; readonly reason: string };
const isRefundDraft = (value: unknown): value is RefundDraft =>
  hasTexts(value, ["units", "restock", "reason"]);

const unitsText = (n: number): string => (n === 1 ? "1 unit" : `${count(n)} units`);

type Plan = {
  readonly order: WholeOrder;
  readonly units: number;
  readonly left: number;
  readonly isOpen: boolean;
  readonly restock: boolean;
};

/** What becomes of the units. */
function fateText({ units, isOpen, restock }: Plan): string {
  const [it, goes, stays] = units === 1 ? ["It", "goes", "stays"] : ["They", "go", "stay"];
  if (!isOpen) return `The sale is over, so ${it.toLowerCase()} ${stays} unsold.`;
  return restock
    ? `${it} ${goes} on sale again at once, to whoever waits first and then to everybody.`
    : `${it} ${stays} out of the sale: nobody can buy ${units === 1 ? "it" : "them"}.`;
}

function effectText(plan: Plan): string {
  const { order, units, left, isOpen } = plan;
  const of =
    units === left
      ? `All ${unitsText(left)} that ${left === 1 ? "is" : "are"} left`
      : `${count(units)} of ${unitsText(left)}`;
  const rest =
    units === left
      ? ""
      : `, ${unitsText(left - units)} ${left - units === 1 ? "stays" : "stay"} sold`;
  const allowance = isOpen
    ? ` The limit of ${order.user_id} in this sale gets room for ${units === 1 ? "one" : count(units)} more.`
    : "";
  return (
    `${units === 1 && left === 1 ? "The one unit that is left" : of} will be marked as refunded: ` +
    `${money(units * order.item.price_cents)}${rest}. ${fateText(plan)}${allowance} ` +
    "The money is not moved from here: pay it back where it was paid."
  );
}

/** What is filled in, as far as it makes sense. */
function planOf(order: WholeOrder, sale: SaleOfOrder, fields: Fields): Plan | null {
  const left = order.quantity - order.refunded_quantity;
  const units = wholeOf(fields.units.value);
  if (units === null || units > left) return null;
  const isOpen = sale.status === "open";
  return { order, units, left, isOpen, restock: isOpen && fields.restock.value };
}

type Fields = {
  readonly units: Signal<string>;
  readonly restock: Signal<boolean>;
  readonly reason: Signal<string>;
};

async function refund(plan: Plan | null, left: number, reason: string): Promise<void> {
  if (plan === null)
    throw new Wrong(`How many is a whole number from 1 to ${count(left)}: so many are left.`);
  const { order, units, restock } = plan;
  const body = { units, restock, reason: reason.trim() === "" ? null : reason.trim() };
  const path = `/api/admin/orders/${order.order_id}/refund`;
  // Of what is left as well: the same units once more are another refund.
  await intend(`refund ${order.order_id} ${left} ${JSON.stringify(body)}`, (key) =>
    send("POST", path, { body, key }),
  );
}

/** What the form has, begun with what was typed before, and how it is kept. */
function fieldsOf(order: WholeOrder) {
  const key = `refund ${order.order_id}`;
  const blank = {
    units: String(order.quantity - order.refunded_quantity),
    restock: "",
    reason: "",
  };
  const first = readDraft(key, isRefundDraft) ?? blank;
  const fields: Fields = {
    units: signal(first.units),
    restock: signal(first.restock !== ""),
    reason: signal(first.reason),
  };
  const { units, restock, reason } = fields;
  const now = (): RefundDraft => ({
    units: units.value,
    restock: restock.value ? "yes" : "",
    reason: reason.value,
  });
  const reset = () => {
    units.value = blank.units;
    restock.value = false;
    reason.value = "";
  };
  return { fields, draft: { key, now, reset } };
}

type FormProps = {
  readonly order: WholeOrder;
  readonly sale: SaleOfOrder;
  readonly done: () => void;
  readonly close: () => void;
};

export function RefundForm({ order, sale, done, close }: FormProps) {
  const left = order.quantity - order.refunded_quantity;
  const [{ fields, draft }] = useState(() => fieldsOf(order));
  const { units, restock, reason } = fields;
  const isOpen = sale.status === "open";
  const plan = planOf(order, sale, fields);
  return (
    <FormSheet
      title={`Refund order ${order.order_id}`}
      yes={plan === null ? "Refund" : `Refund ${unitsText(plan.units)}`}
      look="danger"
      done="It is refunded."
      save={async () => {
        await refund(plan, left, reason.value);
        done();
      }}
      close={close}
      draft={draft}
    >
      <Field
        label="Units to take back"
        value={units}
        inputMode="numeric"
        hint={`${count(left)} of ${count(order.quantity)} are left.`}
        required
      />
      <div class="choices">
        <label>
          <input
            type="checkbox"
            checked={isOpen && restock.value}
            disabled={!isOpen}
            onChange={() => (restock.value = !restock.value)}
          />
          {`Put them on sale again${isOpen ? "" : ": not possible, the sale is over"}`}
        </label>
      </div>
      <Field
        label="Reason"
        value={reason}
        maxLength={255}
        hint="For the order’s story and the activity. Its buyer does not see it."
      />
      <p class="effect" role="status">
        {plan === null ? "Say how many units are taken back." : effectText(plan)} It cannot be
        undone.
      </p>
    </FormSheet>
  );
}
