/**
 * An item's picture, made at runtime from its seed: an animal of the stampede, folded from paper.
 *
 * The same seed gives the same picture. Pictures are cached for ever by their address, so a change to
 * what a seed looks like, even a word more in a list beside this file, belongs in a new release only,
 * and a test holds a fingerprint that such a change has to renew.
 * The SVG holds no script, no reference, no id and no font, and its text is escaped, so it may be
 * served as an image or put into a page. Nothing is fetched or read, and no seed makes it fail.
 */

import { animals, type Animal, type Paint } from "./animals.ts";
import { dice, type Dice } from "./dice.ts";
import {
  type Coat,
  coats,
  garment,
  type Ground,
  groundsOf,
  isDark,
  mix,
  paints,
  shadow,
} from "./palette.ts";
import { scenes } from "./scenes.ts";
import { bell, bow, clothes, crown, extras, eyes, eyesOnDark } from "./wardrobe.ts";

/** What can be said of an item in words, before anything is drawn. Cheap: names ask for it 10,000 times. */
export interface ItemTraits {
  readonly animal: string;
  readonly coat: string;
  readonly ground: string;
  /** One item in fifty wears a crown. */
  readonly crowned: boolean;
}

interface Cast {
  readonly animal: Animal;
  readonly coat: Coat;
  readonly ground: Ground;
  readonly crowned: boolean;
  /** Throws what is left to decide. */
  readonly dice: Dice;
}

function cast(seed: string | number): Cast {
  const d = dice(seed);
  const animal = d.pick(animals);
  const c = d.pick(coats);
  const g = d.pick(groundsOf(c));
  return { animal, coat: c, ground: g, crowned: d.chance(1 / 50), dice: d };
}

export function itemTraits(seed: string | number): ItemTraits {
  const { animal, coat: c, ground: g, crowned } = cast(seed);
  return { animal: animal.word, coat: c.word, ground: g.word, crowned };
}

/** The colour that covers most of the picture, as #rrggbb: for a tile too small for the picture itself. */
export function itemColour(seed: string | number): string {
  return cast(seed).ground.base;
}

/** Sums like 38.300000000000004, as a picture needs them. */
const shortened = (svg: string) =>
  svg.replace(/\d+\.\d{3,}/g, (n) => String(Math.round(Number(n) * 100) / 100));

const mirrored = (half: string) => `<g transform="matrix(-1 0 0 1 100 0)">${half}</g>`;

/** Both halves of a drawing, lit from the left. */
const folded = (draw: (paint: Paint) => string, lit: Paint, shaded: Paint) =>
  draw(lit) + mirrored(draw(shaded));

const escapes: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

/** Text as XML 1.0 takes it: markup escaped, and what may not stand in a document at all dropped. */
function escapeXml(text: string): string {
  return (
    text
      .toWellFormed()
      // eslint-disable-next-line no-control-regex -- exactly these are forbidden by XML 1.0, 2.2
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "")
      .replace(/[&<>"']/g, (mark) => escapes[mark] ?? "")
  );
}

/**
 * The picture of a seed as an SVG document, 512 × 512 unless scaled.
 * `title` is what a screen reader says; without one, the picture names itself ("Midnight Copper Fox").
 */
export function itemPicture(seed: string | number, title?: string): string {
  const { animal, coat: c, ground: g, crowned, dice: d } = cast(seed);
  const { lit, shaded } = paints(c);
  const scene = d.pick(scenes)(g, d);
  const [cloth, trim] = garment(g, c, d);
  const dress = d.pick(clothes);
  const look = d.pick(isDark(c.base) && animal.eye.on !== "light" ? eyesOnDark : eyes);
  const extra = crowned ? crown : d.pick(extras);
  const lean = d.between(-5, 5);
  const ink = "#1c1530";
  const shadedCloth = mix(cloth, shadow, 0.14);
  const shadedTrim = mix(trim, shadow, 0.14);
  const body = dress(cloth, trim, lit) + mirrored(dress(shadedCloth, shadedTrim, shaded));
  const head =
    folded(animal.behind, lit, shaded) +
    folded(animal.skull, lit, shaded) +
    animal.front(lit, ink) +
    look(animal, shaded, ink);
  const worn = extra(animal, cloth, trim, ink);
  const onBody = extra === bow || extra === bell;
  const drawing =
    `<path d="M0 0H100V100H0Z" fill="${g.base}"/>${scene}` +
    `<g transform="translate(0 1)">${body}<g transform="rotate(${lean} 50 84)">${head}${onBody ? "" : worn}</g>${onBody ? worn : ""}</g>`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="512" height="512" viewBox="0 0 100 100" role="img">` +
    `<title>${escapeXml(title ?? `${g.word} ${c.word} ${animal.word}`)}</title>${shortened(drawing)}</svg>`
  );
}
