/**
 * Where in the administration somebody is, by the fragment: a part, and what of it (`#orders/12`), so
 * that going back works, an address can be sent to somebody, and nothing is loaded anew.
 */
import { signal } from "@preact/signals";

type Place = {
  readonly part: string;
  /** What of the part; empty for its list. */
  readonly of: readonly string[];
};

function placeNow(): Place {
  const [part = "", ...of] = location.hash.slice(1).split("/").map(decoded);
  return { part, of };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const place = signal<Place>(placeNow());
addEventListener("hashchange", () => (place.value = placeNow()));

export const addressOf = (part: string, ...of: readonly (string | number)[]): string =>
  `#${[part, ...of].map((one) => encodeURIComponent(one)).join("/")}`;
