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
const bodyMsMax = 15_000;

type BodyBounds = { readonly bytesMax: number; readonly msMax: number };

/** The bytes of a request's body, or the refusal to answer with. */
export async function readBytes(
  request: Request,
  { bytesMax = bodyBytesMax, msMax = bodyMsMax }: Partial<BodyBounds> = {},
): Promise<Uint8Array<ArrayBuffer> | Response> {
  if (request.body === null) return new Uint8Array(0);
  const length = request.headers.get("Content-Length");
  if (length !== null && Number(length) > bytesMax) return tooLarge(bytesMax);
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
        return tooLarge(bytesMax);
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

export const tooLarge = (bytesMax: number): Response =>
  closing(
    problem("payload_too_large", {
      detail: `This body may have ${bytesMax.toLocaleString("en")} bytes at most.`,
    }),
  );

const cut = (how: string): Response =>
  closing(problem("invalid_request", { status: 408, detail: `body ${how}` }));

/** An answer after which the connection ends. */
function closing(response: Response): Response {
  response.headers.set("Connection", "close");
  return response;
}

/** Whether a refusal is of a body that was not read to its end: nothing else can be answered. */
export const endsConnection = ({ headers }: Response): boolean =>
  headers.get("Connection") === "close";

/** Whether a body that nobody reads is small: of one without a length nobody knows its end. */
const isSmall = ({ headers }: Request): boolean =>
  headers.get("Transfer-Encoding") === null &&
  Number(headers.get("Content-Length")) <= bodyBytesMax;

/** An answer that leaves the request's body unread. */
export const unread = (request: Request, response: Response): Response =>
  isSmall(request) ? response : closing(response);

/**
 * The refusal of a GET or HEAD with a body that may be too large; null of any other. Bun takes what
 * is sent with them and hands none of it over, so what does not say its length cannot be counted.
 */
export const refuseLargeBody = (request: Request): Response | null =>
  isSmall(request)
    ? null
    : closing(
        problem("payload_too_large", {
          detail: `${request.method} needs no body; one has to say its length, of ${bodyBytesMax.toLocaleString("en")} bytes at most.`,
        }),
      );

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A name or id, as `parseText` takes and leaves it. */
export const textField = z
  .string({
    error: ({ input }) => (input === undefined || input === null ? "is missing" : "is not a text"),
  })
  .meta({ minLength: 1, maxLength: textCharactersMax })
  .transform((value, context) => {
    const text = parseText(value, "");
    if (!(text instanceof Invalid)) return text;
    // The field's name is put before it from the issue's path.
    context.addIssue({ code: "custom", message: text.detail.trim() });
    return z.NEVER;
  });

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
  return parseBody(value, schema);
}

const noFields = z.object({});

/** The refusal of what has fields where none are taken; null of what is empty, or no JSON. */
export function refuseFields(bytes: Uint8Array): Response | null {
  if (bytes.length === 0) return null;
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch {
    return null;
  }
  const unknown = unknownField(noFields, value);
  const detail = `${unknown} is not a field of this request, which has no body`;
  return unknown === null ? null : problem("invalid_request", { detail });
}

/** A value that was read by a schema, or the refusal to answer with. */
export function parseBody<T>(value: unknown, schema: z.ZodType<T>): T | Response {
  const unknown = unknownField(schema, value);
  if (unknown !== null) {
    return problem("invalid_request", { detail: `${unknown} is not a field of this body` });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue === undefined || issue.path.length === 0 ? "body" : issue.path.join(".");
  return problem("invalid_request", { detail: `${field} ${issue?.message ?? "is not valid"}` });
}

const shownCharactersMax = 100;

/**
 * The first field of a value that its schema does not have, with the path to it; null without one.
 * Nothing that a client asked for is dropped in silence.
 */
function unknownField(schema: unknown, value: unknown, path = ""): string | null {
  if (Array.isArray(value)) {
    const element = elementOf(schema);
    for (const [i, each] of value.entries()) {
      const unknown = element === null ? null : unknownField(element, each, `${path}${i}.`);
      if (unknown !== null) return unknown;
    }
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const shapes = shapesOf(schema);
  if (shapes.length === 0) return null;
  for (const [name, each] of Object.entries(value)) {
    const shape = shapes.find((one) => Object.hasOwn(one, name));
    if (shape === undefined) return `${path}${name}`.slice(0, shownCharactersMax);
    // Most fields have no fields of their own, and a path costs them.
    const unknown =
      typeof each === "object" ? unknownField(shape[name], each, `${path}${name}.`) : null;
    if (unknown !== null) return unknown;
  }
  return null;
}

const foundShapes = new WeakMap<object, readonly Shape[]>();
type Shape = Readonly<Record<string, unknown>>;

/** The fields of an object, or of each object that a value may be; looked for once a schema. */
function shapesOf(schema: unknown): readonly Shape[] {
  if (typeof schema !== "object" || schema === null) return [];
  let shapes = foundShapes.get(schema);
  if (shapes === undefined) {
    shapes = findShapes(schema);
    foundShapes.set(schema, shapes);
  }
  return shapes;
}

function findShapes(schema: object): readonly Shape[] {
  if (schema instanceof z.ZodObject) return isLoose(schema) ? [] : [schema.shape];
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(shapesOf);
  const inner = innerOf(schema);
  return inner === null ? [] : shapesOf(inner);
}

const isLoose = ({ def }: z.ZodObject): boolean =>
  def.catchall !== undefined && !(def.catchall instanceof z.ZodNever);

function elementOf(schema: unknown): unknown {
  if (schema instanceof z.ZodArray) return schema.element;
  const inner = innerOf(schema);
  return inner === null ? null : elementOf(inner);
}

/** What a schema is about that only adds to another. */
function innerOf(schema: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return schema.unwrap();
  if (schema instanceof z.ZodDefault) return schema.def.innerType;
  return schema instanceof z.ZodPipe ? schema.def.in : null;
}
