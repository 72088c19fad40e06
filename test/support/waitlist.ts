/** Waiting lists as clients of HTTP see them. */
import { z } from "zod";
import type { Answer } from "./client.ts";
import { read, type Person } from "./storefront.ts";

const waiting = z.strictObject({
  sale_id: z.int(),
  user_id: z.string(),
  buyer: z.enum(["account", "customer"]),
  lines: z.array(
    z.strictObject({
      item_id: z.union([z.int(), z.literal("any")]),
      joined_at: z.iso.datetime(),
      ahead: z.int(),
      offer: z
        .strictObject({ code: z.uuid(), item_id: z.int(), expires_at: z.iso.datetime() })
        .nullable(),
    }),
  ),
});

const held = z.object({
  reservations: z.array(z.object({ code: z.string(), offered: z.boolean() })),
});

export const pathOf = (saleId: number): string => `/sales/${saleId}/waitlist`;

/** Asks for a place in line. */
export const askToWait = (of: Person, saleId: number, item: unknown = "any"): Promise<Answer> =>
  of.post(pathOf(saleId), { item_id: item });

/** Waits, or throws. @returns their lines */
export const wait = async (of: Person, saleId: number, item: number | "any" = "any") =>
  read(await askToWait(of, saleId, item), waiting, 201).lines;

export const linesOf = async (of: Person, saleId: number) =>
  read(await of.get(`${pathOf(saleId)}/me`), waiting).lines;

/** The first offer of somebody; null for none. */
export const offerOf = async (of: Person, saleId: number) =>
  (await linesOf(of, saleId)).find(({ offer }) => offer !== null)?.offer ?? null;

/** The codes that somebody holds. */
export const codesOf = async (of: Person) =>
  read(await of.get("/reservations"), held).reservations.map(({ code }) => code);

/** … and that were offered to them. */
export const offersOf = async (of: Person) =>
  read(await of.get("/reservations"), held)
    .reservations.filter(({ offered }) => offered)
    .map(({ code }) => code);
