/**
 * The continuous archive: kept while crowds buy, and a data folder made of it as of a moment. What was
 * acknowledged before that moment is in it, nothing of after, the audit holds, and it sells.
 */
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { copiesIn, removeOld } from "../../src/postgres/archive.ts";
import type { Client } from "../support/client.ts";
import { newDataFolder, newFolder, useLeftovers } from "../support/leftovers.ts";
import { newCluster } from "../support/postgres.ts";
import { type Environment, runProgram, startServer } from "../support/server.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

useLeftovers();

/** More than any machine sells meanwhile. */
const stock = { SALE_ITEMS: "50", SALE_UNITS_PER_ITEM: "2000" };

type Sold = { readonly code: string; readonly order_id: string; readonly purchased_at: string };

/** Buyers who go on until they are told to stop; each order that was acknowledged. */
function flood(client: Client, orders: Sold[]): () => Promise<void> {
  const state = { isOver: false };
  const shop = async (buyer: number): Promise<void> => {
    for (let turn = 0; !state.isOver; turn += 1) {
      // oxlint-disable-next-line no-await-in-loop
      orders.push(await client.reserveAndBuy(`crowd ${buyer} ${turn}`));
    }
  };
  const shopping = Promise.all(upTo(4).map(shop));
  return async () => {
    state.isOver = true;
    await shopping;
  };
}

const archiveIn = (backupDir: string): string => join(backupDir, readdirSync(backupDir)[0] ?? "");

const hasCopy = (backupDir: string): true | undefined =>
  (existsSync(backupDir) &&
    readdirSync(backupDir).length > 0 &&
    readdirSync(archiveIn(backupDir)).some((name) => /^data-[^.]*$/.test(name))) ||
  undefined;

/** A program that archives while a crowd buys; what was acknowledged, and a moment in the middle. */
async function archived(backupDir: string) {
  const orders: Sold[] = [];
  const env = { ...stock, STAMPEDE_DATA: await newCluster(), BACKUP_DIR: backupDir };
  await using server = await startServer(env);
  const stop = flood(server.client, orders);
  await until("a copy of the data", () => hasCopy(backupDir));
  const enough = orders.length + 40;
  await until("more orders", () => orders.length >= enough || undefined);
  const before = [...orders];
  // By the clock that PostgreSQL's commits go by; the program's may be some ms off.
  const at = Date.now();
  await until("orders after that", () => {
    return orders.some(({ purchased_at }) => Date.parse(purchased_at) > at + 100) || undefined;
  });
  await stop();
  // A stop archives what is left.
  expect(await server.stop()).toBe(0);
  return { orders, before, at };
}

async function restoredAt(at: string, backupDir: string): Promise<Environment> {
  const env = { ...stock, STAMPEDE_DATA: join(newDataFolder(), "restored") };
  const { exitCode, output, log } = await runProgram(["restore", "--at", at], {
    ...env,
    BACKUP_DIR: backupDir,
  });
  expect({ exitCode, log }).toEqual({ exitCode: 0, log: "" });
  expect(output).toMatch(/Restored up to attempt \d+ of /);
  const audit = await runProgram(["verify"], env);
  expect(audit).toMatchObject({ exitCode: 0, log: "" });
  return env;
}

/** The orders of these that a program on what was restored knows, by buying them again. */
async function knownOf(env: Environment, orders: readonly Sold[]): Promise<Sold[]> {
  await using server = await startServer(env);
  const asked = await inTurn(orders, async (order) => ({
    order,
    answer: await server.client.ask("POST", `/purchase?code=${order.code}`),
  }));
  const known = asked.filter(({ answer, order }) => answer.text.includes(`"${order.order_id}"`));
  for (const { answer } of known) expect(answer.text).toContain('"replayed":true');
  await server.client.reserveAndBuy("somebody new");
  return known.map(({ order }) => order);
}

test("what was sold until a moment is restored from the archive, and what came after is not", async () => {
  const backupDir = join(newFolder(), "archive");
  const { orders, before, at } = await archived(backupDir);
  const env = await restoredAt(new Date(at).toISOString(), backupDir);
  const known = new Set(await knownOf(env, orders));
  expect(before.filter((order) => !known.has(order))).toEqual([]);
  const late = [...known].filter(({ purchased_at }) => Date.parse(purchased_at) > at + 100);
  expect(late).toEqual([]);

  const all = await knownOf(await restoredAt("latest", backupDir), orders);
  expect(all).toEqual(orders);

  await refusesWhatItCannot(backupDir);
}, 300_000);

test("a server that ran without its archive begins it anew", async () => {
  const backupDir = join(newFolder(), "archive");
  const env = { ...stock, STAMPEDE_DATA: await newCluster() };
  const withArchive = { ...env, BACKUP_DIR: backupDir };
  const sells = async (settings: Environment, buyer: string): Promise<Sold> => {
    await using server = await startServer(settings);
    const order: Sold = await server.client.reserveAndBuy(buyer);
    if (settings === withArchive) {
      await until("a copy of the data, and no gap", () => {
        return (hasCopy(backupDir) && !existsSync(join(archiveIn(backupDir), "gap"))) || undefined;
      });
    }
    expect(await server.stop()).toBe(0);
    return order;
  };
  const orders = [
    await sells(withArchive, "ann"),
    await sells(env, "bob"),
    await sells(withArchive, "carl"),
  ];
  expect(readdirSync(archiveIn(backupDir)).filter((name) => name.startsWith("data-"))).toHaveLength(
    2,
  );
  expect(await knownOf(await restoredAt("latest", backupDir), orders)).toEqual(orders);
}, 300_000);

const cutOff = (folder: string): never => {
  rmSync(join(folder, "copy.json"));
  throw new Error("killed");
};

test("a copy whose removal was cut off is none, and the others are whole", () => {
  const archive = newFolder();
  mkdirSync(join(archive, "log"));
  for (const madeAt of [1, 2, 3]) {
    const at = { madeAt, firstSegment: "0".repeat(24), lastSegment: "0".repeat(24) };
    mkdirSync(join(archive, `data-${madeAt}`));
    writeFileSync(join(archive, `data-${madeAt}`, "copy.json"), JSON.stringify(at));
  }
  expect(() => removeOld(archive, 3, cutOff)).toThrow("killed");
  expect(copiesIn(archive).map(({ madeAt }) => madeAt)).toEqual([2, 3]);
});

async function refusesWhatItCannot(backupDir: string): Promise<void> {
  const target = join(newDataFolder(), "restored");
  const refusal = async (at: string, env: Environment = {}): Promise<string> => {
    const run = { STAMPEDE_DATA: target, BACKUP_DIR: backupDir, ...env };
    const { exitCode, log } = await runProgram(["restore", "--at", at], run);
    expect(exitCode).not.toBe(0);
    expect(existsSync(target)).toBe(false);
    return log;
  };
  expect(await refusal("2020-01-01T00:00:00Z")).toContain("nothing before that can be restored");
  expect(await refusal("2999-01-01T00:00:00Z")).toContain("The log in the archive ends");
  expect(await refusal("yesterday")).toContain("takes a time with its zone");
  expect(await refusal("latest", { BACKUP_DIR: newFolder() })).toContain("There is no archive");

  const log = join(archiveIn(backupDir), "log");
  const segments = readdirSync(log).filter((name) => /^[0-9A-F]{24}(\.zst)?$/.test(name));
  const middle = segments.toSorted().at(-2) ?? "";
  renameSync(join(log, middle), join(log, "aside"));
  expect(await refusal("latest")).toContain("lacks the segment");
  rmSync(join(log, "aside"));
}

test("an archive that is not kept is in the figures and in what the doctor finds, until it is again", async () => {
  const backupDir = join(newFolder(), "archive");
  const env = { ...stock, STAMPEDE_DATA: await newCluster(), BACKUP_DIR: backupDir };
  await using server = await startServer(env);
  await until("a copy of the data", () => hasCopy(backupDir));
  const isFailing = (figure: 0 | 1) =>
    until(`stampede_archive_failing ${figure}`, async () => {
      const { text } = await server.client.get("/metrics");
      return text.includes(`\nstampede_archive_failing ${figure}\n`) || undefined;
    });
  const finding = async () => {
    const { exitCode, output } = await runProgram(["doctor"], env);
    return { exitCode, archive: /^(\w+) +archive /m.exec(output)?.[1] };
  };
  await isFailing(0);
  expect(await finding()).toEqual({ exitCode: 0, archive: "ok" });

  const log = join(archiveIn(backupDir), "log");
  renameSync(log, `${log}-aside`);
  await isFailing(1);
  expect(await finding()).toEqual({ exitCode: 1, archive: "WRONG" });
  await server.client.reserveAndBuy("ann");

  renameSync(`${log}-aside`, log);
  await isFailing(0);
  expect(await finding()).toEqual({ exitCode: 0, archive: "ok" });
  expect(await server.stop()).toBe(0);
}, 300_000);
