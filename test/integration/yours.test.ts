/** The flood that people point at their own deployment: what it tells is true, whatever it is pointed at. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { usePostgres } from "../support/postgres.ts";
import { runProgram, startServer, type TestServer } from "../support/server.ts";

const postgres = usePostgres();
const script = join(import.meta.dir, "../../bench/yours.ts");

async function flood(...args: string[]) {
  const run = Bun.spawn([process.execPath, script, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [out, err] = await Promise.all([
    new Response(run.stdout).text(),
    new Response(run.stderr).text(),
  ]);
  return { code: await run.exited, out, err };
}
const short = ["--seconds", "1", "--connections", "2"];

let server: TestServer;
let key: string;
beforeAll(async () => {
  const env = {
    DATABASE_URL: await postgres.newRecords(),
    ACCESS: "guarded",
    SALE_ITEMS: "100",
    SALE_UNITS_PER_ITEM: "1000",
  };
  server = await startServer(env);
  const made = await runProgram(["key", "create", "flood", "--scope", "sell"], env);
  key = /sk_\S+/.exec(made.output)?.[0] ?? "";
});
afterAll(() => server.kill());

test("a shop that refuses everybody is not said to be fast", async () => {
  const { code, out } = await flood(server.url, ...short);
  expect(out).toStartWith("0 checkouts a second");
  expect(out).toContain("401: it sells to nobody whom it does not know");
  expect(out).toContain("Nothing was reserved");
  expect(code).toBe(1);
});

test("with a key it reserves, and the audit holds", async () => {
  const { code, out } = await flood(`${server.url}/`, ...short, "--key", key);
  expect(out).toMatch(/^[1-9]\d* checkouts a second, on 2 connections\n/);
  expect(out).toContain("audit    holds");
  expect(code).toBe(0);
});

test.each([
  [["http://127.0.0.1:9"], "There is no Stampede at http://127.0.0.1:9"],
  [["localhost:8080"], "localhost:8080 is no address"],
  [["--connections", "many"], "--connections is many"],
  [["--seconds", "0"], "--seconds is 0"],
  [["--connectons", "4"], "--connectons"],
])("%j is refused in words", async (args, why) => {
  const { code, out, err } = await flood(...args);
  expect(err).toContain(why);
  expect(err).toContain("npx bun bench/yours.ts");
  expect([code, out]).toEqual([2, ""]);
});
