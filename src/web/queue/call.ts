/**
 * Tells who waits where they stand without their looking at the page: the window's title, the tab's
 * icon, a few words for screen readers at the moments that matter, and, for who wants them, a sound
 * and a notification when it is their turn.
 */
import { house } from "../house.ts";
import { effect, signal } from "@preact/signals";
import { beep, isSounding, standingMark, toggleSound } from "../holding/warn.ts";
import { clockText, secondsUntil } from "../time.tsx";
import { count } from "../ui.tsx";
import type { Phase, Room } from "./room.ts";

/** Said politely, at a change and at few places on the way. */
export const announced = signal("");

const milestones = [10_000, 1_000, 100, 10, 1] as const;

/** "940", "12k", "1.2m": what a tab's icon has room for. */
function briefly(n: number): string {
  if (n < 1_000) return String(n);
  if (n < 1_000_000) return `${Math.floor(n / 1_000)}k`;
  return `${(n / 1_000_000).toFixed(1)}m`;
}

const usualIcon = "/favicon.svg";
function setIcon(text: string | null, colour = "#1d1a4b", ink = "#ffd44a"): void {
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  if (link === null) return;
  const size = text !== null && text.length > 3 ? 24 : 30;
  const picture = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="14" fill="${colour}"/><text x="32" y="34" text-anchor="middle" dominant-baseline="middle" font-family="sans-serif" font-weight="800" font-size="${size}" fill="${ink}">${text ?? ""}</text></svg>`;
  const next = text === null ? usualIcon : `data:image/svg+xml,${encodeURIComponent(picture)}`;
  if (link.getAttribute("href") !== next) link.href = next;
}

/** The browser may be asked for notifications: nobody has said no, and the page may ask. */
const mayNotify = (): boolean =>
  "Notification" in globalThis && Notification.permission !== "denied";
export const isCalling = signal(isSounding.peek());

/** Switches the sound and the notification on, or off. */
export async function toggleCall(): Promise<void> {
  if (isSounding.peek() !== !isCalling.peek()) toggleSound();
  isCalling.value = isSounding.peek();
  if (isCalling.peek() && mayNotify() && Notification.permission === "default")
    await Notification.requestPermission().catch(() => undefined);
}

function call(words: string): void {
  if (!isCalling.peek()) return;
  beep(3);
  if (!document.hidden || !mayNotify() || Notification.permission !== "granted") return;
  try {
    const note = new Notification(house.name, { body: words, icon: "/icon-192.png", tag: "queue" });
    note.addEventListener("click", () => {
      window.focus();
      note.close();
    });
  } catch {
    // On some phones only a service worker may; the sound and the title have to do.
  }
}

const phaseWords: { readonly [phase in Phase]?: string } = {
  gathering: "You are in the draw.",
  drawing: "The draw has begun.",
  turn: "It is your turn: you may take something now.",
  passed: "Your pass has run out.",
  closed: "It is over: nobody is let in any more.",
};

/** Follows a room. @returns what stops it */
export function tell(room: Room): () => void {
  let before: Phase | null = null;
  let told: number = Infinity;
  announced.value = "";
  const stopTelling = effect(() => {
    const phase = room.phase.value;
    const ahead = room.ahead.value;
    if (phase === "waiting" && ahead !== null) {
      const due = milestones.find((place) => ahead >= place) ?? 1;
      if (before !== "waiting" || due < told) announced.value = `Your place is ${count(ahead)}.`;
      told = due;
    } else if (phase !== before && before !== null && before !== "unknown")
      announced.value = phaseWords[phase] ?? "";
    const isNews = before !== null && before !== "unknown" && before !== phase;
    if (phase === "turn" && isNews) call("It is your turn: you may take something now.");
    before = phase;
  });
  const stopShowing = effect(() => {
    const phase = room.phase.value;
    const ahead = room.ahead.value;
    if (phase === "waiting" && ahead !== null) {
      standingMark.value = `${count(ahead)} · `;
      setIcon(briefly(ahead));
    } else if (phase === "turn") {
      const ends = room.place.value?.expires_at ?? null;
      standingMark.value =
        ends === null ? "" : `Your turn ${clockText(secondsUntil(Date.parse(ends)))} · `;
      setIcon(ends === null ? null : "!", "#b5321a", "#ffffff");
    } else if (phase === "gathering" || phase === "drawing") {
      standingMark.value = phase === "drawing" ? "The draw · " : "In the draw · ";
      setIcon("…");
    } else {
      standingMark.value = "";
      setIcon(null);
    }
  });
  return () => {
    stopTelling();
    stopShowing();
    standingMark.value = "";
    setIcon(null);
  };
}
