/** The calls that take and give pictures, in an order in which each of them succeeds. */
import { z } from "zod";
import type { Call, DocumentedApi } from "./document.ts";

const any = z.unknown();
const icon = `${import.meta.dir}/../../src/web/pictures/icon-180.png`;

export async function succeedInPictures(
  api: DocumentedApi,
  headers: NonNullable<Call["headers"]>,
  product: NonNullable<Call["path"]>,
): Promise<void> {
  const text = await Bun.file(icon).bytes();
  await api.succeed("putApiAdminProductsIdImage", any, { headers, path: product, text });
  await api.succeed("putApiAdminSettingsLogo", any, { headers, text });
  await api.succeed("getApiLogo", any);
  await api.succeed("deleteApiAdminSettingsLogo", any, { headers });
}
