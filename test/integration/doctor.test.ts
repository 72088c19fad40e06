/** `stampede doctor`: what it finds wrong, and that it disturbs nobody who sells. */
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import { archiveFinding } from "../../src/cli/doctor-archive.ts";
import { serverFindings } from "../../src/cli/doctor-server.ts";
import type { Inspection } from "../../src/postgres/inspect.ts";
import { newDataFolder, newFolder } from "../support/leftovers.ts";
import { lookInto, replicated, useOwnPostgres } from "../support/postgres.ts";
import { type Environment, runProgram, startServer } from "../support/server.ts";

const postgres = useOwnPostgres(replicated);

/** The findings by what they are about, and the exit code. */
async function ask(env: Environment) {
  const { exitCode, output, log } = await runProgram(["doctor"], env);
  const found = new Map<string, string>();
  for (const line of output.split("\n")) {
    const [, verdict, what, text] = /^(ok|note|WRONG) +(\S.*?) {2,}(.*)$/.exec(line) ?? [];
    if (verdict === undefined || what === undefined) continue;
    found.set(what, [found.get(what), `${verdict}: ${text}`].filter(Boolean).join("\n"));
  }
  return { exitCode, output, log, found };
}

describe("with a PostgreSQL of its own", () => {
  test("it makes nothing where there is nothing", async () => {
    const env = { STAMPEDE_DATA: join(newDataFolder(), "none") };
    const { exitCode, found } = await ask(env);
    expect(found.get("PostgreSQL")).toBe("ok: none yet; the first start makes it");
    expect(found.get("STAMPEDE_DATA")).toStartWith(`note: ${env.STAMPEDE_DATA} is not there`);
    expect(exitCode).toBe(0);
    expect(existsSync(env.STAMPEDE_DATA)).toBe(false);
  });

  test("it uses the one that runs, and sells on; it tells what others may read", async () => {
    const env = { STAMPEDE_DATA: newDataFolder(), ACCESS: "guarded" };
    await using server = await startServer(env);
    const before = (await server.client.get("/ready")).json();
    const { exitCode, output, found } = await ask(env);
    expect({ exitCode, output }).toMatchObject({ exitCode: 0 });
    expect(found.get("durability")).toBe("ok: what is committed is on disk");
    expect(found.get("schema")).toBe("ok: up to date");
    expect(found.get("fsync")).toMatch(/ ms \(median\)/);
    expect(found.get("leader")).toContain("term 1");
    expect(found.get("administrators")).toBe("note: none");
    expect((await server.client.get("/ready")).json()).toMatchObject({
      epoch: Object(before).epoch,
      role: "leader",
    });
    expect(readdirSync(env.STAMPEDE_DATA).filter((name) => name.endsWith(".tmp"))).toEqual([]);

    const password = join(env.STAMPEDE_DATA, "password");
    chmodSync(password, 0o644);
    const readable = await ask(env);
    expect(readable.exitCode).toBe(1);
    expect(readable.output).toContain(`→ chmod 600 ${password}`);
    expect(await server.stop()).toBe(0);
  });
});

test("it reads the keys of user tokens, from where the server would", async () => {
  const file = join(newFolder(), "jwks.json");
  const asked = async () => {
    const env = { STAMPEDE_DATA: join(newDataFolder(), "none"), USER_TOKEN_JWKS: file };
    const { exitCode, found } = await ask(env);
    return { exitCode, found: found.get("USER_TOKEN_JWKS") };
  };
  const missing = await asked();
  expect(missing.exitCode).toBe(1);
  expect(missing.found).toStartWith(`WRONG: ${file}: `);
  writeFileSync(file, JSON.stringify({ keys: [] }));
  expect(await asked()).toEqual({ exitCode: 1, found: `WRONG: ${file} has no key` });
  const { publicKey } = await generateKeyPair("EdDSA");
  writeFileSync(file, JSON.stringify({ keys: [await exportJWK(publicKey)] }));
  expect(await asked()).toEqual({ exitCode: 0, found: `ok: ${file}, keys: 1` });
});

describe("with a PostgreSQL at DATABASE_URL", () => {
  test("that loses what is committed, it says which setting to change", async () => {
    const { exitCode, output, found } = await ask({ DATABASE_URL: await postgres.newRecords() });
    expect(exitCode).toBe(1);
    expect(found.get("fsync")).toContain("WRONG: off: what was acknowledged can be lost");
    expect(output).toContain("→ alter system set fsync = on");
    expect(found.get("replication")).toContain("note: no standby");
    expect(found.get("commit")).toMatch(/ ms \(median\)/);
  });

  test("that is a newer program's, or is not there, it says so", async () => {
    const url = await postgres.newRecords();
    const sql = lookInto(url);
    await sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('', 9e15::bigint)`;
    const newer = await ask({ DATABASE_URL: url });
    expect(newer.found.get("schema")).toBe("WRONG: of a newer Stampede than this one");
    const none = new URL(url);
    none.pathname = "/none";
    const away = await ask({ DATABASE_URL: none.href });
    expect(away.exitCode).toBe(1);
    expect(away.found.get("PostgreSQL")).toContain("Create the database, or correct its name");
  });

  test("whose commits wait for a standby that is gone, it says so, and leaves nobody waiting", async () => {
    const url = await postgres.newRecords();
    const sql = lookInto(url);
    const set = async (names: string): Promise<unknown> => {
      await sql.unsafe(`alter system set synchronous_standby_names = '${names}'`);
      return await sql`select pg_reload_conf()`;
    };
    await set("replica");
    try {
      const { exitCode, found } = await ask({ DATABASE_URL: url });
      expect(found.get("commit")).toContain("WRONG: none within 3 s: it waits for synchronous_");
      expect(exitCode).toBe(1);
      const waiting = sql`select pid from pg_stat_activity where wait_event = 'SyncRep'`;
      expect([...(await waiting)]).toEqual([]);
    } finally {
      await set("");
    }
  });

  test("it looks at who may log in by what everybody knows, and at an attempt to come", async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    expect((await runProgram(["seed", "--demo"], env)).exitCode).toBe(0);
    const sql = lookInto(env.DATABASE_URL);
    await sql`
      insert into attempts (seq, at, kind, outcome)
      values ((select max(seq) + 1 from attempts), now() + interval '1 hour', 'checkout', 'sold_out')`;
    const asked = await ask({ ...env, NODE_ENV: "production" });
    expect(asked.found.get("accounts")).toContain("opens admin, user1, user2");
    expect(asked.found.get("accounts")).toContain("WRONG");
    expect(asked.found.get("time")).toContain("WRONG: the last attempt was made 3");
  });
});

describe("of a server", () => {
  const sound: Inspection = {
    settings: {
      fsync: "on",
      synchronous_commit: "on",
      full_page_writes: "on",
      data_checksums: "on",
      default_transaction_read_only: "off",
      max_connections: "100",
      server_encoding: "UTF8",
      statement_timeout: "0",
      superuser_reserved_connections: "3",
      wal_level: "replica",
    },
    clock: { its: 1_000, ours: 1_000 },
    sessions: { all: 10, ours: 8 },
    standbys: { all: 1, synchronous: 1 },
    idleSlots: [],
    archivingFails: false,
    commitsMs: [1, 2, 9],
  };
  const verdictOf = (change: Partial<Inspection>, what: string, processes = 1) =>
    serverFindings({ ...sound, ...change }, { isEmbedded: false, processes })
      .filter((finding) => finding.what === what)
      .map(({ verdict }) => verdict);
  const set = (settings: Inspection["settings"]) => ({
    settings: { ...sound.settings, ...settings },
  });

  test("that is sound nothing is said", () => {
    const findings = serverFindings(sound, { isEmbedded: false, processes: 1 });
    expect(findings.filter(({ verdict }) => verdict !== "ok")).toEqual([]);
  });

  test("each fault is told", () => {
    const found = [
      verdictOf(set({ fsync: "off" }), "fsync"),
      verdictOf(set({ synchronous_commit: "off" }), "synchronous_commit"),
      verdictOf(set({ full_page_writes: "off" }), "full_page_writes"),
      verdictOf(set({ server_encoding: "SQL_ASCII" }), "encoding"),
      verdictOf(set({ default_transaction_read_only: "on" }), "read only"),
      verdictOf(set({ max_connections: "20" }), "connections"),
      verdictOf({ clock: { its: 5_000, ours: 1_000 } }, "clock"),
      verdictOf({ idleSlots: ["standby_2"] }, "replication slots"),
      verdictOf({ archivingFails: true }, "archiving"),
      verdictOf({ commitsMs: [1, 2, 3_001] }, "commit"),
    ];
    expect(found).toEqual(found.map(() => ["WRONG"]));
    const noted = [
      verdictOf(set({ statement_timeout: "30000" }), "statement_timeout"),
      verdictOf(set({ data_checksums: "off" }), "checksums"),
      verdictOf(set({ wal_level: "minimal" }), "wal_level"),
      verdictOf({}, "connections", 7),
      verdictOf({ commitsMs: [30, 31, 32] }, "commit"),
      verdictOf({ clock: { its: 1_300, ours: 1_000 } }, "clock"),
      verdictOf({ standbys: { all: 0, synchronous: 0 } }, "replication"),
      verdictOf({ standbys: { all: 2, synchronous: 0 } }, "replication"),
      verdictOf({ standbys: { all: 2, synchronous: null } }, "replication"),
    ];
    expect(noted).toEqual(noted.map(() => ["note"]));
  });
});

describe("of an archive", () => {
  const day = 86_400_000;

  test("it says what is there, and what is not", () => {
    const dataDir = newDataFolder();
    mkdirSync(join(dataDir, "pgdata/global"), { recursive: true });
    writeFileSync(join(dataDir, "pgdata/global/pg_control"), Buffer.alloc(8));
    const backupDir = newFolder();
    const verdict = (fails = false) => {
      const { verdict: one, found } = archiveFinding({ backupDir, dataDir, fails });
      return `${one}: ${found}`;
    };
    expect(verdict()).toBe(`note: ${backupDir} has no whole copy of these records yet`);
    const copy = (name: string, madeAt: number): void => {
      const folder = join(backupDir, "0", name);
      mkdirSync(folder, { recursive: true });
      const segment = "0".repeat(24);
      const said = { madeAt, firstSegment: segment, lastSegment: segment };
      writeFileSync(join(folder, "copy.json"), JSON.stringify(said));
    };
    copy("data-1", Date.now() - 3 * day);
    expect(verdict()).toContain("WRONG: ");
    expect(verdict()).toContain("has no folder log any more");
    mkdirSync(join(backupDir, "0/log"));
    expect(verdict()).toBe(`WRONG: the last copy in ${backupDir} is 3 days old`);
    copy("data-2", Date.now());
    expect(verdict()).toStartWith(`ok: 2 in ${backupDir}, from 2`);
    expect(verdict(true)).toStartWith("WRONG: PostgreSQL cannot put its log into");
    writeFileSync(join(backupDir, "0/data-2/copy.json"), "{");
    expect(verdict()).toContain("cannot be read");
  });
});

describe("of the settings", () => {
  test("it says which let anybody in", async () => {
    const { exitCode, output, found } = await ask({
      STAMPEDE_DATA: join(newDataFolder(), "none"),
      JWT_SECRET: "a".repeat(40),
      USER_TOKEN_SECRET: "a-secret-that-nobody-is-to-be-told-0123456789",
      TRUSTED_PROXIES: "0.0.0.0/0",
      RATE_LIMITS: "off",
    });
    expect(exitCode).toBe(1);
    expect(found.get("JWT_SECRET")).toBe("WRONG: can be guessed");
    expect(found.get("USER_TOKEN_SECRET")).toBe("ok: set");
    expect(found.get("TRUSTED_PROXIES")).toContain("WRONG: everybody");
    expect(found.get("ACCESS")).toContain("note: open");
    expect(found.get("RATE_LIMITS")).toContain("note: off");
    expect(output).not.toContain("nobody-is-to-be-told");
    expect(output).not.toContain("aaaa");
  });

  test("one that does not parse is wrong, too, and is named", async () => {
    const { exitCode, output } = await ask({ PORT: "many" });
    expect(exitCode).toBe(1);
    expect(output).toContain('WRONG  settings  PORT is "many"; it takes a port');
  });
});
