/**
 * The program: reads the command, wires the parts, handles signals, exits.
 * Exit codes: 0 done, 1 something is wrong outside, 2 called or configured wrongly.
 */
import { join } from "node:path";
import pino from "pino";
import { createAccount } from "./access/accounts.ts";
import { cacheAgeMaxMs } from "./access/cache.ts";
import { Passwords } from "./access/passwords.ts";
import { complaintOfPassword } from "./access/rules.ts";
import packageJson from "../package.json" with { type: "json" };
import { KeyError, runKeyCommand, type KeyCall } from "./cli/keys.ts";
import { isUsageError, parseCall, UsageError, usage } from "./cli/command.ts";
import { seedDemo, SeedError } from "./cli/seed.ts";
import { CancelledError, readPassword } from "./cli/terminal.ts";
import { verify } from "./cli/verify.ts";
import { ConfigError, readConfig, type Config } from "./config.ts";
import { LedgerClock } from "./engine/clock.ts";
import {
  DatabaseError,
  errorCode,
  isAway,
  messageOf,
  openPool,
  waitForDatabase,
  type Database,
} from "./postgres/client.ts";
import { EmbeddedError, startEmbedded } from "./postgres/embedded.ts";
import { packed } from "./postgres/packed.ts";
import { idleDocument, Program } from "./program.ts";
import { migrate, newestMigration } from "./store/migrations.ts";
import type { Announcement } from "./store/records.ts";
import { openDb, type Db } from "./store/db.ts";
import { replacePassword, type UserRole } from "./store/users.ts";
import { docsRoutes } from "./web/docs.ts";
import { pageRoutes, pages, servePage } from "./web/pages.ts";

/** How long a stop may take before the process ends all the same. */
const stopMaxMs = 8_000;

class ListenError extends Error {}

/** The account is there already, or is not there. */
class AccountError extends Error {}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

type Tell = (line: string) => void;

/** More than a pipe takes at once: what `say` writes the exit would cut off. */
async function sayAll(text: string): Promise<void> {
  try {
    await Bun.write(Bun.stdout, `${text}\n`);
  } catch (error) {
    // Whoever reads has had enough.
    if (errorCode(error) !== "EPIPE") throw error;
  }
}

/** In the executable the migrations lie beside the program. */
const migrationsFolder = join(import.meta.dir, packed === undefined ? "../drizzle" : "drizzle");

async function openDatabase(config: Config, tell: Tell): Promise<Database> {
  if (config.databaseUrl === undefined) {
    return await startEmbedded({ dataDir: config.dataDir, log: tell });
  }
  const { hostname, port, pathname } = new URL(config.databaseUrl);
  return {
    connection: { url: config.databaseUrl },
    description: `PostgreSQL at ${hostname}:${port || 5432}${pathname}`,
    ensure: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    leave: () => Promise.resolve(),
  };
}

/** Starts what the program keeps its records in, brought up to date. */
async function prepareDatabase(
  config: Config,
  signal?: AbortSignal,
  tell: Tell = say,
): Promise<Database> {
  const database = await openDatabase(config, tell);
  try {
    await waitForDatabase(database, tell, signal);
    if (signal?.aborted !== true) await migrate(database.connection, migrationsFolder, tell);
    return database;
  } catch (error) {
    await database.leave();
    throw error;
  }
}

/** `asked` resolves with the first signal that asks the program to stop. */
function stopOnSignals(): { readonly signal: AbortSignal; readonly asked: Promise<string> } {
  const stopping = new AbortController();
  const { promise: asked, resolve } = Promise.withResolvers<string>();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      resolve(name);
      stopping.abort();
      // A stop that hangs must not keep a supervisor waiting: what is committed is safe anyway.
      setTimeout(() => process.exit(1), stopMaxMs).unref();
    });
  }
  return { signal: stopping.signal, asked };
}

async function runServe(config: Config): Promise<void> {
  const log = pino({ level: config.logLevel, base: null }, pino.destination({ fd: 2, sync: true }));
  const stopping = stopOnSignals();
  const database = await prepareDatabase(config, stopping.signal);
  if (stopping.signal.aborted) return await database.stop();
  const program = await listen(database, config.port, () =>
    Program.open({
      config,
      database,
      schema: newestMigration(migrationsFolder),
      announce: (port) => announcementOf(config, port),
      pages: [...pageRoutes, ...docsRoutes],
      missingPage,
      clock: new LedgerClock(),
      log,
      version: packageJson.version,
    }),
  );
  program.start();
  await Promise.race([program.engine.settled(), stopping.asked]);
  if (!stopping.signal.aborted) {
    const { hostname, port } = program.server;
    say(`Stampede ${packageJson.version} sells at ${addressOf(hostname, port)}`);
    say(`Records: ${database.description}`);
    if (config.access === "open") {
      say("Open: whoever can reach it buys under any name. ACCESS=guarded closes it.");
    }
  }

  log.info({ signal: await stopping.asked }, "stopping");
  await program.stop();
  await database.stop();
}

async function listen<T>(database: Database, port: number, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    await database.leave();
    if (isAway(error) || /^\d/.test(errorCode(error))) throw error;
    const taken = errorCode(error) === "EADDRINUSE";
    throw new ListenError(
      taken
        ? `Port ${port} is in use by another program. Stop it, or set PORT to another one.`
        : `Cannot listen there (${messageOf(error)}). Correct HOST or PORT.`,
    );
  }
}

const missingPage = (request: Request): Response => {
  const page = pages.get("/missing");
  if (page === undefined) throw new Error("the pages have no /missing");
  return servePage(page, request, 404);
};

const wildcards: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** A host name or address as URLs write it. */
const inUrl = (host: string): string => (host.includes(":") ? `[${host}]` : host);

/** Where other processes reach this one, as far as it can know by itself. */
function announcementOf({ advertiseUrl, host }: Config, port: number): Announcement {
  const bound = wildcards.has(host) ? null : `http://${inUrl(host)}:${port}`;
  return { url: advertiseUrl ?? bound, port };
}

/** An address that can be opened: the one that stands for all of them cannot. */
function addressOf(hostname: string | undefined, port: number | undefined): string {
  const everywhere = hostname === undefined || wildcards.has(hostname);
  return `http://${everywhere ? "localhost" : inUrl(hostname)}:${port}`;
}

async function runMigrate(config: Config): Promise<void> {
  const database = await prepareDatabase(config);
  say(`The schema is up to date in ${database.description}.`);
  await database.leave();
}

/** Prints the audit; tells whether all is well. */
async function runVerify(config: Config, saleId: number | undefined): Promise<boolean> {
  const database = await prepareDatabase(config);
  const sql = openPool(database.connection);
  try {
    return await verify(sql, saleId, say);
  } finally {
    await sql.end({ timeout: 1 });
    await database.leave();
  }
}

/** Serves itself for a moment: as the leader, or passing on to the one that there is. */
async function runSeed(config: Config): Promise<void> {
  if (config.isProduction) {
    throw new SeedError("NODE_ENV is production; the demo's passwords are known to everybody.");
  }
  const database = await prepareDatabase(config);
  const clock = new LedgerClock();
  try {
    const program = await Program.open({
      config: { ...config, host: "127.0.0.1", port: 0 },
      database,
      schema: newestMigration(migrationsFolder),
      announce: (port) => ({ url: null, port }),
      pages: [],
      clock,
      log: pino({ level: "silent" }),
      version: packageJson.version,
    });
    program.start();
    const { engine, db, passwords, server } = program;
    try {
      await engine.settled();
      const url = `http://127.0.0.1:${server.port}`;
      await seedDemo({ db, passwords, url, clock: () => clock.now(), say });
    } finally {
      await program.stop();
    }
  } finally {
    await database.leave();
  }
}

/** Does something with a password that is asked for. */
async function withPassword(
  config: Config,
  name: string,
  use: (db: Db, password: string) => Promise<void>,
): Promise<void> {
  const password = await readPassword(name);
  if (password === null) throw new UsageError("The two passwords are not the same.");
  const complaint = complaintOfPassword(password);
  if (complaint !== null) throw new UsageError(`The password ${complaint}.`);
  const database = await prepareDatabase(config);
  const sql = openPool(database.connection);
  try {
    await use(openDb(sql), password);
  } finally {
    await sql.end({ timeout: 1 });
    await database.leave();
  }
}

const runUserCreate = (config: Config, name: string, role: UserRole): Promise<void> =>
  withPassword(config, name, async (db, password) => {
    const account = await createAccount(db, new Passwords(), { username: name, password, role });
    if (account === null) throw new AccountError(`There is an account ${name} already.`);
    say(`Made the account ${account.username}, role ${account.role}.`);
  });

const runUserPassword = (config: Config, name: string): Promise<void> =>
  withPassword(config, name, async (db, password) => {
    const changed = await replacePassword(db, name, await new Passwords().hash(password));
    if (changed === null) throw new AccountError(`There is no account ${name}.`);
    const seconds = cacheAgeMaxMs / 1000;
    say(
      `Changed the password of ${changed}, and ended its sessions; a server that runs ` +
        `knows of it within ${seconds} seconds.`,
    );
  });

async function runKey(config: Config, call: KeyCall): Promise<void> {
  // What is printed is the key, for a script to take.
  const database = await prepareDatabase(config, undefined, (line) => {
    process.stderr.write(`${line}\n`);
  });
  const sql = openPool(database.connection);
  try {
    await runKeyCommand(openDb(sql), call, { now: Date.now(), say });
  } finally {
    await sql.end({ timeout: 1 });
    await database.leave();
  }
}

async function run(args: string[]): Promise<number> {
  const call = parseCall(args);
  switch (call.command) {
    case "help":
      say(usage(packageJson.version));
      return 0;
    case "version":
      say(packageJson.version);
      return 0;
    case "openapi":
      await sayAll(JSON.stringify(idleDocument(packageJson.version, new LedgerClock()), null, 2));
      return 0;
    case "serve":
      await runServe(readConfig());
      return 0;
    case "migrate":
      await runMigrate(readConfig());
      return 0;
    case "verify":
      return (await runVerify(readConfig(), call.sale)) ? 0 : 1;
    case "seed":
      await runSeed(readConfig());
      return 0;
    case "user create":
      await runUserCreate(readConfig(), call.name, call.role);
      return 0;
    case "key create":
    case "key list":
    case "key revoke":
      await runKey(readConfig(), call);
      return 0;
    case "user password":
      await runUserPassword(readConfig(), call.name);
      return 0;
    default:
      return call satisfies never;
  }
}

/** What a person can mend is told in a sentence; everything else is a bug, with its stack. */
function explain(error: unknown): { readonly text: string; readonly exitCode: number } {
  if (error instanceof ConfigError) return { text: error.message, exitCode: 2 };
  if (isUsageError(error)) {
    return { text: `${error.message}\nTry stampede --help.`, exitCode: 2 };
  }
  if (
    error instanceof DatabaseError ||
    error instanceof EmbeddedError ||
    error instanceof ListenError ||
    error instanceof SeedError ||
    error instanceof AccountError ||
    error instanceof KeyError
  ) {
    return { text: error.message, exitCode: 1 };
  }
  if (error instanceof CancelledError) return { text: "nothing was done.", exitCode: 1 };
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { text, exitCode: 1 };
}

try {
  process.exit(await run(process.argv.slice(2)));
} catch (error) {
  const { text, exitCode } = explain(error);
  process.stderr.write(`stampede: ${text}\n`);
  process.exit(exitCode);
}
