/**
 * Limits of all processes together: each counts by itself, and a few times a second tells the others
 * what was used up and is held through it. So a client that goes from one to the other has what one
 * would give, and at most what it gets out of another within that time.
 */
import type { SharedCounts } from "../engine/shared-counts.ts";
import type { Hoarding } from "./hoarding.ts";
import type { Rates } from "./rates.ts";
import type { StreamCounts } from "./stream-counts.ts";

/** How often it is told. */
const tellMs = 250;

export class SharedLimits {
  readonly #counts: SharedCounts;
  readonly #rates: Rates | null;
  readonly #hoarding: Hoarding;
  readonly #streams: StreamCounts;
  readonly #instance: string;
  #timer: Timer | null = null;

  constructor(
    counts: SharedCounts,
    limits: {
      /** Null: requests are not counted. */
      readonly rates: Rates | null;
      readonly hoarding: Hoarding;
      readonly streams: StreamCounts;
    },
    instance: string,
  ) {
    const { rates, hoarding, streams } = limits;
    this.#counts = counts;
    this.#rates = rates;
    this.#hoarding = hoarding;
    this.#streams = streams;
    this.#instance = instance;
    counts.listen(
      (told) => {
        rates?.useUp(told.buckets);
        hoarding.hear(told.holdings);
        if (told.streams !== undefined) streams.hear(told.streams, instance);
      },
      // At once: a client may use up all that it has before it is time to tell.
      (isShared) => {
        if (rates !== null) rates.isShared = isShared;
      },
    );
  }

  start(): void {
    this.#timer = setInterval(() => this.tell(), tellMs);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /** Tells what is new here, if anybody hears it. */
  tell(): void {
    // What was used long ago has come back, and is not told once somebody hears it.
    const buckets = this.#rates?.takeUsed() ?? [];
    // Nor are streams that were closed by then; those that are open are told again and again.
    const streams = this.#streams.takeNews(this.#instance);
    if (!this.#counts.isShared) return;
    const holdings = this.#hoarding.takeNews();
    if (buckets.length + holdings.length === 0 && streams === null) return;
    this.#counts.tell({ buckets, holdings, ...(streams === null ? {} : { streams }) });
  }
}
