/**
 * Calls the program by its own document: parameters and bodies from the document's examples,
 * and every answer held against what the document says of it: status, headers, content type,
 * body. An answer with a field or one of `namedHeaders` that the document does not name is
 * wrong, too.
 */
import { expect } from "bun:test";
import Ajv, { type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { z } from "zod";
import type { Answer, Ask, Client } from "./client.ts";

const namedHeaders = ["Location", "Set-Cookie", "Retry-After", "WWW-Authenticate"];

const example = z.object({ example: z.unknown().optional() });
const content = z.record(
  z.string(),
  example.extend({ examples: z.record(z.string(), z.looseObject({})).optional() }),
);
const operationShape = z.object({
  operationId: z.string(),
  security: z.array(z.unknown()),
  parameters: z.array(example.extend({ name: z.string(), in: z.string() })).default([]),
  requestBody: z.object({ content }).optional(),
  responses: z.record(z.string(), z.looseObject({ $ref: z.string().optional() })),
});
const documentShape = z.object({
  openapi: z.string(),
  paths: z.record(z.string(), z.record(z.string(), operationShape)),
  components: z.looseObject({ responses: z.record(z.string(), z.looseObject({})) }),
});

export type Documented = z.output<typeof operationShape> & {
  readonly method: string;
  readonly path: string;
};

/** In place of the document's examples; `undefined` leaves a parameter out. */
export type Call = {
  readonly path?: Readonly<Record<string, string | number>>;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Ask["headers"];
  /** Replaces these fields of the example. */
  readonly body?: Readonly<Record<string, unknown>>;
  /** Sent as it is. */
  readonly text?: string | Uint8Array<ArrayBuffer>;
};

export class DocumentedApi {
  readonly operations: readonly Documented[];
  readonly #client: Client;
  readonly #document: z.output<typeof documentShape>;
  readonly #strict: Ajv;
  readonly #open: Ajv;
  /** What was answered: `operationId status` or, of refusals, `operationId status code`. */
  readonly seen = new Set<string>();

  constructor(client: Client, document: unknown) {
    this.#client = client;
    this.#document = documentShape.parse(document);
    this.#strict = validator(closed(document));
    this.#open = validator(document);
    this.operations = Object.entries(this.#document.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, said]) => Object.assign({ method, path }, said)),
    );
  }

  operation(id: string): Documented {
    const found = this.operations.find(({ operationId }) => operationId === id);
    if (found === undefined) throw new Error(`the document has no operation ${id}`);
    return found;
  }

  /** Calls an operation, and checks the answer. */
  async call(id: string, call: Call = {}): Promise<Answer> {
    const operation = this.operation(id);
    const { method, address, headers, body } = this.request(operation, call);
    const answer = await this.#client.ask(method, address, {
      headers: { ...headers, ...call.headers },
      ...(body === undefined ? {} : { body }),
    });
    this.check(operation, answer);
    return answer;
  }

  /** As `call`, for an answer that must be a success. */
  async succeed<T>(id: string, shape: z.ZodType<T>, call: Call = {}): Promise<T> {
    const answer = await this.call(id, call);
    if (answer.status >= 300) throw new Error(`${id}: ${answer.status} ${answer.text}`);
    return shape.parse(answer.text.startsWith("{") ? answer.json() : undefined);
  }

  request({ method, path, parameters, requestBody }: Documented, call: Call) {
    const query = new URLSearchParams();
    const headers: Record<string, string> = {};
    let address = path;
    for (const { name, in: place, example: value } of parameters) {
      if (place === "path") {
        const given = String(call.path?.[name] ?? value);
        address = address.replace(`{${name}}`, encodeURIComponent(given));
      } else if (place === "header") headers[name] = String(value);
      else {
        const given = call.query !== undefined && name in call.query ? call.query[name] : value;
        if (given !== undefined) query.set(name, String(given));
      }
    }
    const { example: body } = requestBody?.content["application/json"] ?? {};
    const fields = { ...z.looseObject({}).catch({}).parse(body), ...call.body };
    const [type] = Object.keys(requestBody?.content ?? {});
    if (type !== undefined) headers["Content-Type"] = type;
    return {
      method: method.toUpperCase(),
      address: query.size === 0 ? address : `${address}?${query.toString()}`,
      headers,
      body: call.text ?? (requestBody === undefined ? undefined : JSON.stringify(fields)),
    };
  }

  check(
    operation: Documented,
    { status, headers, text }: Pick<Answer, "status" | "headers" | "text">,
  ) {
    const { operationId } = operation;
    const said = operation.responses[status];
    if (said === undefined) throw new Error(`${operationId}: ${status} is not documented: ${text}`);
    const at =
      said.$ref?.slice(1) ??
      pointer("paths", operation.path, operation.method, "responses", status);
    const response =
      said.$ref === undefined
        ? said
        : this.#document.components.responses[at.split("/").at(-1) ?? ""];
    const known = z
      .looseObject({
        content: z.record(z.string(), z.unknown()).optional(),
        headers: z.record(z.string(), z.looseObject({ required: z.boolean() })).default({}),
      })
      .parse(response);
    const must = Object.entries(known.headers)
      .filter(([, { required }]) => required)
      .map(([name]) => name);
    const missing = must.filter((name) => !headers.has(name));
    const unnamed = namedHeaders.filter((name) => headers.has(name) && !(name in known.headers));
    expect({ operationId, status, missing, unnamed }).toEqual({
      operationId,
      status,
      missing: [],
      unnamed: [],
    });
    if (known.content === undefined) {
      expect(text).toBe("");
      this.seen.add(`${operationId} ${status}`);
      return;
    }
    const sent = (headers.get("Content-Type") ?? "").split(";")[0] ?? "";
    // Pictures may be of one type or another.
    const type = sent.startsWith("image/") && "image/*" in known.content ? "image/*" : sent;
    expect([operationId, status, Object.keys(known.content)]).toEqual([
      operationId,
      status,
      [type],
    ]);
    const isProblem = type === "application/problem+json";
    const value: unknown = type.endsWith("json") ? JSON.parse(text) : text;
    const ajv = isProblem ? this.#open : this.#strict;
    const validate = ajv.getSchema(`doc#${at}${pointer("content", type, "schema")}`);
    if (validate === undefined) throw new Error(`${operationId}: no schema for ${status}`);
    expectValid(`${operationId} ${status}`, validate, value);
    const code = isProblem ? ` ${z.object({ code: z.string() }).parse(value).code}` : "";
    this.seen.add(`${operationId} ${status}${code}`);
  }

  /** Checks each example of the document against the schema that it stands beside. */
  checkExamples(): number {
    let checked = 0;
    for (const { operationId, path, method, parameters, requestBody } of this.operations) {
      const base = pointer("paths", path, method);
      for (const [i, { name, example: value }] of parameters.entries()) {
        const validate = this.#open.getSchema(`doc#${base}${pointer("parameters", i, "schema")}`);
        expectValid(`${operationId} ${name}`, validate, value);
        checked += 1;
      }
      const bodies = Object.entries(requestBody?.content ?? {});
      for (const [type, { example: value, examples }] of bodies) {
        // A file has none.
        if (!type.endsWith("json")) continue;
        const at = pointer("requestBody", "content", type, "schema");
        const validate = this.#open.getSchema(`doc#${base}${at}`);
        const values =
          examples === undefined ? [value] : Object.values(examples).map((one) => one["value"]);
        for (const one of values) expectValid(`${operationId} body`, validate, one);
        checked += values.length;
      }
    }
    return checked;
  }
}

function expectValid(what: string, validate: ValidateFunction | undefined, value: unknown): void {
  if (validate === undefined) throw new Error(`${what}: no schema`);
  const isValid = validate(value);
  expect({ what, wrong: isValid === true ? [] : validate.errors, value }).toEqual({
    what,
    wrong: [],
    value,
  });
}

function validator(document: unknown): Ajv {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addSchema(z.looseObject({}).parse(document), "doc");
  return ajv;
}

const pointer = (...keys: readonly (string | number)[]): string =>
  keys
    .map((key) => `/${encodeURIComponent(String(key).replaceAll("~", "~0").replaceAll("/", "~1"))}`)
    .join("");

/** The same with every object closed to fields that it does not name. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== "object" || value === null) return value;
  const inner = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, closed(one)]));
  const isClosable =
    inner["type"] === "object" && "properties" in inner && !("additionalProperties" in inner);
  return isClosable ? { ...inner, additionalProperties: false } : inner;
}
