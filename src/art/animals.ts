/**
 * The animals of the pictures: what each one's head is made of.
 *
 * A head is drawn by its left half on a 100 × 100 field whose mirror axis is x = 50; the right half
 * is the same path mirrored in a darker paint, which gives every animal the look of folded paper.
 * Halves run on to x = 50.4 so that no seam shows between them.
 *
 * Pure data and string building: nothing here draws a random number, and nothing can fail.
 */

/** The paints of one side of the face. The other side gets the same, one shade darker. */
export interface Paint {
  readonly coat: string;
  readonly light: string;
  readonly deep: string;
  readonly inner: string;
}

export interface Animal {
  /** The word for it in an item's name. */
  readonly word: string;
  /** Eye centres are at 50 ± `eye.x`, `eye.y`; `eye.r` is the radius of a plain eye. They lie on
   * the coat, which may be too dark for dark eyes, unless `on` says otherwise. */
  readonly eye: {
    readonly x: number;
    readonly y: number;
    readonly r: number;
    readonly on?: "light";
  };
  /** Where a hat sits: the top of the skull on the mirror axis. */
  readonly crown: number;
  /** Behind the skull: ears, horns, manes. Left half. */
  behind(paint: Paint): string;
  /** The skull and its markings. Left half. */
  skull(paint: Paint): string;
  /** In the middle, over both halves: nose, mouth, beak. `ink` is a dark that shows on any coat. */
  front(paint: Paint, ink: string): string;
}

const fill = (d: string, paint: string) => `<path d="${d}" fill="${paint}"/>`;
const disc = (x: number, y: number, r: number, paint: string) =>
  `<circle cx="${x}" cy="${y}" r="${r}" fill="${paint}"/>`;
const oval = (x: number, y: number, rx: number, ry: number, paint: string) =>
  `<ellipse cx="${x}" cy="${y}" rx="${rx}" ry="${ry}" fill="${paint}"/>`;
const line = (d: string, paint: string, width: number) =>
  `<path d="${d}" fill="none" stroke="${paint}" stroke-width="${width}" stroke-linecap="round" stroke-linejoin="round"/>`;

/** Every bird's beak, whatever its coat. */
const beak = "#f7a823";

/** A nose with the mouth of a cat or dog under it. */
const muzzle = (y: number, rx: number, ink: string) =>
  fill(
    `M${50 - rx} ${y}Q50 ${y - 2.4} ${50 + rx} ${y}Q${50 + rx * 0.7} ${y + rx} 50 ${y + rx}Q${50 - rx * 0.7} ${y + rx} ${50 - rx} ${y}Z`,
    ink,
  ) +
  line(
    `M43.5 ${y + rx + 3}Q47 ${y + rx + 6} 50 ${y + rx + 2}Q53 ${y + rx + 6} 56.5 ${y + rx + 3}M50 ${y + rx - 1}V${y + rx + 2}`,
    ink,
    1.3,
  );

const fox: Animal = {
  word: "Fox",
  eye: { x: 11, y: 50, r: 2.7 },
  crown: 29,
  behind: (p) =>
    fill("M27 44 24 10Q38 14 48 32Z", p.coat) + fill("M29.5 36 28 17Q36 20 42 31Z", p.deep),
  skull: (p) =>
    fill("M50.4 27C39 27 30 31 27 41 25 49 20 53 15 56 24 62 36 65 43 74Q46 78 50.4 78Z", p.coat) +
    fill("M15 56C24 51 38 52 44 60 47 66 48 69 50.4 69V78Q46 78 43 74C36 65 24 62 15 56Z", p.light),
  front: (_, ink) => oval(50, 74.5, 4.4, 3.4, ink),
};

const wolf: Animal = {
  word: "Wolf",
  eye: { x: 10.5, y: 48, r: 2.5 },
  crown: 28,
  behind: (p) =>
    fill("M28 42 27 10Q39 17 46 32Z", p.coat) + fill("M31 36 30.5 18Q37 22 41 31Z", p.inner),
  skull: (p) =>
    fill("M50.4 26C40 26 31 31 28 42L20 52 25 53 18 62 26 62 26 69 38 69Q42 79 50.4 79Z", p.coat) +
    fill("M50.4 40C48 50 44 53 36 54 31 56 28 60 26 69H38Q42 79 50.4 79Z", p.light) +
    fill("M50.4 26Q46 32 47 52L50.4 58Z", p.deep),
  front: (_, ink) => muzzle(66, 4.6, ink),
};

const cat: Animal = {
  word: "Cat",
  eye: { x: 12, y: 50, r: 3.2 },
  crown: 28,
  behind: (p) =>
    fill("M24 46 25 13Q38 18 47 30Z", p.coat) + fill("M28 38 29 20Q36 23 41 31Z", p.inner),
  skull: (p) =>
    fill("M50.4 27C33 27 22 37 22 52 22 66 35 74 50.4 74Z", p.coat) +
    fill(
      "M50.4 27H47.5L48.6 40H50.4ZM44.5 27.5 40.5 28.6 44.5 37ZM22 50 31 53 22.3 56ZM23 60 31 60 25 64.5Z",
      p.deep,
    ) +
    fill("M50.4 59C43 56 37 60 38 66 39 72 45 74 50.4 74Z", p.light),
  front: (_, ink) =>
    muzzle(60.5, 3.2, ink) + line("M37 63 21 60M37 66 22 68M63 63 79 60M63 66 78 68", ink, 0.7),
};

const tiger: Animal = {
  word: "Tiger",
  eye: { x: 12, y: 48, r: 2.7 },
  crown: 26,
  behind: (p) => disc(29, 27, 9.5, p.coat) + disc(29.5, 28, 5.2, p.light),
  skull: (p) =>
    fill("M50.4 24C34 24 24 33 23 47L18 56 23 58 21 66C28 75 38 78 50.4 78Z", p.coat) +
    fill(
      "M18 56 34 61 38 76Q28 74 21 66L23 58ZM50.4 57C44 55 36 60 37 68 38 75 45 78 50.4 78Z",
      p.light,
    ) +
    fill(
      "M50.4 24H46L48.4 41H50.4ZM42 25.2 37 27.6 45 37ZM32 31.4 28 36 38 39ZM23 45 33 48 22 52ZM19 62 30 61 23.5 67.5Z",
      p.deep,
    ),
  front: (_, ink) => muzzle(60, 4.2, ink),
};

const lynx: Animal = {
  word: "Lynx",
  eye: { x: 11.5, y: 49, r: 2.8 },
  crown: 28,
  behind: (p) =>
    fill("M26 43 24 12 21 2Q30 8 46 30Z", p.coat) +
    fill("M24 12 21 2Q26 6 30 12Z", p.deep) +
    fill("M29 36 28 17Q36 23 41 31Z", p.inner),
  skull: (p) =>
    fill("M50.4 26C36 26 26 34 26 48L16 60 23 62 18 73 29 72 32 79 40 73 50.4 76Z", p.light) +
    fill("M50.4 26C36 26 26 34 26 48 27 56 32 59 38 60L46 54 50.4 58Z", p.coat) +
    fill("M47 27 48.6 38 50.4 27ZM42 28 38 30 44.5 36Z", p.deep),
  front: (_, ink) =>
    muzzle(61, 3.6, ink) +
    disc(41, 65, 0.7, ink) +
    disc(59, 65, 0.7, ink) +
    disc(39, 68, 0.7, ink) +
    disc(61, 68, 0.7, ink),
};

const lion: Animal = {
  word: "Lion",
  eye: { x: 10.5, y: 49, r: 2.5 },
  crown: 31,
  behind: (p) =>
    fill(
      "M50.4 9 43 15 36 11 32 18 23 18 22 26 14 30 17 38 10 45 15 51 11 60 19 63 19 73 28 73 33 82 40 78 50.4 84Z",
      p.deep,
    ) +
    disc(32, 32, 6.5, p.coat) +
    disc(32.5, 32.5, 3.4, p.inner),
  skull: (p) =>
    fill("M50.4 29C37 29 29 36 29 49 29 62 36 75 50.4 75Z", p.coat) +
    fill("M50.4 58C44 56 38 60 39 67 40 73 45 75 50.4 75Z", p.light),
  front: (p, ink) => fill("M46.6 38H53.4L54.5 58H45.5Z", p.coat) + muzzle(59, 4.8, ink),
};

const bear: Animal = {
  word: "Bear",
  eye: { x: 11, y: 47, r: 2.6 },
  crown: 26,
  behind: (p) => disc(29, 27, 10, p.coat) + disc(29.5, 28, 5.4, p.inner),
  skull: (p) =>
    fill("M50.4 24C34 24 24 35 23 50 22 66 34 76 50.4 76Z", p.coat) +
    fill("M50.4 53C42 53 36 58 36 65 36 72 42 75 50.4 75Z", p.light),
  front: (_, ink) => muzzle(57, 5, ink),
};

const panda: Animal = {
  word: "Panda",
  eye: { x: 11.5, y: 49, r: 2.5 },
  crown: 26,
  behind: (p) => disc(28, 27, 10.5, p.deep),
  skull: (p) =>
    fill("M50.4 24C33 24 22 36 22 51 22 67 34 76 50.4 76Z", p.light) +
    fill("M43 41C47 44 46 51 42 55 37 60 30 59 30 53 31 46 38 38 43 41Z", p.coat),
  front: (_, ink) => muzzle(59, 4, ink),
};

const koala: Animal = {
  word: "Koala",
  eye: { x: 13, y: 47, r: 2.5 },
  crown: 27,
  behind: (p) =>
    fill("M30 26C22 16 8 22 8 35 8 48 18 55 29 50Z", p.coat) +
    fill("M28 31C22 25 14 28 14 36 14 44 21 48 28 44Z", p.light),
  skull: (p) =>
    fill("M50.4 25C35 25 25 35 25 49 25 65 36 74 50.4 74Z", p.coat) +
    fill("M50.4 65C44 65 39 68 39 71Q44 74 50.4 74Z", p.light),
  front: (_, ink) => oval(50, 54, 5.6, 9, ink) + line("M45 67Q50 70 55 67", ink, 1.3),
};

const rabbit: Animal = {
  word: "Rabbit",
  eye: { x: 12, y: 53, r: 3 },
  crown: 33,
  behind: (p) =>
    fill("M45 38C34 36 24 20 28 5 29 1 33 1 36 4 44 12 48 26 48 36Z", p.coat) +
    fill("M43 33C36 28 30 18 32 9 38 14 43 24 43 33Z", p.inner),
  skull: (p) =>
    fill("M50.4 31C36 31 26 41 26 55 26 68 37 76 50.4 76Z", p.coat) +
    fill("M50.4 60C44 58 37 61 38 67 39 73 45 76 50.4 76Z", p.light),
  front: (p, ink) =>
    fill("M46.5 60.5Q50 58.5 53.5 60.5 52 64 50 64 48 64 46.5 60.5Z", p.inner) +
    line("M50 64V67M44 67.5Q47 70 50 67 53 70 56 67.5", ink, 1.2) +
    fill("M47.6 69.6H52.4V73.6Q50 74.6 47.6 73.6Z", "#fff"),
};

const mouse: Animal = {
  word: "Mouse",
  eye: { x: 9.5, y: 52, r: 2.7 },
  crown: 33,
  behind: (p) => disc(25, 30, 16, p.coat) + disc(25.5, 31, 10.5, p.inner),
  skull: (p) =>
    fill("M50.4 31C37 31 29 41 29 52 29 63 40 76 50.4 76Z", p.coat) +
    fill("M50.4 60C45 60 40 63 41 68Q45 75 50.4 76Z", p.light),
  front: (p, ink) =>
    disc(50, 71, 4, p.inner) + line("M42 68 28 65M42 71 29 73M58 68 72 65M58 71 71 73", ink, 0.7),
};

const raccoon: Animal = {
  word: "Raccoon",
  eye: { x: 11, y: 50, r: 2.6 },
  crown: 28,
  behind: (p) =>
    fill("M25 42C22 28 24 18 29 16 36 18 42 24 46 32Z", p.coat) +
    fill("M29 36C27 28 28 22 30 21 34 23 38 27 41 32Z", p.light),
  skull: (p) =>
    fill("M50.4 27C36 27 27 35 25 46L15 58C24 64 30 68 37 73Q43 77 50.4 77Z", p.coat) +
    fill(
      "M50.4 42C40 38 30 40 25 46L20 52C26 52 40 56 50.4 62V77Q43 77 37 73C30 68 24 64 15 58Z",
      p.light,
    ) +
    fill("M47 50C44 43 34 42 27 50L19 59C29 63 41 59 47 50Z", p.deep),
  front: (p, ink) => fill("M47.5 27H52.5L52 52 50 56 48 52Z", p.deep) + muzzle(65, 4.2, ink),
};

const badger: Animal = {
  word: "Badger",
  eye: { x: 11, y: 51, r: 2.3 },
  crown: 28,
  behind: (p) => disc(28, 37, 7, p.coat) + disc(28.5, 37.5, 3.8, p.light),
  skull: (p) =>
    fill("M50.4 26C36 26 26 34 25 48 25 58 34 64 39 71Q44 78 50.4 78Z", p.light) +
    fill("M45.5 27C36 28 30 34 29 42 31 52 36 62 41 72L45 68C43 58 44 44 45.5 27Z", p.deep),
  front: (_, ink) => muzzle(69, 4.6, ink),
};

const dog: Animal = {
  word: "Hound",
  eye: { x: 11, y: 47, r: 2.8 },
  crown: 26,
  behind: () => "",
  skull: (p) =>
    fill("M50.4 25C37 25 28 33 28 47 28 54 32 58 34 64 37 74 43 78 50.4 78Z", p.coat) +
    fill("M50.4 25H47.5C46 38 45 50 38 58 34 66 40 78 50.4 78Z", p.light) +
    fill("M37 27C26 26 18 33 17 46 16 57 20 66 25 65 31 63 30 48 34 39 36 34 39 30 37 27Z", p.deep),
  front: (_, ink) => muzzle(60, 5.4, ink),
};

const deer: Animal = {
  word: "Deer",
  eye: { x: 12, y: 48, r: 2.7 },
  crown: 31,
  behind: (p) =>
    line("M44 33C40 24 35 22 34 10M37 21C31 20 27 16 25 9M41 27Q46 20 43 12", p.deep, 2.8) +
    fill("M36 40C28 32 18 31 11 35 14 44 26 49 35 47Z", p.coat) +
    fill("M33 41C27 36 20 35 16 37 20 42 27 45 33 44Z", p.inner),
  skull: (p) =>
    fill("M50.4 30C39 30 32 37 32 48 33 58 38 64 40 71Q44 79 50.4 79Z", p.coat) +
    fill("M50.4 60C44 60 40 65 40 71Q44 79 50.4 79Z", p.light) +
    disc(44, 36, 1.2, p.light) +
    disc(47.5, 41, 1.2, p.light),
  front: (_, ink) => oval(50, 68, 4.6, 3.2, ink) + line("M46 75Q50 76.6 54 75", ink, 1.2),
};

const ram: Animal = {
  word: "Ram",
  eye: { x: 11.5, y: 48, r: 2.4 },
  crown: 28,
  behind: (p) =>
    fill(
      "M45 30C34 18 14 22 10 39 7 54 16 65 26 63 34 61 36 51 30 48 27 51 24 50 23 46 22 38 31 36 38 43Z",
      p.light,
    ) + line("M35 26 33 36M24 26 27 37M14 34 22.5 41M11 47 22 47M17 59 24 51", p.deep, 1.3),
  skull: (p) =>
    fill("M50.4 33C41 33 33 38 33 46 33 56 38 64 41 73Q45 79 50.4 79Z", p.coat) +
    fill("M50.4 61C45 61 40 65 41 73Q45 79 50.4 79Z", p.light) +
    fill(
      "M50.4 24C46 23 43 26 43 28 39 27 36 30 37 34 34 36 35 41 39 41 41 44 46 44 47 41L50.4 42Z",
      p.light,
    ),
  front: (_, ink) =>
    line("M45.5 67 50 70.5 54.5 67M50 70.5V74M45.5 75.6Q50 77.6 54.5 75.6", ink, 1.4),
};

const bison: Animal = {
  word: "Bison",
  eye: { x: 13.5, y: 50, r: 2.3 },
  crown: 22,
  behind: (p) =>
    fill("M33 35C22 36 12 30 13 16 5 26 8 44 28 46Z", p.light) +
    fill("M12 23.6 13 16C9 21 8.4 25 8.4 29Z", p.deep) +
    fill("M32 44C24 42 17 45 14 49 20 54 28 53 33 51Z", p.coat),
  skull: (p) =>
    fill("M50.4 30C38 30 30 38 31 50 32 60 37 66 38 73Q43 80 50.4 80Z", p.coat) +
    fill(
      "M50.4 18C44 17 40 20 39 23 33 22 29 27 31 32 26 35 27 42 33 43 35 47 41 47 43 44Q46 48 50.4 47Z",
      p.deep,
    ) +
    fill("M50.4 63C43 63 37 66 38 73Q43 80 50.4 80Z", p.light),
  front: (_, ink) =>
    oval(45.5, 70, 1.9, 1.3, ink) +
    oval(54.5, 70, 1.9, 1.3, ink) +
    line("M45 75.6Q50 77.6 55 75.6", ink, 1.2),
};

const zebra: Animal = {
  word: "Zebra",
  eye: { x: 11.5, y: 46, r: 2.6, on: "light" },
  crown: 26,
  behind: (p) =>
    fill("M37 35C29 30 26 20 28 10 36 13 42 22 44 32Z", p.light) +
    fill("M37 31C32 26 30 20 31 15 36 18 39 24 41 31Z", p.deep),
  skull: (p) =>
    fill("M50.4 27C40 27 33 34 33 45 34 56 38 62 38 70Q42 80 50.4 80Z", p.light) +
    fill("M50.4 63Q41 61 37.6 66 37 76 50.4 80Z", p.deep) +
    fill(
      "M33 41 42 39 33 44.5ZM33.4 50 43 50 34.6 54ZM35.6 58 44 57 37.4 62ZM44 29 46 46 41.5 30ZM50.4 36 48 50 49 60 50.4 58Z",
      p.coat,
    ),
  front: (p, ink) =>
    fill("M50 14C45 16 45 24 46.5 33H53.5C55 24 55 16 50 14Z", p.coat) +
    oval(45, 71, 1.7, 1.3, ink) +
    oval(55, 71, 1.7, 1.3, ink),
};

const giraffe: Animal = {
  word: "Giraffe",
  eye: { x: 12, y: 45, r: 2.8 },
  crown: 27,
  behind: (p) =>
    line("M43 30 40 15", p.coat, 3.2) +
    disc(39.6, 13, 3.4, p.deep) +
    fill("M35 38C27 32 18 31 11 34 14 42 26 47 34 45Z", p.coat) +
    fill("M32 39.5C26 36 20 34.5 16 36 20 40 26 42.5 32 42.5Z", p.inner),
  skull: (p) =>
    fill("M50.4 26C39 26 32 33 32 44 33 54 37 58 36 66 35 75 42 80 50.4 80Z", p.coat) +
    fill("M50.4 59C42 58 37 61 36 67 36 75 42 80 50.4 80Z", p.light) +
    fill("M41 31 46 29 48 35 43 38ZM33 48 38 52 38 57 35.4 55ZM46 42 50.4 41V50L46 48Z", p.deep),
  front: (_, ink) =>
    oval(45, 67, 1.5, 1.9, ink) +
    oval(55, 67, 1.5, 1.9, ink) +
    line("M43 74Q50 78 57 74", ink, 1.3),
};

const elephant: Animal = {
  word: "Elephant",
  eye: { x: 10.5, y: 44, r: 2.2 },
  crown: 23,
  behind: (p) =>
    fill("M38 28C28 17 10 19 7 34 5 48 14 64 28 63 33 62 36 56 37 48Z", p.coat) +
    fill("M34 32C27 24 15 26 13 36 12 46 18 57 28 56 32 54 33 48 34 44Z", p.inner),
  skull: (p) =>
    fill("M50.4 21C39 21 32 29 32 40 32 50 37 54 40 58H50.4Z", p.coat) +
    fill("M42 58C36 60 33 66 35 74 38 68 42 66 45 64Z", "#fff"),
  front: (p) =>
    fill("M43 52C42 64 43 74 45 82 46 88 55 89 55.5 82 57 74 58 64 57 52Z", p.coat) +
    line("M44.4 62Q50 64.4 55.6 62M44.8 68Q50 70.4 55.2 68M45.6 74Q50 76.2 54.6 74", p.deep, 1.2),
};

const rhino: Animal = {
  word: "Rhino",
  eye: { x: 13, y: 49, r: 2.2 },
  crown: 30,
  behind: (p) =>
    fill("M34 38C26 34 22 25 25 15 33 18 39 26 41 34Z", p.coat) +
    fill("M34 34C29 30 27 25 28 20 33 23 36 28 37 33Z", p.inner),
  skull: (p) =>
    fill("M50.4 31C39 31 31 38 31 48 32 58 35 62 35 69 35 77 42 80 50.4 80Z", p.coat) +
    fill("M50.4 66C42 65 36 67 35 70 35 77 42 80 50.4 80Z", p.deep),
  front: (p, ink) =>
    fill("M41.5 66C45 58 48 46 49 34 53 46 55.5 58 58.5 66Q50 71 41.5 66Z", p.light) +
    fill("M49 34C53 46 55.5 58 58.5 66Q54 68.5 50 68.5Z", "#0002") +
    fill("M46.5 45C48 41 49 37 50 32 51 37 52 41 53.5 45Q50 47 46.5 45Z", p.light) +
    oval(41.5, 73, 1.7, 1.3, ink) +
    oval(58.5, 73, 1.7, 1.3, ink),
};

const boar: Animal = {
  word: "Boar",
  eye: { x: 12, y: 47, r: 2.3 },
  crown: 25,
  behind: (p) =>
    fill("M34 38C24 36 19 28 20 17 30 18 38 24 42 32Z", p.coat) +
    fill("M33 34C27 32 24 27 24 22 30 24 35 28 37 32Z", p.inner),
  skull: (p) =>
    fill("M50.4 26C37 26 28 35 28 49 29 62 36 77 50.4 77Z", p.coat) +
    fill("M50.4 17 46 22 44 18 41 28 46 36 50.4 33Z", p.deep),
  front: (p, ink) =>
    fill(
      "M38 70C33 68 32 62 35 57 37 61 40 63 43 64ZM62 70C67 68 68 62 65 57 63 61 60 63 57 64Z",
      "#fff",
    ) +
    oval(50, 65, 10.5, 8, p.inner) +
    oval(46, 65, 1.9, 2.8, ink) +
    oval(54, 65, 1.9, 2.8, ink),
};

const monkey: Animal = {
  word: "Monkey",
  eye: { x: 9, y: 46, r: 2.7, on: "light" },
  crown: 24,
  behind: (p) => disc(24, 48, 10, p.coat) + disc(24.5, 48, 6, p.inner),
  skull: (p) =>
    fill("M50.4 22C35 22 26 33 26 48 26 66 36 76 50.4 76Z", p.coat) +
    fill("M50.4 38C46 33 33 34 33 45 33 52 36 54 35 62 36 71 43 74 50.4 74Z", p.light),
  front: (_, ink) =>
    oval(47.6, 57.5, 1.1, 1.5, ink) +
    oval(52.4, 57.5, 1.1, 1.5, ink) +
    line("M41 64Q50 71 59 64", ink, 1.5),
};

const frog: Animal = {
  word: "Frog",
  eye: { x: 16, y: 31, r: 3.6 },
  crown: 34,
  behind: () => "",
  skull: (p) =>
    disc(34, 31, 9.5, p.coat) +
    fill("M50.4 33C32 33 18 42 18 56 18 69 33 75 50.4 75Z", p.coat) +
    fill("M50.4 66C36 67 26 63 19.6 60 23 70 36 75 50.4 75Z", p.light) +
    disc(26, 48, 2, p.deep) +
    disc(31, 44.6, 1.2, p.deep),
  front: (_, ink) =>
    line("M22 59Q50 72 78 59", ink, 1.6) + disc(47.5, 51, 0.9, ink) + disc(52.5, 51, 0.9, ink),
};

const owl: Animal = {
  word: "Owl",
  eye: { x: 12.5, y: 47, r: 4.4, on: "light" },
  crown: 29,
  behind: () => "",
  skull: (p) =>
    fill("M50.4 30C42 30 33 25 23 13 20 28 21 40 21 50 21 68 33 80 50.4 80Z", p.coat) +
    disc(37.5, 47, 12.4, p.light) +
    fill("M50.4 36C44 31 33 27 23 13 30 34 40 38 50.4 46Z", p.deep) +
    line(
      "M29 66Q32.5 70 36 66 39.5 70 43 66 46.5 70 50 66M36 73Q39.5 77 43 73 46.5 77 50 73",
      p.deep,
      1.2,
    ),
  front: () =>
    fill("M45.8 52Q50 48.6 54.2 52 54 58 50 63 46 58 45.8 52Z", beak) +
    fill("M50 50C52 50 53.4 51 54.2 52 54 58 50 63 50 63Z", "#0002"),
};

const falcon: Animal = {
  word: "Falcon",
  eye: { x: 11.5, y: 45, r: 2.9 },
  crown: 24,
  behind: (p) => fill("M50.4 16 46 21 41 18 40 24 33 24 34 30 28 33 50.4 44Z", p.deep),
  skull: (p) =>
    fill("M50.4 22C35 22 25 33 25 47 25 64 34 78 50.4 80Z", p.coat) +
    fill("M50.4 57C45 57 41 51 36 50 31 50 27 53 25.6 57 29 69 38 79 50.4 80Z", p.light) +
    fill("M46 47C40 45 33 48 33.4 54 34 60 36 65 39.6 68 43 62 42 56 46 53Z", p.deep) +
    line("M40 72Q42.6 75 45.2 72 47.8 75 50 72.4", p.deep, 1.2),
  front: () =>
    fill("M42 52C44 46 56 46 58 52 57.6 57.4 53 59 50 69 47 59 42.4 57.4 42 52Z", beak) +
    fill("M50 47.5C54 47.5 57.2 49.4 58 52 57.6 57.4 53 59 50 69Z", "#0002") +
    disc(47.2, 51.4, 0.9, "#0007") +
    disc(52.8, 51.4, 0.9, "#0007"),
};

const penguin: Animal = {
  word: "Penguin",
  eye: { x: 9.5, y: 47, r: 2.6, on: "light" },
  crown: 26,
  behind: () => "",
  skull: (p) =>
    fill("M50.4 24C34 24 24 35 24 50 24 66 34 80 50.4 80Z", p.coat) +
    fill("M50.4 42C46 35 32 36 31 49 31 62 38 76 50.4 76Z", p.light),
  front: () =>
    fill("M42.5 55Q50 49 57.5 55 55 62.5 50 64 45 62.5 42.5 55Z", beak) +
    fill("M42.5 55Q50 59.5 57.5 55 55 62.5 50 64 45 62.5 42.5 55Z", "#0002"),
};

const bat: Animal = {
  word: "Bat",
  eye: { x: 10, y: 51, r: 3 },
  crown: 33,
  behind: (p) =>
    fill("M42 38C34 32 26 20 12 12 10 28 14 46 30 56Z", p.coat) +
    fill("M38 38C32 34 26 26 17 20 17 32 21 42 31 49Z", p.inner),
  skull: (p) =>
    fill("M50.4 31 45 34 41 30C32 35 28 43 28 52 28 66 38 74 50.4 74Z", p.coat) +
    fill("M50.4 58C45 57 40 60 41 66Q44 73 50.4 74Z", p.light),
  front: (p, ink) =>
    fill("M45.6 59Q50 52 54.4 59 52.6 62 50 62 47.4 62 45.6 59Z", p.deep) +
    line("M43 65.5Q50 69 57 65.5", ink, 1.2) +
    fill("M45 66.4 46.4 70.4 48 67.2ZM55 66.4 53.6 70.4 52 67.2Z", "#fff"),
};

const hedgehog: Animal = {
  word: "Hedgehog",
  eye: { x: 10, y: 53, r: 2.7, on: "light" },
  crown: 18,
  behind: (p) =>
    fill(
      "M50.4 13 45 20 39 13 35 21 27 17 26 26 17 25 19 34 11 37 16 44 9 50 16 55 10 62 18 65 15 73 28 74 50.4 78Z",
      p.deep,
    ) +
    disc(31, 43, 6, p.coat) +
    disc(31.4, 43.4, 3.2, p.inner),
  skull: (p) =>
    fill("M50.4 33 46 37 42 34 38 40C32 43 30 49 30 55 31 66 40 77 50.4 77Z", p.coat) +
    fill("M50.4 50C42 46 33 50 31.6 60 34 70 42 77 50.4 77Z", p.light),
  front: (_, ink) => oval(50, 65, 3.8, 3.2, ink) + line("M45 71.5Q50 74.5 55 71.5", ink, 1.2),
};

const llama: Animal = {
  word: "Llama",
  eye: { x: 10, y: 47, r: 2.7 },
  crown: 23,
  behind: (p) =>
    fill("M42 32C34 29 30 18 34 5 42 10 47 20 47 30Z", p.coat) +
    fill("M41 27C37 24 34.5 17 36 11 40.5 15 43 21 44 27Z", p.inner),
  skull: (p) =>
    fill("M50.4 28C40 28 34 35 34 45 34 54 37 57 37 64 37 73 43 78 50.4 78Z", p.coat) +
    fill("M50.4 56C44 56 40 60 40 66 40 73 45 77 50.4 77Z", p.light) +
    fill(
      "M50.4 20C47 18 43 20 43 24 39 23 35 26 36 31 32 33 32 38 36 40 39 42 44 41 45 37Q48 39 50.4 38Z",
      p.light,
    ),
  front: (_, ink) =>
    line("M46 61.5 50 64.5 54 61.5M50 64.5V69M44.5 70.5Q47 72.5 50 69 53 72.5 55.5 70.5", ink, 1.4),
};

/** The length and order of this list are part of every seed's picture. */
export const animals: readonly Animal[] = [
  fox,
  wolf,
  cat,
  tiger,
  lynx,
  lion,
  bear,
  panda,
  koala,
  rabbit,
  mouse,
  raccoon,
  badger,
  dog,
  deer,
  ram,
  bison,
  zebra,
  giraffe,
  elephant,
  rhino,
  boar,
  monkey,
  frog,
  owl,
  falcon,
  penguin,
  bat,
  hedgehog,
  llama,
];
