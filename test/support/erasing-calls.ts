/** A call of the operation that erases a name, with what it needs. */
import { z } from "zod";
import type { DocumentedApi } from "./document.ts";

/** @param asked of a checkout, beside who asks: somebody whom no other example is of */
export async function succeedInErasing(
  api: DocumentedApi,
  admin: Readonly<Record<string, string>>,
  asked: Readonly<Record<string, unknown>>,
): Promise<void> {
  const body = { user_id: "erin" };
  const headers = { "Idempotency-Key": crypto.randomUUID() };
  await api.succeed("postCheckout", z.unknown(), { query: { ...asked, ...body }, headers });
  await api.succeed("postApiAdminBuyerErase", z.unknown(), { headers: admin, body });
}
