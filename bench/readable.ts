/**
 * Everything that a program can be asked for, by its own document, pages and what they bring, as who
 * may ask for all of it; a parameter that nothing is known of ends the run. And calls by hand.
 */
import { z } from "zod";
import type { Read } from "./load.ts";
import { BenchError, type Bench } from "./scenario.ts";
import type { Home, Stampede } from "./stampede.ts";

export type Named = { readonly name: string; readonly read: Read };

const claims = 10_000;
const answerSecondsMax = 60;

const documentSchema = z.object({
  paths: z.record(
    z.string(),
    z.record(z.string(), z.looseObject({ security: z.array(z.unknown()).optional() })),
  ),
});

const coupon = "MANY";

/** Queries that are asked beside the plain path: what takes the most of each. */
const queries: Readonly<Record<string, readonly string[]>> = {
  "/sales/{sale_id}/items": ["?limit=500", "?q=nobody+is+called+so"],
  "/api/coupons/{name}": ["?claims_limit=10000"],
  "/api/products": ["?q=nobody+is+called+so"],
  "/api/flash-sales": ["?limit=50"],
  "/api/admin/names": [`?of=${Array.from({ length: 200 }, (_, i) => `1:${i + 1}`).join(",")}`],
  "/api/admin/attempts": ["?user=nobody"],
  "/api/admin/users": ["?q=nobody"],
};
/** Of these a query is needed. */
const neverPlain = new Set(["/api/admin/names"]);

/** Everything that can be asked for, as whoever may ask for all of it. */
export async function readsOf(
  { owned, executable }: Bench,
  stampede: Stampede,
  home: Home,
  oldSale: number,
): Promise<Named[]> {
  const seeding = owned.spawn([executable, "seed", "--demo"], {
    env: { STAMPEDE_DATA: home.dataFolder },
  });
  if ((await seeding.exited) !== 0) throw new BenchError("the demo could not be made");
  const { token } = z
    .object({ token: z.string() })
    .parse(await post(stampede, "/api/auth/login", { username: "admin", password: "Satu123" }));
  await post(stampede, "/api/coupons", { name: coupon, amount: 2 * claims });
  await claimAll(stampede);
  const { flash_sales: productSales } = z
    .object({ flash_sales: z.array(z.object({ id: z.int() })).min(1) })
    .parse(await get(stampede, "/api/flash-sales"));
  const { orders } = z
    .object({ orders: z.array(z.object({ order_id: z.string() })).min(1) })
    .parse(await get(stampede, "/api/admin/orders", { Authorization: `Bearer ${token}` }));
  const sale = await stampede.sale();
  const values: Readonly<Record<string, readonly (string | number)[]>> = {
    sale_id: [sale.id, oldSale],
    "/api/flash-sales id": [productSales[0]?.id ?? 0],
    "/api/admin/sales id": [oldSale],
    "/api/admin/flash-sales id": [productSales[0]?.id ?? 0],
    // Nothing is sent: that there is none is looked up as well.
    "/api/admin/webhooks id": [1],
    order_id: [orders[0]?.order_id ?? 0],
    "/api/products id": [1],
    "/sales id": [42],
    product: [1],
    name: [coupon],
  };
  const { paths } = documentSchema.parse(await get(stampede, "/openapi.json"));
  const asked = Object.entries(paths).flatMap(([path, { get: operation }]) => {
    if (operation === undefined) return [];
    const plain = neverPlain.has(path) ? [] : [""];
    const headers: Record<string, string> =
      (operation.security?.length ?? 0) === 0 ? {} : { Authorization: `Bearer ${token}` };
    return [...plain, ...(queries[path] ?? [])].flatMap((query) =>
      filledIn(path, values).map((filled) => named(filled + query, headers)),
    );
  });
  return [...asked, ...(await pagesOf(stampede))];
}

const named = (path: string, headers: Read["headers"] = {}): Named => ({
  name: Object.hasOwn(headers, "Accept-Encoding") ? `${path}, plain` : path.slice(0, 60),
  read: { path, headers },
});

/** A path with each of the values that its parameters have. */
function filledIn(
  path: string,
  values: Readonly<Record<string, readonly (string | number)[]>>,
): string[] {
  const [whole, name] = /\{(\w+)\}/.exec(path) ?? [];
  if (whole === undefined || name === undefined) return [path];
  const area = Object.keys(values).find(
    (key) => key.endsWith(` ${name}`) && path.startsWith(key.split(" ")[0] ?? ""),
  );
  const known = values[area ?? name];
  if (known === undefined)
    throw new BenchError(`nothing is known to ask for as ${name} in ${path}`);
  return known.flatMap((value) => filledIn(path.replace(whole, String(value)), values));
}

/** Pages and what they bring, which the document does not have; and what is not there. */
async function pagesOf({ origin }: Stampede): Promise<Named[]> {
  const script = async (page: string, pattern: RegExp): Promise<string> => {
    const found = pattern.exec(await (await fetch(origin + page)).text())?.[1];
    if (found === undefined) throw new BenchError(`${page} has no script`);
    return found;
  };
  const reference = await script("/docs", /src="(\/docs\/reference[^"]+)"/);
  const own = await script("/", /data-entry href="(\/assets\/[^"]+)"/);
  const identity = { "Accept-Encoding": "identity" };
  return [
    ...["/", "/docs", reference, own, "/card.jpg", "/favicon.svg", "/nothing"].map((path) =>
      named(path),
    ),
    named(reference, identity),
  ];
}

async function claimAll(stampede: Stampede): Promise<void> {
  let next = 0;
  const claim = async (): Promise<void> => {
    while (next < claims) {
      next += 1;
      // oxlint-disable-next-line no-await-in-loop
      await post(stampede, "/api/coupons/claim", { user_id: `user${next}`, coupon_name: coupon });
    }
  };
  await Promise.all(Array.from({ length: 128 }, claim));
}

const post = ({ origin }: Stampede, path: string, body: object): Promise<unknown> =>
  ask(origin + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

const get = ({ origin }: Stampede, path: string, headers: Read["headers"] = {}): Promise<unknown> =>
  ask(origin + path, { headers });

async function ask(url: string, init: RequestInit): Promise<unknown> {
  const response = await fetch(url, {
    ...init,
    signal: AbortSignal.timeout(answerSecondsMax * 1000),
  });
  if (!response.ok) throw new BenchError(`${url} gave ${response.status}`);
  return await response.json();
}
