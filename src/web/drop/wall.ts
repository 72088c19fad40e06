/**
 * The wall: every item of the sale as a tile of one canvas. It knows tiles and pixels, not sales.
 *
 * A tile is a small sheet of paper in the colour of its item's picture; taken, it is gone from the
 * desk. A change turns the tile over. Only tiles that turn are drawn again, from an atlas of finished
 * sheets, so ten thousand can turn at once. Whatever changes is drawn with the next frame, once: while a
 * page is loaded it changes a dozen times, and the whole wall costs a phone a third of a second. Tiles lie
 * by number until `arrange` says otherwise. A second canvas above carries the few marks: mine, picked.
 */
import { type Face, Sheets, type Size } from "./sheets.ts";

export type Mark = { readonly id: number; readonly kind: "held" | "bought" | "selected" };

type Colours = Readonly<Record<"desk" | "back" | "dot" | "ink" | "held" | "good" | "card", string>>;
type Turn = { readonly from: number; readonly to: number; readonly at: number };

const turnMs = 520;
/** Changes that come together turn over within this time, not in one blink. */
const spreadMs = 260;
/** A new arrangement goes over the wall in a wave of this length. */
const waveMs = 900;
const tilePixelsMax = 64;
/** CSS pixels, however few tiles there are. */
const heightMin = 240;
const dimmed = 0.14;

export class Wall {
  readonly #canvas: HTMLCanvasElement;
  readonly #marksCanvas: HTMLCanvasElement;
  readonly #pen: CanvasRenderingContext2D;
  readonly #marksPen: CanvasRenderingContext2D;
  readonly #still = matchMedia("(prefers-reduced-motion: reduce)");
  readonly #sheets = new Sheets();
  #colours: Colours;
  #count = 0;
  /** Sheets by item, from 1. */
  #sheetOf = new Uint16Array(1);
  #dim = new Uint8Array(1);
  /** Items by place, from 0, and places by item, from 1. */
  #itemAt = new Uint32Array(0);
  #placeOf = new Uint32Array(1);
  /** By place. */
  #turning = new Map<number, Turn>();
  #marks: readonly Mark[] = [];
  #keyOf: ((id: number) => number) | null = null;
  #frame = 0;
  /** The whole wall is to be drawn, with the next frame. */
  #isStale = false;
  /** What the tiles were made to fit. */
  #laid = "";
  /** In pixels of the canvas. */
  #tile: Size = { width: 8, height: 8 };
  #gap = 1;
  #columns = 1;
  #rows = 1;
  #left = 0;
  #top = 0;

  constructor(canvas: HTMLCanvasElement, marks: HTMLCanvasElement) {
    const [pen, marksPen] = [canvas.getContext("2d", { alpha: false }), marks.getContext("2d")];
    if (pen === null || marksPen === null) throw new Error("the browser draws no canvas");
    this.#canvas = canvas;
    this.#marksCanvas = marks;
    this.#pen = pen;
    this.#marksPen = marksPen;
    this.#colours = this.#readColours();
  }

  get columns(): number {
    return this.#columns;
  }

  /** Forgets every tile, and lays `count` of them out, backs up. */
  reset(count: number): void {
    this.#count = count;
    this.#sheetOf = new Uint16Array(count + 1);
    this.#dim = new Uint8Array(count + 1);
    this.#placeOf = new Uint32Array(count + 1);
    this.#keyOf = null;
    this.#turning.clear();
    this.#fit();
    this.#order();
    this.#redraw();
    this.#drawMarks();
  }

  /** Another count of the same tiles. */
  resize(count: number): void {
    if (count === this.#count) return;
    const before = this.#sheetOf;
    this.reset(count);
    this.#sheetOf.set(before.subarray(0, count + 1));
  }

  /** Shows a face; turns the tile over when it had another one. */
  set(id: number, face: Face, colour: string): void {
    if (id < 1 || id > this.#count) return;
    const to = this.#sheets.indexOf(face, colour);
    const from = this.#sheetOf[id] ?? 0;
    if (to === from) return;
    this.#sheetOf[id] = to;
    this.#turn(this.#placeOf[id] ?? 0, from, to, Math.random() * spreadMs);
  }

  /** Lays the tiles along the diagonals of the wall, in the order of `keyOf`; null: by number. */
  arrange(keyOf: ((id: number) => number) | null): void {
    const before = this.#itemAt;
    this.#keyOf = keyOf;
    this.#order();
    this.#itemAt.forEach((id, place) => {
      const was = before[place] ?? 0;
      const [from, to] = [this.#sheetOf[was] ?? 0, this.#sheetOf[id] ?? 0];
      if (from !== to || this.#dim[was] !== this.#dim[id])
        this.#turn(place, from, to, this.#depthOf(place) * waveMs);
    });
    this.#drawMarks();
  }

  #order(): void {
    const keyOf = this.#keyOf;
    const byNumber = Uint32Array.from({ length: this.#count }, (_, place) => place + 1);
    this.#itemAt = byNumber;
    if (keyOf !== null) {
      const keys = Float64Array.from({ length: this.#count + 1 }, (_, id) => keyOf(id));
      const items = byNumber.toSorted((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0) || a - b);
      const places = Array.from(byNumber, (id) => id - 1);
      const depth = Float64Array.from(places, (place) => this.#depthOf(place));
      places.sort((a, b) => (depth[a] ?? 0) - (depth[b] ?? 0) || a - b);
      this.#itemAt = new Uint32Array(this.#count);
      places.forEach((place, i) => (this.#itemAt[place] = items[i] ?? 0));
    }
    this.#itemAt.forEach((id, place) => (this.#placeOf[id] = place));
  }

  /** Keeps in colour what fits; null: everything. */
  filter(fits: ((id: number) => boolean) | null): void {
    for (let id = 1; id <= this.#count; id++) this.#dim[id] = fits === null || fits(id) ? 0 : 1;
    this.#redraw();
  }

  mark(marks: readonly Mark[]): void {
    this.#marks = marks;
    this.#drawMarks();
  }

  /** The theme may have changed. */
  repaint(): void {
    const before = Object.values(this.#colours).join();
    this.#colours = this.#readColours();
    if (Object.values(this.#colours).join() === before) return;
    this.#sheets.forget();
    this.#redraw();
    this.#drawMarks();
  }

  /** The window may have another size. Drawn at once, for this comes after the frame's drawing. */
  layOut(): void {
    if (!this.#fit()) return;
    this.#turning.clear();
    this.#order();
    this.#drawAll();
    this.#drawMarks();
  }

  /**
   * Makes the tiles as large as they go, and nearly square, in the canvas's width and at most its
   * `max-height`; the canvas becomes as high as they are.
   * @returns whether anything is other than before, and the canvas bare
   */
  #fit(): boolean {
    const { clientWidth, style } = this.#canvas;
    const scale = Math.min(3, devicePixelRatio || 1);
    const width = Math.floor(clientWidth * scale);
    const heightMax = Math.floor(parseFloat(getComputedStyle(this.#canvas).maxHeight) * scale);
    if (width === 0 || this.#count === 0) return false;
    const laid = [width, heightMax, scale, this.#count].join();
    if (laid === this.#laid) return false;
    this.#laid = laid;
    let best = 0;
    for (let w = 2; w <= tilePixelsMax * scale; w++) {
      const columns = Math.floor(width / w);
      const rows = Math.ceil(this.#count / Math.max(1, columns));
      const h = Math.min(Math.floor(heightMax / rows), Math.ceil(w * 1.3));
      if (columns === 0 || h < w * 0.8) break;
      const covered = w * h * this.#count;
      if (covered < best) continue;
      best = covered;
      this.#tile = { width: w, height: h };
      this.#columns = columns;
      this.#rows = rows;
    }
    this.#gap = Math.max(1, Math.round(this.#tile.width * 0.14));
    const covered = this.#rows * this.#tile.height - this.#gap;
    const height = Math.max(Math.floor(heightMin * scale), covered);
    style.height = `${height / scale}px`;
    this.#left = Math.floor((width - this.#columns * this.#tile.width + this.#gap) / 2);
    this.#top = Math.floor((height - covered) / 2);
    for (const canvas of [this.#canvas, this.#marksCanvas]) {
      canvas.width = width;
      canvas.height = height;
    }
    this.#sheets.forget();
    return true;
  }

  /** The item at a point in CSS pixels from the canvas's corner; null beside them all. */
  at(x: number, y: number): number | null {
    const scale = this.#scale;
    const column = Math.floor((x * scale - this.#left) / this.#tile.width);
    const row = Math.floor((y * scale - this.#top) / this.#tile.height);
    if (column < 0 || column >= this.#columns || row < 0) return null;
    return this.#itemAt[row * this.#columns + column] ?? null;
  }

  /** The nearest item that fits within `radius` of a point, in CSS pixels; else the one at the point. */
  near(x: number, y: number, radius: number, fits: (id: number) => boolean): number | null {
    const scale = this.#scale;
    const { width, height } = this.#tile;
    const [column, row] = [(x * scale - this.#left) / width, (y * scale - this.#top) / height];
    const [across, down] = [(radius * scale) / width, (radius * scale) / height];
    let nearest: number | null = null;
    let least = radius * scale;
    for (let r = Math.max(0, Math.floor(row - down)); r <= row + down && r < this.#rows; r++)
      for (let c = Math.max(0, Math.floor(column - across)); c <= column + across; c++) {
        const id = c < this.#columns ? this.#itemAt[r * this.#columns + c] : undefined;
        if (id === undefined || !fits(id)) continue;
        const far = Math.hypot((c + 0.5 - column) * width, (r + 0.5 - row) * height);
        if (far >= least) continue;
        least = far;
        nearest = id;
      }
    return nearest ?? this.at(x, y);
  }

  /** Where an item's tile lies in the window, in CSS pixels. */
  placeOf(id: number): { readonly x: number; readonly y: number } {
    const { left, top } = this.#canvas.getBoundingClientRect();
    const { x, y } = this.#cornerOf(this.#placeOf[id] ?? 0);
    return { x: left + x / this.#scale, y: top + y / this.#scale };
  }

  /** Pixels of the canvas to one of CSS. */
  get #scale(): number {
    return this.#canvas.width / (this.#canvas.clientWidth || 1);
  }

  /** The item so many places further on, as the arrow keys go; the wall's ends hold. */
  next(id: number | null, step: number): number {
    const from = id === null ? -1 : (this.#placeOf[id] ?? 0);
    return this.#itemAt[Math.max(0, Math.min(this.#count - 1, from + step))] ?? 1;
  }

  #cornerOf(place: number): { readonly x: number; readonly y: number } {
    const x = this.#left + (place % this.#columns) * this.#tile.width;
    return { x, y: this.#top + Math.floor(place / this.#columns) * this.#tile.height };
  }

  /** 0 at the upper left of the wall, 1 at the lower right. */
  #depthOf(place: number): number {
    const [column, row] = [place % this.#columns, Math.floor(place / this.#columns)];
    return (column / this.#columns + row / this.#rows) / 2;
  }

  /** Properties have light-dark() resolved, as variables have not: asked of one for each colour. */
  #readColours(): Colours {
    const { style } = this.#canvas;
    const resolved = (name: string) => {
      style.color = `var(${name})`;
      return getComputedStyle(this.#canvas).color;
    };
    const [desk, back, dot] = [resolved("--desk"), resolved("--back"), resolved("--dot")];
    const [ink, held, good] = [resolved("--ink"), resolved("--held"), resolved("--good")];
    const card = resolved("--card");
    style.color = "";
    return { desk, back, dot, ink, held, good, card };
  }

  #turn(place: number, from: number, to: number, delayMs: number): void {
    const isSudden = this.#still.matches || document.hidden;
    const shown = isSudden ? to : (this.#turning.get(place)?.from ?? from);
    const at = isSudden ? -Infinity : performance.now() + delayMs;
    this.#turning.set(place, { from: shown, to, at });
    this.#wake();
  }

  #draw(place: number, sheet: number, turned: number): void {
    const { width, height } = this.#tile;
    const { x, y } = this.#cornerOf(place);
    this.#pen.fillStyle = this.#colours.desk;
    this.#pen.fillRect(x, y, width, height);
    this.#lay(place, sheet, turned);
  }

  /** Onto the bare desk; `turned` from 1, flat, to 0, seen from its edge. */
  #lay(place: number, sheet: number, turned: number): void {
    const pen = this.#pen;
    const { width, height } = this.#tile;
    const { x, y } = this.#cornerOf(place);
    const seen = width * turned;
    if (seen < 0.5) return;
    const { back, dot } = this.#colours;
    const atlas = this.#sheets.atlas(this.#tile, this.#gap, back, dot);
    const dim = this.#dim[this.#itemAt[place] ?? 0] === 1;
    if (dim) pen.globalAlpha = dimmed;
    pen.drawImage(atlas, sheet * width, 0, width, height, x + (width - seen) / 2, y, seen, height);
    if (dim) pen.globalAlpha = 1;
  }

  #redraw(): void {
    this.#isStale = true;
    this.#wake();
  }

  #drawAll(): void {
    this.#isStale = false;
    this.#pen.fillStyle = this.#colours.desk;
    this.#pen.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    for (let place = 0; place < this.#count; place++) {
      const turn = this.#turning.get(place);
      this.#lay(place, turn?.from ?? this.#sheetOf[this.#itemAt[place] ?? 0] ?? 0, 1);
      if (turn?.at === -Infinity) this.#turning.delete(place);
    }
  }

  #wake(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame((now) => this.#step(now));
  }

  #step(now: number): void {
    this.#frame = 0;
    if (this.#isStale) this.#drawAll();
    for (const [place, { from, to, at }] of this.#turning) {
      const done = (now - at) / turnMs;
      if (done <= 0) continue;
      if (done >= 1) this.#turning.delete(place);
      if (done >= 1) this.#draw(place, to, 1);
      else this.#draw(place, done < 0.5 ? from : to, Math.abs(Math.cos(done * Math.PI)));
    }
    if (this.#turning.size > 0) this.#wake();
  }

  #drawMarks(): void {
    const pen = this.#marksPen;
    pen.clearRect(0, 0, this.#marksCanvas.width, this.#marksCanvas.height);
    const { held, good, ink, card } = this.#colours;
    const colour = { held, bought: good, selected: ink };
    for (const { id, kind } of this.#marks) {
      if (id > this.#count) continue;
      const { x, y } = this.#cornerOf(this.#placeOf[id] ?? 0);
      const [width, height] = [this.#tile.width - this.#gap, this.#tile.height - this.#gap];
      const line = Math.max(2, Math.round(width * 0.3));
      const rings = [
        [line * 1.5, card],
        [line / 2, colour[kind]],
      ] as const;
      pen.lineWidth = line;
      for (const [grow, tone] of rings) {
        pen.strokeStyle = tone;
        pen.strokeRect(x - grow, y - grow, width + 2 * grow, height + 2 * grow);
      }
    }
  }
}
