/**
 * Reads bodies: never more bytes than may be, however they are framed, and no longer than a whole
 * request may take. JSON is read by a zod schema; what does not fit is answered with the name of
 * the field and what is wrong with it.
 *
 * A body that is refused before all of it was read leaves its connection in the middle of a
 * request: the answer closes it.
 */
import { z } from "zod";
import { Invalid, parseText, textCharactersMax } from "./parse.ts";
import { problem } from "./problems.ts";

/** Bytes of a request's body. */
export const bodyBytesMax = 65_536;
/**
 * A request is whole by then, or its connection is closed. What is short the server's own idle
 * time ends sooner: it does not count bytes that trickle.
 */
export const bodyMsMax = 15_000;

export type BodyBounds = { readonly bytesMax: number; readonly msMax: number };
const usualBounds: BodyBounds = { bytesMax: bodyBytesMax, msMax: bodyMsMax };

/** The bytes of a request's body, or the refusal to answer with. */
export async function readBytes(
  request: Request,
  { bytesMax, msMax }: BodyBounds = usualBounds,
): Promise<Uint8Array<ArrayBuffer> | Response> {
  if (request.body === null) return new Uint8Array(0);
  const length = request.headers.get("Content-Length");
  if (length !== null && Number(length) > bytesMax) return tooLarge();
  try {
    if (length !== null && Number(length) <= bodyBytesMax) return await request.bytes();
    return await readChunks(request.body, { bytesMax, msMax });
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") return cut("was cut off");
    throw error;
  }
}

async function readChunks(
  body: ReadableStream<Uint8Array>,
  { bytesMax, msMax }: BodyBounds,
): Promise<Uint8Array<ArrayBuffer> | Response> {
  const reader = body.getReader();
  // Not waited for: what is left of the body may never come.
  const leave = (): void => void reader.cancel().catch(() => {});
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    leave();
  }, msMax);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop
      const { done, value } = await reader.read();
      if (done) break;
      bytes += value.byteLength;
      if (bytes > bytesMax) {
        leave();
        return tooLarge();
      }
      chunks.push(value);
    }
  } finally {
    clearTimeout(timer);
  }
  return isLate ? cut(`has not come whole within ${msMax / 1000} seconds`) : joined(chunks, bytes);
}

function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

export const tooLarge = (): Response => closing(problem("payload_too_large"));

const cut = (how: string): Response =>
  closing(problem("invalid_request", { status: 408, detail: `body ${how}` }));

/** An answer after which the connection ends. */
export function closing(response: Response): Response {
  response.headers.set("Connection", "close");
  return response;
}

/** An answer that leaves the request's body unread: of one without a length nobody knows its end. */
export const unread = (request: Request, response: Response): Response =>
  request.body !== null && request.headers.get("Content-Length") === null
    ? closing(response)
    : response;

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
  const bytes = await readBytes(request);
  if (bytes instanceof Response) return bytes;
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch {
    return problem("invalid_request", { detail: "body is not JSON" });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return problem("invalid_request", { detail: "body is not a JSON object" });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue === undefined || issue.path.length === 0 ? "body" : issue.path.join(".");
  return problem("invalid_request", { detail: `${field} ${issue?.message ?? "is not valid"}` });
}
