/**
 * A PostgreSQL that does not answer, and does not close the connection either: the leader notices by
 * its own heartbeat, and leads no more. Another one may have taken over meanwhile.
 */
import { expect, test } from "bun:test";
import { lead } from "../../src/store/leadership.ts";
import { newestMigration } from "../../src/store/migrations.ts";
import { migrationsFolder, usePostgres } from "../support/postgres.ts";
import { within } from "../support/wait.ts";

const postgres = usePostgres();
/** Nine seconds of silence, and what is between two heartbeats. */
const noticedWithinMs = 20_000;

test("a leader whose PostgreSQL falls silent notices, and leads no more", async () => {
  const url = await postgres.newRecords();
  const schema = newestMigration(migrationsFolder);
  const { signal } = new AbortController();
  const leadership = await lead({ url }, schema, { url: "here", port: 0 }, signal, () => {});
  if (leadership === null) throw new Error("nobody leads");
  const { backendPid } = leadership.session;
  process.kill(backendPid, "SIGSTOP");
  try {
    const reason = await within("its noticing", noticedWithinMs, leadership.lost);
    expect(reason.message).toContain("has not answered");
  } finally {
    process.kill(backendPid, "SIGCONT");
    await leadership.end();
  }
});
