/**
 * Spans of requests for OpenTelemetry, sent as OTLP over HTTP, in JSON
 * (https://opentelemetry.io/docs/specs/otlp/#otlphttp-request). Without a collector there is no
 * tracer, and nothing of this runs.
 *
 * A request that comes with a sampled `traceparent` is traced, one with another is not, and of the
 * rest a share is. Spans are kept in a bounded queue and sent every few seconds, and what is left when the
 * program stops for the last time, of which the stop waits for no longer than a second; what does not fit,
 * or cannot be delivered, is dropped: a trace is no record. Nothing of who asks, and no code, is in one.
 */
import { messageOf } from "../postgres/client.ts";
import type { Log } from "./engine.ts";

/** Spans that wait to be sent; more are dropped. */
export const spansMax = 2_048;
const sendEveryMs = 5_000;
const sendWaitMaxMs = 10_000;
/** Of a stop. */
const lastWaitMaxMs = 1_000;

type Tracing = {
  /** Of the collector; `/v1/traces` is added to it. */
  readonly endpoint: string;
  /** Of the requests that come without a trace, from 0 to 1. */
  readonly share: number;
  /** Of the program. */
  readonly version: string;
};

type Span = Readonly<Record<string, unknown>>;

const server = 2;
const failed = 2;

/** As W3C's Trace Context writes it: version, trace, parent, flags. */
const traceparent = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/;

const attribute = (key: string, value: string | number) => ({
  key,
  value: typeof value === "string" ? { stringValue: value } : { intValue: String(value) },
});

const idOf = (bytes: number): string =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex");

export class Tracer {
  readonly #tracing: Tracing;
  readonly #resource: object;
  readonly #log: Log;
  #spans: Span[] = [];
  #timer: Timer | null = null;
  #isFailing = false;
  #sending: Promise<void> = Promise.resolve();

  constructor(tracing: Tracing, log: Log) {
    this.#tracing = tracing;
    this.#log = log;
    const attributes = [
      attribute("service.name", "stampede"),
      attribute("service.version", tracing.version),
      attribute("process.pid", process.pid),
    ];
    this.#resource = { attributes };
  }

  /**
   * Begins the span of a request.
   * @param parent the request's `traceparent`; null without one
   * @returns to be told the status of the answer; null when the request is not traced
   */
  begin(method: string, route: string, parent: string | null): ((status: number) => void) | null {
    const [, traceId = idOf(16), parentSpanId, flags] = traceparent.exec(parent ?? "") ?? [];
    const isSampled =
      flags === undefined
        ? Math.random() < this.#tracing.share
        : (Number.parseInt(flags, 16) & 1) === 1;
    if (!isSampled) return null;
    const [startedAt, begin] = [Date.now(), performance.now()];
    return (status) => {
      const took = BigInt(Math.round((performance.now() - begin) * 1e6));
      const startNanoseconds = BigInt(startedAt) * 1_000_000n;
      this.#keep({
        traceId,
        spanId: idOf(8),
        ...(parentSpanId === undefined ? {} : { parentSpanId }),
        name: `${method} ${route}`,
        kind: server,
        startTimeUnixNano: String(startNanoseconds),
        endTimeUnixNano: String(startNanoseconds + took),
        attributes: [
          attribute("http.request.method", method),
          attribute("http.route", route),
          attribute("http.response.status_code", status),
        ],
        status: status >= 500 ? { code: failed } : {},
      });
    };
  }

  #keep(span: Span): void {
    if (this.#spans.length < spansMax) this.#spans.push(span);
    this.#timer ??= setTimeout(() => void this.flush(), sendEveryMs);
    this.#timer.unref();
  }

  /** Sends what waits, after what is being sent. */
  flush(): Promise<void> {
    this.#sending = this.#sending.then(() => this.#send());
    return this.#sending;
  }

  /** The same, for the last time; resolves also where the collector does not answer soon. */
  async stop(): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, lastWaitMaxMs);
    await Promise.race([this.flush(), late.promise]);
    clearTimeout(timer);
  }

  async #send(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const spans = this.#spans;
    this.#spans = [];
    if (spans.length === 0) return;
    const scopeSpans = [{ scope: { name: "stampede" }, spans }];
    const body = JSON.stringify({ resourceSpans: [{ resource: this.#resource, scopeSpans }] });
    try {
      const answer = await fetch(`${this.#tracing.endpoint}/v1/traces`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body,
        signal: AbortSignal.timeout(sendWaitMaxMs),
      });
      if (!answer.ok) throw new Error(`the collector answered ${answer.status}`);
      await answer.body?.cancel();
      this.#isFailing = false;
    } catch (error) {
      // Once, and not with every batch.
      if (!this.#isFailing) this.#log.warn({ reason: messageOf(error) }, "traces are not taken");
      this.#isFailing = true;
    }
  }
}
