/** What the program was called with: its commands, their options, and the text of --help. */
import { parseArgs } from "node:util";
import { complaintOfUsername } from "../access/rules.ts";
import type { UserRole } from "../store/users.ts";

export const usage = (version: string): string => `Stampede ${version}: a flash-sale engine.

  stampede [serve]              sell: an hourly sale of 10,000 items, over HTTP
  stampede migrate              bring the database's schema up to date
  stampede verify [--sale S]    audit every sale, or one, from the records alone
  stampede seed --demo          fill the shop with a demo: products, sales, coupons, and
                                accounts with published passwords; not in production
  stampede user create NAME [--role admin]
                                make an account; asks for its password, or reads it
                                from standard input
  stampede user password NAME   give an account a new password, asked for in the same way;
                                its sessions end
  stampede openapi              print the API's document, OpenAPI 3.1
  stampede --help, --version

Without DATABASE_URL it runs a PostgreSQL of its own, in ./stampede-data.
Variables, with their defaults: PORT=8080, HOST=0.0.0.0, ADVERTISE_URL, DATABASE_URL,
STAMPEDE_DATA=./stampede-data, SALE_SCHEDULE="0 * * * *", SALE_TIMEZONE=UTC,
SALE_ITEMS=10000, SALE_UNITS_PER_ITEM=1, SALE_PER_USER_LIMIT=10,
RESERVATION_TTL_MS=120000, ATTEMPTS_RETENTION_DAYS (unset: all are kept),
COUPON_SOLD_OUT_STATUS=409, LOG_LEVEL=info, JWT_SECRET (unset: made once, and kept in
the database), TRUSTED_PROXIES (unset: none; whose X-Forwarded-For is believed).`;

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
  | { readonly command: "serve" | "migrate" | "seed" | "openapi" | "help" | "version" }
  | { readonly command: "verify"; readonly sale: number | undefined }
  | { readonly command: "user create"; readonly name: string; readonly role: UserRole }
  | { readonly command: "user password"; readonly name: string };

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
    },
  });
  if (values.help === true) return { command: "help" };
  if (values.version === true) return { command: "version" };
  const [command = "serve", ...rest] = positionals;
  if (command === "user") return parseUserCall(rest, values.role);
  if (values.role !== undefined) throw new UsageError("--role belongs to user create.");
  if (command === "seed" && values.demo !== true) {
    throw new UsageError("It is: stampede seed --demo.");
  }
  if (command !== "seed" && values.demo !== undefined) {
    throw new UsageError("--demo belongs to seed.");
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

/** A command that takes nothing more. */
const isPlain = (command: string): command is (typeof plainCommands)[number] =>
  plainCommands.some((plain) => plain === command);

const plainCommands = ["serve", "migrate", "seed", "openapi"] as const;

function parseUserCall([verb, name, ...rest]: string[], given: string | undefined): Call {
  const isKnown = verb === "create" || verb === "password";
  if (!isKnown || name === undefined || rest.length > 0) {
    throw new UsageError(
      "It is: stampede user create NAME [--role admin], or stampede user password NAME.",
    );
  }
  if (verb === "password") {
    if (given !== undefined) throw new UsageError("--role belongs to user create.");
    return { command: "user password", name };
  }
  const role = given ?? "user";
  const complaint = complaintOfUsername(name);
  if (complaint !== null) throw new UsageError(`The name ${complaint}.`);
  if (role !== "user" && role !== "admin") {
    throw new UsageError(`--role is ${JSON.stringify(role)}; it takes user or admin.`);
  }
  return { command: "user create", name, role };
}
