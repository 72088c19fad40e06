/**
 * Warns before a hold ends, and says so when it has: in words for the bar and for screen readers, in
 * the window's title, and by a sound for who wants one. Works in a tab that is not looked at, too.
 */
import { computed, effect, signal } from "@preact/signals";
import { storage } from "../api.ts";
import { clockText, tick } from "../time.tsx";
import { endOf, ended, held, type Holding, whyEnded } from "./store.ts";

/** Seconds before its end at which a hold is warned of. */
const warnings = [30, 10] as const;

/** Never more than it holds in all: the clock is known to a second or so. */
export const secondsLeft = (one: Holding): number =>
  Math.max(0, Math.ceil(Math.min(one.ttl_ms, endOf(one) - tick.value) / 1000));

/** How near the next end is: the warning that is due, or null. */
export const nearness = computed<(typeof warnings)[number] | null>(() => {
  const [next] = held.value;
  if (next === undefined) return null;
  const left = secondsLeft(next);
  return left <= 10 ? 10 : left <= 30 ? 30 : null;
});

/** Said politely to screen readers: few words, at the moments that matter. */
export const spoken = signal("");

export function endWords(one: Holding): string {
  const { name } = one.item;
  switch (whyEnded(one)) {
    case "time":
      return `Your hold on ${name} has run out. If nobody was quicker, you can still buy it.`;
    case "sale":
      return `The sale has ended, and your hold on ${name} with it.`;
    case "bought":
      return `${name} was bought with your account, on another page or device.`;
    case "gone":
      return `${name} was given back with your account, on another page or device.`;
  }
}

export const isSounding = signal(storage.get("sound") === "on");
let audio: AudioContext | null = null;
export function toggleSound(): void {
  isSounding.value = !isSounding.value;
  storage.set("sound", isSounding.value ? "on" : null);
  if (isSounding.value) beep(1);
}

export function beep(times: number): void {
  try {
    audio ??= new AudioContext();
    void audio.resume();
    for (let i = 0; i < times; i++) {
      const [tone, loudness] = [audio.createOscillator(), audio.createGain()];
      const at = audio.currentTime + i * 0.25;
      tone.frequency.value = 880;
      loudness.gain.setValueAtTime(0.2, at);
      loudness.gain.exponentialRampToValueAtTime(0.001, at + 0.2);
      tone.connect(loudness).connect(audio.destination);
      tone.start(at);
      tone.stop(at + 0.2);
    }
  } catch {
    // Without a sound the words have to do.
  }
}

/** What the title begins with while no hold is near its end: where somebody stands in a line. */
export const standingMark = signal("");
let mark = "";
function setTitle(next: string): void {
  const { title } = document;
  const plain = mark !== "" && title.startsWith(mark) ? title.slice(mark.length) : title;
  mark = next;
  if (title !== next + plain) document.title = next + plain;
}

/** Warns until the page goes. */
export function warn(): void {
  /** By code, the last warning that was given. */
  const warned = new Map<string, number>();
  const over = new Set<string>();
  /** What had ended before this page was opened is shown, and not announced again. */
  let isFirst = true;
  effect(() => {
    for (const one of held.value) {
      const left = secondsLeft(one);
      const due = warnings.findLast((seconds) => left <= seconds);
      if (due === undefined || (warned.get(one.code) ?? Infinity) <= due) continue;
      warned.set(one.code, due);
      spoken.value = `${one.item.name}: ${left} seconds left to buy it.`;
      if (isSounding.peek()) beep(due === 10 ? 2 : 1);
    }
    for (const one of ended.value) {
      if (over.has(one.code)) continue;
      over.add(one.code);
      if (!isFirst) spoken.value = endWords(one);
    }
    isFirst = false;
  });
  let endedUnseen = 0;
  effect(() => {
    const [next] = held.value;
    const near = nearness.value;
    if (!document.hidden) endedUnseen = ended.value.length;
    if (next !== undefined && near !== null) setTitle(`⏳ ${clockText(secondsLeft(next))} · `);
    else if (ended.value.length > endedUnseen && document.hidden) setTitle("⌛ Ended · ");
    else setTitle(standingMark.value);
    // A page may have set its own title meanwhile.
    if (standingMark.value !== "") void tick.value;
  });
}
