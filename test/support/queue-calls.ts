/** Calls every operation of a queue as the document has it. */
import { z } from "zod";
import type { Call, DocumentedApi } from "./document.ts";
import { until } from "./wait.ts";

const any = z.unknown();
const withId = z.object({ id: z.int() });

/** @param sale a product sale that opens at once, and has a queue */
export async function succeedInQueue(
  api: DocumentedApi,
  { admin, user }: Readonly<Record<"admin" | "user", NonNullable<Call["headers"]>>>,
  sale: NonNullable<Call["body"]>,
): Promise<void> {
  const { id } = await api.succeed("postApiAdminFlashSales", withId, {
    headers: admin,
    body: sale,
  });
  await api.succeed("postApiAdminFlashSalesIdDuplicate", any, { headers: admin, path: { id } });
  const path = { sale_id: id };
  const query = { user_id: undefined, altcha: undefined };
  const joining = { headers: user, path, query };
  const withTicket = z.object({ ticket: z.string() });
  const { ticket } = await api.succeed("postSalesSaleIdQueue", withTicket, joining);
  const shown = { path, headers: { "Queue-Ticket": ticket }, query: { ticket: undefined } };
  await api.succeed("getSalesSaleIdQueueMe", any, shown);
  await api.succeed("getSalesSaleIdQueue", any, { path });
  const watching = { headers: admin, path: { id } };
  await api.succeed("getApiAdminFlashSalesIdQueue", any, watching);
  await until("the draw", async () => {
    const { status } = await api.call("getSalesSaleIdDrawCsv", { path });
    return status === 200 || undefined;
  });
  await api.succeed("getSalesSaleIdDrawCsv", any, { path });
  await api.succeed("getChallenge", any);
  await succeedInWaitlist(api, user);
}

/** Waits for what a guest has reserved in the hourly sale. */
async function succeedInWaitlist(
  api: DocumentedApi,
  user: NonNullable<Call["headers"]>,
): Promise<void> {
  const reserved = z.object({ sale_id: z.int(), item: z.object({ id: z.int() }) });
  const held = await api.succeed("postCheckout", reserved, {
    query: { user_id: "bob", sale_id: undefined, expected_price_cents: undefined },
    headers: { "Idempotency-Key": "" },
  });
  const asked = { headers: user, path: { sale_id: held.sale_id }, query: { user_id: undefined } };
  const wait = { ...asked, body: { item_id: held.item.id } };
  for (const status of [201, 200]) {
    const answer = await api.call("postSalesSaleIdWaitlist", wait);
    if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`);
  }
  await api.succeed("getSalesSaleIdWaitlistMe", any, asked);
  await api.succeed("deleteSalesSaleIdWaitlist", any, asked);
}
