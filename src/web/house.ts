/** What the shop calls itself and how it writes its prices, as the page says in its head. */

type House = {
  readonly name: string;
  readonly currency: string;
  readonly locale: string;
  /** Digits of a price that are behind its point. */
  readonly digits: number;
  /** The time zone of its schedule. */
  readonly zone: string;
};

const told = document.querySelector<HTMLMetaElement>('meta[name="shop"]')?.content;

export const house: House = JSON.parse(told ?? "null") ?? {
  name: "Stampede",
  currency: "USD",
  locale: "en",
  digits: 2,
  zone: "UTC",
};

/** Of a page, as its window says it. */
export const titleOf = (page: string): string => `${page} · ${house.name}`;
