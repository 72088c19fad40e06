/** What a shop calls itself and looks like, as far as somebody has set it: one row, for all processes. */
import { eq, sql } from "drizzle-orm";
import type { Actor } from "../ledger/commands.ts";
import { noted } from "./activity.ts";
import type { Db } from "./db.ts";
import { releasePictures, storePicture, type StoredPicture } from "./pictures.ts";
import { settings } from "./schema.ts";

/** Null: as the environment has it, or none. */
export type Settings = {
  readonly name: string | null;
  /** ISO 4217. */
  readonly currency: string | null;
  /** BCP 47. */
  readonly locale: string | null;
  /** As `#rrggbb`. */
  readonly accent: string | null;
  /** What `findPicture` has. */
  readonly logo: string | null;
};

const unset: Settings = { name: null, currency: null, locale: null, accent: null, logo: null };

const columns = {
  name: settings.name,
  currency: settings.currency,
  locale: settings.locale,
  accent: settings.accent,
  logo: settings.logo,
};

export async function readSettings(db: Db): Promise<Settings> {
  const [row = unset] = await db.select(columns).from(settings);
  return row;
}

type SettingsChange = { readonly [F in keyof Omit<Settings, "logo">]?: Settings[F] };

/** Sets what `change` has; the rest stays. */
export async function changeSettings(db: Db, change: SettingsChange, by: Actor): Promise<Settings> {
  return await noted(db, by, async (tx) => {
    const before = await locked(tx);
    const after = await written(tx, change);
    return [after, noteOf(before, after)];
  });
}

/** @param picture null: none */
export async function setLogo(db: Db, picture: StoredPicture | null, by: Actor): Promise<Settings> {
  return await noted(db, by, async (tx) => {
    const before = await locked(tx);
    await storePicture(tx, picture);
    const after = await written(tx, { logo: picture?.digest ?? null });
    await releasePictures(tx);
    return [after, noteOf(before, after)];
  });
}

/** As they are, and as nobody else changes them until the transaction has ended. */
async function locked(tx: Db): Promise<Settings> {
  await tx.insert(settings).values({ id: 1 }).onConflictDoNothing();
  const [row = unset] = await tx.select(columns).from(settings).for("update");
  return row;
}

async function written(tx: Db, change: Partial<Settings>): Promise<Settings> {
  if (Object.keys(change).length === 0) return await readSettings(tx);
  const [row = unset] = await tx
    .update(settings)
    .set(change)
    .where(eq(settings.id, sql`1`))
    .returning(columns);
  return row;
}

/** What differs; null where nothing does. */
function noteOf(before: Settings, after: Settings) {
  const names = Object.keys(unset) as (keyof Settings)[];
  const changed = names.filter((name) => before[name] !== after[name]);
  if (changed.length === 0) return null;
  const of = (all: Settings): object =>
    Object.fromEntries(changed.map((name) => [name, all[name]]));
  return { what: "settings.changed", before: of(before), after: of(after) };
}
