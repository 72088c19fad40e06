/** What `stampede doctor` makes of what a PostgreSQL says of itself. */
import { commitGivenUpMs, type Inspection } from "../postgres/inspect.ts";
import { fine, note, wrong, type Finding } from "./finding.ts";

/** Of each process: pools, transactions, the writer, who listens. */
const connectionsPerProcess = 20;
/** Machines whose clocks are so far apart disagree on who is in time. */
const clockNotedMs = 250;
const clockWrongMs = 2_000;
/** A batch takes as long as its commit, so buyers wait for it. */
const commitNotedMs = 15;

export function serverFindings(
  inspection: Inspection,
  { isEmbedded, processes }: { readonly isEmbedded: boolean; readonly processes: number },
): Finding[] {
  return [
    ...durabilityFindings(inspection),
    ...settingFindings(inspection),
    connectionsFinding(inspection, processes),
    clockFinding(inspection),
    commitFinding(inspection),
    ...(isEmbedded
      ? [note("replication", "none: this machine alone has the records", "stampede backup FILE")]
      : replicationFindings(inspection)),
  ];
}

/** What is acknowledged is on disk only with these. */
function durabilityFindings({ settings }: Inspection): Finding[] {
  const off = (["fsync", "synchronous_commit", "full_page_writes"] as const).filter(
    (name) => settings[name] === "off",
  );
  if (off.length === 0) return [fine("durability", "what is committed is on disk")];
  return off.map((name) =>
    wrong(name, "off: what was acknowledged can be lost", `alter system set ${name} = on`),
  );
}

function settingFindings({ settings }: Inspection): Finding[] {
  const findings: Finding[] = [];
  const reload = "; select pg_reload_conf()";
  if (settings.server_encoding !== "UTF8") {
    const found = `${settings.server_encoding}: not every name can be stored`;
    findings.push(wrong("encoding", found, "create the database with encoding 'UTF8'"));
  }
  if (settings.default_transaction_read_only === "on") {
    const todo = "alter role or database … reset default_transaction_read_only";
    findings.push(wrong("read only", "this user's transactions change nothing", todo));
  }
  for (const name of ["statement_timeout", "transaction_timeout"] as const) {
    const limit = Number(settings[name] ?? 0);
    if (limit === 0) continue;
    const todo = `alter role or database … set ${name} = 0${reload}`;
    findings.push(note(name, `${limit} ms ends a verify or a backup that takes longer`, todo));
  }
  if (settings.data_checksums === "off") {
    const todo = "pg_checksums --enable while the server is stopped";
    findings.push(note("checksums", "off: a damaged page is not noticed", todo));
  }
  return findings;
}

function connectionsFinding({ settings, sessions }: Inspection, processes: number): Finding {
  const max = Number(settings.max_connections) - Number(settings.superuser_reserved_connections);
  const needed = processes * connectionsPerProcess;
  const free = max - (sessions.all - sessions.ours);
  const found = `${sessions.all} of ${max} in use, this program needs up to ${needed}`;
  const todo = "raise max_connections (needs a restart of PostgreSQL), or set fewer FRONTS";
  if (free < connectionsPerProcess) return wrong("connections", found, todo);
  return free < needed ? note("connections", found, todo) : fine("connections", found);
}

function clockFinding({ clock }: Inspection): Finding {
  const ms = Math.round(Math.abs(clock.its - clock.ours));
  const todo = "keep both machines' clocks by NTP (chrony, systemd-timesyncd)";
  const found = `PostgreSQL's is ${ms} ms from this machine's`;
  if (ms >= clockWrongMs) return wrong("clock", found, todo);
  return ms >= clockNotedMs ? note("clock", found, todo) : fine("clock", found);
}

function commitFinding({ commitsMs, settings }: Inspection): Finding {
  if ((commitsMs.at(-1) ?? 0) >= commitGivenUpMs) {
    const names = settings.synchronous_standby_names ?? "";
    const seconds = commitGivenUpMs / 1000;
    if (names === "") {
      const todo = "look at its disk, and at what else it does: nothing is sold meanwhile";
      return wrong("commit", `none within ${seconds} s`, todo);
    }
    const found = `none within ${seconds} s: it waits for synchronous_standby_names = '${names}'`;
    const todo = "nothing is sold: bring the standby back, or name another, and pg_reload_conf()";
    return wrong("commit", found, todo);
  }
  const median = commitsMs[commitsMs.length >> 1] ?? Number.NaN;
  const found = `${median.toFixed(1)} ms (median), ${commitsMs.at(-1)?.toFixed(1)} ms at worst`;
  return median < commitNotedMs
    ? fine("commit", found)
    : note("commit", found, "a nearer PostgreSQL, or a disk that syncs faster (NVMe)");
}

function replicationFindings(inspection: Inspection): Finding[] {
  const { settings, standbys, idleSlots, archivingFails } = inspection;
  const findings: Finding[] = [];
  if (standbys.all === 0) {
    const todo = "follow it by a standby (docs/scale.md), or back up: stampede backup FILE";
    findings.push(note("replication", "no standby follows this PostgreSQL", todo));
  } else if (standbys.synchronous === null) {
    const names = settings.synchronous_standby_names ?? "";
    const found = `${standbys.all} follow; which a commit waits for, this user is not told`;
    const todo = `synchronous_standby_names = '${names}'; to see more: grant pg_monitor to the user`;
    findings.push(note("replication", found, todo));
  } else if (standbys.synchronous === 0) {
    const found = `${standbys.all} follow, and no commit waits for them`;
    const todo = "a fail-over may lose what was acknowledged: set synchronous_standby_names";
    findings.push(note("replication", found, todo));
  } else {
    const found = `${standbys.all} follow, a commit waits for ${standbys.synchronous}`;
    findings.push(fine("replication", found));
  }
  if (settings.wal_level === "minimal") {
    const todo = "alter system set wal_level = replica, and restart PostgreSQL";
    findings.push(note("wal_level", "minimal: it can be neither followed nor archived", todo));
  }
  if (idleSlots.length > 0) {
    const todo = "select pg_drop_replication_slot('NAME'), or start who reads it";
    const found = `nobody reads ${idleSlots.join(", ")}: the log is kept until the disk is full`;
    findings.push(wrong("replication slots", found, todo));
  }
  if (archivingFails) {
    const todo = "see archive_command and PostgreSQL's log";
    findings.push(wrong("archiving", "the last file of the log could not be archived", todo));
  }
  return findings;
}
