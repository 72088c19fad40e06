/**
 * What a shop calls itself and looks like: what administrators have set, and what the environment says
 * of the rest. Read from the records at most once a second, while somebody looks; while they do not
 * answer it stays as it was.
 */
import type { Db } from "../store/db.ts";
import { readSettings, type Settings } from "../store/settings.ts";
import { freshMs } from "./fresh.ts";

/** What the environment says. */
type UsualAppearance = {
  readonly name: string;
  /** ISO 4217. */
  readonly currency: string;
  /** BCP 47. */
  readonly locale: string;
  /** Of the schedule. */
  readonly timeZone: string;
};

export type Look = UsualAppearance & {
  /** Digits of the currency's minor unit: how many of a price's last are behind its point. */
  readonly digits: number;
  /** As `#rrggbb`; null: the pages' own. */
  readonly accent: string | null;
  /** The digest of a picture; null: none. */
  readonly logo: string | null;
};

/** Characters of a name. */
export const nameCharactersMax = 60;

/** Whether the runtime's data have a currency. */
export const isCurrency = (code: string): boolean =>
  /^[A-Z]{3}$/.test(code) && Intl.supportedValuesOf("currency").includes(code);

/** A locale as it is written best; null where it is none, or the runtime has no data of it. */
export function localeOf(text: string): string | null {
  try {
    return Intl.NumberFormat.supportedLocalesOf(text)[0] ?? null;
  } catch {
    return null;
  }
}

const digitsOf = (currency: string): number =>
  new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions()
    .maximumFractionDigits ?? 2;

function lookOf(usual: UsualAppearance, set: Settings | null): Look {
  const currency = set?.currency ?? usual.currency;
  return {
    name: set?.name ?? usual.name,
    currency,
    locale: set?.locale ?? usual.locale,
    timeZone: usual.timeZone,
    digits: digitsOf(currency),
    accent: set?.accent ?? null,
    logo: set?.logo ?? null,
  };
}

/** Whoever asks waits so long for the records. */
const waitMaxMs = 250;

export class Appearance {
  readonly #db: Db;
  readonly usual: UsualAppearance;
  #known: Look;
  #readAt = -Infinity;
  #reading: Promise<void> | null = null;
  /** Goes up with what was set here, against what was read before. */
  #version = 0;

  /** As a configuration has it. */
  static by(
    {
      shop,
      schedule,
    }: {
      readonly shop: Omit<UsualAppearance, "timeZone">;
      readonly schedule: { readonly timeZone: string };
    },
    db: Db,
  ): Appearance {
    return new Appearance(db, { ...shop, timeZone: schedule.timeZone });
  }

  constructor(db: Db, usual: UsualAppearance) {
    this.#db = db;
    this.usual = usual;
    this.#known = lookOf(usual, null);
  }

  /** As it was when it was read last. */
  get known(): Look {
    return this.#known;
  }

  /** As it is, or was a second ago: the same object for as long as it is the same. */
  now(): Look | Promise<Look> {
    return performance.now() - this.#readAt < freshMs ? this.#known : this.#fresh();
  }

  /** What was set through this process. */
  take(set: Settings): Look {
    this.#version += 1;
    const look = lookOf(this.usual, set);
    if (!Bun.deepEquals(look, this.#known)) this.#known = look;
    return this.#known;
  }

  async #fresh(): Promise<Look> {
    this.#reading ??= this.#read().finally(() => (this.#reading = null));
    await Promise.race([this.#reading, Bun.sleep(waitMaxMs)]);
    return this.#known;
  }

  async #read(): Promise<void> {
    const version = this.#version;
    try {
      const set = await readSettings(this.#db);
      if (version === this.#version) this.take(set);
    } catch {
      // It stays as it was; whoever comes in a second asks again.
    }
    this.#readAt = performance.now();
  }
}
