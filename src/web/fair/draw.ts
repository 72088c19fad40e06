/**
 * Checks a draw in the browser, from what the server publishes: that the seed is the one that was
 * promised, that the list of entries is the one that was drawn, and that every rank follows from both.
 */
import { get } from "../api.ts";
import type { Queue } from "../queue/room.ts";

type Published = Queue & { readonly entries_digest: string | null };
type Finding = { readonly what: string; readonly isKept: boolean };
export type Checked = { readonly queue: Published; readonly findings: readonly Finding[] | null };

const encoder = new TextEncoder();
const hexOf = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
const digest = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  hexOf(await crypto.subtle.digest("SHA-256", bytes));
const bytesOf = (hex: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

/** Keys that are worked out between two looks at the progress. */
const keysAtOnce = 2_000;

type Row = { readonly number: number; readonly entry: string; readonly rank: number };

function rowsOf(csv: string): readonly Row[] {
  const [, ...lines] = csv.trim().split(/\r?\n/);
  return lines
    .map((line) => {
      const [number = "", entry = "", rank = ""] = line.split(",");
      return { number: Number(number), entry, rank: Number(rank) };
    })
    .toSorted((a, b) => a.number - b.number);
}

async function keysOf(
  rows: readonly Row[],
  prefix: string,
  told: (done: number) => void,
): Promise<readonly string[]> {
  const keys: string[] = [];
  for (let from = 0; from < rows.length; from += keysAtOnce) {
    const part = rows.slice(from, from + keysAtOnce);
    // One part after another, for the page to live meanwhile.
    // oxlint-disable-next-line no-await-in-loop
    keys.push(
      ...(await Promise.all(part.map(({ entry }) => digest(encoder.encode(prefix + entry))))),
    );
    told(keys.length);
  }
  return keys;
}

/**
 * @param told how many entries have been looked at
 * @returns no findings before the draw
 * @throws Problem; TypeError where the browser has no cryptography, as on pages without TLS
 */
export async function checkDraw(saleId: number, told: (done: number) => void): Promise<Checked> {
  const queue = await get<Published>(`/sales/${saleId}/queue`);
  const { seed, commitment, entries_digest } = queue;
  if (seed === null || commitment === null || entries_digest === null)
    return { queue, findings: null };
  const answer = await fetch(`/sales/${saleId}/draw.csv`);
  if (!answer.ok) throw new Error(`the draw's list was answered with ${answer.status}`);
  const rows = rowsOf(await answer.text());
  const list = rows.map(({ entry }) => `${entry}\n`).join("");
  const keys = await keysOf(rows, `${seed}:${entries_digest}:`, told);
  const order = rows
    .map(({ rank }, i) => ({ rank, key: keys[i] ?? "" }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  return {
    queue,
    findings: [
      {
        what: "The seed is the one that was promised",
        isKept: (await digest(bytesOf(seed))) === commitment,
      },
      {
        what: "The list of who had come is the one that was drawn",
        isKept:
          rows.every(({ number }, i) => number === i + 1) &&
          (await digest(encoder.encode(list))) === entries_digest,
      },
      {
        what: `Each of ${rows.length} ranks follows from both`,
        isKept: order.every(({ rank }, i) => rank === i + 1),
      },
    ],
  };
}
