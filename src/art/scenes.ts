/**
 * What stands behind the animal: a dozen and more flat scenes on a 100 × 100 field, each in the three
 * tones of one ground. The field's edge clips them, so shapes may run over it.
 */

import type { Dice } from "./dice.ts";
import type { Ground } from "./palette.ts";

type Scene = (ground: Ground, dice: Dice) => string;

const round = (n: number) => Math.round(n * 10) / 10;
const fill = (d: string, paint: string) => `<path d="${d}" fill="${paint}"/>`;
const disc = (x: number, y: number, r: number, paint: string) =>
  `<circle cx="${x}" cy="${y}" r="${r}" fill="${paint}"/>`;
const ring = (x: number, y: number, r: number, paint: string, width: number) =>
  `<circle cx="${x}" cy="${y}" r="${r}" fill="none" stroke="${paint}" stroke-width="${width}"/>`;

const sun: Scene = (g) => disc(50, 46, 38, g.tone);

const halo: Scene = (g) => disc(50, 46, 36, g.tone) + ring(50, 46, 42, g.spark, 1.6);

const ripples: Scene = (g) =>
  [62, 50, 38].map((r, i) => disc(50, 48, r, i % 2 === 0 ? g.tone : g.base)).join("");

const rays: Scene = (g, d) => {
  const count = d.pick([10, 12, 14]);
  let path = "";
  for (let i = 0; i < count; i++) {
    const from = (i / count) * Math.PI * 2;
    const to = ((i + 0.5) / count) * Math.PI * 2;
    path += `M50 52L${round(50 + 90 * Math.cos(from))} ${round(52 + 90 * Math.sin(from))} ${round(50 + 90 * Math.cos(to))} ${round(52 + 90 * Math.sin(to))}Z`;
  }
  return fill(path, g.tone);
};

const hills: Scene = (g, d) => {
  const x = d.pick([18, 82]);
  return (
    disc(x, 20, d.between(8, 11), g.spark) +
    fill(
      `M0 ${d.between(52, 62)}Q28 ${d.between(40, 50)} 56 66T100 ${d.between(54, 62)}V100H0Z`,
      g.tone,
    ) +
    fill(`M0 84Q30 70 60 80T100 76V100H0Z`, g.base)
  );
};

/** The snow on a peak. */
const cap = (x: number, y: number) =>
  `M${x} ${y}L${x - 8} ${y + 13} ${x - 3} ${y + 10} ${x} ${y + 15} ${x + 4} ${y + 10} ${x + 8} ${y + 13}Z`;

const peaks: Scene = (g, d) => {
  const l = d.between(30, 40);
  const r = d.between(22, 34);
  return (
    fill(`M-16 92 18 ${l} 52 92ZM42 96 82 ${r} 122 96Z`, g.tone) +
    `<path d="${cap(18, l)}${cap(82, r)}" fill="#fff" fill-opacity=".6"/>`
  );
};

const arches: Scene = (g) =>
  [44, 37, 30]
    .map((r, i) =>
      fill(
        `M${50 - r} 100V${46}A${r} ${r} 0 0 1 ${50 + r} 46V100Z`,
        [g.tone, g.base, g.tone][i] ?? g.base,
      ),
    )
    .join("");

const rainbow: Scene = (g) =>
  ring(50, 66, 57, g.tone, 7) + ring(50, 66, 47, g.spark, 3) + disc(50, 66, 40, g.tone);

const stripes: Scene = (g, d) => {
  const lean = d.pick([-45, 0, 45, 90]);
  let path = "";
  for (let x = -30; x < 130; x += 16) path += `M${x}-40h8v180h-8Z`;
  return `<g transform="rotate(${lean} 50 50)">${fill(path, g.tone)}</g>`;
};

const dots: Scene = (g) => {
  let body = "";
  for (let row = 0; row < 6; row++)
    for (let column = 0; column < 6; column++)
      body += `M${column * 20 - (row % 2) * 10 - 3} ${row * 18 + 5}a3 3 0 1 0 6 0a3 3 0 1 0-6 0`;
  return fill(body, g.tone);
};

const night: Scene = (g, d) => {
  const x = d.pick([20, 80]);
  let stars = "";
  for (let i = 0; i < 14; i++) {
    const s = d.between(0.8, 2.2);
    const k = round(s * 0.28);
    stars += `M${d.between(3, 97)} ${d.between(3, 72)}m0-${s}l${k} ${round(s - k)} ${round(s - k)} ${k}-${round(s - k)} ${k}-${k} ${round(s - k)}-${k}-${round(s - k)}-${round(s - k)}-${k} ${round(s - k)}-${k}Z`;
  }
  return (
    disc(50, 118, 62, g.tone) +
    fill(stars, g.spark) +
    disc(x, 20, 10, g.spark) +
    disc(x + (x < 50 ? 4.5 : -4.5), 17.5, 8.4, g.base)
  );
};

const scales: Scene = (g) => {
  let body = "";
  for (let row = 0; row < 4; row++) {
    const y = 64 + row * 12;
    const rowOf = (r: number) => {
      let path = "";
      for (let x = (row % 2) * 10 - 10; x <= 110; x += 20)
        path += `M${round(x - r)} ${y}a${r} ${r} 0 0 1 ${2 * r} 0a${r} ${r} 0 0 1-${2 * r} 0`;
      return path;
    };
    body += fill(rowOf(10), g.tone) + fill(rowOf(6.6), g.base) + fill(rowOf(3.2), g.tone);
  }
  return disc(50, 40, 26, g.spark) + body;
};

const tiles: Scene = (g, d) => {
  let body = "";
  const turns = [
    (x: number, y: number) => `M${x} ${y}h25a25 25 0 0 1-25 25Z`,
    (x: number, y: number) => `M${x + 25} ${y}v25a25 25 0 0 1-25-25Z`,
    (x: number, y: number) => `M${x + 25} ${y + 25}h-25a25 25 0 0 1 25-25Z`,
    (x: number, y: number) => `M${x} ${y + 25}v-25a25 25 0 0 1 25 25Z`,
  ];
  for (let y = 0; y < 100; y += 25) for (let x = 0; x < 100; x += 25) body += d.pick(turns)(x, y);
  return fill(body, g.tone);
};

const half: Scene = (g, d) => {
  const side = d.pick([
    "M0 0H50V100H0Z",
    "M0 50H100V100H0Z",
    "M0 0 100 100H0Z",
    "M100 0V100L0 100Z",
  ]);
  return fill(side, g.tone) + ring(50, 46, 40, g.spark, 1.6);
};

const confetti: Scene = (g, d) => {
  let body = "";
  for (let i = 0; i < 22; i++) {
    const x = d.between(2, 98);
    const y = d.between(2, 90);
    const paint = d.chance(0.3) ? g.spark : g.tone;
    body += d.chance(0.5)
      ? disc(x, y, d.between(1, 2.6), paint)
      : `<rect x="${x}" y="${y}" width="5" height="2.2" rx="1.1" fill="${paint}" transform="rotate(${d.pick([15, 60, 105, 150])} ${x} ${y})"/>`;
  }
  return body;
};

const clouds: Scene = (g, d) => {
  const cloud = (x: number, y: number, s: number) =>
    `<path d="M-14 5a6 6 0 0 1 1-11.5a9 9 0 0 1 16-2.5a7 7 0 0 1 10 6a4.2 4.2 0 0 1 0 8Z" fill="${g.tone}" transform="translate(${x} ${y}) scale(${s})"/>`;
  return (
    disc(d.pick([22, 78]), 22, 9, g.spark) +
    cloud(d.between(8, 20), d.between(20, 34), 1) +
    cloud(d.between(80, 92), d.between(14, 30), 1.2) +
    cloud(d.between(6, 16), d.between(56, 66), 1.3) +
    cloud(d.between(86, 96), d.between(50, 62), 1.1)
  );
};

const leaf = (x: number, turn: number, paint: string) =>
  `<path d="M0-8C-11-20-11-38 0-54C11-38 11-20 0-8Z" fill="${paint}" transform="translate(${x} 100) rotate(${turn})"/>`;

const leaves: Scene = (g, d) => {
  const lean = d.between(-4, 4);
  const spray = (x: number, side: 1 | -1) =>
    [-22, 4, 30]
      .map((turn, i) => leaf(x, side * (turn + lean), i === 1 ? g.spark : g.tone))
      .join("");
  return disc(50, 42, 32, g.tone) + spray(9, 1) + spray(91, -1);
};

const planet: Scene = (g, d) => {
  const lean = d.between(-28, 28);
  return (
    disc(50, 46, 33, g.tone) +
    `<g transform="rotate(${lean} 50 46)"><ellipse cx="50" cy="46" rx="54" ry="13" fill="none" stroke="${g.spark}" stroke-width="2.4"/></g>` +
    disc(d.between(8, 20), d.between(8, 20), 2.2, g.spark) +
    disc(d.between(80, 92), d.between(8, 20), 1.4, g.spark)
  );
};

const diamonds: Scene = (g) => {
  let body = "";
  for (let row = 0; row < 6; row++)
    for (let column = 0; column < 6; column++)
      body += `M${column * 20 + (row % 2) * 10 - 10} ${row * 20 - 6}l7 9-7 9-7-9Z`;
  return fill(body, g.tone);
};

/** The length and order of this list are part of every seed's picture. */
export const scenes: readonly Scene[] = [
  sun,
  halo,
  ripples,
  rays,
  hills,
  peaks,
  arches,
  rainbow,
  stripes,
  dots,
  night,
  scales,
  tiles,
  half,
  confetti,
  clouds,
  leaves,
  planet,
  diamonds,
];
