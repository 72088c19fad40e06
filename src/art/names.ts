/**
 * What the items of an hourly sale are called and what they cost.
 *
 * Names are made by faker around what the item's picture shows: "Jaunty Copper Fox" has a copper fox
 * on it. The same seed gives the same names, no two alike within a sale, none longer than
 * `nameCharactersMax`. Made one by one, so that the caller decides how many to make between two
 * turns of the event loop. Nothing is read or kept between calls, and no seed makes it fail.
 */

import { base, en, Faker } from "@faker-js/faker";
import { dice } from "./dice.ts";
import { itemTraits, type ItemTraits } from "./pictures.ts";

export const nameCharactersMax = 60;

/** How often a taken name is thrown again before it gets a number behind it. */
const retriesMax = 8;

/** The seed of item `number`'s picture in the sale of seed `saleSeed`; the item's name and price follow it too. */
export const pictureSeed = (saleSeed: number, number: number): string => `${saleSeed}-${number}`;

/** Those of faker's adjectives one would want on a catalogue: its full list holds "abandoned" and "putrid". */
const moods = (
  "Agile Amazing Angelic Antique Artistic Astonishing Bouncy Brave Bright Brilliant Brisk " +
  "Carefree Celebrated Charming Cheerful Classic Clever Cool Courageous Crafty Cuddly " +
  "Dapper Daring Dazzling Distant Dreamy Electric Elegant Enchanted Exalted Exotic Fabled " +
  "Fearless Fluffy Focused Friendly Gentle Gifted Glittering Glorious Graceful Gracious " +
  "Grand Handsome Happy Heavenly Hidden Honorable Humble Illustrious Impish Incredible " +
  "Infinite Intrepid Jaunty Jolly Joyful Jubilant Keen Kooky Lavish Lively Lone Lucky " +
  "Luminous Lustrous Magnificent Majestic Marvelous Mellow Merry Mighty Mysterious " +
  "Nautical Nifty Nimble Nocturnal Noble Offbeat Optimistic Ornate Outlandish Peaceful " +
  "Perky Playful Plucky Polished Posh Proud Quick Quiet Quixotic Radiant Rare Regal " +
  "Remarkable Restless Roaming Rowdy Rustic Secret Serene Shimmering Shy Silent Silky " +
  "Sleepy Sly Smooth Snappy Snug Sociable Sparkling Spirited Splendid Spry Stargazing " +
  "Stormy Stylish Sunny Swift Thunderous Tidy Timeless Tireless Trusty Unsung Upbeat " +
  "Urbane Velvety Vibrant Victorious Vivid Wandering Whimsical Whirlwind Wild Winged " +
  "Winsome Wise Witty Wobbly Zany Zesty"
).split(" ");

/** Those of faker's genres that sit well before an animal. */
const genres = (
  "Acid Jazz, Afrobeat, Ambient, Bebop, Big Band, Bluegrass, Bossa Nova, Breakbeat, " +
  "Britpop, Cool Jazz, Deep House, Delta Blues, Disco, Dixieland, Doo-wop, Dream Pop, Dub, " +
  "Electro, Flamenco, Folk, Funk, Glam Rock, Grunge, Honky Tonk, Hip Hop, Indie, " +
  "Krautrock, Lounge, Motown, New Wave, Opera, Polka, Punk, Ragtime, Reggae, Rocksteady, " +
  "Samba, Shoegaze, Ska, Soul, Surf, Swing, Synth Pop, Tango, Techno, Trip Hop, Zydeco"
).split(", ");

type Maker = (faker: Faker, traits: ItemTraits) => string;

const makers: readonly { readonly weight: number; readonly value: Maker }[] = [
  { weight: 8, value: (f, t) => `${f.helpers.arrayElement(moods)} ${t.coat} ${t.animal}` },
  { weight: 4, value: (_, t) => `${t.ground} ${t.coat} ${t.animal}` },
  { weight: 4, value: (f, t) => `${f.person.firstName()} the ${t.coat} ${t.animal}` },
  { weight: 3, value: (f, t) => `${t.coat} ${t.animal} of ${f.location.city()}` },
  { weight: 2, value: (f, t) => `${t.coat} ${f.helpers.arrayElement(genres)} ${t.animal}` },
  {
    weight: 2,
    value: (f, t) => `${f.commerce.productMaterial()} ${t.animal} in ${t.ground} Light`,
  },
];

/** A crowned animal has a title. */
const crowned: Maker = (f, t) =>
  `${f.helpers.arrayElement(["King", "Queen", "Emperor", "Empress", "Sovereign"])} ${f.person.firstName()} the ${t.coat} ${t.animal}`;

/**
 * The names of items 1…`count` of the sale of seed `saleSeed`, in item order.
 * Take as many as fit in a turn of the event loop; the generator goes on where it was left.
 */
export function* itemNames(saleSeed: number, count: number): Generator<string, void, undefined> {
  const faker = new Faker({ locale: [en, base], seed: saleSeed });
  const taken = new Set<string>();
  for (let number = 1; number <= count; number++) {
    const traits = itemTraits(pictureSeed(saleSeed, number));
    const name = freeName(faker, traits, taken);
    taken.add(name);
    yield name;
  }
}

function freeName(faker: Faker, traits: ItemTraits, taken: ReadonlySet<string>): string {
  let name = "";
  for (let retry = 0; retry <= retriesMax; retry++) {
    const make = traits.crowned ? crowned : faker.helpers.weightedArrayElement(makers);
    const thrown = make(faker, traits);
    // Room is left for " No. " and a number.
    if (thrown.length > nameCharactersMax - 12) continue;
    if (!taken.has(thrown)) return thrown;
    name = thrown;
  }
  name ||= `${traits.ground} ${traits.coat} ${traits.animal}`;
  for (let edition = 2; ; edition++) {
    const numbered = `${name} No. ${edition}`;
    if (!taken.has(numbered)) return numbered;
  }
}

/**
 * What item `number` of the sale of seed `saleSeed` costs, in cents: 4.99 to 249.00, most of them
 * under 60, the crowned ones dear.
 */
export function itemPriceCents(saleSeed: number, number: number): number {
  const seed = pictureSeed(saleSeed, number);
  // Another stream than the picture's, or price would follow from the kind of animal.
  const d = dice(`${seed} price`);
  const low = itemTraits(seed).crowned ? 120 : 5;
  // The cube of an even throw crowds the cheap end, as shelves do.
  const units = low + Math.floor((249 - low + 1) * d.real() ** 3);
  return Math.max(499, units * 100 - d.pick([1, 1, 1, 0, 50]));
}
