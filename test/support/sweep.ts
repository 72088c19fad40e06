/** `bun test/support/sweep.ts`: ends and removes what test runs have left that are over. */
import { sweep } from "./runs.ts";

for (const { folder, processes } of sweep()) {
  process.stdout.write(`Removed ${folder}, and ended ${processes} processes of it.\n`);
}
