/** What the program was called with: its commands, their options, and the text of --help. */
import { parseArgs } from "node:util";
import { nameOf } from "../access/text.ts";
import { complaintOfUsername } from "../access/rules.ts";
import { scopes, type Scope } from "../store/keys.ts";
import type { UserRole } from "../store/users.ts";
import type { KeyCall } from "./keys.ts";
import type { EraseCall, UserCall } from "./users.ts";

/** In the order of the README, which says more of each. */
const variables = `\
  PORT=8080, HOST=0.0.0.0       where it listens
  ADVERTISE_URL                 at which host other processes reach this one
  LINK_PORT=0                   on which port they do; 0: any
  STOP_GRACE_MS=400             how long it goes on answering when it is told to stop
  FRONTS=auto                   processes that take requests beside the one that leads:
                                cores less two, or a number from 0 to 6
  OTEL_EXPORTER_OTLP_ENDPOINT   a collector for traces
  OTEL_TRACES_SAMPLER_ARG=0.01  the share of requests that are traced
  DATABASE_URL                  a PostgreSQL 15 or later to use instead of its own
  STAMPEDE_DATA=./stampede-data
                                the folder of its own PostgreSQL
  BACKUP_DIR                    a continuous archive of its own PostgreSQL
  BACKUP_KEEP_DAYS=7            how many days back it goes
  SHOP_NAME=Stampede, CURRENCY=USD, LOCALE=en
                                what the pages say, until an administrator sets it
  SALE_SCHEDULE="0 * * * *", SALE_TIMEZONE=UTC
                                when sales open (cron)
  SALE_ITEMS=10000, SALE_UNITS_PER_ITEM=1, SALE_PER_USER_LIMIT=10
                                the hourly sale
  RESERVATION_TTL_MS=120000     how long a code holds its unit
  SALE_ENTRY=open               or queue: a waiting room, drawn at the opening
  SALE_ADMIT_PER_SECOND=200     how fast it lets in
  CHALLENGE=off                 or join: a guest's browser solves one before it joins
  WEBHOOK_PRIVATE               1: webhooks may lead to private addresses
  ATTEMPTS_RETENTION_DAYS       after which attempts may be dropped; all are kept without
  ATTEMPTS_EXPORT_DIR           a folder for attempts before they are dropped
  COUPON_SOLD_OUT_STATUS=409    or 400
  JWT_SECRET                    key of the login tokens; made once without
  ADMIN_SECOND_FACTOR=optional  or demanded, of administrators
  ACCESS=open                   or guarded: buying takes an account, a user token or a key
  USER_TOKEN_SECRET, USER_TOKEN_JWKS
                                what your site's user tokens are signed with
  RATE_LIMITS=on                off, or writes=20/60,reads=50/200,costly=2/10: a second and
                                at once, for a client address
  CORS_ORIGINS                  whose pages may call, by token
  TRUSTED_PROXIES               whose X-Forwarded-For is believed
  LOG_LEVEL=info                fatal to trace`;

export const usage = (version: string): string => `Stampede ${version}: a flash-sale engine.

  stampede [serve]              sell: an hourly sale of 10,000 items, over HTTP
  stampede migrate              bring the database's schema up to date
  stampede verify [--sale S]    audit every sale, or one, from the records alone
  stampede doctor               look at the set-up: what is wrong, and what to do
  stampede backup FILE          all records into a file, as of one moment; while it sells
  stampede restore FILE         a backup into an empty STAMPEDE_DATA or DATABASE_URL
  stampede restore --at TIME    the archive in BACKUP_DIR, as of 2026-11-26T12:00:00Z or latest,
                                into an empty STAMPEDE_DATA
  stampede seed --demo          fill the shop with a demo: products, sales, coupons, and
                                accounts with published passwords; not in production
  stampede user create NAME [--role admin]
                                make an account; asks for its password, or reads it
                                from standard input
  stampede user password NAME   give an account a new password, asked for in the same way;
                                its sessions end
  stampede user reset-factor NAME
                                take away the second factor of somebody who has lost it;
                                the account's sessions end
  stampede user list            the accounts
  stampede user disable NAME    nobody logs in to it any more; its sessions end
  stampede user role NAME user|admin
                                another role; its sessions end. One administrator stays
  stampede user erase NAME      put a pseudonym in the place of this name in all records
  stampede key create NAME --scope sell,manage,read [--expires 90d]
                                make an API key for a server, and print it, this once
  stampede key list             the keys, with their last use
  stampede key revoke NAME      end a key, on every server within two seconds
  stampede openapi              print the API's document, OpenAPI 3.1
  stampede licenses             print the notices of what this program is made of
  stampede --help, --version

Without DATABASE_URL it runs a PostgreSQL of its own, in ./stampede-data: commands beside
a server that sells are given in its folder, or with its variables.

Variables, with their defaults:

${variables}`;

/** As Semantic Versioning has it, with the commit as what it was built from: `1.2.3+0123456789ab`. */
export const versionText = (version: string, commit: string | null): string =>
  [version, commit ?? []].flat().join("+");

/** The program was called wrongly; the message says how. */
export class UsageError extends Error {}

/** Whether an error is about how the program was called, by `parseArgs`' word or ours. */
export const isUsageError = (error: unknown): error is Error =>
  error instanceof UsageError ||
  (error instanceof Error &&
    "code" in error &&
    typeof error.code === "string" &&
    error.code.startsWith("ERR_PARSE_ARGS"));

type Call =
  | { readonly command: (typeof plainCommands)[number] | "help" | "version" }
  | { readonly command: "verify"; readonly sale: number | undefined }
  | { readonly command: "backup" | "restore"; readonly file: string }
  /** `at` in ms since the Unix epoch; null for the latest there is. */
  | { readonly command: "restore at"; readonly at: number | null }
  | { readonly command: "user create"; readonly name: string; readonly role: UserRole }
  | { readonly command: "user password" | "user reset-factor"; readonly name: string }
  | UserCall
  | EraseCall
  | KeyCall;

/** A command about accounts or keys. */
export type AccountsCall = Extract<Call, { readonly command: `user ${string}` | `key ${string}` }>;

/** @throws UsageError, or an error of `parseArgs`: see `isUsageError` */
export function parseCall(args: string[]): Call {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h" },
      version: { type: "boolean", short: "v" },
      sale: { type: "string" },
      role: { type: "string" },
      demo: { type: "boolean" },
      scope: { type: "string" },
      expires: { type: "string" },
      at: { type: "string" },
    },
  });
  if (values.help === true) return { command: "help" };
  if (values.version === true) return { command: "version" };
  const [command = "serve", ...rest] = positionals;
  if (command === "key") return parseKeyCall(rest, values);
  if (values.scope !== undefined || values.expires !== undefined) {
    throw new UsageError("--scope and --expires belong to key create.");
  }
  if (command === "user") return parseUserCall(rest, values.role);
  if (values.role !== undefined) throw new UsageError("--role belongs to user create.");
  if (command === "seed" && values.demo !== true) {
    throw new UsageError("It is: stampede seed --demo.");
  }
  if (command !== "seed" && values.demo !== undefined) {
    throw new UsageError("--demo belongs to seed.");
  }
  if (command === "restore" && values.at !== undefined) return parseRestoreAt(values.at, rest);
  if (values.at !== undefined) throw new UsageError("--at belongs to restore.");
  if (command === "backup" || command === "restore") {
    const [file, ...more] = rest;
    if (file === undefined || file === "" || more.length > 0) {
      throw new UsageError(`It is: stampede ${command} FILE.`);
    }
    return { command, file };
  }
  if (rest.length > 0) throw new UsageError(`I do not know what to do with ${rest.join(" ")}.`);
  if (command === "verify") {
    const { sale } = values;
    if (sale !== undefined && !/^[1-9]\d{0,8}$/.test(sale)) {
      throw new UsageError(`--sale is ${JSON.stringify(sale)}; it takes the number of a sale.`);
    }
    return { command, sale: sale === undefined ? undefined : Number(sale) };
  }
  if (values.sale !== undefined) throw new UsageError("--sale belongs to verify.");
  if (isPlain(command)) return { command };
  throw new UsageError(`There is no command ${JSON.stringify(command)}.`);
}

function parseRestoreAt(at: string, rest: readonly string[]): Call {
  if (rest.length > 0) throw new UsageError("It is: stampede restore --at TIME, without a file.");
  if (at === "latest") return { command: "restore at", at: null };
  // RFC 3339: a time of a zone that is not told would be anybody's guess.
  const isTime = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)$/.test(at);
  const time = Date.parse(at);
  if (isTime && !Number.isNaN(time)) return { command: "restore at", at: time };
  throw new UsageError(
    `--at is ${JSON.stringify(at)}; it takes a time with its zone, such as 2026-11-26T12:00:00Z, or latest.`,
  );
}

/** A command that takes nothing more. */
const isPlain = (command: string): command is (typeof plainCommands)[number] =>
  plainCommands.some((plain) => plain === command);

/** `front` and `photo` are for the program itself: see `serve.ts` and `art/photo-process.ts`. */
const plainCommands = [
  "serve",
  "migrate",
  "doctor",
  "seed",
  "openapi",
  "licenses",
  "front",
  "photo",
] as const;

const userUsage =
  "It is: stampede user create NAME [--role admin], stampede user password NAME, " +
  "stampede user reset-factor NAME, stampede user list, stampede user disable NAME, " +
  "stampede user erase NAME, " +
  "or stampede user role NAME user|admin.";

function parseUserCall([verb, name, ...rest]: string[], given: string | undefined): Call {
  if (verb !== "create" && given !== undefined) {
    throw new UsageError("--role belongs to user create.");
  }
  if (verb === "list" && name === undefined) return { command: "user list" };
  const [role, ...more] = verb === "role" ? rest : [given ?? "user", ...rest];
  if (name === undefined || role === undefined || more.length > 0) throw new UsageError(userUsage);
  switch (verb) {
    case "password":
      return { command: "user password", name };
    case "reset-factor":
      return { command: "user reset-factor", name };
    case "disable":
      return { command: "user disable", name };
    case "erase": {
      const read = nameOf(name);
      if ("complaint" in read) throw new UsageError(`The name ${read.complaint}.`);
      return { command: "user erase", name: read.name };
    }
    case "role":
      return { command: "user role", name, role: parseRole(role, "A role") };
    case "create": {
      const complaint = complaintOfUsername(name);
      if (complaint !== null) throw new UsageError(`The name ${complaint}.`);
      return { command: "user create", name, role: parseRole(role, "--role") };
    }
    default:
      throw new UsageError(userUsage);
  }
}

function parseRole(role: string, what: string): UserRole {
  if (role === "user" || role === "admin") return role;
  throw new UsageError(`${what} is ${JSON.stringify(role)}; it takes user or admin.`);
}

const keyUsage =
  "It is: stampede key create NAME --scope sell,manage,read [--expires 90d], " +
  "stampede key list, or stampede key revoke NAME.";

const dayMs = 86_400_000;

function parseKeyCall(
  [verb, given, ...rest]: string[],
  { scope, expires }: { scope?: string | undefined; expires?: string | undefined },
): KeyCall {
  const isWhole = verb === "list" ? given === undefined : given !== undefined;
  if (!isWhole || rest.length > 0) throw new UsageError(keyUsage);
  if (verb !== "create" && (scope !== undefined || expires !== undefined)) {
    throw new UsageError("--scope and --expires belong to key create.");
  }
  if (verb === "list") return { command: "key list" };
  const read = nameOf(given ?? "");
  if ("complaint" in read) throw new UsageError(`The name ${read.complaint}.`);
  const { name } = read;
  if (verb === "revoke") return { command: "key revoke", name };
  if (verb !== "create") throw new UsageError(keyUsage);
  return { command: "key create", name, scopes: parseScopes(scope), lifeMs: parseDays(expires) };
}

function parseScopes(text: string | undefined): readonly Scope[] {
  const given = new Set((text ?? "").split(","));
  const known = scopes.filter((scope) => given.delete(scope));
  if (known.length > 0 && given.size === 0) return known;
  throw new UsageError(`--scope is ${JSON.stringify(text ?? "")}; it takes ${scopes.join(", ")}.`);
}

function parseDays(text: string | undefined): number | null {
  if (text === undefined) return null;
  const days = /^([1-9]\d{0,3})d$/.exec(text)?.[1];
  if (days !== undefined) return Number(days) * dayMs;
  throw new UsageError(`--expires is ${JSON.stringify(text)}; it takes days, such as 90d.`);
}
