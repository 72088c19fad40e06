/**
 * The live figures, asked for once a second while they are looked at, and what they were since the
 * page opened, for the curves.
 */
import { signal } from "@preact/signals";
import { get } from "../api.ts";
import { setServerTime, steadyNow } from "../time.tsx";

export type StatsSale = {
  readonly id: number;
  readonly title: string;
  readonly kind: string;
  readonly status: "upcoming" | "open" | "closed";
  readonly starts_at: string;
  readonly ends_at: string;
  readonly stock: number;
  readonly sold: number;
  readonly reserved: number;
  readonly available: number;
};
export type Stats = {
  readonly now: string;
  readonly role: string;
  readonly epoch: number;
  readonly attempts: {
    readonly total: number;
    readonly per_second: {
      readonly last_1s: number;
      readonly last_10s: number;
      readonly last_60s: number;
    };
    readonly by_outcome: Readonly<Record<string, number>>;
  };
  readonly waiting: number;
  readonly database: { readonly state: "up" | "down"; readonly latency_ms: number | null };
  readonly sales: readonly StatsSale[];
  readonly reservations: {
    readonly live: number;
    readonly expiring_within_ms: number;
    readonly expiring: number;
    readonly next: readonly {
      readonly sale_id: number;
      readonly item_id: number;
      readonly user_id: string;
      readonly expires_at: string;
    }[];
  };
  readonly memory_bytes: number;
};

type Sample = {
  /** Seconds since the Unix epoch, by the server. */
  readonly at: number;
  readonly rate: number;
  readonly rate10: number;
  /** By sale: sold, and sold or reserved, in units. */
  readonly sales: ReadonlyMap<number, readonly [sold: number, taken: number]>;
};

const everyMs = 1_000;
const samplesMax = 600;
/** Without an answer for so long, what is shown is called old. */
export const oldMs = 5_000;

export const stats = signal<Stats | null>(null);
export const failure = signal<unknown>(null);
export const samples = signal<readonly Sample[]>([]);
let timer: ReturnType<typeof setInterval> | undefined;
let asking = false;

async function ask(): Promise<void> {
  if (asking || document.hidden) return;
  asking = true;
  const sentAt = steadyNow();
  try {
    const found = await get<Stats>("/api/admin/stats");
    setServerTime(found.now, sentAt, steadyNow());
    stats.value = found;
    failure.value = null;
    const { last_1s: rate, last_10s: rate10 } = found.attempts.per_second;
    const sales = found.sales.map(
      (sale) => [sale.id, [sale.sold, sale.sold + sale.reserved]] as const,
    );
    const sample = { at: Date.parse(found.now) / 1000, rate, rate10, sales: new Map(sales) };
    samples.value = [...samples.peek().slice(1 - samplesMax), sample];
  } catch (error) {
    failure.value = error;
  } finally {
    asking = false;
  }
}

export function watch(isWatched: boolean): void {
  clearInterval(timer);
  if (!isWatched) return;
  void ask();
  timer = setInterval(() => void ask(), everyMs);
}

type Curve = {
  readonly starts_at: string;
  readonly points: readonly { readonly at: string; readonly sold: number }[];
};
/** How a sale sold before the page began to watch it; times in seconds since the Unix epoch. */
export type Past = readonly { readonly at: number; readonly sold: number }[];

/** From nothing at the opening to the last purchase on record. */
export async function askPast(saleId: number): Promise<Past> {
  const { starts_at, points } = await get<Curve>(`/api/admin/sales/${saleId}/curve`);
  const told = points.map(({ at, sold }) => ({ at: Date.parse(at) / 1000, sold }));
  return [{ at: Date.parse(starts_at) / 1000, sold: 0 }, ...told];
}

export const askAgain = (): void => void ask();
