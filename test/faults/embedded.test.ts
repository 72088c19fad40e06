/**
 * The embedded PostgreSQL on real servers: what a start makes and finds, and the accidents it is built
 * for: a killed parent, a killed server, a killed initdb, two owners at once.
 */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { EmbeddedError } from "../../src/postgres/embedded.ts";
import {
  cleanUp,
  cleanups,
  failure,
  isRoot,
  isServer,
  killServer,
  modeOf,
  newFolder,
  postmasterPid,
  printed,
  query,
  removeShared,
  replaceForTheTest,
  runningPid,
  start,
  startInChild,
  until,
  usedFolder,
} from "./embedded-helper.ts";

afterEach(cleanUp);
afterAll(removeShared);

describe("a start", () => {
  test("the first makes a durable, private database, says so, and serves", async () => {
    const dataDir = newFolder();
    const { server, lines } = await start(dataDir);
    expect(lines).toEqual([
      expect.stringMatching(/^Preparing PostgreSQL 18\.\d+ in .*first start/),
    ]);
    expect(server.description).toMatch(/^embedded PostgreSQL 18\.\d+ in /);
    expect(modeOf(join(dataDir, "password"))).toBe(0o600);
    expect(modeOf(join(dataDir, "pgdata"))).toBe(0o700);
    expect(modeOf(join(dataDir, "run"))).toBe(0o700);
    // As root, the server's group may pass through; nobody else may.
    expect(modeOf(dataDir)).toBe(isRoot ? 0o710 : 0o700);

    const settings = await query(
      server,
      `select name, setting from pg_settings where name in ('fsync', 'synchronous_commit',
       'full_page_writes', 'data_checksums', 'listen_addresses', 'TimeZone', 'server_encoding',
       'wal_level', 'password_encryption') order by name collate "C"`,
    );
    expect(Object.fromEntries(settings)).toEqual({
      TimeZone: "UTC",
      data_checksums: "on",
      fsync: "on",
      full_page_writes: "on",
      listen_addresses: "",
      password_encryption: "scram-sha-256",
      server_encoding: "UTF8",
      synchronous_commit: "on",
      wal_level: "minimal",
    });
    expect(await query(server, "select current_database(), lower('ÄÖ')")).toEqual([
      ["stampede", "äö"],
    ]);
    // What is not the server's own: the language of functions, a time zone, a dictionary.
    await query(server, "do $$ begin perform 1; end $$");
    expect(
      await query(
        server,
        `select (timestamptz '2026-01-01 00:00Z' at time zone 'Asia/Kolkata')::text,
                to_tsvector('english', 'the running')::text`,
      ),
    ).toEqual([["2026-01-01 05:30:00", "'run':2"]]);
  });

  test("the next finds the data, and says nothing", async () => {
    const dataDir = await usedFolder();
    const first = await start(dataDir);
    await query(first.server, "create table if not exists kept as select 42 as answer");
    await first.server.leave();
    const second = await start(dataDir);
    expect(second.lines).toEqual([]);
    expect(await query(second.server, "select answer from kept")).toEqual([[42]]);
  });

  test("nobody logs in without the password", async () => {
    const dataDir = await usedFolder();
    const { server } = await start(dataDir);
    const sql = postgres({ ...server.connection, password: "wrong", max: 1 });
    expect(sql`select 1`.execute()).rejects.toThrow(/password authentication failed/);
    await sql.end();
  });

  test("goes on after an initdb that was killed half way", async () => {
    const dataDir = newFolder();
    const child = startInChild(dataDir);
    await until(
      () =>
        existsSync(dataDir) && readdirSync(dataDir).some((name) => name.endsWith(".unfinished")),
    );
    child.kill("SIGKILL");
    await child.exited;
    expect(existsSync(join(dataDir, "pgdata"))).toBe(false);
    const { server } = await start(dataDir);
    expect(await query(server, "select 1")).toEqual([[1]]);
  });

  test("takes a path too long for a socket, with spaces and a quote in it", async () => {
    const dataDir = join(newFolder(), `it's deep, ${"x".repeat(120)}`);
    cleanups.push(() => rmSync(dataDir, { recursive: true, force: true }));
    const { server } = await start(dataDir);
    expect(server.connection.path.length).toBeLessThan(104);
    expect(modeOf(server.connection.host)).toBe(0o700);
    // A second process, and a second start, come to the same socket.
    const other = await start(dataDir);
    expect(other.server.connection).toEqual(server.connection);
    await server.leave();
    expect(await query(other.server, "select 1")).toEqual([[1]]);
    await other.server.leave();
    expect(existsSync(server.connection.host)).toBe(false);
    const { server: again } = await start(dataDir);
    expect(await query(again, "select 1")).toEqual([[1]]);
  });

  test("moves a log aside that has grown too long", async () => {
    const dataDir = await usedFolder();
    const first = await start(dataDir);
    await first.server.leave();
    const log = join(dataDir, "postgres.log");
    writeFileSync(log, Buffer.alloc(9 * 1024 * 1024, "x"));
    await start(dataDir);
    expect(statSync(log).size).toBeLessThan(1024 * 1024);
    expect(statSync(`${log}.1`).size).toBe(9 * 1024 * 1024);
  });
});

describe("a server whose parent was killed", () => {
  test("is found, used, and stopped in the end", async () => {
    const dataDir = await usedFolder();
    const child = startInChild(dataDir);
    expect(await printed(child)).toBe("started");
    const pid = runningPid(dataDir);
    child.kill("SIGKILL");
    await child.exited;

    const { server, lines } = await start(dataDir);
    expect(lines).toEqual([expect.stringContaining(`(pid ${pid})`)]);
    expect(runningPid(dataDir)).toBe(pid);
    expect(await query(server, "select 1")).toEqual([[1]]);
    await server.leave();
    expect(isServer(pid)).toBe(false);
    await server.leave();
    expect(server.ensure()).rejects.toThrow(EmbeddedError);
  });

  test("does not hear the Ctrl-C that its parent hears", async () => {
    const dataDir = await usedFolder();
    const child = startInChild(dataDir);
    expect(await printed(child)).toBe("started");
    const pid = runningPid(dataDir);
    // What a terminal does: the signal goes to the whole group of the foreground process.
    process.kill(-child.pid, "SIGINT");
    await child.exited;
    const { server } = await start(dataDir);
    expect(runningPid(dataDir)).toBe(pid);
    expect(await query(server, "select 1")).toEqual([[1]]);
  });
});

describe("ensure", () => {
  test("does nothing while the server runs, and starts it when it was killed", async () => {
    const dataDir = await usedFolder();
    const { server } = await start(dataDir);
    await query(server, "create table if not exists kept as select 42 as answer");
    const pid = runningPid(dataDir);
    await server.ensure();
    expect(runningPid(dataDir)).toBe(pid);

    // Not waiting for it to be gone: it takes a moment to die.
    process.kill(pid, "SIGKILL");
    await server.ensure();
    expect(runningPid(dataDir)).not.toBe(pid);
    expect(await query(server, "select answer from kept")).toEqual([[42]]);
  });

  test("gives a server whose socket was removed a new one", async () => {
    const dataDir = await usedFolder();
    const { server } = await start(dataDir);
    rmSync(server.connection.path);
    await server.ensure();
    expect(await query(server, "select 1")).toEqual([[1]]);
  });

  test("does not outlast its user, who leaves meanwhile", async () => {
    const dataDir = await usedFolder();
    const { server } = await start(dataDir);
    await killServer(dataDir);
    await Promise.allSettled([server.ensure(), server.leave()]);
    expect(postmasterPid(dataDir)).toBeUndefined();
  });

  test("of two at once starts one server", async () => {
    const dataDir = await usedFolder();
    const { server } = await start(dataDir);
    const other = await start(dataDir);
    await killServer(dataDir);
    await Promise.all([server.ensure(), other.server.ensure()]);
    const pid = runningPid(dataDir);
    expect(await query(server, "select pg_postmaster_start_time()")).toEqual(
      await query(other.server, "select pg_postmaster_start_time()"),
    );
    expect(runningPid(dataDir)).toBe(pid);
  });
});

describe("a server that several use", () => {
  test("ends with the last of them, not with the one that started it", async () => {
    const dataDir = await usedFolder();
    const first = await start(dataDir);
    const pid = runningPid(dataDir);
    const second = await start(dataDir);
    const third = await start(dataDir);
    await first.server.leave();
    await third.server.leave();
    expect(runningPid(dataDir)).toBe(pid);
    expect(await query(second.server, "select 1")).toEqual([[1]]);
    await second.server.leave();
    expect(isServer(pid)).toBe(false);
  });

  test("does not wait for one that was killed", async () => {
    const dataDir = await usedFolder();
    const child = startInChild(dataDir);
    expect(await printed(child)).toBe("started");
    const pid = runningPid(dataDir);
    const { server } = await start(dataDir);
    child.kill("SIGKILL");
    await child.exited;
    await server.leave();
    expect(isServer(pid)).toBe(false);
  });

  test("is there for another process after the one that started it has left", async () => {
    const dataDir = await usedFolder();
    const { server } = await start(dataDir);
    const pid = runningPid(dataDir);
    const child = startInChild(dataDir);
    expect(await printed(child)).toBe("started");
    await server.leave();
    expect(runningPid(dataDir)).toBe(pid);
  });

  test("is not kept by one that could not use it", async () => {
    const dataDir = await usedFolder();
    const { server } = await start(dataDir);
    const pid = runningPid(dataDir);
    replaceForTheTest(join(dataDir, "password"), "wrong");
    expect(await failure(dataDir)).toMatch(/does not take the password/);
    expect(runningPid(dataDir)).toBe(pid);
    await server.leave();
    expect(isServer(pid)).toBe(false);
  });

  test("serves whoever comes while the last one leaves", async () => {
    const dataDir = await usedFolder();
    const { server } = await start(dataDir);
    const [next] = await Promise.all([start(dataDir), server.leave()]);
    expect(await query(next.server, "select 1")).toEqual([[1]]);
    const pid = runningPid(dataDir);
    await next.server.leave();
    expect(isServer(pid)).toBe(false);
  });
});
