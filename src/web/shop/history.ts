/** What the account that is logged in has bought, the latest first, for pages that show what it may yet have. */
import { effect, signal } from "@preact/signals";
import { Answers } from "../answers.ts";
import { get } from "../api.ts";
import { acts } from "../holding/store.ts";
import { user } from "../session.ts";
import type { Order, OrderPage } from "./data.ts";

/** Of the history, what is looked at to know how many of a sale somebody has. */
const historyMax = 100;

export const orders = signal<readonly Order[]>([]);
const answers = new Answers();

async function ask(isTaken: () => boolean): Promise<void> {
  const page = await get<OrderPage>(`/api/purchases/my-purchases?limit=${historyMax}`);
  if (isTaken()) orders.value = page.purchases;
}

/** An order that was made here: what was asked before does not know of it. */
export function noteOrder(order: Order): void {
  answers.void();
  orders.value = [order, ...orders.peek()];
}

/** Follows the account until the page goes. @param sign read it for the history to be asked for when it changes */
export function followHistory(sign: () => void = () => undefined): void {
  let before: string | undefined;
  effect(() => {
    const name = user.value?.username;
    void acts.value;
    sign();
    // Of somebody else nothing is taken.
    if (name !== before) {
      answers.void();
      orders.value = [];
    }
    before = name;
    if (name !== undefined) ask(answers.ask()).catch(() => undefined);
  });
}
