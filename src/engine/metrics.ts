/**
 * The figures for Prometheus. Made when they are asked for, at most once a second, from what is
 * counted anyway: a request costs nothing here, a committed batch two observations. A database
 * that hangs does not keep the answer waiting: the sales' figures are then those of the last time.
 *
 * Of the process itself there is what the kernel knows. prom-client's own collectors ask for the
 * heap's spaces, which takes 40 to 330 ms, in which nobody buys.
 */
import { Counter, Gauge, Histogram, Registry, type Metric } from "prom-client";
import { diskReserveBytes } from "../disk.ts";
import type { Database } from "../postgres/client.ts";
import type { DiskWatch } from "./disk-watch.ts";
import type { Engine } from "./engine.ts";
import { Latencies } from "./latencies.ts";
import { LoopLag } from "./loop-lag.ts";
import type { Tracer } from "./traces.ts";

/** How long the ledger may take to come to rest between two commits. */
const readWaitMaxMs = 500;
/** How long a page is given again. */
const pageAgeMaxMs = 1_000;

const commitSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const batchRows = [1, 4, 16, 64, 128, 256, 512, 1_024, 2_048, 4_096];
const roles = ["starting", "standby", "leader"] as const;

/** What there is to know of the webhooks, on the process that delivers; nothing on others. */
export type WebhookFigures = {
  /** Endpoints that are on. */
  readonly endpoints: { readonly answering: number; readonly failing: number };
  /** Age of the oldest event that one of them has not answered, ms. */
  readonly lagMs: number;
  readonly tries: { readonly delivered: number; readonly failed: number };
};

type MetricsOptions = {
  readonly engine: Engine;
  /** How many clients listen to the events. */
  readonly streams: () => number;
  /** How many descriptors are open; null where nobody can tell. */
  readonly descriptors: () => number | null;
  /** How many there may be. */
  readonly descriptorsMax: number;
  readonly disk: DiskWatch;
  readonly webhooks: { readonly figures: WebhookFigures };
  /** Knows why the archive of the records is not kept; without it, none is kept here. */
  readonly database?: Pick<Database, "archiveTrouble">;
  /** Without it nothing is traced. */
  readonly tracer?: Tracer | null;
  readonly version: string;
  /** Which of the program's processes this is, where there are several. */
  readonly process: string | null;
};

type SaleFigures = {
  readonly labels: { readonly sale_id: string };
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
  /** Who has joined the queue and is not let in yet. */
  readonly waiting: number;
};

export class Metrics {
  /** Noted by whoever answers requests. */
  readonly latencies = new Latencies();
  readonly tracer: Tracer | null;
  readonly #options: MetricsOptions;
  readonly #registry = new Registry();
  readonly #loopLag = new LoopLag();
  #page: { readonly at: number; readonly text: Promise<string> } | null = null;
  readonly #sales: Readonly<Record<"sold" | "reserved" | "available", Gauge<"sale_id">>>;
  readonly #waiting: Gauge<"sale_id">;

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.tracer = options.tracer ?? null;
    if (options.process !== null) this.#registry.setDefaultLabels({ process: options.process });
    const units = (word: string): Gauge<"sale_id"> =>
      new Gauge({
        name: `stampede_sale_${word}_units`,
        help: `Units of a sale that are ${word}`,
        labelNames: ["sale_id"],
        registers: [this.#registry],
      });
    this.#sales = {
      sold: units("sold"),
      reserved: units("reserved"),
      available: units("available"),
    };
    this.#waiting = new Gauge({
      name: "stampede_sale_waiting",
      help: "Who has joined the queue of a sale and is not let in yet",
      labelNames: ["sale_id"],
      registers: [this.#registry],
    });
    this.#countAttempts();
    this.#watchBatches();
    this.#watchProcess();
    this.#watchWebhooks();
  }

  start(): void {
    this.#loopLag.start();
  }

  /** Resolves when the last traces are sent, or soon. */
  async stop(): Promise<void> {
    this.#loopLag.stop();
    await this.tracer?.stop();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything, in Prometheus's text format, as of at most `pageAgeMaxMs` ago. */
  text(): Promise<string> {
    const now = performance.now();
    if (this.#page === null || now - this.#page.at >= pageAgeMaxMs) {
      const text = this.#render();
      text.catch(() => (this.#page = null));
      this.#page = { at: now, text };
    }
    return this.#page.text;
  }

  async #render(): Promise<string> {
    await this.#readSales();
    return `${await this.#registry.metrics()}\n${this.latencies.text(this.#options.process)}`;
  }

  #countAttempts(): void {
    const { counters } = this.#options.engine;
    const registers: [] = [];
    this.#add(
      new Counter({
        name: "stampede_attempts_total",
        help: "Attempts committed by this process, by kind and outcome",
        labelNames: ["kind", "outcome"],
        registers,
        collect() {
          this.reset();
          for (const { kind, outcome, count } of counters.attempts()) {
            this.inc({ kind, outcome }, count);
          }
        },
      }),
    );
  }

  #watchBatches(): void {
    const registers: [] = [];
    const rows = this.#add(
      new Histogram({
        name: "stampede_batch_rows",
        help: "Attempts committed by one statement",
        buckets: batchRows,
        registers,
      }),
    );
    const duration = this.#add(
      new Histogram({
        name: "stampede_commit_duration_seconds",
        help: "From sending a batch's statement to its commit",
        buckets: commitSeconds,
        registers,
      }),
    );
    this.#options.engine.counters.onCommit = (batch) => {
      rows.observe(batch.rows);
      duration.observe(batch.seconds);
    };
  }

  #watchProcess(): void {
    const { engine, streams, version } = this.#options;
    this.#watchResources();
    this.#watchDisk();
    this.#watchArchive();
    this.#watchLink();
    this.#gauge("stampede_queue_length", "Commands that wait to be decided", () =>
      engine.role.name === "leader" ? engine.role.writer.queueLength : engine.writer.pendingCount,
    );
    this.#gauge(
      "stampede_epoch",
      "The term that this process knows of; 0 while it starts",
      () => engine.role.epoch ?? 0,
    );
    this.#gauge(
      "stampede_clock_difference_seconds",
      "How much the machine's clock is ahead of the time that sales go by",
      () => engine.clockDifferenceMs / 1000,
    );
    const { terms } = engine.counters;
    this.#add(
      new Counter({
        name: "stampede_terms_total",
        help: "Terms that this process has led",
        registers: [],
        collect() {
          this.reset();
          this.inc(terms.count);
        },
      }),
    );
    this.#gauge(
      "stampede_recovery_seconds",
      "How long the last of them took to begin",
      () => terms.lastSeconds,
    );
    this.#gauge("stampede_event_streams", "Clients that listen to the events", streams);
    const registers: [] = [];
    this.#add(
      new Gauge({
        name: "stampede_role",
        help: "1 for what this process is",
        labelNames: ["role"],
        registers,
        collect() {
          for (const role of roles) this.set({ role }, engine.role.name === role ? 1 : 0);
        },
      }),
    );
    this.#add(
      new Gauge({
        name: "stampede_build_info",
        help: "1, for the program's version",
        labelNames: ["version"],
        registers,
      }),
    ).set({ version }, 1);
  }

  /** Under the names that Prometheus's own clients use. */
  #watchResources(): void {
    const { descriptors, descriptorsMax } = this.#options;
    const registers: [] = [];
    this.#add(
      new Counter({
        name: "process_cpu_seconds_total",
        help: "Processor time that the process has taken",
        registers,
        collect() {
          const { user, system } = process.cpuUsage();
          this.reset();
          this.inc((user + system) / 1e6);
        },
      }),
    );
    const startedAt = Math.round(Date.now() / 1000 - process.uptime());
    this.#gauge("process_start_time_seconds", "Start, in s since the Unix epoch", () => startedAt);
    this.#gauge("process_resident_memory_bytes", "Resident memory", () =>
      process.memoryUsage.rss(),
    );
    this.#gauge("process_open_fds", "Open descriptors", () => descriptors() ?? Number.NaN);
    this.#gauge("process_max_fds", "Descriptors that may be open", () => descriptorsMax);
    this.#gauge(
      "stampede_loop_lag_seconds",
      "How late the thread was at worst, since this was last asked",
      () => this.#loopLag.take() / 1000,
    );
  }

  #watchWebhooks(): void {
    const { webhooks } = this.#options;
    const registers: [] = [];
    this.#add(
      new Gauge({
        name: "stampede_webhook_endpoints",
        help: "Webhooks that are on, by whether the last try was answered",
        labelNames: ["state"],
        registers,
        collect() {
          const { answering, failing } = webhooks.figures.endpoints;
          this.set({ state: "answering" }, answering);
          this.set({ state: "failing" }, failing);
        },
      }),
    );
    this.#add(
      new Counter({
        name: "stampede_webhook_tries_total",
        help: "Tries to deliver an event by this process, by what came of them",
        labelNames: ["result"],
        registers,
        collect() {
          const { delivered, failed } = webhooks.figures.tries;
          this.reset();
          this.inc({ result: "delivered" }, delivered);
          this.inc({ result: "failed" }, failed);
        },
      }),
    );
    this.#gauge(
      "stampede_webhook_lag_seconds",
      "Age of the oldest event that a webhook which is on has not answered",
      () => webhooks.figures.lagMs / 1000,
    );
  }

  /** Of a PostgreSQL elsewhere nobody here knows its disk. */
  #watchDisk(): void {
    const { disk } = this.#options;
    if (disk.freeBytes === null) return;
    this.#gauge(
      "stampede_disk_free_bytes",
      "Room on the disk of the records",
      () => disk.freeBytes ?? Number.NaN,
    );
    this.#gauge(
      "stampede_disk_reserve_bytes",
      "With less room than this there is a warning",
      () => diskReserveBytes,
    );
  }

  #watchArchive(): void {
    const { database } = this.#options;
    if (database?.archiveTrouble() === undefined) return;
    this.#gauge(
      "stampede_archive_failing",
      "1 while the archive in BACKUP_DIR is not kept, as far as this process knows",
      () => (database.archiveTrouble() === null ? 0 : 1),
    );
  }

  #watchLink(): void {
    const { engine } = this.#options;
    this.#gauge("stampede_link_connected", "1 while this process leads, or hears who does", () =>
      engine.role.name === "leader" || engine.writer.isReachable ? 1 : 0,
    );
    this.#gauge(
      "stampede_link_behind_seconds",
      "How old what is read here is; infinite while nothing can be read here",
      () => {
        const { role } = engine;
        if (role.name === "leader") return 0;
        return role.name === "standby" ? role.replica.behindMs / 1000 : Infinity;
      },
    );
  }

  /** A figure that is looked up when it is asked for. */
  #gauge(name: string, help: string, value: () => number): void {
    this.#add(
      new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(value());
        },
      }),
    );
  }

  /** Each is in this registry alone: two programs in one test do not share figures. */
  #add<M extends Metric>(metric: M): M {
    this.#registry.registerMetric(metric);
    return metric;
  }

  async #readSales(): Promise<void> {
    const { role } = this.#options.engine;
    const figures = role.name === "leader" ? await this.#figures() : [];
    if (figures === "late") return;
    for (const word of ["sold", "reserved", "available"] as const) {
      const gauge = this.#sales[word];
      gauge.reset();
      for (const sale of figures) gauge.set(sale.labels, sale[word]);
    }
    this.#waiting.reset();
    for (const { labels, waiting } of figures) this.#waiting.set(labels, waiting);
  }

  /** The figures of the sales that the ledger holds. */
  async #figures(): Promise<readonly SaleFigures[] | "late"> {
    const { engine } = this.#options;
    if (engine.role.name !== "leader") return [];
    const read = engine.role.writer.read((view) =>
      view.sales().flatMap(({ id }): SaleFigures[] => {
        const totals = view.totals(id);
        if (totals === null) return [];
        const queue = view.queue(id);
        const waiting = queue === null ? 0 : queue.joined - queue.admittedUpTo;
        return [{ labels: { sale_id: String(id) }, ...totals, waiting }];
      }),
    );
    const late = Promise.withResolvers<"late">();
    const timer = setTimeout(() => late.resolve("late"), readWaitMaxMs);
    // The term may end while this waits; who leads next has the figures.
    const ended = read.catch((): SaleFigures[] => []);
    const figures = await Promise.race([ended, late.promise]);
    clearTimeout(timer);
    return figures;
  }
}
