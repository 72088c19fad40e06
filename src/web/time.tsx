/**
 * The server's clock in the page, and what shows it: countdown and ring.
 *
 * The offset is taken from answers that carry the server's time; of several the one with the shortest
 * round trip is believed. Until there is one, the visitor's own clock has to do.
 */
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

let ahead = 0;
let trustMs = Infinity;

/** `sentAt` and `receivedAt` by the visitor's clock: the server's moment lies between them. */
export function setServerTime(serverTime: string, sentAt: number, receivedAt: number): void {
  const roundTrip = receivedAt - sentAt;
  if (roundTrip > trustMs * 2) return;
  trustMs = Math.max(1, Math.min(trustMs * 2, roundTrip));
  ahead = Date.parse(serverTime) - (sentAt + receivedAt) / 2;
  tick.value = serverNow();
}

export const serverNow = (): number => Date.now() + ahead;

/** The server's time, four times a second while the page is shown. Read it to be drawn again. */
export const tick = signal(Date.now());
setInterval(() => {
  if (!document.hidden) tick.value = serverNow();
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

export const secondsUntil = (time: number): number =>
  Math.max(0, Math.ceil((time - tick.value) / 1000));

const dayTime = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const hourTime = new Intl.DateTimeFormat("en", { timeStyle: "short" });
/** A moment in the visitor's own time zone. */
export const Moment = ({
  at,
  short = false,
}: {
  readonly at: string;
  readonly short?: boolean;
}) => <time dateTime={at}>{(short ? hourTime : dayTime).format(new Date(at))}</time>;

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
  const text = seconds === null ? "--:--" : clockText(seconds).padStart(5, "0");
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
  const left = Math.max(0, Date.parse(to) - tick.value);
  const share = Math.min(1, totalMs > 0 ? left / totalMs : 0);
  const seconds = Math.ceil(left / 1000);
  return (
    <span
      class="ring"
      role="img"
      aria-label={seconds > 0 ? `${clockText(seconds)} left` : "Run out"}
      data-near={seconds <= 15 ? "" : undefined}
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
