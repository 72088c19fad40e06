/**
 * How long requests take until their answer is there, by route and by kind of answer, for Prometheus.
 *
 * A request that is timed costs a promise of its own. So where buyers come in floods one of thirty-two
 * is timed, and counted as that many; a request that is not costs an addition. The routes that are not
 * told apart by name are few groups, so that the figures stay few.
 */

/** Upper bounds, s. */
const boundsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
/** One of so many requests is timed where they come in floods; a power of two. */
export const floodedWeight = 32;

const name = "stampede_request_duration_seconds";
const head = [
  `# HELP ${name} From a request to its answer; where buyers come, one of ${floodedWeight} is timed and counted as that many`,
  `# TYPE ${name} histogram`,
];

type Series = { readonly buckets: Float64Array; seconds: number };

/** Of the requests of one route, or of one group of them. */
export class Latency {
  readonly #mask: number;
  readonly #weight: number;
  /** By the first digit of their status. */
  readonly #series = new Map<number, Series>();
  #nth = -1;

  /** @param weight how many requests one stands for that is timed; a power of two */
  constructor(weight: number) {
    this.#weight = weight;
    this.#mask = weight - 1;
  }

  /** Whether the request that comes now is to be timed: the first is. */
  isDue(): boolean {
    this.#nth = (this.#nth + 1) & this.#mask;
    return this.#nth === 0;
  }

  note(seconds: number, status: number): void {
    const kind = Math.floor(status / 100);
    let series = this.#series.get(kind);
    if (series === undefined) {
      series = { buckets: new Float64Array(boundsSeconds.length + 1), seconds: 0 };
      this.#series.set(kind, series);
    }
    const found = boundsSeconds.findIndex((bound) => seconds <= bound);
    const bucket = found === -1 ? boundsSeconds.length : found;
    series.buckets[bucket] = (series.buckets[bucket] ?? 0) + this.#weight;
    series.seconds += seconds * this.#weight;
  }

  /** @param labels what tells it from others */
  *lines(labels: string): Generator<string> {
    for (const [kind, { buckets, seconds }] of this.#series) {
      const all = `${labels},status="${kind}xx"`;
      let count = 0;
      for (const [index, inBucket] of buckets.entries()) {
        count += inBucket;
        yield `${name}_bucket{${all},le="${boundsSeconds[index] ?? "+Inf"}"} ${count}`;
      }
      yield `${name}_sum{${all}} ${seconds}`;
      yield `${name}_count{${all}} ${count}`;
    }
  }
}

export class Latencies {
  readonly #of = new Map<string, Latency>();

  /** The one of a name; those of many routes may be one. */
  of(route: string, weight = 1): Latency {
    const known = this.#of.get(route);
    if (known !== undefined) return known;
    const made = new Latency(weight);
    this.#of.set(route, made);
    return made;
  }

  /** In Prometheus's text format. @param process which of several this is; null where it is alone */
  text(process: string | null): string {
    const common = process === null ? "" : `,process="${process}"`;
    const lines = Array.from(this.#of, ([route, latency]) => [
      ...latency.lines(`route="${route}"${common}`),
    ]);
    return [...head, ...lines.flat(), ""].join("\n");
  }
}
