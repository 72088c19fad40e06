/**
 * Reads JSON bodies by a zod schema. What does not fit is answered with the name of the field
 * and what is wrong with it.
 */
import { z } from "zod";
import { Invalid, parseText, textCharactersMax } from "./parse.ts";
import { problem } from "./problems.ts";
import { bodyBytesMax } from "./server.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A name or id, as `parseText` takes it. */
export const textField = z
  .string({
    error: ({ input }) => (input === undefined || input === null ? "is missing" : "is not a text"),
  })
  .superRefine((value, context) => {
    const text = parseText(value, "");
    // The field's name is put before it from the issue's path.
    if (text instanceof Invalid) context.addIssue({ code: "custom", message: text.detail.trim() });
  })
  .meta({ minLength: 1, maxLength: textCharactersMax });

/** The value of a request's body, or the refusal to answer with. */
export async function readBody<T>(request: Request, schema: z.ZodType<T>): Promise<T | Response> {
  const type = request.headers.get("Content-Type");
  if (type !== null && !/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type)) {
    return problem("unsupported_media_type");
  }
  const bytes = await request.bytes();
  if (bytes.byteLength > bodyBytesMax) return problem("payload_too_large");
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch {
    return problem("invalid_request", { detail: "body is not JSON" });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return problem("invalid_request", { detail: "body is not a JSON object" });
  }
  return parseBody(value, schema);
}

/** A value that was read by a schema, or the refusal to answer with. */
export function parseBody<T>(value: unknown, schema: z.ZodType<T>): T | Response {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue === undefined || issue.path.length === 0 ? "body" : issue.path.join(".");
  return problem("invalid_request", { detail: `${field} ${issue?.message ?? "is not valid"}` });
}
