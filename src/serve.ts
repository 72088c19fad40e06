/**
 * Sells, until it is told to stop: as one process that does everything, or as one that leads with
 * others beside it, the fronts, that take requests.
 *
 * With fronts the leading process takes no request itself: there is one ledger, and all of the
 * process's time is to be its own; a front can be had for each further core. When this machine only
 * stands by, its fronts ask whoever leads, as it would.
 */
import { availableParallelism } from "node:os";
import pino from "pino";
import packageJson from "../package.json" with { type: "json" };
import type { Config } from "./config.ts";
import { LedgerClock } from "./engine/clock.ts";
import type { Log } from "./engine/engine.ts";
import { frontCount, Fronts } from "./fronts/fronts.ts";
import type { Parent } from "./fronts/parent.ts";
import { canSharePort, keepPort } from "./fronts/port.ts";
import { errorCode, isAway, messageOf, type Database } from "./postgres/client.ts";
import { packed } from "./postgres/packed.ts";
import type { Appearance } from "./http/appearance.ts";
import type { Pages } from "./http/server.ts";
import { Program, type Family } from "./program.ts";
import { docsRoutes } from "./web/docs.ts";
import { pageRoutes, pages, servePage } from "./web/pages.ts";

/** It cannot listen where it is told to; the message says what to do. */
export class ListenError extends Error {}

/** How a process hears that it is to stop. */
export type Stopping = {
  readonly signal: AbortSignal;
  /** Resolves with who asks it to. */
  readonly asked: Promise<string>;
};

type Serving = {
  readonly config: Config;
  readonly database: Database;
  /** The newest migration that this program knows, as drizzle numbers it. */
  readonly schema: number;
  readonly stopping: Stopping;
  /** Prints a line for a person. */
  readonly say: (line: string) => void;
};

/** What the process is called that leads, where there are fronts beside it. */
const leadingName = "main";

/**
 * Sells until it is stopped; then the database is left.
 * @throws ListenError when it cannot listen
 */
export async function serveHere(serving: Serving): Promise<void> {
  const { config, database } = serving;
  const canHaveFronts = canSharePort();
  const count = frontCount(config.fronts, canHaveFronts ? availableParallelism() : 0);
  if (count > 0 && !canHaveFronts) {
    await database.leave();
    throw new ListenError("Processes can share a port on Linux with glibc alone. Set FRONTS to 0.");
  }
  await (count === 0 ? serveAlone(serving) : serveWithFronts(serving, count));
  await database.leave();
}

async function serveAlone(serving: Serving): Promise<void> {
  const { config, stopping } = serving;
  const log = logOf(config);
  const program = await listening(serving, async () => {
    const opened = await openProgram(serving, log);
    opened.listen();
    return opened;
  });
  program.start();
  keepArchive(serving, log);
  await Promise.race([program.engine.settled(), stopping.asked]);
  sayWhere(serving, program.port);
  log.info({ signal: await stopping.asked }, "stopping");
  await program.stop();
}

async function serveWithFronts(asked: Serving, count: number): Promise<void> {
  const { database, stopping } = asked;
  const { host, port: wanted } = asked.config;
  const kept = await listening(asked, () => keepPort(host, wanted));
  const { port } = kept;
  const serving = { ...asked, config: { ...asked.config, port } };
  const log = logOf(serving.config, leadingName);
  const program = await listening(serving, () => openProgram(serving, log, { name: leadingName }));
  const { connection, reading, description } = database;
  const fronts = new Fronts({
    count,
    command: [process.execPath, ...(packed === "source" ? [Bun.main] : []), "front"],
    start: { port, database: { connection, reading, description } },
    figures: () => program.figures(),
    graceMs: serving.config.stopGraceMs,
    log,
  });
  program.start();
  keepArchive(serving, log);
  fronts.start();
  const sells = Promise.all([program.engine.settled(), fronts.listening()]);
  await Promise.race([sells, stopping.asked]);
  sayWhere(serving, port);
  log.info({ signal: await stopping.asked }, "stopping");
  // It leads until they have answered what they were asked.
  await fronts.stop();
  await program.stop();
  kept.release();
}

const keepArchive = ({ database }: Serving, log: Log): void =>
  database.startArchive((reason) => {
    if (reason === null) log.info({}, "the archive is kept again");
    else log.warn({ reason }, "the archive in BACKUP_DIR is not kept");
  });

/** The database is the leading process's to look after. */
const untended = {
  ensure: () => Promise.resolve(),
  startArchive: () => {},
  archiveTrouble: () => undefined,
  leave: () => Promise.resolve(),
};

/** Takes requests for the process that has started this one, until it or somebody says to stop. */
export async function serveAsFront(
  parent: Parent,
  { config, schema, stopping }: Pick<Serving, "config" | "schema" | "stopping">,
): Promise<void> {
  const { name, port, database } = await parent.started;
  const log = logOf(config, name);
  const program = await openProgram(
    {
      config: { ...config, port },
      database: { ...database, ...untended },
      schema,
    },
    log,
    { name, othersFigures: () => parent.othersFigures() },
  );
  program.start();
  const stops = Promise.race([stopping.asked, parent.stops]);
  const isToStop = stops.then(() => true);
  // Whoever comes before would wait.
  if ((await Promise.race([program.engine.settled(), isToStop])) !== true) {
    program.listen();
    parent.isListening(() => program.figures());
  }
  log.info({ signal: await stops }, "stopping");
  await program.stop();
}

const openProgram = (
  { config, database, schema }: Pick<Serving, "config" | "database" | "schema">,
  log: Log,
  family?: Family,
): Promise<Program> =>
  Program.open({
    config,
    database,
    schema,
    announce: (port) => announcementOf(config, port),
    pages: pagesOf,
    ...(family === undefined ? {} : { family }),
    clock: new LedgerClock(),
    log,
    version: packageJson.version,
  });

/** @param name which of the program's processes speaks, where there are several */
const logOf = ({ logLevel }: Config, name?: string): Log =>
  pino(
    { level: logLevel, base: name === undefined ? null : { process: name } },
    pino.destination({ fd: 2, sync: true }),
  );

/** @throws ListenError */
async function listening<T>(
  { config, database }: Pick<Serving, "config" | "database">,
  start: () => Promise<T>,
): Promise<T> {
  try {
    return await start();
  } catch (error) {
    await database.leave();
    if (isAway(error) || /^\d/.test(errorCode(error))) throw error;
    if (errorCode(error) !== "EADDRINUSE") {
      throw new ListenError(`Cannot listen there (${messageOf(error)}). Correct HOST or PORT.`);
    }
    const { port, linkPort } = config;
    const isLink = error instanceof Error && "port" in error && error.port === linkPort;
    const [variable, taken] = isLink ? ["LINK_PORT", linkPort] : ["PORT", port];
    throw new ListenError(
      `Port ${taken} is in use by another program. Stop it, or set ${variable} to another one.`,
    );
  }
}

const pagesOf = (appearance: Appearance): Pages => ({
  pages: [...pageRoutes(appearance), ...docsRoutes],
  missingPage: (request) => missingPage(request, appearance),
});

const missingPage = (request: Request, { known: look }: Appearance): Response => {
  const page = pages.get("/missing");
  if (page === undefined) throw new Error("the pages have no /missing");
  return servePage(page, request, { status: 404, look });
};

const wildcards: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** A host name or address as URLs write it. */
const inUrl = (host: string): string => (host.includes(":") ? `[${host}]` : host);

/** Where other processes reach this one, as far as it can know by itself. */
function announcementOf({ advertiseUrl, host }: Config, port: number) {
  const bound = wildcards.has(host) ? null : `http://${inUrl(host)}:${port}`;
  return { url: advertiseUrl ?? bound, port };
}

function sayWhere({ config, database, stopping, say }: Serving, port: number): void {
  if (stopping.signal.aborted) return;
  // An address that can be opened: the one that stands for all of them cannot.
  const host = wildcards.has(config.host) ? "localhost" : inUrl(config.host);
  say(`Stampede ${packageJson.version} sells at http://${host}:${port}`);
  say(`Records: ${database.description}`);
  if (config.access === "open") {
    say("Open: whoever can reach it buys under any name. ACCESS=guarded closes it.");
  }
}
