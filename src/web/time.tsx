/**
 * The server's clock in the page, and what shows it: countdown, ring, moments.
 *
 * The visitor's own clock has no say: it may be an hour off, or be set while the page is open. Time
 * runs here by the browser's steady clock, from what answers say of the server's: the one that leaves
 * the least doubt is believed, until another contradicts it. A machine that slept is found out by its
 * two clocks having gone apart, and the server is asked again. Until the first answer the visitor's
 * clock has to do, and nothing is forgotten by it (`isTimeKnown`).
 */
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { house } from "./house.ts";

/** The steady clock: what `setServerTime` takes as the times of sending and receiving. */
export const steadyNow = (): number => performance.now();

let ahead = Date.now() - steadyNow();
let doubtMs = Infinity;

/** Whether an answer has told the server's time. */
export const isTimeKnown = signal(false);

/**
 * @param coarseMs how much later it may have been than was said: the Date header leaves out what is
 * less than a second
 */
export function setServerTime(
  told: string | number,
  sentAt: number,
  receivedAt: number,
  coarseMs = 0,
): void {
  const at = typeof told === "string" ? Date.parse(told) : told;
  if (Number.isNaN(at)) return;
  const found = at + coarseMs / 2 - (sentAt + receivedAt) / 2;
  const doubt = (receivedAt - sentAt + coarseMs) / 2;
  const contradicts = Math.abs(found - ahead) > doubt + doubtMs;
  if (doubt > doubtMs && !contradicts) return;
  ahead = found;
  doubtMs = doubt;
  tick.value = serverNow();
  isTimeKnown.value = true;
}

export const serverNow = (): number => steadyNow() + ahead;

/** The server's time, four times a second, less often while the page is hidden. Read it to be drawn again. */
export const tick = signal(Date.now());

/** Two clocks that have gone apart by more: one was set, or the machine slept. */
const apartMsMax = 2_000;
let apart = Date.now() - steadyNow();
let askTime: (() => void) | null = null;
/** Told when the server has to be asked for the time again. */
export function onDoubt(ask: () => void): void {
  askTime = ask;
}

setInterval(() => {
  const now = Date.now() - steadyNow();
  if (Math.abs(now - apart) > apartMsMax) {
    apart = now;
    doubtMs = Infinity;
    askTime?.();
  }
  tick.value = serverNow();
}, 250);
document.addEventListener("visibilitychange", () => (tick.value = serverNow()));

const two = (n: number): string => String(Math.floor(n)).padStart(2, "0");

const hoursMax = 100;

/** 3:07, 59:59, 1:00:00; days where hours would be too many to read. */
export function clockText(seconds: number): string {
  if (seconds >= hoursMax * 3600) return `${Math.floor(seconds / 86_400)} d`;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds / 60) % 60)];
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`;
}

/** A length of time as people say it: "an hour", "90 minutes", "2 days". */
export function spanText(seconds: number): string {
  const units = [
    [86_400, "a day", "days"],
    [3_600, "an hour", "hours"],
    [60, "a minute", "minutes"],
    [1, "a second", "seconds"],
  ] as const;
  const whole = Math.max(1, Math.round(seconds));
  const [size, one, many] = units.find(([unit]) => whole % unit === 0) ?? units[3];
  return whole === size ? one : `${whole / size} ${many}`;
}

export const secondsUntil = (time: number): number =>
  Math.max(0, Math.ceil((time - tick.value) / 1000));

const day = { year: "numeric", month: "short", day: "numeric" } as const;
const clock = { hour: "numeric", minute: "2-digit" } as const;
const second = { second: "2-digit" } as const;
const zone = { timeZoneName: "short" } as const;
const sentence = "en";
/** How moments are written: as figures in the shop's language, and as parts of sentences. */
const forms = {
  day: new Intl.DateTimeFormat(house.locale, { ...day, ...clock }),
  zoned: new Intl.DateTimeFormat(house.locale, { ...day, ...clock, ...zone }),
  exact: new Intl.DateTimeFormat(house.locale, { ...day, ...clock, ...second, ...zone }),
  hour: new Intl.DateTimeFormat(sentence, clock),
  second: new Intl.DateTimeFormat(sentence, { ...clock, ...second }),
  week: new Intl.DateTimeFormat(sentence, { weekday: "long", ...clock }),
  far: new Intl.DateTimeFormat(sentence, { dateStyle: "long", timeStyle: "short" }),
} as const;

/** A moment in the visitor's own zone. @param at RFC 3339 or epoch milliseconds */
export const momentText = (at: string | number, form: keyof typeof forms = "day"): string =>
  forms[form].format(new Date(at));

/** The zone of the shop's schedule, where the visitor's is another one. */
const shopZone = forms.hour.resolvedOptions().timeZone === house.zone ? null : house.zone;
const inShop = { timeZone: house.zone };
const shopForms = (locale: string) => ({
  hour: new Intl.DateTimeFormat(locale, { ...clock, ...inShop }),
  week: new Intl.DateTimeFormat(locale, { weekday: "short", ...clock, ...inShop }),
});
const shopFigures = shopForms(house.locale);
const shopWords = shopForms(sentence);
const date = { dateStyle: "short" } as const;
const [ownDate, shopDate] = [date, { ...date, ...inShop }].map(
  (options) => new Intl.DateTimeFormat(sentence, options),
);
/** A moment in the shop's zone, with its day where that is another one; null where the zones are one. */
export function shopTimeText(at: string | number, of = shopFigures): string | null {
  if (shopZone === null) return null;
  const moment = new Date(at);
  const isSameDay = ownDate?.format(moment) === shopDate?.format(moment);
  return `${(isSameDay ? of.hour : of.week).format(moment)} in ${shopZone}`;
}
/** To be read beside when a sale opens and closes: where somebody has chosen a zone, which UTC need not be. */
const saleTimeText = (at: string | number, of = shopFigures): string | null =>
  house.zone === "UTC" ? null : shopTimeText(at, of);

/** When a sale comes: "at 3:00 PM", with the day where it is another one, and by the shop's zone. */
export function whenText(at: string | number): string {
  const [then, now] = [new Date(at), new Date(serverNow())];
  const isFar = then.getTime() - now.getTime() > 6 * 86_400_000;
  const isToday = then.toDateString() === now.toDateString();
  const own = isToday
    ? `at ${momentText(at, "hour")}`
    : `on ${momentText(at, isFar ? "far" : "week")}`;
  const there = saleTimeText(at, shopWords);
  return there === null ? own : `${own} (${there})`;
}

/** A moment in the visitor's own time zone; the shop's is told when it is pointed at. */
export const Moment = ({
  at,
  form = "day",
}: {
  readonly at: string;
  readonly form?: "day" | "zoned" | "exact" | "hour" | "second";
}) => (
  <time dateTime={at} title={shopTimeText(at) ?? undefined}>
    {momentText(at, form)}
  </time>
);

/** When a sale opens or closes: in the shop's zone, too. */
export function SaleMoment({
  at,
  form = "day",
}: {
  readonly at: string;
  readonly form?: "day" | "zoned" | "hour";
}) {
  const there = saleTimeText(at);
  const own = <Moment at={at} form={form} />;
  return there === null ? (
    own
  ) : (
    <span>
      {own} ({there})
    </span>
  );
}

/** The visitor's time zone as people call it, and how far it is from UTC now: "Asia/Kathmandu, GMT+5:45". */
export const zoneText = (): string => {
  const { timeZone } = forms.hour.resolvedOptions();
  const offset = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset" })
    .formatToParts(new Date())
    .find(({ type }) => type === "timeZoneName")?.value;
  return timeZone === "UTC" || offset === undefined ? timeZone : `${timeZone}, ${offset}`;
};

/** Minutes and seconds until `to`, as large figures. Screen readers are told the moment instead. */
export function Countdown({
  to,
  label,
}: {
  /** RFC 3339 or epoch milliseconds; null while unknown: the place is kept. */
  readonly to: string | number | null;
  readonly label: ComponentChildren;
}) {
  const at = typeof to === "string" ? Date.parse(to) : to;
  const seconds = at === null ? null : secondsUntil(at);
  const figures = seconds === null ? "--:--" : clockText(seconds);
  // Days are no clock, and have no figure to keep a place for.
  const text = figures.includes(":") ? figures.padStart(5, "0") : figures;
  return (
    <div
      class="countdown"
      data-near={seconds !== null && seconds <= 60 ? "" : undefined}
      data-long={text.length > 5 ? "" : undefined}
    >
      <p class="countdown-label">{label}</p>
      <p class="countdown-figures" role="timer" aria-live="off">
        <span aria-hidden="true">
          {Array.from(text, (figure, i) => (
            <span key={text.length - i} class={figure === ":" ? "colon" : "figure"}>
              {figure}
            </span>
          ))}
        </span>
        <span class="sr">{seconds === null ? "unknown" : clockText(seconds)}</span>
      </p>
    </div>
  );
}

/** How much is left of `totalMs` until `to`, as a ring with the seconds in it. */
export function Ring({ to, totalMs }: { readonly to: string; readonly totalMs: number }) {
  const left = Math.max(0, Math.min(totalMs, Date.parse(to) - tick.value));
  const share = Math.min(1, totalMs > 0 ? left / totalMs : 0);
  const seconds = Math.ceil(left / 1000);
  return (
    <span
      class="ring"
      role="img"
      aria-label={seconds > 0 ? `${clockText(seconds)} left` : "Run out"}
      data-near={seconds <= 30 ? "" : undefined}
      data-long={clockText(seconds).length > 4 ? "" : undefined}
    >
      <svg viewBox="0 0 44 44" aria-hidden="true">
        <circle class="ring-track" cx="22" cy="22" r="19" />
        <circle
          class="ring-left"
          cx="22"
          cy="22"
          r="19"
          pathLength="100"
          stroke-dasharray={`${share * 100} 100`}
        />
      </svg>
      <span aria-hidden="true">{clockText(seconds)}</span>
    </span>
  );
}
