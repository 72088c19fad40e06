/**
 * `/openapi.json`: OpenAPI 3.1, made from the table of routes that is served and from the zod
 * schemas in it. What every operation of a kind may answer (503 of what needs the leader or the
 * records, 401 and 403 of what needs an account, 413 of what takes a body) is added here, once.
 */
import { sessionCookie } from "../../access/cookies.ts";
import { exampleOf, Schemas, type Schema } from "./schemas.ts";
import { problems, type ProblemCode } from "../problems.ts";
import { operationsOf, type Operation, type Route } from "../server.ts";

const sections = [
  { name: "Hourly sale", of: /^\/(?:checkout|purchase|reservations|sales?|events)\b/ },
  { name: "Coupons", of: /^\/api\/coupons\b/ },
  { name: "Accounts", of: /^\/api\/auth\b/ },
  { name: "Administration", of: /^\/api\/admin\b/ },
  { name: "Shop", of: /^\/api\b/ },
  { name: "Operations", of: /^/ },
] as const;

const about = `Sells exactly what there is, to nobody twice, and forgets nothing it has said.

Bodies are JSON. Money is an integer of minor units, times are RFC 3339 in UTC with milliseconds.

A refusal is \`application/problem+json\` (RFC 9457) with a \`code\` from a closed list. One that can
succeed later carries \`Retry-After\` (seconds) and \`retry_after_ms\`. Every answer is sent only after
its record is committed; \`POST /checkout\` with an \`Idempotency-Key\` and \`POST /purchase\` may be
sent again at any time. After 503 \`unavailable\` and \`overloaded\` nothing was done; after 503
\`outcome_unknown\` nobody can tell, and its \`detail\` says how to find out.

A sane \`X-Request-Id\` of a request comes back in its answer; an answer of 500 or above always has
one. An unknown path answers 404 \`not_found\`, a known one that does not take the method 405
\`method_not_allowed\` with \`Allow\`.`;

/** Refusals that say when the same request may succeed. */
const retried: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  "item_reserved",
  "sale_not_open",
  "too_many_attempts",
  "rate_limited",
  "unavailable",
  "overloaded",
]);

const security = [{ bearer: [] }, { cookie: [] }];

/** The document of a table. */
export function documentOf(routes: readonly Route[], version: string): Schema {
  const schemas = new Schemas();
  schemas.add("Problem", problemSchema);
  const refusals = new Refusals();
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, "{$1}");
    const item: Record<string, unknown> = {};
    for (const { method, operation } of operationsOf([route])) {
      item[method.toLowerCase()] = describe(route, method, operation, schemas, refusals);
    }
    paths[path] = item;
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Stampede",
      version,
      description: about,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    tags: sections.map(({ name }) => ({ name })),
    paths,
    components: {
      schemas: schemas.all(),
      responses: refusals.shared,
      examples: refusals.examples,
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description:
            "The token of a login, a user token of the merchant's (a JWT with `sub` and `exp`), or an " +
            "API key (`sk_…`)",
        },
        cookie: {
          type: "apiKey",
          in: "cookie",
          name: sessionCookie,
          description: "Set by a login; not believed from pages of other sites",
        },
      },
    },
  };
}

function describe(
  route: Route,
  method: string,
  operation: Operation,
  schemas: Schemas,
  refusals: Refusals,
): Schema {
  const { summary, description, auth } = operation;
  const section = sections.find(({ of }) => of.test(route.path));
  const parameters = [
    ...schemas.parameters("path", operation.path),
    ...schemas.parameters("query", operation.query),
    ...schemas.parameters("header", operation.headers),
  ];
  return {
    operationId: operationId(method, route.path),
    summary,
    ...(operation.cost === "costly" ? { "x-cost": "costly" } : {}),
    ...(description === undefined ? {} : { description }),
    tags: [section?.name],
    security: auth === undefined ? [] : security,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...requestBodyOf(operation, schemas),
    responses: {
      ...answersOf(operation, schemas),
      ...refusals.of(operation, refusalCodes(route, method, operation)),
    },
  };
}

function requestBodyOf({ body, bodyTypes }: Operation, schemas: Schemas): Schema {
  if (body !== undefined) {
    return { requestBody: { required: true, content: content(schemas.of(body), schemas) } };
  }
  if (bodyTypes === undefined) return {};
  // By 3.1, bytes are a schema that says nothing.
  const types = bodyTypes.map((type) => [type, {}]);
  return { requestBody: { required: true, content: Object.fromEntries(types) } };
}

/** `POST /api/flash-sales/:id/checkout` → `postApiFlashSalesIdCheckout`. */
const operationId = (method: string, path: string): string =>
  method.toLowerCase() +
  path.replaceAll(/[^a-z0-9]+([a-z0-9]?)/gi, (_, letter: string) => letter.toUpperCase());

function content(schema: Schema, schemas: Schemas, mediaType = "application/json"): Schema {
  const variants = schema["anyOf"];
  if (mediaType !== "application/json") return { [mediaType]: { schema } };
  if (!Array.isArray(variants)) {
    return { [mediaType]: { schema, example: exampleOf(schema, schemas) } };
  }
  const examples = variants.map((one: Schema, i) => [
    `variant${i + 1}`,
    { value: exampleOf(one, schemas) },
  ]);
  return { [mediaType]: { schema, examples: Object.fromEntries(examples) } };
}

function answersOf({ answers, mediaType, sends = [] }: Operation, schemas: Schemas): Schema {
  const headers = Object.fromEntries(sends.map((name) => [name, sentHeaders[name]]));
  const described = Object.entries(answers).map(([status, answer]) => [
    status,
    {
      description: words[Number(status)] ?? "Done",
      ...(sends.length === 0 ? {} : { headers }),
      ...(answer === null ? {} : { content: content(schemas.of(answer), schemas, mediaType) }),
    },
  ]);
  return Object.fromEntries(described);
}

const words: Readonly<Record<number, string>> = {
  200: "Done",
  201: "Made",
  204: "Done",
  304: "As the client has it",
};

const text = { type: "string" };

const sentHeaders = {
  Location: { description: "Path of what was made", required: true, schema: text },
  "Set-Cookie": {
    description: `\`${sessionCookie}\`: HttpOnly, SameSite=Lax, and Secure where the client came over TLS`,
    required: true,
    schema: text,
  },
};

/** Answered by a process from what it has; everything else asks the leader or PostgreSQL. */
const alone = /^\/(?:health|metrics|openapi\.json|events)$/;

/** The refusals of an operation, with those that everything of its kind has. */
export function refusalCodes(
  { path }: Route,
  method: string,
  { auth, body, bodyTypes, refusals }: Operation,
): ProblemCode[] {
  const codes = new Set<ProblemCode>(refusals);
  if (auth !== undefined) codes.add("unauthenticated");
  codes.add(method === "GET" ? "overloaded" : "cross_site");
  if (method !== "GET") codes.add("outcome_unknown");
  codes.add("rate_limited").add("payload_too_large");
  if (auth === "admin" || auth === "merchant") codes.add("forbidden");
  if (auth === "admin") codes.add("second_factor_demanded");
  if ((body ?? bodyTypes) !== undefined) {
    codes.add("invalid_request").add("unsupported_media_type");
  }
  if (!alone.test(path)) codes.add("unavailable");
  codes.add("internal");
  return [...codes];
}

/** Refusals of one code or two are named once under `components`, and so are their examples. */
class Refusals {
  readonly shared: Record<string, Schema> = {};
  readonly examples: Record<string, Schema> = {};

  of({ statuses }: Operation, codes: readonly ProblemCode[]): Schema {
    const byStatus = Map.groupBy(codes, (code) => statuses?.[code] ?? problems[code].status);
    const described = Array.from(byStatus, ([status, of]) => [status, this.#refer(status, of)]);
    return Object.fromEntries(described);
  }

  #refer(status: number, codes: readonly ProblemCode[]): Schema {
    if (codes.length > 2) return this.#describe(status, codes);
    const name = `${status}-${codes.toSorted().join("-")}`;
    this.shared[name] ??= this.#describe(status, codes);
    return { $ref: `#/components/responses/${name}` };
  }

  #describe(status: number, codes: readonly ProblemCode[]): Schema {
    const isRetried = codes.every((code) => retried.has(code));
    const headers = {
      ...(codes.some((code) => retried.has(code))
        ? {
            "Retry-After": {
              ...retryAfter,
              required: isRetried && (status === 429 || status === 503),
            },
          }
        : {}),
      ...(codes.includes("rate_limited")
        ? { RateLimit: rateLimit, "RateLimit-Policy": rateLimitPolicy }
        : {}),
      ...(status === 401 ? { "WWW-Authenticate": { required: true, schema: text } } : {}),
      ...(status >= 500 ? { "X-Request-Id": { required: true, schema: text } } : {}),
    };
    const schema = {
      allOf: [
        { $ref: "#/components/schemas/Problem" },
        { properties: { status: { const: status }, code: { enum: codes } } },
      ],
    };
    const examples = codes.map((code) => [code, this.#example(code, status)]);
    return {
      description: codes.map((code) => `\`${code}\`: ${problems[code].title}`).join(". "),
      ...(Object.keys(headers).length === 0 ? {} : { headers }),
      content: { "application/problem+json": { schema, examples: Object.fromEntries(examples) } },
    };
  }

  #example(code: ProblemCode, status: number): Schema {
    const name = status === problems[code].status ? code : `${status}-${code}`;
    this.examples[name] = { value: problemExample(code, status) };
    return { $ref: `#/components/examples/${name}` };
  }
}

const retryAfter = {
  description: "Whole seconds",
  schema: { type: "integer", minimum: 1 },
};

/** As draft-ietf-httpapi-ratelimit-headers has them. */
const rateLimit = {
  description: "What is left of which policy, and in how many seconds there is more",
  schema: { ...text, examples: ['"writes";r=0;t=1'] },
};
const rateLimitPolicy = {
  description: "How many requests may come at once, and seconds in which they all come back",
  schema: { ...text, examples: ['"writes";q=60;w=3'] },
};

const problemExample = (code: ProblemCode, status: number): Schema => ({
  type: `urn:stampede:problem:${code}`,
  title: problems[code].title,
  status,
  detail: problems[code].detail,
  code,
  error: problems[code].detail,
});

const problemSchema: Schema = {
  type: "object",
  description: "A refusal, after RFC 9457",
  properties: {
    type: { type: "string", description: "`urn:stampede:problem:` and the code" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "string", enum: Object.keys(problems) },
    error: { type: "string", description: "The same as `detail`" },
    retry_after_ms: {
      type: "integer",
      minimum: 1,
      description: "When the same request may succeed",
    },
  },
  required: ["type", "title", "status", "detail", "code", "error"],
};
