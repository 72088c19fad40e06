/**
 * What makes two animals of one kind differ: bodies and clothes, eyes, and something to wear.
 *
 * Drawn on the same 100 × 100 field as animals.ts. Pure string building; nothing can fail. The order
 * of the lists is part of every seed's picture.
 */

import type { Animal, Paint } from "./animals.ts";

/** Half the width of the body at height `y`: an ellipse that rises out of the picture's lower edge. */
const bodyWidth = (y: number) => 33 * Math.sqrt(Math.max(0, 1 - ((106 - y) / 39) ** 2));

/** The part of the body's left half between two heights. */
function band(top: number, bottom: number, paint: string): string {
  let edge = "";
  for (let i = 0; i <= 4; i++) {
    const y = top + ((bottom - top) * i) / 4;
    edge += `${Math.round((50 - bodyWidth(y)) * 10) / 10} ${y} `;
  }
  return `<path d="M50.4 ${top}L${edge}50.4 ${bottom}Z" fill="${paint}"/>`;
}

type Clothes = (cloth: string, trim: string, p: Paint) => string;
const trunk = (paint: string) => `<path d="M50.4 67C34 67 20 80 17 101H50.4Z" fill="${paint}"/>`;
export const clothes: readonly Clothes[] = [
  (_, __, p) => trunk(p.coat) + `<path d="M50.4 78C42 80 37 90 36 101H50.4Z" fill="${p.light}"/>`,
  (_, __, p) => trunk(p.coat) + `<path d="M50.4 78C42 80 37 90 36 101H50.4Z" fill="${p.light}"/>`,
  (cloth, trim) =>
    trunk(cloth) + `<path d="M50.4 76Q40 76 32 74L29 77Q38 82 50.4 82Z" fill="${trim}"/>`,
  (cloth, trim) => trunk(cloth) + band(84, 88, trim) + band(92, 96, trim),
  (cloth, trim) => trunk(cloth) + `<path d="M50.4 68 38 70 50.4 92Z" fill="${trim}"/>`,
  (cloth, trim) =>
    trunk(cloth) +
    [
      [43, 86],
      [32.5, 87],
      [25.5, 95],
      [38, 96],
    ]
      .map(([x, y]) => `<circle cx="${x}" cy="${y}" r="1.9" fill="${trim}"/>`)
      .join(""),
  (cloth, trim) =>
    trunk(cloth) +
    `<path d="M50.4 84 45 89 40 84 35 89 30 84 25.4 88 23.6 91 30 89 35 94 40 89 45 94 50.4 89Z" fill="${trim}"/>`,
  (cloth, trim) => trunk(cloth) + `<path d="M50.4 72 36 72 34 80 43 90 50.4 80Z" fill="${trim}"/>`,
];

type Eyes = (animal: Animal, p: Paint, ink: string) => string;

const pair = (a: Animal, draw: (x: number, y: number, r: number) => string) =>
  draw(50 - a.eye.x, a.eye.y, a.eye.r) + draw(50 + a.eye.x, a.eye.y, a.eye.r);
const disc = (x: number, y: number, r: number, paint: string) =>
  `<circle cx="${x}" cy="${y}" r="${Math.round(r * 100) / 100}" fill="${paint}"/>`;
const glint = (x: number, y: number, r: number) =>
  disc(x - r * 0.35, y - r * 0.4, r * 0.34, "#fff");

const plain: Eyes = (a, _, ink) =>
  pair(a, (x, y, r) => disc(x, y, r * 1.1, ink) + glint(x, y, r * 1.1));
const wide: Eyes = (a, _, ink) =>
  pair(a, (x, y, r) => disc(x, y, r * 1.6, "#fff") + disc(x, y, r * 0.95, ink) + glint(x, y, r));
const sleepy: Eyes = (a, p, ink) =>
  pair(a, (x, y, r) => {
    const R = r * 1.55;
    return (
      disc(x, y, R, "#fff") +
      disc(x, y + r * 0.2, r, ink) +
      `<path d="M${x - R - 0.3} ${y}A${R + 0.3} ${R + 0.3} 0 0 1 ${x + R + 0.3} ${y}Z" fill="${p.deep}"/>`
    );
  });
const merry: Eyes = (a, _, ink) =>
  pair(
    a,
    (x, y, r) =>
      `<path d="M${x - r * 1.3} ${y + r * 0.6}Q${x} ${y - r * 1.7} ${x + r * 1.3} ${y + r * 0.6}" fill="none" stroke="${ink}" stroke-width="1.9" stroke-linecap="round"/>`,
  );
const keen: Eyes = (a, _, ink) =>
  pair(a, (x, y, r) => {
    const toNose = x < 50 ? 1 : -1;
    return (
      disc(x, y, r * 1.5, "#ffd65c") +
      disc(x, y, r * 0.85, ink) +
      glint(x, y, r) +
      `<path d="M${x - toNose * r * 2} ${y - r * 1.5}L${x + toNose * r * 1.9} ${y - r * 0.7}" stroke="${ink}" stroke-width="1.7" stroke-linecap="round"/>`
    );
  });
export const eyes: readonly Eyes[] = [plain, plain, plain, wide, wide, sleepy, merry, keen];
/** Those that show on a coat as dark as ink. */
export const eyesOnDark: readonly Eyes[] = [wide, wide, sleepy, keen];

type Extra = (animal: Animal, cloth: string, trim: string, ink: string) => string;

const nothing: Extra = () => "";
export const crown: Extra = (a) =>
  `<g transform="translate(50 ${a.crown})"><path d="M-12 3 -14-10-6.5-4 0-13 6.5-4 14-10 12 3Q0 6.4-12 3Z" fill="#ffcb3d"/><path d="M0-13 6.5-4 14-10 12 3Q6 4.8 0 4.8Z" fill="#e8a51f"/>${disc(-14, -10.6, 1.8, "#ff6b6b")}${disc(0, -13.6, 2, "#5ad1ff")}${disc(14, -10.6, 1.8, "#ff6b6b")}</g>`;
const glasses: Extra = (a, _, __, ink) =>
  pair(
    a,
    (x, y, r) =>
      `<circle cx="${x}" cy="${y}" r="${r + 4.2}" fill="#fff" fill-opacity=".25" stroke="${ink}" stroke-width="1.6"/>`,
  ) +
  `<path d="M${50 - a.eye.x + a.eye.r + 4.2} ${a.eye.y}Q50 ${a.eye.y - 3} ${50 + a.eye.x - a.eye.r - 4.2} ${a.eye.y}" fill="none" stroke="${ink}" stroke-width="1.6"/>`;
const shades: Extra = (a, _, __, ink) =>
  pair(
    a,
    (x, y) =>
      `<path d="M${x - 8} ${y - 4}H${x + 8}V${y}A8 7 0 0 1 ${x - 8} ${y}Z" fill="${ink}"/><path d="M${x - 5.4} ${y - 1.6}h5l-4 5.4Z" fill="#fff" fill-opacity=".35"/>`,
  ) +
  `<path d="M${50 - a.eye.x} ${a.eye.y - 3}H${50 + a.eye.x}" stroke="${ink}" stroke-width="2"/>`;
const monocle: Extra = (a) =>
  `<circle cx="${50 + a.eye.x}" cy="${a.eye.y}" r="${a.eye.r + 4}" fill="#fff" fill-opacity=".3" stroke="#f0c04a" stroke-width="1.7"/><path d="M${50 + a.eye.x + 3} ${a.eye.y + a.eye.r + 3}Q${53 + a.eye.x} 72 ${58 + a.eye.x} 84" fill="none" stroke="#f0c04a" stroke-width=".9"/>`;
const partyHat: Extra = (a, cloth, trim) =>
  `<g transform="translate(50 ${a.crown}) rotate(9)"><path d="M-9 3 0-21 9 3Q0 6-9 3Z" fill="${cloth}"/><path d="M-6.4-4 5-8 3.4-12.4-4.4-9.4ZM-9 3Q-2 5.4 8 2L6.8-1.2-8 1Z" fill="${trim}"/>${disc(0, -21, 3, trim)}</g>`;
const cap: Extra = (a, cloth, trim) =>
  `<g transform="translate(50 ${a.crown})"><path d="M-17 6C-17-9 17-9 17 6Q0 1-17 6Z" fill="${cloth}"/><path d="M-17 6Q0 1 17 6L20 9.6Q0 4.6-20 9.6Z" fill="${trim}"/>${disc(0, -6, 1.6, trim)}</g>`;
const beanie: Extra = (a, cloth, trim) =>
  `<g transform="translate(50 ${a.crown})"><path d="M-17 7C-17-13 17-13 17 7Z" fill="${cloth}"/><path d="M-5 7C-5-12 5-12 5 7Z" fill="#0001"/><rect x="-19" y="3" width="38" height="7" rx="3.5" fill="${trim}"/>${disc(0, -9.4, 4, trim)}</g>`;
const blossom: Extra = (a, _, trim) =>
  `<g transform="translate(${50 + a.eye.x + 6} ${a.crown + 6})">${[0, 72, 144, 216, 288].map((turn) => `<ellipse cx="0" cy="-4.4" rx="3" ry="4" fill="${trim}" transform="rotate(${turn})"/>`).join("")}${disc(0, 0, 2.4, "#fff2b0")}</g>`;
export const bow: Extra = (_, cloth, trim, ink) =>
  `<g transform="translate(50 84)"><path d="M0 0-13-6.5V6.5ZM0 0 13-6.5V6.5Z" fill="${trim}"/><path d="M-13-6.5-6 0-13 6.5ZM13-6.5 6 0 13 6.5Z" fill="${ink}" fill-opacity=".18"/>${disc(0, 0, 3, cloth)}</g>`;
export const bell: Extra = (_, cloth) =>
  `<path d="M30 76Q50 88 70 76L71.5 80Q50 92.5 28.5 80Z" fill="${cloth}"/>${disc(50, 88, 4.4, "#ffcb3d")}<path d="M46.4 88H53.6M50 88V91" stroke="#9c6a10" stroke-width="1.1"/>`;
const blush: Extra = (a) =>
  pair(
    a,
    (x, y, r) =>
      `<ellipse cx="${x + (x < 50 ? -3 : 3)}" cy="${y + r + 5}" rx="4" ry="2.5" fill="#ff5c7a" fill-opacity=".5"/>`,
  );
const phones: Extra = (a, cloth, trim) =>
  `<path d="M23 52C20 ${a.crown - 12} 80 ${a.crown - 12} 77 52" fill="none" stroke="${cloth}" stroke-width="4"/><rect x="17" y="44" width="11" height="19" rx="5.5" fill="${trim}"/><rect x="72" y="44" width="11" height="19" rx="5.5" fill="${trim}"/>`;
export const extras: readonly Extra[] = [
  nothing,
  nothing,
  nothing,
  nothing,
  blush,
  blush,
  glasses,
  shades,
  monocle,
  partyHat,
  cap,
  beanie,
  blossom,
  bow,
  bow,
  bell,
  phones,
];
