/**
 * The accent of a shop's pages in both themes: somebody's colour, made darker or lighter until it can
 * be read on every ground that the theme has (WCAG 2.2, 1.4.3: 4.5 to 1), and what is written on it.
 */

/** What the accent stands on: `--page`, `--card` and `--sunk` of `web/style/1-tokens.css`. */
const grounds = {
  light: ["#f5eedf", "#fffdf6", "#ebe1cc"],
  dark: ["#131029", "#1e1a3c", "#0e0b20"],
} as const;
const towards = { light: "#000000", dark: "#ffffff" } as const;
const contrastMin = 4.5;
/** Share of black or white that is added at a time. */
const step = 0.02;

type Theme = keyof typeof grounds;

/** The accent of a theme, and the colour of what is written on it. */
type Accent = { readonly colour: string; readonly on: string };

export const isColour = (text: string): boolean => /^#[0-9a-f]{6}$/.test(text);

const channels = (colour: string): readonly number[] =>
  [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));

/** Relative luminance, from 0 to 1. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = channels(colour).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** From 1 to 21. */
function contrast(one: string, other: string): number {
  const [a, b] = [luminance(one), luminance(other)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

/** @param share of `other`, from 0 to 1 */
function mixed(colour: string, other: string, share: number): string {
  const more = channels(other);
  const parts = channels(colour).map((part, i) =>
    Math.round(part + ((more[i] ?? 0) - part) * share)
      .toString(16)
      .padStart(2, "0"),
  );
  return `#${parts.join("")}`;
}

/** @param colour as `#rrggbb`, in lower case */
export function accentOf(colour: string, theme: Theme): Accent {
  let share = 0;
  let made = colour;
  while (share < 1 && grounds[theme].some((ground) => contrast(made, ground) < contrastMin)) {
    share = Math.min(1, share + step);
    made = mixed(colour, towards[theme], share);
  }
  return { colour: made, on: theme === "light" ? "#ffffff" : grounds.dark[0] };
}
