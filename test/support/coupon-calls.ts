/** The calls of coupons and of webhooks, in an order in which each of them succeeds. */
import { z } from "zod";
import type { DocumentedApi } from "./document.ts";

const any = z.unknown();

export async function succeedInCoupons(
  api: DocumentedApi,
  admin: Readonly<Record<string, string>>,
): Promise<void> {
  await api.succeed("postApiCoupons", any);
  await api.succeed("postApiCoupons", any, { body: { name: "claim" } });
  await api.succeed("postApiCouponsClaim", any);
  await api.succeed("patchApiCouponsName", any, { headers: admin, body: { disabled: false } });
  await api.succeed("patchApiCouponsClaim", any, { headers: admin });
  await api.succeed("getApiCouponsClaim", any);
  await api.succeed("deleteApiCouponsClaim", any, { headers: admin });
  const gone = { name: "one that nobody has" };
  await api.succeed("postApiCoupons", any, { body: gone });
  await api.succeed("deleteApiCouponsName", any, { headers: admin, path: gone });
}

export async function succeedInWebhooks(
  api: DocumentedApi,
  admin: Readonly<Record<string, string>>,
): Promise<void> {
  const shape = z.object({ id: z.int() });
  const path = await api.succeed("postApiAdminWebhooks", shape, { headers: admin });
  await api.succeed("postApiAdminWebhooksIdReplay", any, { headers: admin, path });
  await api.succeed("getApiAdminWebhooksIdDeliveries", any, { headers: admin, path });
}
