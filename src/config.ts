/**
 * The environment, read once, parsed and frozen. Nothing else reads it.
 * A value that does not parse throws ConfigError, naming the variable, what it got and what
 * it takes; secrets are not repeated.
 */
import { BlockList } from "node:net";
import { z } from "zod";
import { parseNetworks } from "./access/clients.ts";
import { parseRates } from "./access/rates.ts";
import { nextOpening } from "./sales/schedule.ts";

export class ConfigError extends Error {}

/** Above this a sale's catalogue would no longer fit the memory that we promise. */
const saleItemsMax = 100_000;
const jwtSecretBytesMin = 32;
const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;

/** A whole number, written in digits. */
const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,12}$/)
    .transform(Number)
    .pipe(z.number().min(min).max(max));

/** The driver decodes the parts of a URL, and would throw. */
function isPercentEncoded(url: string): boolean {
  try {
    return decodeURIComponent(url) !== "";
  } catch {
    return false;
  }
}

/** A name that the runtime's time zone database knows. */
const timeZone = z.string().refine((tz) => {
  try {
    new Intl.DateTimeFormat("en", { timeZone: tz }).format();
    return true;
  } catch {
    return false;
  }
});

/** Scheme and host, and nothing more: as a browser sends it. */
const isOrigin = (text: string): boolean =>
  /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;

type Variable = {
  readonly schema: z.ZodType<unknown, string>;
  readonly default: string | undefined;
  readonly takes: string;
  readonly secret?: true;
};

const variables = {
  PORT: { schema: whole(0, 65_535), default: "8080", takes: "a port from 0 to 65535" },
  HOST: { schema: z.string().min(1), default: "0.0.0.0", takes: "an address or host name" },
  ADVERTISE_URL: {
    schema: z.url({ protocol: /^http$/ }).transform((url) => new URL(url).origin),
    default: undefined,
    takes: "http://host:port, as the other processes reach this one",
  },
  DATABASE_URL: {
    schema: z.url({ protocol: /^postgres(ql)?$/ }).refine(isPercentEncoded),
    default: undefined,
    takes: "postgres://user:password@host:port/database",
    secret: true,
  },
  STAMPEDE_DATA: { schema: z.string().min(1), default: "./stampede-data", takes: "a folder" },
  SALE_SCHEDULE: {
    schema: z.string().refine((cron) => nextOpening({ cron, timeZone: "UTC" }, 0) !== null),
    default: "0 * * * *",
    takes: "a cron expression of five fields, such as 0 * * * *",
  },
  SALE_TIMEZONE: { schema: timeZone, default: "UTC", takes: "a time zone such as Europe/Berlin" },
  SALE_ITEMS: {
    schema: whole(1, saleItemsMax),
    default: "10000",
    takes: `a whole number from 1 to ${saleItemsMax}`,
  },
  SALE_UNITS_PER_ITEM: {
    schema: whole(1, 1_000_000),
    default: "1",
    takes: "a whole number from 1 to 1000000",
  },
  SALE_PER_USER_LIMIT: {
    schema: whole(1, 1_000_000),
    default: "10",
    takes: "a whole number from 1 to 1000000",
  },
  RESERVATION_TTL_MS: {
    schema: whole(1, 86_400_000),
    default: "120000",
    takes: "milliseconds from 1 to 86400000",
  },
  ATTEMPTS_RETENTION_DAYS: {
    schema: whole(1, 36_500),
    default: undefined,
    takes: "days from 1 to 36500, or nothing to keep every attempt",
  },
  COUPON_SOLD_OUT_STATUS: { schema: z.enum(["409", "400"]), default: "409", takes: "409 or 400" },
  JWT_SECRET: {
    schema: z.string().refine((secret) => Buffer.byteLength(secret) >= jwtSecretBytesMin),
    default: undefined,
    takes: `${jwtSecretBytesMin} bytes or more, the same for every process`,
    secret: true,
  },
  ACCESS: { schema: z.enum(["open", "guarded"]), default: "open", takes: "open or guarded" },
  USER_TOKEN_SECRET: {
    schema: z.string().refine((secret) => Buffer.byteLength(secret) >= jwtSecretBytesMin),
    default: undefined,
    takes: `${jwtSecretBytesMin} bytes or more, which your site's server signs with`,
    secret: true,
  },
  USER_TOKEN_JWKS: {
    schema: z.string().refine((where) => !/^https?:/.test(where) || URL.canParse(where)),
    default: undefined,
    takes: "a file with a JWKS, or its address, such as https://shop.example/jwks.json",
  },
  RATE_LIMITS: {
    schema: z.string().transform((text, context) => {
      const rates = parseRates(text);
      if (rates !== undefined) return rates;
      context.addIssue({ code: "custom", message: "not a list of rates" });
      return z.NEVER;
    }),
    default: "on",
    takes: "on, off, or rates such as writes=20/60,reads=50/200,costly=2/10",
  },
  CORS_ORIGINS: {
    schema: z.string().transform((text, context) => {
      const origins = text.split(",").map((part) => part.trim());
      if (origins.every(isOrigin)) return new Set(origins);
      context.addIssue({ code: "custom", message: "not a list of origins" });
      return z.NEVER;
    }),
    default: undefined,
    takes: "origins of your shop fronts, such as https://shop.example, https://www.shop.example",
  },
  TRUSTED_PROXIES: {
    schema: z.string().transform((text, context) => {
      const networks = parseNetworks(text);
      if (networks !== null) return networks;
      context.addIssue({ code: "custom", message: "not a list of addresses" });
      return z.NEVER;
    }),
    default: undefined,
    takes: "addresses or networks of your proxies, such as 10.0.0.0/8, 192.0.2.7",
  },
  NODE_ENV: { schema: z.string(), default: undefined, takes: "production, or anything else" },
  LOG_LEVEL: { schema: z.enum(logLevels), default: "info", takes: logLevels.join(", ") },
} as const satisfies Record<string, Variable>;

type Name = keyof typeof variables;
type Value<N extends Name> = z.output<(typeof variables)[N]["schema"]>;

function read<N extends Name>(environment: NodeJS.ProcessEnv, name: N): Value<N> | undefined {
  const variable: Variable = variables[name];
  // An empty variable is what an unset one becomes in compose files and shells.
  const text = environment[name] || variable.default;
  if (text === undefined) return undefined;
  const parsed = variable.schema.safeParse(text);
  if (parsed.success) return parsed.data as Value<N>;
  const got = variable.secret === true ? "something else" : JSON.stringify(text.slice(0, 100));
  throw new ConfigError(`${name} is ${got}; it takes ${variable.takes}.`);
}

function required<N extends Name>(environment: NodeJS.ProcessEnv, name: N): Value<N> {
  const value = read(environment, name);
  if (value === undefined) throw new ConfigError(`${name} is not set.`);
  return value;
}

/** @throws ConfigError for the first variable that does not parse */
export function readConfig(environment: NodeJS.ProcessEnv = process.env) {
  const get = <N extends Name>(name: N) => required(environment, name);
  return Object.freeze({
    port: get("PORT"),
    host: get("HOST"),
    /** Where other processes reach this one; undefined: as PostgreSQL sees it. */
    advertiseUrl: read(environment, "ADVERTISE_URL"),
    /** Undefined: the embedded PostgreSQL. */
    databaseUrl: read(environment, "DATABASE_URL"),
    dataDir: get("STAMPEDE_DATA"),
    schedule: { cron: get("SALE_SCHEDULE"), timeZone: get("SALE_TIMEZONE") },
    hourlySale: {
      items: get("SALE_ITEMS"),
      unitsPerItem: get("SALE_UNITS_PER_ITEM"),
      perUserLimit: get("SALE_PER_USER_LIMIT"),
      reservationTtlMs: get("RESERVATION_TTL_MS"),
    },
    /** Attempts older than this may be dropped; Infinity keeps them all. */
    retentionMs: (read(environment, "ATTEMPTS_RETENTION_DAYS") ?? Infinity) * 86_400_000,
    couponSoldOutStatus: Number(get("COUPON_SOLD_OUT_STATUS")),
    /** Undefined: made once, and kept in the database. */
    jwtSecret: read(environment, "JWT_SECRET"),
    /** Who may buy, claim and make coupons: everybody, or those who prove who they are. */
    access: get("ACCESS"),
    /** What a merchant's user tokens are signed with. */
    userTokenSecret: read(environment, "USER_TOKEN_SECRET"),
    userTokenJwks: read(environment, "USER_TOKEN_JWKS"),
    /** Null: nobody's requests are counted. */
    rates: get("RATE_LIMITS"),
    /** Whose pages may call from a browser, by token. */
    corsOrigins: read(environment, "CORS_ORIGINS") ?? new Set<string>(),
    /** Whose X-Forwarded-For is believed. */
    trustedProxies: read(environment, "TRUSTED_PROXIES") ?? new BlockList(),
    /** Where a demo must not be. */
    isProduction: read(environment, "NODE_ENV") === "production",
    logLevel: get("LOG_LEVEL"),
  });
}

export type Config = ReturnType<typeof readConfig>;
