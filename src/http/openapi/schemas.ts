/**
 * JSON schemas of the API's document: zod's, without what says nothing, with an example for
 * every field, and those that have an id named once under `components`.
 */
import { z } from "zod";

export type Schema = { readonly [key: string]: unknown };

const named = "#/components/schemas/";

/** What a field is called says what it holds: one example for each name. */
const examples: Readonly<Record<string, unknown>> = {
  after: 0,
  user_id: "ann",
  username: "ann_b",
  password: "a good password",
  current_password: "a good password",
  new_password: "a better password",
  token: "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
  name: "Walking Lamp",
  coupon_name: "TEN_PERCENT",
  title: "Lamps of the week",
  description: "Walks by itself.",
  image_url: "/sales/1/items/1/image.svg",
  colour: "#f2b705",
  code: "01980000-0000-7000-8000-000000000000",
  codes: ["01980000-0000-7000-8000-000000000000"],
  claimed_by: ["ann"],
  order_id: "4711",
  last_order_id: "4711",
  price_cents: 1_999,
  total_cents: 1_999,
  stock: 10,
  amount: 100,
  remaining_amount: 99,
  starts_at: "2030-01-31T12:00:00.000Z",
  ends_at: "2030-01-31T13:00:00.000Z",
  message: "Coupon claimed",
  openapi: "3.1.0",
};
const timeExample = "2030-01-31T12:00:00.000Z";

export class Schemas {
  readonly #named = new Map<string, Schema>();

  add(id: string, schema: Schema): void {
    this.#named.set(id, schema);
  }

  /** What is named under `components`. */
  all(): Record<string, Schema> {
    return Object.fromEntries(this.#named);
  }

  /** A schema of a reference into `components`, or the schema itself. */
  resolve(schema: Schema): Schema {
    const { $ref: reference } = schema;
    if (typeof reference !== "string") return schema;
    const found = this.#named.get(reference.slice(named.length));
    if (found === undefined) throw new Error(`the document has no ${reference}`);
    return found;
  }

  /** The schema of what is sent, before it is transformed. */
  of(schema: z.ZodType): Schema {
    // Within another one: at the root zod would not make a reference of one that has an id.
    const { properties, $defs = {} } = z.toJSONSchema(z.object({ it: schema }), {
      io: "input",
      unrepresentable: "any",
    });
    for (const [id, definition] of Object.entries($defs)) {
      if (!this.#named.has(id)) this.#named.set(id, asSchema(tidy(definition)));
    }
    return asSchema(tidy(properties?.["it"] ?? {}));
  }

  /** The fields of an object as parameters. */
  parameters(place: "path" | "query" | "header", object: z.ZodObject | undefined): Schema[] {
    return Object.entries(object?.shape ?? {}).map(([name, field]): Schema => {
      const whole = this.of(z.object({ [name]: field }));
      const { description, ...schema } = asSchema(asSchema(whole["properties"])[name]);
      const required = Array.isArray(whole["required"]);
      const example = exampleOf(schema, this);
      const parameter = { name, in: place, required: place === "path" || required };
      const words = description === undefined ? {} : { description };
      return Object.assign(parameter, words, { schema, example });
    });
  }
}

const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function asSchema(value: unknown): Schema {
  if (!isSchema(value)) throw new Error(`${JSON.stringify(value)} is not a schema`);
  return value;
}

/** Keywords whose value is data, not a schema. */
const isData: ReadonlySet<string> = new Set(["examples", "default", "const", "enum", "required"]);

/** @param name of the property that this is the schema of */
function tidy(value: unknown, name?: string): unknown {
  if (Array.isArray(value)) return value.map((one) => tidy(one, name));
  if (!isSchema(value)) return value;
  const tidied: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    if (isNoise(value, key, inner)) continue;
    if (key === "example") tidied["examples"] = [inner];
    else if (key === "$ref") tidied[key] = String(inner).replace(/^#\/\$defs\//, named);
    else if (isData.has(key)) tidied[key] = inner;
    else if (key === "properties") tidied[key] = tidyFields(asSchema(inner));
    else tidied[key] = tidy(inner, key === "anyOf" ? name : undefined);
  }
  const example = name === undefined ? undefined : examples[name];
  const isOpen = !["examples", "enum", "const", "$ref", "anyOf"].some((key) => key in tidied);
  if (example !== undefined && isOpen && fits(example, tidied)) tidied["examples"] = [example];
  return tidied;
}

const tidyFields = (fields: Schema): Schema =>
  Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, tidy(field, name)]));

/** Zod writes out the bounds of exact integers, and patterns beside formats. */
function isNoise(schema: Schema, key: string, value: unknown): boolean {
  if (key === "minimum") return value === Number.MIN_SAFE_INTEGER;
  if (key === "maximum") return value === Number.MAX_SAFE_INTEGER;
  if (key === "pattern") return schema["format"] === "date-time" || schema["format"] === "uuid";
  return key === "id" || key === "$schema";
}

function fits(example: unknown, { type, maximum }: Schema): boolean {
  if (type === "integer") {
    const isWithin = typeof maximum !== "number" || Number(example) <= maximum;
    return Number.isInteger(example) && isWithin;
  }
  if (type === "array") return Array.isArray(example);
  return typeof example === type;
}

/** A value that fits a schema, with every field that may be there. */
export function exampleOf(given: Schema, schemas: Schemas): unknown {
  const schema = schemas.resolve(given);
  const { examples: own, enum: choices, anyOf, properties } = schema;
  if (Array.isArray(own)) return own[0];
  if ("const" in schema) return schema["const"];
  if ("default" in schema) return schema["default"];
  if (Array.isArray(choices)) return choices[0];
  if (Array.isArray(anyOf)) return exampleOf(asSchema(anyOf[0]), schemas);
  switch (schema["type"]) {
    case "object": {
      const fields = isSchema(properties) ? Object.entries(properties) : [];
      return Object.fromEntries(
        fields.map(([name, field]) => [name, exampleOf(asSchema(field), schemas)]),
      );
    }
    case "array":
      return isSchema(schema["items"]) ? [exampleOf(schema["items"], schemas)] : [];
    case "string":
      return textExample(schema);
    case "integer":
    case "number":
      return Math.max(1, Number(schema["minimum"] ?? 1));
    case "boolean":
      return false;
    default:
      return null;
  }
}

function textExample({ format }: Schema): string {
  if (format === "date-time") return timeExample;
  if (format === "uuid") return String(examples["code"]);
  return "text";
}
