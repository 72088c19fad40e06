/**
 * The environment, read once, parsed and frozen. Nothing else reads it.
 * A value that does not parse throws ConfigError, naming the variable, what it got and what
 * it takes; secrets are not repeated.
 */
import { BlockList } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";
import packageJson from "../package.json" with { type: "json" };
import { parseNetworks } from "./access/clients.ts";
import { parseRates } from "./access/rates.ts";
import { frontsMax } from "./fronts/fronts.ts";
import { admitPerSecondMax } from "./ledger/commands.ts";
import { serversOf } from "./postgres/servers.ts";
import { isCurrency, localeOf, nameCharactersMax } from "./http/appearance.ts";
import { passTtlMsUsual } from "./sales/draws.ts";
import type { HourlySaleTerms } from "./sales/hourly.ts";
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

/** A name that the runtime's time zone database knows. */
const timeZone = z.string().refine((tz) => {
  try {
    new Intl.DateTimeFormat("en", { timeZone: tz }).format();
    return true;
  } catch {
    return false;
  }
});

/** An address to read from over HTTP. */
const isHttpUrl = (text: string): boolean => /^https?:/.test(text) && URL.canParse(text);

/** Scheme and host, and nothing more: as a browser sends it. */
const isOrigin = (text: string): boolean => isHttpUrl(text) && new URL(text).origin === text;

type Variable = {
  readonly schema: z.ZodType<unknown, string>;
  readonly default: string | undefined;
  readonly takes: string;
  readonly secret?: true;
};

const variables = {
  PORT: { schema: whole(0, 65_535), default: "8080", takes: "a port from 0 to 65535" },
  HOST: { schema: z.string().min(1), default: "0.0.0.0", takes: "an address or host name" },
  LINK_PORT: {
    schema: whole(0, 65_535),
    default: "0",
    takes: "a port from 0 to 65535 for other processes of the program; 0 is any",
  },
  ADVERTISE_URL: {
    schema: z.url({ protocol: /^http$/ }).transform((url) => new URL(url).origin),
    default: undefined,
    takes: "http://host:port, as the other processes reach this one",
  },
  DATABASE_URL: {
    schema: z.string().refine((url) => serversOf(url) !== null),
    default: undefined,
    takes:
      "postgres://user:password@host:port/database, or host:port,host:port where one is the primary",
    secret: true,
  },
  STAMPEDE_DATA: { schema: z.string().min(1), default: "./stampede-data", takes: "a folder" },
  BACKUP_DIR: {
    schema: z.string().min(1),
    default: undefined,
    takes: "a folder for a continuous archive, of the embedded PostgreSQL: not with DATABASE_URL",
  },
  BACKUP_KEEP_DAYS: { schema: whole(1, 3_650), default: "7", takes: "days from 1 to 3650" },
  SALE_SCHEDULE: {
    schema: z.string().refine((cron) => nextOpening({ cron, timeZone: "UTC" }, 0) !== null),
    default: "0 * * * *",
    takes: "a cron expression of five fields, such as 0 * * * *",
  },
  SHOP_NAME: {
    schema: z.string().trim().min(1).max(nameCharactersMax),
    default: "Stampede",
    takes: `a name of at most ${nameCharactersMax} characters`,
  },
  CURRENCY: {
    schema: z.string().refine(isCurrency),
    default: "USD",
    takes: "a currency of ISO 4217, such as EUR",
  },
  LOCALE: {
    schema: z.string().transform((text, context) => {
      const locale = localeOf(text);
      if (locale !== null) return locale;
      context.addIssue({ code: "custom", message: "not a language" });
      return z.NEVER;
    }),
    default: "en",
    takes: "a language in which figures are written, such as en or de-AT",
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
  SALE_ENTRY: { schema: z.enum(["open", "queue"]), default: "open", takes: "open or queue" },
  SALE_ADMIT_PER_SECOND: {
    schema: whole(1, admitPerSecondMax),
    default: "200",
    takes: `a whole number from 1 to ${admitPerSecondMax}`,
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
  ATTEMPTS_EXPORT_DIR: {
    schema: z.string().min(1),
    default: undefined,
    takes: "a folder for attempts before they are dropped: with ATTEMPTS_RETENTION_DAYS",
  },
  COUPON_SOLD_OUT_STATUS: { schema: z.enum(["409", "400"]), default: "409", takes: "409 or 400" },
  JWT_SECRET: {
    schema: z.string().refine((secret) => Buffer.byteLength(secret) >= jwtSecretBytesMin),
    default: undefined,
    takes: `${jwtSecretBytesMin} bytes or more, the same for every process`,
    secret: true,
  },
  ADMIN_SECOND_FACTOR: {
    schema: z.enum(["optional", "demanded"]),
    default: "optional",
    takes: "optional or demanded",
  },
  ACCESS: { schema: z.enum(["open", "guarded"]), default: "open", takes: "open or guarded" },
  USER_TOKEN_SECRET: {
    schema: z.string().refine((secret) => Buffer.byteLength(secret) >= jwtSecretBytesMin),
    default: undefined,
    takes: `${jwtSecretBytesMin} bytes or more, which your site's server signs with`,
    secret: true,
  },
  USER_TOKEN_JWKS: {
    schema: z
      .string()
      .refine((where) => !/^[a-z][a-z\d+.-]*:\/\//i.test(where) || isHttpUrl(where)),
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
  FRONTS: {
    schema: z.union([z.literal("auto"), whole(0, frontsMax)]),
    default: "auto",
    takes: `a whole number from 0 to ${frontsMax}, or auto, which is two less than there are cores`,
  },
  WEBHOOK_PRIVATE: {
    schema: z.enum(["0", "1"]),
    default: "0",
    takes: "1 where webhooks may lead to private and loopback addresses, or 0",
  },
  STOP_GRACE_MS: {
    schema: whole(0, 60_000),
    default: "400",
    takes: "milliseconds from 0 to 60000",
  },
  CHALLENGE: { schema: z.enum(["off", "join"]), default: "off", takes: "off or join" },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    schema: z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, "")),
    default: undefined,
    takes: "the address of a collector that takes OTLP over HTTP, such as http://collector:4318",
  },
  OTEL_TRACES_SAMPLER_ARG: {
    schema: z
      .string()
      .regex(/^(?:0(?:\.\d{1,6})?|1(?:\.0)?)$/)
      .transform(Number),
    default: "0.01",
    takes: "the share of requests that are traced, from 0 to 1",
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
  const got = variable.secret === true ? "not fit" : JSON.stringify(text.slice(0, 100));
  throw new ConfigError(`${name} is ${got}; it takes ${variable.takes}.`);
}

function required<N extends Name>(environment: NodeJS.ProcessEnv, name: N): Value<N> {
  const value = read(environment, name);
  if (value === undefined) throw new ConfigError(`${name} is not set.`);
  return value;
}

/** The server's own archive is for whoever looks after that: here it would be none. */
function archivingIn(environment: NodeJS.ProcessEnv) {
  const folder = read(environment, "BACKUP_DIR");
  if (folder === undefined) return undefined;
  if (read(environment, "DATABASE_URL") !== undefined) {
    throw new ConfigError(
      `BACKUP_DIR is ${JSON.stringify(folder)}, but there is a DATABASE_URL, and that server's archive is its own: unset one of them.`,
    );
  }
  const days = required(environment, "BACKUP_KEEP_DAYS");
  return { backupDir: resolve(folder), keepMs: days * 86_400_000 };
}

function tracingIn(environment: NodeJS.ProcessEnv) {
  const endpoint = read(environment, "OTEL_EXPORTER_OTLP_ENDPOINT");
  if (endpoint === undefined) return null;
  const share = required(environment, "OTEL_TRACES_SAMPLER_ARG");
  return { endpoint, share, version: packageJson.version };
}

function exportDirIn(environment: NodeJS.ProcessEnv): string | null {
  const folder = read(environment, "ATTEMPTS_EXPORT_DIR");
  if (folder === undefined) return null;
  if (read(environment, "ATTEMPTS_RETENTION_DAYS") === undefined) {
    throw new ConfigError(
      `ATTEMPTS_EXPORT_DIR is ${JSON.stringify(folder)}, but without ATTEMPTS_RETENTION_DAYS every attempt is kept, and none is exported: set that too.`,
    );
  }
  return resolve(folder);
}

/** @throws ConfigError for the first variable that does not parse */
export function readConfig(environment: NodeJS.ProcessEnv = process.env) {
  const get = <N extends Name>(name: N) => required(environment, name);
  // Those too that only count beside another, such as the pace of a queue that is not there yet.
  for (const name of Object.keys(variables) as Name[]) read(environment, name);
  return Object.freeze({
    port: get("PORT"),
    host: get("HOST"),
    /** On which other processes connect; 0: any. */
    linkPort: get("LINK_PORT"),
    /** Where other processes reach this one; undefined: as PostgreSQL sees it. */
    advertiseUrl: read(environment, "ADVERTISE_URL"),
    /** Undefined: the embedded PostgreSQL. */
    databaseUrl: read(environment, "DATABASE_URL"),
    dataDir: get("STAMPEDE_DATA"),
    /** Undefined: no archive is kept. */
    archiving: archivingIn(environment),
    schedule: { cron: get("SALE_SCHEDULE"), timeZone: get("SALE_TIMEZONE") },
    /** What administrators may set otherwise. */
    shop: { name: get("SHOP_NAME"), currency: get("CURRENCY"), locale: get("LOCALE") },
    hourlySale: {
      items: get("SALE_ITEMS"),
      unitsPerItem: get("SALE_UNITS_PER_ITEM"),
      perUserLimit: get("SALE_PER_USER_LIMIT"),
      reservationTtlMs: get("RESERVATION_TTL_MS"),
      ...(get("SALE_ENTRY") === "queue" && {
        queue: { admitPerSecond: get("SALE_ADMIT_PER_SECOND"), passTtlMs: passTtlMsUsual },
      }),
    } as HourlySaleTerms,
    /** Who has to solve a challenge before they join a queue. */
    challenge: get("CHALLENGE"),
    /** Attempts older than this may be dropped; Infinity keeps them all. */
    retentionMs: (read(environment, "ATTEMPTS_RETENTION_DAYS") ?? Infinity) * 86_400_000,
    /** Where they are written to before; null: nowhere. */
    exportDir: exportDirIn(environment),
    couponSoldOutStatus: Number(get("COUPON_SOLD_OUT_STATUS")),
    /** Undefined: made once, and kept in the database. */
    jwtSecret: read(environment, "JWT_SECRET"),
    /** Whether administrators have to have a second factor. */
    demandsFactor: get("ADMIN_SECOND_FACTOR") === "demanded",
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
    /** How many processes take requests beside the one that leads. */
    fronts: get("FRONTS"),
    /** Whether webhooks may lead to private and loopback addresses. */
    webhookPrivate: get("WEBHOOK_PRIVATE") === "1",
    /** How long a process that was told to stop goes on answering. */
    stopGraceMs: get("STOP_GRACE_MS"),
    /** Null: no request is traced. */
    tracing: tracingIn(environment),
    /** Where a demo must not be. */
    isProduction: read(environment, "NODE_ENV") === "production",
    logLevel: get("LOG_LEVEL"),
  });
}

export type Config = ReturnType<typeof readConfig>;
