/**
 * A PostgreSQL that does not answer, and does not close the connection either: the leader notices by
 * its own heartbeat, and leads no more. Another one may have taken over meanwhile.
 */
import { expect, test } from "bun:test";
import { lead } from "../../src/store/leadership.ts";
import { newestMigration } from "../../src/store/migrations.ts";
import { alone, nowhere } from "../support/link.ts";
import { migrationsFolder, usePostgres } from "../support/postgres.ts";
import { waitMaxMs, within } from "../support/wait.ts";

const postgres = usePostgres();

test("a leader whose PostgreSQL falls silent notices, and leads no more", async () => {
  const url = await postgres.newRecords();
  const schema = newestMigration(migrationsFolder);
  const { signal } = new AbortController();
  const leadership = await lead({ url }, schema, nowhere, signal, alone);
  if (leadership === null) throw new Error("nobody leads");
  const { backendPid } = leadership.session;
  process.kill(backendPid, "SIGSTOP");
  try {
    const reason = await within("its noticing", waitMaxMs, leadership.lost);
    expect(reason.message).toContain("has not answered");
  } finally {
    process.kill(backendPid, "SIGCONT");
    await leadership.end();
  }
});
