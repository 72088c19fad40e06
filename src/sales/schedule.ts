/**
 * When hourly sales open. A sale lasts until the next one opens, so the schedule alone says
 * which sale belongs to a moment; nobody has to have been awake when it opened.
 */

export type Schedule = {
  /** Five fields, as in crontab. */
  readonly cron: string;
  /** IANA name. */
  readonly timeZone: string;
};

/** From `startsAt` up to, but not including, `endsAt`; ms. */
export type Window = { readonly startsAt: number; readonly endsAt: number };

const lookBackMinMs = 60_000;
/** Longer than the longest gap of any expression: eight years between two 29 Februaries. */
const lookBackMaxMs = 9 * 366 * 86_400_000;

/** The parser is asked from this much earlier on: see `nextOpening`. */
const clockChangeMs = 2 * 3_600_000;

/**
 * The first opening after `now` (ms), or null when the expression never fires or is none.
 * Bun's parser moves a time that a clock change skips to another one, but only when it is
 * asked from well before the change; so it always is.
 */
export function nextOpening({ cron, timeZone }: Schedule, now: number): number | null {
  try {
    for (let from = now - clockChangeMs; ;) {
      const opening = Bun.cron.parse(cron, from, { tz: timeZone })?.getTime();
      if (opening === undefined) return null;
      if (opening > now) return opening;
      from = opening;
    }
  } catch {
    return null;
  }
}

/** The window that `now` (ms) falls in; null before the first opening ever. */
export function windowAt(schedule: Schedule, now: number): Window | null {
  const endsAt = nextOpening(schedule, now);
  if (endsAt === null) return null;
  for (let back = lookBackMinMs; back <= lookBackMaxMs; back *= 2) {
    // The parser gives openings after a moment, so `now` itself is reached from 1 ms before.
    let opening = nextOpening(schedule, now - back);
    if (opening === null || opening > now) continue;
    for (;;) {
      const following = nextOpening(schedule, opening);
      if (following === null || following > now) return { startsAt: opening, endsAt };
      opening = following;
    }
  }
  return null;
}

/** The window that a moment falls in, and the one after it; null where there is none. */
type Windows = { readonly present: Window | null; readonly next: Window | null };

/** The windows of a schedule, found once for each: that takes a millisecond. */
export class Calendar {
  readonly #schedule: Schedule;
  #found: Windows | null = null;

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  /** @param now ms */
  at(now: number): Windows {
    const known = this.#found?.present;
    if (this.#found === null || !known || now < known.startsAt || now >= known.endsAt) {
      this.#found = {
        present: windowAt(this.#schedule, now),
        next: windowAfter(this.#schedule, now),
      };
    }
    return this.#found;
  }
}

/** The window after the one that `now` falls in. */
export function windowAfter(schedule: Schedule, now: number): Window | null {
  const startsAt = nextOpening(schedule, now);
  const endsAt = startsAt === null ? null : nextOpening(schedule, startsAt);
  return startsAt === null || endsAt === null ? null : { startsAt, endsAt };
}
