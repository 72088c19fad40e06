/**
 * The program: reads the command, wires the parts, handles signals, exits.
 * Exit codes: 0 done, 1 something is wrong outside, 2 called or configured wrongly.
 */
// oxlint-disable-next-line import/no-unassigned-import -- it does its work before anything else does
import "./allocator.ts";
import { join } from "node:path";
import pino from "pino";
import { createAccount } from "./access/accounts.ts";
import { cacheAgeMaxMs } from "./access/cache.ts";
import { developPhoto } from "./art/photo-process.ts";
import { Passwords } from "./access/passwords.ts";
import { complaintOfPassword } from "./access/rules.ts";
import packageJson from "../package.json" with { type: "json" };
import { runBackup, runRestore, runRestoreAt } from "./cli/backup.ts";
import { commit } from "./cli/commit.ts";
import { KeyError, runKeyCommand, type KeyCall } from "./cli/keys.ts";
import { licensesText } from "./cli/licenses.ts";
import { LicenseError } from "./cli/notices.ts";
import {
  type AccountsCall,
  isUsageError,
  parseCall,
  UsageError,
  usage,
  versionText,
} from "./cli/command.ts";
import { doctor, settingWrong } from "./cli/doctor.ts";
import { seedDemo, SeedError } from "./cli/seed.ts";
import { ofRecords } from "./cli/records.ts";
import { CancelledError, readPassword } from "./cli/terminal.ts";
import { AccountError, runErase, runUserCommand, type UserCall } from "./cli/users.ts";
import { verify } from "./cli/verify.ts";
import { ConfigError, readConfig, type Config } from "./config.ts";
import { LedgerClock } from "./engine/clock.ts";
import { Parent } from "./fronts/parent.ts";
import {
  DatabaseError,
  databaseAt,
  errorCode,
  openPool,
  waitForDatabase,
  type Database,
} from "./postgres/client.ts";
import { EmbeddedError, startEmbedded } from "./postgres/embedded.ts";
import { fillNewFolder } from "./postgres/new-folder.ts";
import { packed } from "./postgres/packed.ts";
import { idleDocument } from "./idle.ts";
import { Program } from "./program.ts";
import { ListenError, serveAsFront, serveHere, type Stopping } from "./serve.ts";
import { BackupError, checkWhole } from "./store/backup-file.ts";
import { migrate, newestMigration } from "./store/migrations.ts";
import { openDb, type Db } from "./store/db.ts";
import { resetFactor } from "./store/second-factors.ts";
import { replacePassword, type UserRole } from "./store/users.ts";

/** How long a stop may take, beside its grace, before the process ends all the same. */
const stopMaxMs = 8_000;

/** The audit of a large journal takes its time. */
const verifyAnswerMaxMs = 6 * 3_600_000;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

type Tell = (line: string) => void;

/** Where what is printed is for a script to take. */
const tellAside: Tell = (line) => {
  process.stderr.write(`${line}\n`);
};

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
const migrationsFolder = join(import.meta.dir, packed === "source" ? "../drizzle" : "drizzle");

async function openDatabase(config: Config, tell: Tell): Promise<Database> {
  if (config.databaseUrl === undefined) {
    const { dataDir, archiving } = config;
    return await startEmbedded({ dataDir, archiving, log: tell });
  }
  return databaseAt(config.databaseUrl);
}

/** Starts what the program keeps its records in, and leaves the schema as it is. */
async function openWaiting(config: Config, tell: Tell, signal?: AbortSignal): Promise<Database> {
  const database = await openDatabase(config, tell);
  try {
    await waitForDatabase(database, tell, signal);
    return database;
  } catch (error) {
    await database.leave();
    throw error;
  }
}

/** Starts what the program keeps its records in, brought up to date. */
async function prepareDatabase(
  config: Config,
  signal?: AbortSignal,
  tell: Tell = say,
): Promise<Database> {
  const database = await openWaiting(config, tell, signal);
  try {
    if (signal?.aborted !== true) await migrate(database.connection, migrationsFolder, tell);
    return database;
  } catch (error) {
    await database.leave();
    throw error;
  }
}

function stopOnSignals(graceMs: number): Stopping {
  const stopping = new AbortController();
  const { promise: asked, resolve } = Promise.withResolvers<string>();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      resolve(name);
      stopping.abort();
      // A stop that hangs must not keep a supervisor waiting: what is committed is safe anyway.
      setTimeout(() => process.exit(1), graceMs + stopMaxMs).unref();
    });
  }
  return { signal: stopping.signal, asked };
}

async function runServe(config: Config): Promise<void> {
  const stopping = stopOnSignals(config.stopGraceMs);
  const database = await prepareDatabase(config, stopping.signal);
  if (stopping.signal.aborted) return await database.leave();
  const schema = newestMigration(migrationsFolder);
  await serveHere({ config, database, schema, stopping, say });
}

/** For the program itself: see `serve.ts`. */
async function runFront(config: Config): Promise<void> {
  const parent = Parent.connect();
  if (parent === null) throw new UsageError("The program starts its fronts by itself: set FRONTS.");
  // Without it there is nobody who would end this process.
  void parent.gone.then(() => process.exit(1));
  const stopping = stopOnSignals(config.stopGraceMs);
  const schema = newestMigration(migrationsFolder);
  await serveAsFront(parent, { config, schema, stopping });
}

async function runMigrate(config: Config): Promise<void> {
  const database = await prepareDatabase(config);
  say(`The schema is up to date in ${database.description}.`);
  await database.leave();
}

/** Prints the audit; tells whether all is well. */
async function runVerify(config: Config, saleId: number | undefined): Promise<boolean> {
  const database = await prepareDatabase(config);
  const sql = openPool(database.connection, verifyAnswerMaxMs);
  try {
    return await verify(sql, saleId, say);
  } finally {
    await sql.end({ timeout: 1 });
    await database.leave();
  }
}

/** Tells whether nothing is wrong. */
async function runDoctor(): Promise<boolean> {
  let config: Config;
  try {
    config = readConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    say(settingWrong(error.message));
    return false;
  }
  const schema = newestMigration(migrationsFolder);
  const { version } = packageJson;
  const open = (): Promise<Database> => openWaiting(config, tellAside);
  return await doctor({ config, schema, version, open, say });
}

async function runBackupTo(config: Config, file: string): Promise<void> {
  const database = await openWaiting(config, say);
  try {
    await runBackup(database.connection, file, { version: packageJson.version, say });
  } finally {
    await database.leave();
  }
}

/** Into a database that is new: nothing else is to be there, nor to be made there meanwhile. */
async function runRestoreFrom(config: Config, file: string): Promise<void> {
  const options = { folder: migrationsFolder, say };
  await checkWhole(file);
  if (config.databaseUrl === undefined) {
    const { dataDir } = config;
    await fillNewFolder({ dataDir, log: say }, ({ connection }) =>
      runRestore(connection, file, options),
    );
    return;
  }
  const { connection } = await openWaiting(config, say);
  await runRestore(connection, file, options);
}

async function runRestoreFromArchive(config: Config, at: number | null): Promise<void> {
  const { dataDir, archiving } = config;
  if (archiving === undefined) {
    throw new UsageError(
      "Set BACKUP_DIR to the folder of the archive, and leave DATABASE_URL out.",
    );
  }
  await runRestoreAt(at, { backupDir: archiving.backupDir, dataDir }, say);
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
      // The demo's administrator has no second factor, and nobody else reaches it.
      config: { ...config, host: "127.0.0.1", port: 0, stopGraceMs: 0, demandsFactor: false },
      database,
      schema: newestMigration(migrationsFolder),
      announce: (port) => ({ url: null, port }),
      pages: () => ({}),
      clock,
      log: pino({ level: "silent" }),
      version: packageJson.version,
    });
    const { port } = program.listen();
    program.start();
    const { engine, db, passwords } = program;
    try {
      await engine.settled();
      const url = `http://127.0.0.1:${port}`;
      await seedDemo({ db, passwords, url, clock: () => clock.now(), say });
    } finally {
      await program.stop();
    }
  } finally {
    await database.leave();
  }
}

/** Does something with the records, and with nothing else of the program. */
async function withRecords(
  config: Config,
  use: (db: Db, connection: Database["connection"]) => Promise<void>,
  tell: Tell = say,
): Promise<void> {
  const database = await prepareDatabase(config, undefined, tell);
  const sql = openPool(database.connection);
  try {
    await use(openDb(sql), database.connection);
  } finally {
    await sql.end({ timeout: 1 });
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
  await withRecords(config, (db) => use(db, password));
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
    say(`Changed the password of ${changed}, and ended its sessions; ${knownSoon}.`);
  });

const knownSoon = `a server that runs knows of it within ${cacheAgeMaxMs / 1000} seconds`;

const runUserResetFactor = (config: Config, name: string): Promise<void> =>
  withRecords(config, async (db) => {
    const changed = await resetFactor(db, name);
    if (changed === null) throw new AccountError(`There is no account ${name}.`);
    say(`Took away the second factor of ${changed}, and ended its sessions; ${knownSoon}.`);
  });

const runUser = (config: Config, call: UserCall): Promise<void> =>
  withRecords(config, (db) => runUserCommand(db, call, { say, knownSoon }), tellAside);

const runKey = (config: Config, call: KeyCall): Promise<void> =>
  withRecords(config, (db) => runKeyCommand(db, call, { now: Date.now(), say }), tellAside);

async function runForAccounts(call: AccountsCall): Promise<void> {
  const makes = call.command === "user create" || call.command === "key create";
  const config = makes ? readConfig() : ofRecords(readConfig());
  switch (call.command) {
    case "user create":
      return await runUserCreate(config, call.name, call.role);
    case "key create":
    case "key list":
    case "key revoke":
      return await runKey(config, call);
    case "user list":
    case "user disable":
    case "user role":
      return await runUser(config, call);
    case "user erase":
      return await withRecords(config, (db, connection) => runErase(connection, db, call, say));
    case "user password":
      return await runUserPassword(config, call.name);
    case "user reset-factor":
      return await runUserResetFactor(config, call.name);
    default:
      call satisfies never;
  }
}

async function run(args: string[]): Promise<number> {
  const call = parseCall(args);
  switch (call.command) {
    case "help":
      say(usage(packageJson.version));
      return 0;
    case "version":
      say(versionText(packageJson.version, commit()));
      return 0;
    case "openapi":
      await sayAll(JSON.stringify(idleDocument(packageJson.version, new LedgerClock()), null, 2));
      return 0;
    case "licenses":
      await sayAll(await licensesText());
      return 0;
    case "serve":
      await runServe(readConfig());
      return 0;
    case "front":
      await runFront(readConfig());
      return 0;
    case "photo":
      return await developPhoto();
    case "migrate":
      await runMigrate(readConfig());
      return 0;
    case "verify":
      return (await runVerify(ofRecords(readConfig()), call.sale)) ? 0 : 1;
    case "doctor":
      return (await runDoctor()) ? 0 : 1;
    case "backup":
      await runBackupTo(ofRecords(readConfig()), call.file);
      return 0;
    case "restore":
      await runRestoreFrom(readConfig(), call.file);
      return 0;
    case "restore at":
      await runRestoreFromArchive(readConfig(), call.at);
      return 0;
    case "seed":
      await runSeed(readConfig());
      return 0;
    default:
      await runForAccounts(call);
      return 0;
  }
}

/** What a person can mend is told in a sentence; everything else is a bug, with its stack. */
function explain(error: unknown): { readonly text: string; readonly exitCode: number } {
  if (error instanceof ConfigError) return { text: error.message, exitCode: 2 };
  if (isUsageError(error)) {
    return { text: `${error.message}\nTry stampede --help.`, exitCode: 2 };
  }
  if (
    error instanceof BackupError ||
    error instanceof DatabaseError ||
    error instanceof EmbeddedError ||
    error instanceof ListenError ||
    error instanceof SeedError ||
    error instanceof AccountError ||
    error instanceof KeyError ||
    error instanceof LicenseError
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
