/** The scripts of docs/fair.md, by which a stranger checks a draw: run against the program. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newFolder } from "../support/leftovers.ts";
import { usePostgres } from "../support/postgres.ts";
import { Clock, openShop, type Shop } from "../support/shop.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const opens = Date.parse("2030-05-05T11:00:00Z");
const sale = 2;
const page = readFileSync(join(import.meta.dir, "../../docs/fair.md"), "utf8");

/** The script of a language, as the page has it. */
const scriptIn = (language: string): string =>
  page.split(`\`\`\`${language}\n`)[1]?.split("```")[0] ?? "";

let shop: Shop;
let folder: string;

beforeAll(async () => {
  folder = newFolder();
  const clock = new Clock(opens - 60_000);
  const queue = { admitPerSecond: 1, passTtlMs: 600_000 };
  shop = await openShop(await postgres.newRecords(), { clock, terms: { queue } });
  await inTurn(upTo(25), (n) => shop.client.ask("POST", `/sales/${sale}/queue?user_id=person${n}`));
  clock.now = opens + 3_000;
  await until("the draw", async () => {
    const { status } = await shop.client.get(`/sales/${sale}/draw.csv`);
    clock.now += 1_000;
    return status === 200 || undefined;
  });
});

describe.each([
  ["python", "python3", "check.py"],
  ["js", process.execPath, "check.mjs"],
])("the script in %s", (language, command, name) => {
  async function run(script: string, number: number) {
    const path = join(folder, name);
    writeFileSync(path, script);
    const checking = Bun.spawn([command, path, shop.url, String(number)], { stderr: "pipe" });
    const said = await new Response(checking.stdout).text();
    return { exitCode: await checking.exited, said: said.trim() };
  }

  test("finds that the draw is as promised", async () => {
    expect(scriptIn(language).trim().split("\n").length).toBeLessThanOrEqual(20);
    expect(await run(scriptIn(language), sale)).toEqual({
      exitCode: 0,
      said: "The draw of 25 is as promised.",
    });
  });

  test("complains where something is off", async () => {
    const otherwise = scriptIn(language).replace(/(seed(?:'\])?\}):/, "$1;");
    expect(otherwise).not.toBe(scriptIn(language));
    expect((await run(otherwise, sale)).exitCode).not.toBe(0);
  });
});
