/**
 * The home page in the browser: shows the open hourly sale and lets one buyer reserve, buy and give back.
 *
 * It promises to show the server's figures and clock, never its own guesses: a tile changes only after
 * the server has answered. What the buyer holds is kept in localStorage, so a reload loses no code.
 * When the server does not answer, the page says so, keeps the last figures and tries again, ever more
 * slowly. A checkout that got no answer is retried under the same idempotency key.
 */

interface Sale {
  id: string;
  title: string;
  ends_at: string;
  stock: number;
  per_user_limit: number;
  reservation_ttl_ms: number;
  sold: number;
  reserved: number;
  available: number;
  attempts: number;
}
interface SaleNow {
  now: string;
  current: Sale | null;
  next: { starts_at: string } | null;
}
interface Item {
  id: number;
  name: string;
  image_url: string;
  price_cents: number;
  /** Units; absent in the answer to a checkout. */
  available?: number;
}
interface ItemPage {
  items: Item[];
  next_after: number | null;
}
/** What this buyer holds or has bought in the present sale. */
interface Holding {
  code: string;
  sale_id: string;
  item: Item;
  expires_at: string;
  bought: boolean;
}
type Refusal = { status: number; code: string; detail: string };
type Answer<T> = { ok: true; body: T } | { ok: false; refusal: Refusal };
type Phase = "free" | "held" | "bought" | "taken";
interface Tile {
  item: Item;
  phase: Phase;
  /** Kept from an attempt without an answer until the next, so that it is not a second reservation. */
  key: string | null;
  busy: boolean;
  root: HTMLLIElement;
  left: HTMLElement;
  acts: HTMLElement;
}

const tilesMax = 24;
const pollMs = 1000;
const pollMsMax = 30_000;
const lookAheadMax = 100;
const catalogueEveryPolls = 4;
const answerMsMax = 8000;
const storedAt = { user: "stampede.user", holdings: "stampede.holdings" };

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`no #${id}`);
  return found;
}
const show = (id: string, text: string) => {
  const place = element(id, HTMLElement);
  if (place.textContent !== text) place.textContent = text;
};
const count = new Intl.NumberFormat("en");
const money = new Intl.NumberFormat("en", { style: "currency", currency: "USD" });
const price = (item: Item) => money.format(item.price_cents / 100);
// crypto.randomUUID exists in secure contexts only; a page on a LAN address is none.
const randomWord = () =>
  Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join("");

/** localStorage may be full or forbidden; then the page forgets on reload, and works. */
const store = {
  get(key: string): string | null {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set(key: string, value: string): void {
    try {
      localStorage.setItem(key, value);
    } catch {}
  },
};

const userId = store.get(storedAt.user) ?? `guest-${randomWord()}`;
store.set(storedAt.user, userId);

let sale: Sale | null = null;
let saleKnown = false;
let nextStartsAt: number | null = null;
/** The server's clock minus ours, in milliseconds. */
let clockAhead = 0;
let tiles: Tile[] = [];
let holdings: Holding[] = readHoldings();
let nextAfter: number | null = null;
let failures = 0;
let polls = 0;

const now = () => Date.now() + clockAhead;

function readHoldings(): Holding[] {
  try {
    const stored: unknown = JSON.parse(store.get(storedAt.holdings) ?? "[]");
    return Array.isArray(stored) ? stored : [];
  } catch {
    return [];
  }
}

function keepHoldings(next: Holding[]): void {
  holdings = next;
  store.set(storedAt.holdings, JSON.stringify(holdings));
}

/** Throws when there is no answer; a refusal is an answer. */
async function ask<T>(method: string, path: string, headers: HeadersInit = {}): Promise<Answer<T>> {
  const response = await fetch(path, { method, headers, signal: AbortSignal.timeout(answerMsMax) });
  if (response.status === 204) return { ok: true, body: undefined as T };
  const body = await response.json();
  if (response.ok) return { ok: true, body };
  const detail = String(body.detail ?? response.statusText);
  return { ok: false, refusal: { status: response.status, code: String(body.code), detail } };
}

// --- The sale and its clock -------------------------------------------------------------------

async function poll(): Promise<void> {
  try {
    const before = Date.now();
    const answer = await ask<SaleNow>("GET", "/sale");
    if (!answer.ok) throw new Error(answer.refusal.detail);
    const middle = (before + Date.now()) / 2;
    clockAhead = Date.parse(answer.body.now) - middle;
    nextStartsAt = answer.body.next ? Date.parse(answer.body.next.starts_at) : null;
    await take(answer.body.current);
    failures = 0;
  } catch {
    failures++;
  }
  const line = element("line", HTMLElement);
  line.className = failures === 0 ? "line up" : "line down";
  show("line", failures === 0 ? "Live" : "Connection lost, trying again");
  drawCountdown();
  schedulePoll();
}

let pollTimer: ReturnType<typeof setTimeout> | undefined;
function schedulePoll(): void {
  clearTimeout(pollTimer);
  // A hidden page asks nothing; it polls at once when it is shown again.
  if (document.hidden) return;
  const wait = Math.min(pollMsMax, pollMs * 2 ** Math.min(failures, 6));
  // Spread, so that pages that lost the server together do not come back together.
  pollTimer = setTimeout(poll, wait * (0.85 + Math.random() * 0.3));
}

async function take(current: Sale | null): Promise<void> {
  if (!saleKnown || current?.id !== sale?.id) setTiles([]);
  sale = current;
  saleKnown = true;
  keepHoldings(holdings.filter((holding) => holding.sale_id === sale?.id));
  drawSale();
  // An empty grid also means that filling it failed: the next poll tries again.
  if (tiles.length === 0) await fillGrid(0);
  else if (polls++ % catalogueEveryPolls === 0) await refreshTaken();
}

function drawSale(): void {
  const s = sale;
  show("title", s ? s.title : "Between sales");
  show(
    "terms",
    s
      ? `${count.format(s.stock)} items, at most ${s.per_user_limit} each. A reservation is kept for ${Math.round(s.reservation_ttl_ms / 1000)} seconds.`
      : "Nothing is on sale at the moment. The next herd is on its way.",
  );
  show("until", s ? "Next sale in" : "Opens in");
  show("sold", s ? count.format(s.sold) : "–");
  show("reserved", s ? count.format(s.reserved) : "–");
  show("available", s ? count.format(s.available) : "–");
  show("attempts", s ? count.format(s.attempts) : "–");
  const share = (units: number) => `scaleX(${s && s.stock > 0 ? units / s.stock : 0})`;
  element("bar-sold", HTMLElement).style.transform = share(s?.sold ?? 0);
  element("bar-reserved", HTMLElement).style.transform = share((s?.sold ?? 0) + (s?.reserved ?? 0));
  document.title = s ? `${count.format(s.available)} left · Stampede` : "Stampede";
  drawLimits();
}

function drawCountdown(): void {
  if (nextStartsAt === null) return show("countdown", "--:--");
  const seconds = Math.max(0, Math.ceil((nextStartsAt - now()) / 1000));
  show("countdown", clock(seconds));
}

const two = (n: number) => String(Math.floor(n)).padStart(2, "0");
function clock(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  return `${hours > 0 ? `${hours}:` : ""}${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
}

// --- What may be done now ---------------------------------------------------------------------

const unitsOfMine = () =>
  holdings.filter((h) => h.bought || Date.parse(h.expires_at) > now()).length;
const atLimit = () => sale !== null && unitsOfMine() >= sale.per_user_limit;
const soldOut = () => sale !== null && sale.sold >= sale.stock;
const mayReserve = () => sale !== null && !soldOut() && !atLimit();

function drawLimits(): void {
  show("mine", saleKnown ? standing() : "\u00a0");
  // aria-disabled keeps the focus where it is; the click handlers ask mayReserve() themselves.
  for (const reserving of document.querySelectorAll("[data-reserves]"))
    reserving.setAttribute("aria-disabled", String(!mayReserve()));
  element("others", HTMLButtonElement).disabled = sale === null;
  element("items", HTMLUListElement).hidden = saleKnown && sale === null;
}

/** Where the buyer stands in this sale, in a sentence. */
function standing(): string {
  if (sale === null) return "No sale is open. Stay here: the items appear when the next one opens.";
  const bought = holdings.filter((h) => h.bought).length;
  const mine = `You hold ${unitsOfMine() - bought} and have bought ${bought}`;
  if (soldOut()) return `Sold out: all ${count.format(sale.stock)} are gone. ${mine}.`;
  if (atLimit()) return `${mine}: that is this sale's limit of ${sale.per_user_limit}.`;
  if (sale.available === 0)
    return `All that is left is reserved by somebody; what is not bought in time comes back. ${mine}.`;
  return `${mine}.`;
}

// --- The grid ---------------------------------------------------------------------------------

/**
 * Shows the buyer's own items, then what is available after item `after`; and when nothing is,
 * the catalogue from its start, to look at.
 */
async function fillGrid(after: number): Promise<void> {
  const shown = sale;
  if (shown === null) return;
  let answer = await askItems(shown, after, tilesMax, true);
  if (answer.ok && answer.body.items.length === 0)
    answer = await askItems(shown, 0, tilesMax, false);
  if (!answer.ok || sale?.id !== shown.id) return;
  nextAfter = answer.body.next_after;
  const mine = holdings.map((h) => makeTile(h.item, h.bought ? "bought" : "held"));
  const ids = new Set(mine.map((tile) => tile.item.id));
  const others = answer.body.items
    .filter((item) => !ids.has(item.id))
    .map((item) => makeTile(item, item.available === 0 ? "taken" : "free"));
  setTiles([...mine, ...others].slice(0, Math.max(tilesMax, mine.length)));
}

const askItems = (of: Sale, after: number, limit: number, available: boolean) =>
  ask<ItemPage>(
    "GET",
    `/sales/${encodeURIComponent(of.id)}/items?limit=${limit}&after=${after}${available ? "&available=true" : ""}`,
  );

function setTiles(next: Tile[]): void {
  tiles = next;
  element("items", HTMLUListElement).replaceChildren(...tiles.map((tile) => tile.root));
  drawLimits();
}

/** Greys out what others have taken meanwhile, and brings back what they gave back. Moves nothing. */
async function refreshTaken(): Promise<void> {
  const open = tiles.filter((tile) => tile.phase === "free" || tile.phase === "taken");
  if (sale === null || open.length === 0) return;
  const first = Math.min(...open.map((tile) => tile.item.id));
  const answer = await askItems(sale, first - 1, lookAheadMax, true);
  if (!answer.ok) return;
  const { items, next_after } = answer.body;
  const free = new Set(items.map((item) => item.id));
  const last = next_after === null ? Infinity : Math.max(...free);
  for (const tile of open) {
    if (tile.busy || tile.item.id > last) continue;
    const phase = free.has(tile.item.id) ? "free" : "taken";
    // Those that a click has moved on since the question was asked are no longer ours to change.
    if (phase !== tile.phase && (tile.phase === "free" || tile.phase === "taken"))
      enter(tile, phase);
  }
}

function makeTile(item: Item, phase: Phase): Tile {
  const root = document.createElement("li");
  const picture = document.createElement("img");
  picture.width = picture.height = 512;
  picture.alt = "";
  picture.loading = "lazy";
  picture.decoding = "async";
  picture.src = item.image_url;
  const text = document.createElement("div");
  text.className = "text";
  const name = document.createElement("h3");
  name.textContent = item.name;
  name.tabIndex = -1;
  const left = document.createElement("p");
  left.className = "left";
  const acts = document.createElement("div");
  acts.className = "acts";
  text.append(name, left, acts);
  root.append(picture, text);
  const tile: Tile = { item, phase, key: null, busy: false, root, left, acts };
  enter(tile, phase);
  return tile;
}

/** Puts a tile into a phase, and the focus, when it was in the tile, on what can be done next. */
function enter(tile: Tile, phase: Phase): void {
  const focused = tile.root.contains(document.activeElement);
  tile.phase = phase;
  tile.root.className = phase;
  const buttons: Record<Phase, () => HTMLButtonElement[]> = {
    free: () => [button(tile, "Reserve", reserve, { reserves: "" })],
    held: () => [button(tile, "Buy", buy, {}), button(tile, "Give back", giveBack, {}, "quiet")],
    bought: () => [],
    taken: () => [],
  };
  tile.acts.replaceChildren(...buttons[phase]());
  drawLeft(tile);
  if (focused) (tile.acts.querySelector("button") ?? tile.root.querySelector("h3"))?.focus();
}

function button(
  tile: Tile,
  word: string,
  act: (tile: Tile) => Promise<void>,
  data: Record<string, string>,
  className = "",
): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.className = className;
  made.textContent = word;
  made.setAttribute("aria-label", `${word} ${tile.item.name}, ${price(tile.item)}`);
  Object.assign(made.dataset, data);
  if ("reserves" in data) made.setAttribute("aria-disabled", String(!mayReserve()));
  made.addEventListener("click", () => void once(tile, act));
  return made;
}

const holdingOf = (tile: Tile) => holdings.find((h) => h.item.id === tile.item.id);

function drawLeft(tile: Tile): void {
  const holding = holdingOf(tile);
  const seconds = holding ? Math.ceil((Date.parse(holding.expires_at) - now()) / 1000) : 0;
  const words: Record<Phase, string> = {
    free: price(tile.item),
    held: seconds > 0 ? `${price(tile.item)} · ${clock(seconds)}` : `${price(tile.item)} · lapsed`,
    bought: "Yours ✓",
    taken: "Taken",
  };
  if (tile.left.textContent !== words[tile.phase]) tile.left.textContent = words[tile.phase];
}

// --- Reserve, buy, give back ------------------------------------------------------------------

/** One act at a time a tile; an act without an answer changes nothing and can be tried again. */
async function once(tile: Tile, act: (tile: Tile) => Promise<void>): Promise<void> {
  if (tile.busy) return;
  tile.busy = true;
  try {
    await act(tile);
  } catch {
    notice("No answer from the server. Nothing is lost: try again.");
  } finally {
    tile.busy = false;
    drawLimits();
  }
}

async function checkout(id: string, key: string): Promise<Answer<Holding>> {
  const query = new URLSearchParams({ user_id: userId, id, ...(sale ? { sale_id: sale.id } : {}) });
  const answer = await ask<Holding>("POST", `/checkout?${query}`, { "Idempotency-Key": key });
  if (!answer.ok) return answer;
  const { code, sale_id, item, expires_at } = answer.body;
  const holding: Holding = { code, sale_id, item, expires_at, bought: false };
  keepHoldings([...holdings.filter((h) => h.code !== code), holding]);
  return { ok: true, body: holding };
}

async function reserve(tile: Tile): Promise<void> {
  if (!mayReserve()) return;
  tile.key ??= randomWord();
  const answer = await checkout(String(tile.item.id), tile.key);
  if (answer.ok) {
    tile.key = null;
    enter(tile, "held");
    notice(`${tile.item.name} is reserved for you.`);
    return;
  }
  const { refusal } = answer;
  // Past 500 the attempt may yet have been recorded; its key is needed again.
  if (refusal.status < 500) tile.key = null;
  if (["item_reserved", "item_sold_out", "sold_out"].includes(refusal.code)) enter(tile, "taken");
  notice(refusal.detail);
}

async function buy(tile: Tile): Promise<void> {
  const holding = holdingOf(tile);
  if (!holding) return;
  const answer = await ask("POST", `/purchase?code=${encodeURIComponent(holding.code)}`);
  if (answer.ok) {
    keepHoldings(holdings.map((h) => (h === holding ? { ...h, bought: true } : h)));
    enter(tile, "bought");
    notice(`${tile.item.name} is yours.`);
    return;
  }
  const { code, detail } = answer.refusal;
  if (["code_expired", "sale_ended", "code_not_found"].includes(code)) letGo(tile, holding);
  notice(detail);
}

async function giveBack(tile: Tile): Promise<void> {
  const holding = holdingOf(tile);
  if (!holding) return;
  const answer = await ask("DELETE", `/checkout?code=${encodeURIComponent(holding.code)}`);
  if (answer.ok) {
    letGo(tile, holding);
    notice(`${tile.item.name} is free again.`);
  } else {
    if (answer.refusal.code === "already_purchased") {
      keepHoldings(holdings.map((h) => (h === holding ? { ...h, bought: true } : h)));
      enter(tile, "bought");
    }
    notice(answer.refusal.detail);
  }
}

function letGo(tile: Tile, holding: Holding): void {
  keepHoldings(holdings.filter((h) => h !== holding));
  enter(tile, "free");
}

let anyKey: string | null = null;
let anyBusy = false;
async function takeAny(): Promise<void> {
  if (anyBusy || !mayReserve()) return;
  anyBusy = true;
  try {
    anyKey ??= randomWord();
    const answer = await checkout("any", anyKey);
    if (answer.ok || answer.refusal.status < 500) anyKey = null;
    if (!answer.ok) return notice(answer.refusal.detail);
    const { item } = answer.body;
    const there = tiles.find((tile) => tile.item.id === item.id);
    if (there) enter(there, "held");
    else setTiles([makeTile(item, "held"), ...tiles].slice(0, Math.max(tilesMax, holdings.length)));
    notice(`${item.name} is reserved for you.`);
  } catch {
    notice("No answer from the server. Nothing is lost: try again.");
  } finally {
    anyBusy = false;
    drawLimits();
  }
}

let noticeTimer: ReturnType<typeof setTimeout> | undefined;
function notice(text: string): void {
  const place = element("notice", HTMLElement);
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => place.classList.remove("shown"), 6000);
}

// --- Start ------------------------------------------------------------------------------------

show(
  "curl",
  [
    `curl ${location.origin}/sale`,
    `curl -X POST '${location.origin}/checkout?user_id=${userId}&id=any'`,
    `curl -X POST '${location.origin}/purchase?code=CODE'`,
    `curl -X DELETE '${location.origin}/checkout?code=CODE'`,
  ].join("\n"),
);
element("any", HTMLElement).dataset["reserves"] = "";
element("any", HTMLElement).addEventListener("click", () => void takeAny());
element("others", HTMLElement).addEventListener("click", () => {
  fillGrid(nextAfter ?? 0).then(
    () => element("pick", HTMLElement).focus(),
    () => notice("No answer from the server. Try again."),
  );
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void poll();
  else clearTimeout(pollTimer);
});
setInterval(() => {
  drawCountdown();
  for (const tile of tiles) if (tile.phase === "held") drawLeft(tile);
}, 250);
void poll();
