/** Events as they are told: by the feed, and to webhooks. */
import type { FeedEvent } from "../store/feed.ts";
import { isoTime } from "../time.ts";

/** What it is not about is left out. */
export function eventOf(event: FeedEvent) {
  const { seq, type, at, order, saleId, itemId, code, userId, buyer, couponName, quantity } = event;
  const data = {
    ...(order === null ? {} : { order_id: String(order) }),
    ...(saleId === null ? {} : { sale_id: saleId }),
    ...(itemId === null ? {} : { item_id: itemId }),
    ...(code === null ? {} : { code }),
    ...(userId === null ? {} : { user_id: userId }),
    ...(buyer === null ? {} : { buyer }),
    ...(couponName === null ? {} : { coupon_name: couponName }),
    ...(quantity === null ? {} : { quantity }),
  };
  return { seq, type, at: isoTime(at.getTime()), data };
}

/** What a delivery of an event is called: by its number alone, so in each try, and in a replay. */
export const messageIdOf = (seq: number): string => `evt_${seq}`;

/** What is sent of an event, the same in each try. */
export function messageOf(event: FeedEvent) {
  const { seq, type, at: timestamp, data } = eventOf(event);
  return { id: messageIdOf(seq), body: JSON.stringify({ type, timestamp, seq, data }) };
}
