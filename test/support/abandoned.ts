/**
 * A test that starts the program with its PostgreSQL, says so and goes on for ever: for the
 * tests of what happens to those when the process of the tests is ended from outside.
 */
import { test } from "bun:test";
import { newDataFolder, useLeftovers } from "./leftovers.ts";
import { startServer } from "./server.ts";

useLeftovers();

test("goes on for ever", async () => {
  const { url } = await startServer({ STAMPEDE_DATA: newDataFolder() });
  process.stdout.write(`sells at ${url}\n`);
  await new Promise(() => {});
});
