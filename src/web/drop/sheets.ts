/**
 * The sheets of paper that the wall is made of, drawn once each into an atlas: index 0 the back of a
 * sheet that has not come yet, 1 the desk where one was taken, then one for each colour.
 */

export type Face = "unknown" | "free" | "taken";
export type Size = { readonly width: number; readonly height: number };

export class Sheets {
  #palette: string[] = [];
  #atlas: HTMLCanvasElement | null = null;

  indexOf(face: Face, colour: string): number {
    if (face !== "free") return face === "unknown" ? 0 : 1;
    const known = this.#palette.indexOf(colour);
    if (known >= 0) return known + 2;
    this.#atlas = null;
    return this.#palette.push(colour) + 1;
  }

  /** Draw them anew at the next use: another size, or another theme. */
  forget(): void {
    this.#atlas = null;
  }

  /** Side by side, each in a place of the size of `tile`, with the gap at its right and below. */
  atlas(tile: Size, gap: number, back: string, dot: string): HTMLCanvasElement {
    if (this.#atlas !== null) return this.#atlas;
    const atlas = document.createElement("canvas");
    atlas.width = tile.width * (this.#palette.length + 2);
    atlas.height = tile.height;
    const pen = atlas.getContext("2d");
    if (pen === null) throw new Error("the browser draws no canvas");
    const [width, height] = [tile.width - gap, tile.height - gap];
    pen.fillStyle = back;
    pen.fillRect(0, 0, width, height);
    const size = Math.max(1, Math.round(Math.min(width, height) / 5));
    pen.fillStyle = dot;
    pen.fillRect(
      tile.width + Math.floor((width - size) / 2),
      Math.floor((height - size) / 2),
      size,
      size,
    );
    this.#palette.forEach((colour, i) =>
      drawSheet(pen, (i + 2) * tile.width, { width, height }, colour),
    );
    this.#atlas = atlas;
    return atlas;
  }
}

type Points = readonly (readonly [number, number])[];

/** Its upper right corner folded down, lit from the left. */
function drawSheet(
  pen: CanvasRenderingContext2D,
  x: number,
  { width, height }: Size,
  colour: string,
): void {
  const corner = Math.max(1, Math.round(Math.min(width, height) * 0.36));
  const bend = width - corner;
  const shape = (points: Points, fill: string) => {
    pen.beginPath();
    for (const [px, py] of points) pen.lineTo(x + px, py);
    pen.closePath();
    pen.fillStyle = fill;
    pen.fill();
  };
  const sheet: Points = [
    [0, 0],
    [bend, 0],
    [width, corner],
    [width, height],
    [0, height],
  ];
  const lit: Points = [
    [0, 0],
    [bend, 0],
    [0, bend],
  ];
  const shaded: Points = [
    [width, height],
    [width, corner],
    [corner, height],
  ];
  const fold: Points = [
    [bend, 0],
    [width, corner],
    [bend, corner],
  ];
  shape(sheet, colour);
  shape(lit, "#ffffff2e");
  shape(shaded, "#150b2e1a");
  shape(fold, "#150b2e4d");
}

/** Where a colour stands on the way from dark red over blue and green to orange. */
export function hueOrder(hex: string): number {
  const n = Number.parseInt(hex.slice(1), 16);
  const [r, g, b] = [n >> 16, (n >> 8) & 255, n & 255];
  const [max, min] = [Math.max(r, g, b), Math.min(r, g, b)];
  const span = max - min || 1;
  const sixth = max === r ? (g - b) / span : max === g ? 2 + (b - r) / span : 4 + (r - g) / span;
  const hue = (sixth * 60 + 360) % 360;
  const dark = 0.299 * r + 0.587 * g + 0.114 * b < 115;
  // The dark ones backwards round the circle, then the light ones forwards from green.
  return dark ? 360 - hue : 400 + ((hue - 75 + 360) % 360);
}
