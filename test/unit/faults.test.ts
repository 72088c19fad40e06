/** The table of faults that `test/simulator/mutants.ts` puts in: each of them still can be. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { faults, root } from "../simulator/faults.ts";
import { queueFaults } from "../simulator/queue-faults.ts";

test("what a fault replaces is in the sources", () => {
  const gone = [...faults, ...queueFaults].filter(
    ({ file, find }) => !readFileSync(join(root, file), "utf8").includes(find),
  );
  expect(gone.map(({ name }) => name)).toEqual([]);
});
