/**
 * The stream of events of the open sale.
 *
 * The browser reconnects by itself and names the last event it saw; where it gives up (the server
 * answered with an error), this does it, ever more slowly. Every event has a number: `onGap` is called
 * when some are missing, for then what is kept here of items is old.
 */
import { signal } from "@preact/signals";

type SaleNews = {
  readonly sale: {
    readonly id: number;
    readonly title: string;
    readonly starts_at: string;
    readonly ends_at: string;
    readonly stock: number;
  } | null;
};
export type StockNews = {
  readonly sale_id: number;
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
  /** Items that changed: number, units available. */
  readonly items: readonly (readonly [id: number, available: number])[];
};
/** Of a queue, what has changed: whoever waits knows their place from it. */
export type QueueNews = {
  readonly sale_id: number;
  readonly state: "gathering" | "admitting" | "closed";
  readonly joined: number;
  readonly admitted_up_to: number;
  readonly admit_per_second: number;
  readonly paused: boolean;
};
type Listener = {
  readonly onSale?: (news: SaleNews) => void;
  readonly onStock?: (news: StockNews) => void;
  readonly onGap?: () => void;
};

/** `idle` on pages that do not listen. */
export const line = signal<"idle" | "connecting" | "live" | "lost">("idle");

const queueHearers = new Set<(news: QueueNews) => void>();
/** Hears of queues, by whichever stream the page has, until the page goes. */
export function hearQueues(hear: (news: QueueNews) => void): void {
  queueHearers.add(hear);
}

const reconnectMs = 1_000;
const reconnectMsMax = 20_000;

/** Listens until the page goes. Calls nothing after `stop`. */
export function listen(listener: Listener): { readonly stop: () => void } {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let last: { series: string; number: number } | null = null;

  /** Made anew by us, a stream begins with the figures as they are, under the last event's number. */
  let anew = false;

  /** Notes an event's id; tells of events between it and the last one. */
  function note(id: string): void {
    const [, series = "", number = ""] = id.split("-");
    const seen = { series, number: Number(number) };
    const known = last === null ? seen.number : last.number + (anew ? 0 : 1);
    const missing = last !== null && (last.series !== series || seen.number > known);
    last = seen;
    anew = false;
    if (missing) listener.onGap?.();
  }

  function open(): void {
    if (line.value !== "live") line.value = line.value === "lost" ? "lost" : "connecting";
    const opened = new EventSource("/events");
    const on = <T>(name: string, use: (news: T) => void) =>
      opened.addEventListener(name, (event: MessageEvent<string>) => {
        note(event.lastEventId);
        use(JSON.parse(event.data) as T);
      });
    opened.addEventListener("open", () => {
      failures = 0;
      line.value = "live";
    });
    opened.addEventListener("error", () => {
      line.value = "lost";
      if (opened.readyState !== EventSource.CLOSED) return;
      failures += 1;
      const wait = Math.min(reconnectMsMax, reconnectMs * 2 ** (failures - 1));
      timer = setTimeout(open, wait * (0.75 + Math.random() * 0.5));
    });
    on<SaleNews>("sale", (news) => listener.onSale?.(news));
    on<StockNews>("stock", (news) => listener.onStock?.(news));
    on<QueueNews>("queue", (news) => queueHearers.forEach((hear) => hear(news)));
    anew = true;
    source = opened;
  }

  open();
  const stop = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
  // A page in the back/forward cache would keep its stream; it comes back with a new one.
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event: PageTransitionEvent) => {
    if (event.persisted && source === null) open();
  });
  return { stop };
}
