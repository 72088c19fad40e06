/**
 * The disk that holds the records is full in the middle of a sale: whoever asks is told to try
 * again, nothing that was said is lost, and the sale goes on by itself when there is room.
 * A disk of its own takes root to mount; without that there is nothing here to be run.
 */
import { describe, expect, test } from "bun:test";
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { accepted, audit, refused } from "../support/contract.ts";
import { atEnd, newFolder, useLeftovers } from "../support/leftovers.ts";
import { runProgram, startServer } from "../support/server.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

useLeftovers();

const canMount = process.platform === "linux" && process.getuid?.() === 0;
const diskMb = 512;
const crowd = 16;
const stock = 400;
const askedMax = 50_000;
/** Terms that end at once, and how long is waited after the last: 100 ms, doubled each time. */
const failuresSeen = 4;
const waitAfterFailuresMs = 800;

/** An empty folder with a disk of its own. */
function newDisk(): string {
  const folder = join(newFolder(), "disk");
  mkdirSync(folder);
  run("mount", "-t", "tmpfs", "-o", `size=${diskMb}m,mode=755`, "tmpfs", folder);
  // Whoever has just ended may be on it for a moment yet.
  const isLeft = () => Bun.spawnSync(["umount", folder]).exitCode === 0;
  atEnd(async () => {
    await until("the disk to be left", isLeft);
  });
  return folder;
}

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
}

/** Takes all the room that there is, until what it returns is called. */
function fill(disk: string): () => void {
  const path = join(disk, "filler");
  const file = openSync(path, "w");
  const megabyte = new Uint8Array(2 ** 20);
  try {
    for (;;) writeSync(file, megabyte);
  } catch (error) {
    expect(error).toMatchObject({ code: "ENOSPC" });
  } finally {
    closeSync(file);
  }
  return () => rmSync(path);
}

/** When a message was logged; ms. */
const timesOf = (log: string, message: string): number[] =>
  [...log.matchAll(/"time":(\d+),.*"msg":"([^"]+)"\}$/gm)].flatMap(([, time, said]) =>
    said === message ? [Number(time)] : [],
  );

describe.skipIf(!canMount)("a full disk", () => {
  test("ends no sale and loses nothing that was said", async () => {
    const disk = newDisk();
    const STAMPEDE_DATA = join(disk, "data");
    const server = await startServer({ STAMPEDE_DATA, SALE_ITEMS: String(stock) });
    const { client, program } = server;
    atEnd(async () => {
      await server.stop();
    });
    // A small disk has never had the reserve, and everybody is told.
    const ready = Object((await client.get("/ready")).json());
    expect(ready.disk.free_bytes).toBeLessThan(diskMb * 2 ** 20);
    expect(ready.disk.warning).toContain("1.0 GB are to be");
    expect((await client.get("/metrics")).text).toMatch(/^stampede_disk_free_bytes [1-9]/m);
    expect(program.log).toContain("The disk of the records has");
    const { id: saleId } = await client.openSale();
    const order = await client.reserveAndBuy("early");
    const held = await client.reserve("patient");
    const makeRoom = fill(disk);

    // Everybody goes on buying, each an item of its own, until nobody can be served any more.
    const codes = new Map<string, string>();
    let asked = 0;
    let turnedAway = 0;
    const shop = async (): Promise<void> => {
      while (turnedAway < crowd && asked < askedMax) {
        asked += 1;
        const user = `user ${asked}`;
        const answer = await client.checkout(user, "any");
        if (answer.status === 200) codes.set(user, String(Object(answer.json()).code));
        else if (answer.status === 503) {
          // A PostgreSQL that ends in the middle of a commit cannot tell whether it was made.
          const isUnknown = answer.text.includes('"outcome_unknown"');
          if (isUnknown) refused(answer, "outcome_unknown");
          else refused(answer, "unavailable", "retry");
          turnedAway += 1;
        } else expect(answer.status).toBe(409);
      }
    };
    await Promise.all(upTo(crowd).map(shop));
    expect(turnedAway).toBeGreaterThanOrEqual(crowd);
    await until("its saying why", () => program.log.includes("No space left on device"));

    // Each term ends at its first commit, and the next one waits longer.
    const terms = await until("another term after four", async () => {
      await client.checkout("stubborn", "any");
      const begun = timesOf(program.log, "selling");
      const ended = timesOf(program.log, "not selling; trying again");
      return ended.length >= failuresSeen && begun.length > failuresSeen && { begun, ended };
    });
    const waited = (terms.begun[failuresSeen] ?? 0) - (terms.ended[failuresSeen - 1] ?? 0);
    expect(waited).toBeGreaterThanOrEqual(waitAfterFailuresMs);
    expect(program.isRunning).toBe(true);
    expect((await client.get("/health")).status).toBe(200);

    makeRoom();
    await until("its selling again", async () => (await client.get("/ready")).status === 200);
    expect(await client.buy(order.code)).toEqual({ ...order, replayed: true });
    expect(await client.buy(held.code)).toMatchObject({ user_id: "patient", replayed: false });
    await inTurn([...codes], async ([user, code]) => {
      expect(await client.buy(code)).toMatchObject({ user_id: user, replayed: false });
    });
    const found = accepted(await client.get(`/sales/${saleId}/audit`), audit);
    expect(found).toMatchObject({ ok: true, sold: codes.size + 2 });
    expect(await server.stop()).toBe(0);
    expect(await runProgram(["verify"], { STAMPEDE_DATA })).toMatchObject({ exitCode: 0 });
  });
});
