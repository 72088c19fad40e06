/** The fields that the shop's and the administrator's routes have in common, as zod schemas. */
import type { BunRequest } from "bun";
import { z } from "zod";
import { Invalid, parseSale, parseText, parseWhole, pathOf, queryValue } from "./parse.ts";

/** A whole number of a body, with one message for whatever is not one within the bounds. */
export function whole(min: number, max: number) {
  const message = `is not an integer from ${min} to ${max}`;
  return z.int(message).min(min, message).max(max, message);
}

/** What a time may be, whatever its offset: from 1970 on, and before the year 10000 in UTC. */
const instantMax = Date.parse("9999-12-31T23:59:59.999Z");

const isInstant = (text: string): boolean => {
  const ms = Date.parse(text);
  return ms >= 0 && ms <= instantMax;
};

/** A time of a body in RFC 3339, with any offset; ms since the Unix epoch. */
export const instant = z.iso
  .datetime({
    offset: true,
    error: "is not a time in RFC 3339, such as 2030-01-31T12:00:00Z",
  })
  .refine(isInstant, "is not a time from 1970 to 9999, in UTC")
  .transform((text) => Date.parse(text));

const descriptionCharactersMax = 5_000;

const neither = "is neither a positive integer nor any";
/** An item by its number within its sale, or whichever. */
export const itemOrAny = z.union([z.int().min(1, neither), z.literal("any")], neither);

/** A text of several lines, which may be empty. */
export const descriptionField = z
  .string({ error: wrongType })
  .max(descriptionCharactersMax, `has more than ${descriptionCharactersMax} characters`)
  .refine((text) => !text.includes("\0") && text.isWellFormed(), {
    message: "holds a character that is none",
  });

function wrongType({ input }: { readonly input?: unknown }): string {
  return input === undefined || input === null ? "is missing" : "is not a text";
}

/** An id in a path; null for what no id can be. */
export function idIn(
  request: { readonly params: Record<string, string> },
  name: string,
): number | null {
  const id = parseSale(request.params[name] ?? "");
  return typeof id === "number" ? id : null;
}

/**
 * The last segment of a path, or the `nth`, decoded strictly: what is not UTF-8 names no coupon.
 * @param nth counted from the end, as by `Array.at`
 */
export function nameIn({ url, params }: BunRequest, nth = -1): string | Invalid {
  // The request's URL has dot segments taken out, %2E too; the router's parameter has not.
  const segment: unknown = Reflect.get(params, "name");
  if (segment === "." || segment === "..") return segment;
  try {
    return parseText(decodeURIComponent(pathOf(url).split("/").at(nth) ?? ""), "name");
  } catch {
    return new Invalid("name", "is not percent-encoded UTF-8");
  }
}

/** `after` and `limit` of a page. */
export function pageOf(
  query: string,
  bounds: { readonly limit: number; readonly limitMax: number; readonly after?: number },
): { readonly after: number; readonly limit: number } | Invalid {
  const otherwise = bounds.after ?? 0;
  const max = Number.MAX_SAFE_INTEGER;
  const after = parseWhole(query, "after", { min: 0, max, otherwise });
  if (after instanceof Invalid) return after;
  const sizes = { min: 1, max: bounds.limitMax, otherwise: bounds.limit };
  const limit = parseWhole(query, "limit", sizes);
  return limit instanceof Invalid ? limit : { after, limit };
}

/** The parameter `q`; empty without one. */
export function searchOf(query: string): string | Invalid {
  const search = queryValue(query, "q") ?? "";
  if (search instanceof Invalid || search === "") return search;
  return parseText(search, "q");
}

// What is said of parameters in the API's document.

export const idParam = (what: string, name = "id") =>
  z.object({ [name]: z.int().min(1).describe(what).meta({ example: 1 }) });

/** `after` and `limit`, where both may be left out. */
export const pageParams = (what: string, limitMax: number) => ({
  after: z.int().min(0).optional().describe(`The page after this ${what}`),
  limit: z
    .int()
    .min(1)
    .max(limitMax)
    .optional()
    .describe("Entries on a page")
    .meta({ example: 20 }),
});

export const timeShape = z.iso.datetime().meta({ example: "2030-01-31T12:00:00.000Z" });

export { isoTime as time } from "../time.ts";
