/**
 * A partition of the journal as a file, before it is dropped: CSV as PostgreSQL writes it, compressed by
 * zstd, for whoever has to keep what was tried for longer than the program does.
 *
 * It has its name when it is whole, on the disk, and was read again. One of the same name is never
 * overwritten: where it is not the same to the byte, nothing is exported, nor dropped.
 */
import { once } from "node:events";
import { createReadStream, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createZstdDecompress } from "node:zlib";
import type { Sql } from "postgres";
import { sync } from "../postgres/durable.ts";

/** Attempts that are asked for at a time: about a megabyte. */
export const exportRowsMax = 5_000;
const zstdLevel = 6;

/** Rows of `from` to `to`, both included. */
type Range = { readonly from: number; readonly to: number };

/**
 * Writes a partition into `attempts-FIRST-LAST.csv.zst`.
 * @returns the path of the file; null when the partition has nothing in it
 * @throws when it cannot be written, or another file has the name
 */
export async function exportPartition(
  sql: Sql,
  partition: string,
  folder: string,
): Promise<string | null> {
  const [found] = await sql<{ first: number | null; last: number | null }[]>`
    select min(seq)::float8 as first, max(seq)::float8 as last from ${sql(partition)}`;
  const { first = null, last = null } = found ?? {};
  if (first === null || last === null) return null;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `attempts-${first}-${last}.csv.zst`);
  const partial = `${path}.${crypto.randomUUID().slice(0, 8)}.partial`;
  try {
    const written = await writeRows(sql, partition, { from: first, to: last }, partial);
    if ((await contentHash(partial)) !== written) throw new Error(`${path} was not written whole`);
    if (existsSync(path) && (await contentHash(path)) !== written) {
      throw new Error(`${path} is there already, with something else in it: move it away`);
    }
    renameSync(partial, path);
    sync(dirname(path));
  } finally {
    rmSync(partial, { force: true });
  }
  return path;
}

/** @returns the hash of what the file has in it */
async function writeRows(
  sql: Sql,
  partition: string,
  { from, to }: Range,
  path: string,
): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  const file = await open(path, "wx", 0o600);
  try {
    for (let start = from; start <= to; start += exportRowsMax) {
      const rows = { from: start, to: Math.min(start + exportRowsMax - 1, to) };
      const bytes = await copyOut(sql, partition, rows, start === from);
      hash.update(bytes);
      await append(file, bytes);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

/** A frame of zstd's own each: together they are one file. */
async function append(file: FileHandle, bytes: Uint8Array): Promise<void> {
  await file.writeFile(await Bun.zstdCompress(bytes, { level: zstdLevel }));
}

/** Few enough rows to be taken whole: the driver's stream of a COPY cannot be made to wait. */
async function copyOut(
  sql: Sql,
  partition: string,
  { from, to }: Range,
  withHeader: boolean,
): Promise<Buffer> {
  const rows = await sql
    .unsafe(
      `copy (select * from ${partition} where seq between ${from} and ${to} order by seq)
       to stdout with (format csv, header ${withHeader})`,
    )
    .readable();
  const chunks: Buffer[] = [];
  rows.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(rows, "end");
  return Buffer.concat(chunks);
}

async function contentHash(path: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  // Not by pipe(): nobody would hear of what cannot be read, and the process would end.
  await pipeline(createReadStream(path), createZstdDecompress(), async (plain) => {
    for await (const chunk of plain) hash.update(chunk);
  });
  return hash.digest("hex");
}
