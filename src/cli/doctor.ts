/**
 * `stampede doctor`: looks at a set-up, and says of everything that is wrong what to do about it.
 *
 * It may run beside a server that sells: of the embedded PostgreSQL it uses the one that runs, and
 * nothing is migrated, made or changed. A finding is `ok`; a `note` of what somebody should know, and
 * may have meant so; or `WRONG`, of which one is enough for exit 1.
 */
import { existsSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import type { Sql } from "postgres";
import { Jwks, shownPlace } from "../access/jwks.ts";
import { Passwords } from "../access/passwords.ts";
import type { Config } from "../config.ts";
import { frontCount } from "../fronts/fronts.ts";
import { raiseDescriptors } from "../http/descriptors.ts";
import { messageOf, openPool, type Database } from "../postgres/client.ts";
import { inspect } from "../postgres/inspect.ts";
import { openDb } from "../store/db.ts";
import { appliedMigration } from "../store/migrations.ts";
import { readSetup, type Setup } from "../store/setup.ts";
import { archiveFinding } from "./doctor-archive.ts";
import { serverFindings } from "./doctor-server.ts";
import { fine, note, wrong, type Finding } from "./finding.ts";
import { diskFindings, kernelClock } from "./machine.ts";
import { hasDatabase } from "./records.ts";
import { demoLogins } from "./seed.ts";

type Patient = {
  readonly config: Config;
  /** The newest migration that this program knows. */
  readonly schema: number;
  readonly version: string;
  readonly open: () => Promise<Database>;
  readonly say: (line: string) => void;
};

/** @returns whether nothing is wrong */
export async function doctor(patient: Patient): Promise<boolean> {
  const { config, say } = patient;
  const findings: Finding[] = [
    fine("program", `Stampede ${patient.version}, ${process.platform}-${process.arch}`),
    ...settingsFindings(config),
    ...(await jwksFindings(config)),
    descriptors(),
    kernelClock(),
    ...(config.databaseUrl === undefined ? folderFindings(resolve(config.dataDir)) : []),
    ...(await recordsFindings(patient)),
  ];
  for (const line of linesOf(findings)) say(line);
  const count = findings.filter(({ verdict }) => verdict === "WRONG").length;
  say("");
  say(count === 0 ? "Nothing is wrong." : `${count} WRONG.`);
  return count === 0;
}

/** A setting that does not parse, as a finding. */
export const settingWrong = (message: string): string =>
  [...linesOf([wrong("settings", message, "correct it; stampede --help lists them")])].join("\n");

function* linesOf(findings: readonly Finding[]): Iterable<string> {
  const width = Math.max(...findings.map(({ what }) => what.length));
  for (const { verdict, what, found, todo } of findings) {
    yield `${verdict.padEnd(5)}  ${what.padEnd(width)}  ${found}`;
    if (todo !== undefined) yield `${" ".repeat(width + 9)}→ ${todo}`;
  }
}

/** Fewer different characters than a secret of that many random bytes has. */
const distinctCharactersMin = 10;
/** Documentation's own, which no proxy has. */
const anybody = "203.0.113.1";

function settingsFindings(config: Config): Finding[] {
  const { access, jwtSecret, userTokenSecret, userTokenJwks, trustedProxies, rates } = config;
  const isOpen = access === "open";
  const canProve = userTokenSecret !== undefined || userTokenJwks !== undefined;
  const guarded = `guarded: accounts, keys${canProve ? " and user tokens" : ""} buy`;
  const findings = [
    isOpen
      ? note("ACCESS", "open: whoever reaches it buys under any name", "set ACCESS=guarded")
      : fine("ACCESS", guarded),
    trustedProxies.check(anybody)
      ? wrong(
          "TRUSTED_PROXIES",
          "everybody: who asks can say that they are anybody else, past every limit",
          "name the addresses of your own proxies alone",
        )
      : fine("TRUSTED_PROXIES", trustedProxies.rules.length === 0 ? "none" : "named"),
    rates === null
      ? note("RATE_LIMITS", "off: one client may take all that there is", "set RATE_LIMITS=on")
      : fine("RATE_LIMITS", "on"),
  ];
  if (config.demandsFactor) findings.push(fine("ADMIN_SECOND_FACTOR", "demanded"));
  return [
    ...findings,
    ...secretFindings({ JWT_SECRET: jwtSecret, USER_TOKEN_SECRET: userTokenSecret }),
  ];
}

function secretFindings(secrets: Readonly<Record<string, string | undefined>>): Finding[] {
  const given = Object.entries(secrets).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value }],
  );
  const isShared = new Set(given.map(({ value }) => value)).size < given.length;
  return given.map(({ name, value }) => {
    if (new Set(value).size < distinctCharactersMin) {
      return wrong(name, "can be guessed", "take 32 random bytes: openssl rand -base64 32");
    }
    return isShared
      ? wrong(name, "is the same as another secret", "take one of its own: openssl rand -base64 32")
      : fine(name, "set");
  });
}

async function jwksFindings({ userTokenJwks: where }: Config): Promise<Finding[]> {
  if (where === undefined) return [];
  const name = "USER_TOKEN_JWKS";
  try {
    const count = await new Jwks(where).read();
    if (count > 0) return [fine(name, `${shownPlace(where)}, keys: ${count}`)];
    return [
      wrong(
        name,
        `${shownPlace(where)} has no key`,
        "put the public half of what you sign with there",
      ),
    ];
  } catch (error) {
    return [wrong(name, messageOf(error), "correct it: customers with new tokens are refused")];
  }
}

/** What a few thousand connections and streams take; below the second, buyers get in the way. */
const descriptorsWanted = 8_192;
const descriptorsMin = 1_024;

function descriptors(): Finding {
  const count = raiseDescriptors();
  if (count === null) return note("descriptors", "unknown here", "see that ulimit -n is large");
  const todo = "raise the hard limit: LimitNOFILE=65536 in systemd, ulimits in compose";
  if (count < descriptorsMin) return wrong("descriptors", `${count} at most`, todo);
  if (count < descriptorsWanted) return note("descriptors", `${count} at most`, todo);
  return fine("descriptors", `${count} at most`);
}

/** The folder of the embedded PostgreSQL, whether or not it runs. */
function folderFindings(dataDir: string): Finding[] {
  if (!existsSync(dataDir)) {
    // Asked in another folder than the server's, it would find all well.
    const todo = "where it has run before: STAMPEDE_DATA=FOLDER stampede doctor";
    return [note("STAMPEDE_DATA", `${dataDir} is not there yet; the first start makes it`, todo)];
  }
  const password = join(dataDir, "password");
  const isReadable = existsSync(password) && (statSync(password).mode & 0o077) !== 0;
  return [
    isReadable
      ? wrong("STAMPEDE_DATA", `${password} can be read by others`, `chmod 600 ${password}`)
      : fine("STAMPEDE_DATA", dataDir),
    ...diskFindings(dataDir),
  ];
}

async function recordsFindings(patient: Patient): Promise<Finding[]> {
  const { config, open } = patient;
  if (!hasDatabase(config)) return [fine("PostgreSQL", "none yet; the first start makes it")];
  let database: Database;
  try {
    database = await open();
  } catch (error) {
    return [wrong("PostgreSQL", messageOf(error), "mend that, and ask again")];
  }
  const sql = openPool(database.connection);
  try {
    const isEmbedded = config.databaseUrl === undefined;
    const processes = 1 + frontCount(config.fronts, availableParallelism());
    const inspection = await inspect(sql);
    const { description } = database;
    return [
      fine("PostgreSQL", `${description}, version ${inspection.settings.server_version}`),
      ...serverFindings(inspection, { isEmbedded, processes }),
      ...archiveFindings(config, inspection.archivingFails),
      ...(await schemaFindings(patient, sql)),
    ];
  } catch (error) {
    return [wrong("PostgreSQL", messageOf(error), "mend that, and ask again")];
  } finally {
    await sql.end({ timeout: 1 });
    await database.leave();
  }
}

const archiveFindings = ({ archiving, dataDir }: Config, fails: boolean): Finding[] =>
  archiving === undefined ? [] : [archiveFinding({ ...archiving, dataDir, fails })];

async function schemaFindings({ config, schema }: Patient, sql: Sql): Promise<Finding[]> {
  const applied = await appliedMigration(sql);
  if (applied === 0) return [fine("schema", "none yet; the first start makes it")];
  if (applied > schema) {
    return [
      wrong("schema", "of a newer Stampede than this one", "run that version, or a later one"),
    ];
  }
  if (applied < schema) {
    const todo = "stampede migrate, or start it; back up first: stampede backup FILE";
    return [note("schema", "of an earlier Stampede; a start brings it up to date", todo)];
  }
  const db = openDb(sql);
  const [setup, demo] = [await readSetup(db), await demoLogins({ db, passwords: new Passwords() })];
  const open = demo.filter(({ isOpen }) => isOpen).map(({ username }) => username);
  const todo = "stampede user password NAME, or stampede user disable NAME";
  const found = `the demo's password, which everybody knows, opens ${open.join(", ")}`;
  const judge = config.isProduction || config.access === "guarded" ? wrong : note;
  return [
    fine("schema", "up to date"),
    ...setupFindings(setup, config.demandsFactor),
    ...(open.length === 0 ? [] : [judge("accounts", found, todo)]),
  ];
}

/** Attempts may be ahead of the clock by what the ledger's time runs beside it. */
const aheadMaxMs = 1_000;

function setupFindings(setup: Setup, demandsFactor: boolean): Finding[] {
  const { administrators, withoutFactor, keys, leader, lastAttemptAt } = setup;
  const findings: Finding[] = [];
  if (administrators === 0) {
    const todo = "make one: stampede user create NAME --role admin";
    findings.push(note("administrators", "none", todo));
  } else if (withoutFactor > 0 && !demandsFactor) {
    const found = `${administrators}, ${withoutFactor} of them with a password alone`;
    findings.push(note("administrators", found, "set ADMIN_SECOND_FACTOR=demanded"));
  } else findings.push(fine("administrators", String(administrators)));
  findings.push(fine("API keys", String(keys)));
  if (leader !== null) findings.push(fine("leader", `term ${leader.epoch}, last at ${leader.url}`));
  const aheadMs = (lastAttemptAt ?? 0) - Date.now();
  if (aheadMs > aheadMaxMs) {
    const found = `the last attempt was made ${Math.round(aheadMs / 1000)} s from now`;
    findings.push(wrong("time", found, "set this machine's clock, and keep it by NTP"));
  }
  return findings;
}
