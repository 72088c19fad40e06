/** `stampede licenses`: the notices of what the executable carries. */
import { join } from "node:path";
import { collectNotices, noticesText } from "./notices.ts";
import { packedNotices } from "./packed-notices.ts";

/** @throws LicenseError when run from source, and a package must not be in here */
export async function licensesText(): Promise<string> {
  if (packedNotices === undefined) {
    return noticesText(collectNotices(join(import.meta.dir, "../..")));
  }
  const text = await Bun.zstdDecompress(await Bun.file(packedNotices).bytes());
  return new TextDecoder().decode(text);
}
