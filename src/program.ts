/**
 * The one place where the parts of the program are joined: for `serve`, for commands that need a
 * part of it, and for the tests.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sql } from "postgres";
import type { Accounts } from "./access/accounts.ts";
import { openChallenges, type Challenges } from "./access/challenges.ts";
import { Hoarding } from "./access/hoarding.ts";
import { newSecret, openAccounts } from "./access/open.ts";
import { Passwords } from "./access/passwords.ts";
import { Rates } from "./access/rates.ts";
import { SharedLimits } from "./access/shared-limits.ts";
import type { Config } from "./config.ts";
import { figuresOfAll } from "./fronts/figures.ts";
import type { LedgerClock } from "./engine/clock.ts";
import { DiskWatch } from "./engine/disk-watch.ts";
import { Engine, systemTimers, type Log, type Timers } from "./engine/engine.ts";
import { Metrics } from "./engine/metrics.ts";
import { Nodes, type NodesOptions } from "./engine/nodes.ts";
import { Tracer } from "./engine/traces.ts";
import { Appearance } from "./http/appearance.ts";
import { Connections, placesFor } from "./http/connections.ts";
import { openDescriptors } from "./http/descriptors.ts";
import { Gate } from "./http/gate.ts";
import { Reads } from "./http/reads.ts";
import { Events, type EventBounds } from "./http/sale/events.ts";
import { serve, type Pages } from "./http/server.ts";
import { apiRoutes } from "./http/table.ts";
import { openPools, type Database } from "./postgres/client.ts";
import { packed } from "./postgres/packed.ts";
import { poll } from "./postgres/poll.ts";
import { addressText, hostsOf } from "./link/address.ts";
import type { Link } from "./link/line.ts";
import { SocketLink } from "./link/socket-link.ts";
import { Catalogue } from "./sales/catalogue.ts";
import { Draws, randomSeed, type NewSeed } from "./sales/draws.ts";
import { ProductSaleChanges } from "./sales/product-sale-changes.ts";
import { TermSales, type SaleEngine } from "./sales/selling.ts";
import { databaseRecords } from "./store/database-records.ts";
import { openDb, type Db } from "./store/db.ts";
import type { Announcement, Records } from "./store/records.ts";
import { loadSales } from "./store/sales.ts";
import { keepSecret } from "./store/secrets.ts";
import { openWebhooks, type Webhooks } from "./webhooks/webhooks.ts";

type Server = ReturnType<typeof serve>;

/** Has this program make a picture anew, in another process. */
const ownPhotoCommand = [process.execPath, ...(packed === "source" ? [Bun.main] : []), "photo"];

type SaleSettings = Pick<Config, "schedule" | "hourlySale">;

/** What sells: an engine over records, and the catalogues of what it sells. */
export function sellingParts(
  records: Records,
  settings: SaleSettings,
  process: {
    readonly ensure: () => Promise<void>;
    readonly announce: () => Announcement;
    readonly instance: string;
    readonly link: Link;
    readonly neverLeads?: boolean;
    /** Reads sales for whoever asks; without it as everything else is read. */
    readonly loadAsked?: Records["loadSales"];
    /** Without it nobody can ask which processes there are. */
    readonly nodes?: Nodes;
    readonly clock: LedgerClock;
    readonly timers: Timers;
    readonly log: Log;
    readonly newSeed?: NewSeed;
  },
): { readonly engine: SaleEngine; readonly catalogue: Catalogue; readonly draws: Draws } {
  const { clock, nodes = null, newSeed = randomSeed } = process;
  const { schedule, hourlySale: terms } = settings;
  const load: Records["loadSales"] = (ids) => records.loadSales(ids);
  const catalogue = new Catalogue(load, () => clock.now(), process.loadAsked);
  const draws = new Draws({ ...process, records });
  const engine: SaleEngine = new Engine({
    ...process,
    records,
    shown: catalogue,
    draws,
    open: (opening, now) =>
      TermSales.open(opening, now, { records, catalogue, schedule, terms, nodes, newSeed }),
    close: () => catalogue.holdOnly(new Set()),
  });
  return { engine, catalogue, draws };
}

type Parts = {
  readonly engine: SaleEngine;
  readonly catalogue: Catalogue;
  readonly draws: Draws;
  readonly challenges: Challenges | null;
  readonly productSales: ProductSaleChanges;
  readonly accounts: Accounts;
  readonly webhooks: Webhooks;
  /** Both for reading alone. */
  readonly sql: Sql;
  readonly db: Db;
  /** For what handlers change by themselves. */
  readonly changingDb: Db;
  readonly lastingSql: Sql;
  /** ms since the Unix epoch */
  readonly clock: () => number;
  readonly version: string;
  readonly family: Family | null;
  /** Of all processes that are linked. */
  readonly secret: string;
  readonly instance: string;
  readonly disk: DiskWatch;
  readonly photoCommand: readonly string[];
  readonly appearance: Appearance;
  /** Without it no archive is kept here. */
  readonly database?: Pick<Database, "archiveTrouble">;
  readonly tracer?: Tracer | null;
};

/** One of several processes that are one program on this machine. */
export type Family = {
  readonly name: string;
  /**
   * Set for one that takes requests, on a port that it shares with the others of its kind, and never
   * leads: where it has the figures of all others from.
   */
  readonly othersFigures?: () => Promise<readonly string[]>;
};

type ServedSettings = Pick<
  Config,
  "schedule" | "hourlySale" | "couponSoldOutStatus" | "access" | "rates" | "corsOrigins"
>;

/** Everything that is served to programs. */
export function servedParts(
  parts: Parts,
  settings: ServedSettings,
  connections: Connections,
  eventBounds: Partial<EventBounds> = {},
) {
  const { engine, catalogue, clock, accounts, family, secret } = parts;
  const { clients } = accounts;
  const { schedule, couponSoldOutStatus, access, corsOrigins } = settings;
  const hoarding = new Hoarding(settings.hourlySale);
  const rates = settings.rates === null ? null : new Rates(settings.rates, secret);
  const { counts } = engine.writer;
  const limited = { rates, hoarding, streams: connections.streams };
  const limits = new SharedLimits(counts, limited, parts.instance);
  const gate = new Gate({ accounts, clients, rates, corsOrigins });
  const places = placesFor(connections, clients);
  const { streamsMax, descriptorsMax } = connections;
  const events = new Events(engine, catalogue, clock, { streamsMax, ...eventBounds }, places);
  const reads = new Reads({
    here: () => engine.writer.askedCount,
    anywhere: () => engine.writer.heardSeq,
  });
  const streams = (): number => events.streamCount;
  const process = family?.name ?? null;
  const descriptors = openDescriptors;
  const metrics = new Metrics({ ...parts, streams, descriptors, descriptorsMax, process });
  const others = family?.othersFigures;
  const context = {
    ...parts,
    process,
    schedule,
    couponSoldOutStatus,
    reservationTtlMs: settings.hourlySale.reservationTtlMs,
    access,
    gate,
    hoarding,
    reads,
    events,
    metrics: { contentType: metrics.contentType, text: () => figuresOfAll(metrics, others) },
  };
  return { events, metrics, limits, routes: apiRoutes(context), gate, reads };
}

/** Whoever has connected is taken within so long. */
const takenMaxMs = 150;
/** How long a program that stops waits for what was asked; longer than anything waits for a leader. */
const answerMaxMs = 4_000;

type ProgramOptions = {
  readonly config: Config;
  readonly database: Database;
  /** The newest migration that this program knows, as drizzle numbers it. */
  readonly schema: number;
  /** Where it is reached, given the port on which it listens. */
  readonly announce: (port: number) => Pick<Announcement, "url" | "port">;
  /** For people; without it there are no pages. */
  readonly pages: (appearance: Appearance) => Pages;
  /** Without it, this process is the program. */
  readonly family?: Family;
  /** What makes a picture anew, where this process was not started as the program. */
  readonly photoCommand?: readonly string[];
  /** Of the streams of events, in place of the usual ones. */
  readonly eventBounds?: Partial<EventBounds>;
  readonly clock: LedgerClock;
  readonly log: Log;
  readonly version: string;
};

const isFront = ({ family }: ProgramOptions): boolean => family?.othersFigures !== undefined;

/** The disk of the records, where they are on this machine. */
function diskOf(options: ProgramOptions): DiskWatch {
  const { config, log } = options;
  const folder = config.databaseUrl === undefined ? config.dataDir : null;
  const disk = new DiskWatch({ folder, log });
  // One process of a machine says it in the log.
  if (!isFront(options)) disk.start();
  return disk;
}

/** The processes that there are, this one among them. */
function nodesOf(options: ProgramOptions, instance: string, program: () => Program): Nodes {
  const { config, clock, version, family, announce } = options;
  const url = (): string => {
    const { port } = program();
    return announce(port).url ?? `http://${hostsOf(config)[0] ?? ""}:${port}`;
  };
  const load = (): ReturnType<NodesOptions["load"]> => {
    const { events, requestCount } = program();
    return { streams: events.streamCount, requests: requestCount };
  };
  const process = family?.name ?? null;
  const own = { instance, process, version, isFront: isFront(options) };
  return new Nodes({ ...own, url, load, clock: () => clock.now() });
}

/** @throws the system's error when it cannot listen there */
function serveParts(
  options: ProgramOptions,
  parts: Omit<Parameters<typeof serve>[0], "host" | "port" | "isShared" | "log">,
): Server {
  const { host, port } = options.config;
  return serve({ ...parts, host, port, isShared: isFront(options), log: options.log });
}

/** A program that sells once it is started, and takes requests once it listens. */
export class Program {
  readonly engine: SaleEngine;
  readonly sql: Sql;
  readonly db: Db;
  readonly passwords: Passwords;
  readonly events: Events;
  readonly #metrics: Metrics;
  readonly #limits: SharedLimits;
  readonly #pools: readonly Sql[];
  readonly #connections: Connections;
  readonly #link: SocketLink;
  readonly #nodes: Nodes;
  readonly #webhooks: Webhooks;
  readonly #graceMs: number;
  readonly #serve: () => Server;
  readonly #port: number;
  #server: Server | null = null;

  private constructor(
    parts: Pick<Program, "engine" | "sql" | "db" | "passwords" | "events"> & {
      readonly metrics: Metrics;
      readonly limits: SharedLimits;
      readonly pools: readonly Sql[];
      readonly connections: Connections;
      readonly link: SocketLink;
      readonly nodes: Nodes;
      readonly webhooks: Webhooks;
      readonly graceMs: number;
    },
    serveHere: () => Server,
    port: number,
  ) {
    this.engine = parts.engine;
    this.sql = parts.sql;
    this.db = parts.db;
    this.passwords = parts.passwords;
    this.events = parts.events;
    this.#metrics = parts.metrics;
    this.#limits = parts.limits;
    this.#pools = parts.pools;
    this.#connections = parts.connections;
    this.#link = parts.link;
    this.#nodes = parts.nodes;
    this.#webhooks = parts.webhooks;
    this.#graceMs = parts.graceMs;
    this.#serve = serveHere;
    this.#port = port;
  }

  static async open(options: ProgramOptions): Promise<Program> {
    const { config, database, schema, clock, log, version } = options;
    const { family = null, photoCommand = ownPhotoCommand } = options;
    const { connection } = database;
    const { retentionMs, exportDir } = config;
    const opened = openPools(database);
    const { sql, asking, lookingUp, reading, lastingSql } = opened;
    const pools = Object.values(opened);
    const db = openDb(asking);
    const onSilence = (reason: Error): void => pools.forEach((pool) => pool.drop(reason));
    const stored = { connection, sql, lookingUp, schema, retentionMs, exportDir, onSilence };
    const records = databaseRecords(stored);
    const instance = crypto.randomUUID();
    const unix = join(tmpdir(), `stampede-${instance}.sock`);
    const secret = await keepSecret(db, "link", newSecret());
    const link = new SocketLink({
      secret,
      instance,
      schema,
      listen: isFront(options) ? null : { unix, host: config.host, port: config.linkPort },
      onEnd: (reason) => log.info({ reason }, "the line of another process is closed"),
    });
    const nodes = nodesOf(options, instance, () => program);
    const { engine, catalogue, draws } = sellingParts(records, config, {
      ensure: () => database.ensure(),
      announce: () => ({
        ...options.announce(program.port),
        instance,
        link: addressText({ unix, hosts: hostsOf(config), port: link.port }),
      }),
      instance,
      link,
      neverLeads: isFront(options),
      loadAsked: (ids) => loadSales(reading, ids),
      nodes,
      clock,
      timers: systemTimers,
      log,
    });
    const [now, passwords] = [(): number => clock.now(), new Passwords()];
    const accounts = await openAccounts({ ...config, db, passwords, log, clock: now });
    const productSales = new ProductSaleChanges(engine.writer, catalogue);
    const read = { sql: reading, db: openDb(reading), changingDb: db, disk: diskOf(options) };
    const challenges = await openChallenges(config, db, now);
    const sold = { engine, catalogue, draws, challenges, productSales };
    const appearance = Appearance.by(config, read.db);
    const told = { clock: now, version, family, secret, instance, photoCommand, appearance };
    const tracer = config.tracing && new Tracer(config.tracing, log);
    const changing = { changingSql: sql, mayBePrivate: config.webhookPrivate, log };
    const webhooks = await openWebhooks({ engine, ...read, ...told, ...changing });
    const parts = { ...sold, accounts, webhooks, ...read, ...told, tracer, database, lastingSql };
    const connections = new Connections();
    const { events, ...served } = servedParts(parts, config, connections, options.eventBounds);
    const serveHere = (): Server => {
      const shown = { ...served, ...options.pages(appearance) };
      const server = serveParts(options, { ...shown, isDeparting: () => engine.isDeparting });
      connections.watch(server, log);
      return server;
    };
    const ends = { pools, connections, link, nodes, webhooks, graceMs: config.stopGraceMs };
    const made = { engine, sql, db, passwords, events, ...served, ...ends };
    const program = new Program(made, serveHere, config.port);
    return program;
  }

  /** Where it takes requests, or others for it. */
  get port(): number {
    return this.#server?.port ?? this.#port;
  }

  /** Under way. */
  get requestCount(): number {
    return this.#server?.pendingRequests ?? 0;
  }

  /** The figures of this process. */
  figures(): Promise<string> {
    return this.#metrics.text();
  }

  /**
   * Takes requests from now on.
   * @throws the system's error when it cannot listen there
   */
  listen(): Server {
    this.#server = this.#serve();
    return this.#server;
  }

  start(): void {
    this.engine.start();
    this.#nodes.start(this.engine);
    this.#webhooks.start();
    this.events.start();
    this.#limits.start();
    this.#metrics.start();
  }

  /**
   * Has somebody else lead, goes on answering for a while, and ends when what was asked is answered;
   * the database goes on.
   */
  async stop(): Promise<void> {
    await this.engine.depart();
    const server = this.#server;
    if (server !== null) {
      await Bun.sleep(this.#graceMs);
      this.#connections.takeNobody();
      await Bun.sleep(takenMaxMs);
      void server.stop();
      this.events.stop();
      // Those who listened go on elsewhere, where they count from now on.
      this.#limits.tell();
      const isAnswered = (): true | undefined => server.pendingRequests === 0 || undefined;
      await poll({ everyMs: 10, waitMaxMs: answerMaxMs }, isAnswered);
    }
    this.#limits.stop();
    await this.#metrics.stop();
    this.#nodes.stop();
    await this.#webhooks.stop();
    await this.engine.stop();
    this.#connections.stop();
    await server?.stop(true);
    this.#link.stop();
    await Promise.all(this.#pools.map((pool) => pool.end({ timeout: 1 })));
  }
}
