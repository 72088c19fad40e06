/**
 * The figures for Prometheus. Made when they are asked for, at most once a second, from what is
 * counted anyway: a request costs nothing here, a committed batch two observations. A database
 * that hangs does not keep the answer waiting: the sales' figures are then those of the last time.
 *
 * Of the process itself there is what the kernel knows. prom-client's own collectors ask for the
 * heap's spaces, which takes 40 to 330 ms, in which nobody buys.
 */
import { Counter, Gauge, Histogram, Registry, type Metric } from "prom-client";
import type { Engine } from "./engine.ts";

/** How long the ledger may take to come to rest between two commits. */
const readWaitMaxMs = 500;
/** How long a page is given again. */
const pageAgeMaxMs = 1_000;

const commitSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const batchRows = [1, 4, 16, 64, 128, 256, 512, 1_024, 2_048, 4_096];
const roles = ["starting", "standby", "leader"] as const;

type MetricsOptions = {
  readonly engine: Engine;
  /** How many clients listen to the events. */
  readonly streams: () => number;
  /** How many descriptors are open; null where nobody can tell. */
  readonly descriptors: () => number | null;
  readonly version: string;
};

type SaleFigures = {
  readonly labels: { readonly sale_id: string };
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
};

export class Metrics {
  readonly #options: MetricsOptions;
  readonly #registry = new Registry();
  #page: { readonly at: number; readonly text: Promise<string> } | null = null;
  readonly #sales: Readonly<Record<"sold" | "reserved" | "available", Gauge<"sale_id">>>;

  constructor(options: MetricsOptions) {
    this.#options = options;
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
    this.#countAttempts();
    this.#watchBatches();
    this.#watchProcess();
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
    return await this.#registry.metrics();
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
    const { engine, streams, descriptors, version } = this.#options;
    this.#watchResources(descriptors);
    this.#gauge("stampede_queue_length", "Commands that wait to be decided", () =>
      engine.role.name === "leader" ? engine.role.writer.queueLength : 0,
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
  #watchResources(descriptors: () => number | null): void {
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
  }

  /** The figures of the sales that the ledger holds. */
  async #figures(): Promise<readonly SaleFigures[] | "late"> {
    const { engine } = this.#options;
    if (engine.role.name !== "leader") return [];
    const read = engine.role.writer.read((view) =>
      view.sales().flatMap(({ id }): SaleFigures[] => {
        const totals = view.totals(id);
        return totals === null ? [] : [{ labels: { sale_id: String(id) }, ...totals }];
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
