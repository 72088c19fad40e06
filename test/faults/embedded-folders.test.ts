/**
 * The embedded PostgreSQL and what it finds in a folder: leftovers that name the wrong process, folders
 * that cannot be used, and folders that root can use and its server cannot.
 */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import {
  cleanUp,
  cleanups,
  failure,
  isRoot,
  leaveLockFilesOf,
  modeOf,
  newFolder,
  postmasterPid,
  query,
  removeShared,
  replaceForTheTest,
  resume,
  runningPid,
  start,
  startBystander,
  statusOf,
  until,
  usedFolder,
} from "./embedded-helper.ts";

afterEach(cleanUp);
afterAll(removeShared);

describe("leftovers of a server that is gone", () => {
  test("naming a process that does not exist are no hindrance", async () => {
    const dataDir = await usedFolder();
    const gone = Bun.spawn(["true"]);
    await gone.exited;
    await leaveLockFilesOf(dataDir, gone.pid);
    const { server } = await start(dataDir);
    expect(await query(server, "select 1")).toEqual([[1]]);
  });

  test("naming another program of the same user are no hindrance, and it lives on", async () => {
    const dataDir = await usedFolder();
    await start(dataDir);
    const bystander = startBystander(dataDir);
    await leaveLockFilesOf(dataDir, bystander.pid);
    const { server } = await start(dataDir);
    expect(await query(server, "select 1")).toEqual([[1]]);
    expect(runningPid(dataDir)).not.toBe(bystander.pid);
    expect(bystander.exitCode).toBeNull();
  });

  test("are not removed from under a process of the old server", async () => {
    const dataDir = await usedFolder();
    const { server } = await start(dataDir);
    const sql = postgres({ ...server.connection, max: 1, onnotice() {} });
    cleanups.push(() => sql.end({ timeout: 1 }));
    const backend = Number((await sql`select pg_backend_pid()`.values())[0]?.[0]);
    process.kill(backend, "SIGSTOP");
    cleanups.push(() => resume(backend));
    // Even when the lock file, which names the shared memory, looks like another program's.
    const bystander = startBystander(dataDir);
    await leaveLockFilesOf(dataDir, bystander.pid);

    const log = join(dataDir, "postgres.log");
    const before = statSync(log).size;
    const again = start(dataDir);
    await until(() => readFileSync(log).subarray(before).includes("still in use"));
    resume(backend);
    expect(await query((await again).server, "select 1")).toEqual([[1]]);
  });

  test("in the copy of a folder do not lead to the server of the original", async () => {
    const original = newFolder();
    const copy = newFolder();
    await start(original);
    const pid = runningPid(original);
    expect(Bun.spawnSync(["cp", "-a", original, copy]).exitCode).toBe(0);
    const { server } = await start(copy);
    expect(runningPid(copy)).not.toBe(pid);
    expect(runningPid(original)).toBe(pid);
    expect(await query(server, "select 1")).toEqual([[1]]);
  });
});

describe("a refusal says what is wrong with which path", () => {
  test("data of another major version", async () => {
    const dataDir = await usedFolder();
    replaceForTheTest(join(dataDir, "pgdata/PG_VERSION"), "16\n");
    const told = await failure(dataDir);
    expect(told).toMatch(/pgdata was made by PostgreSQL 16; this program carries 18/);
    // What to do, to be copied.
    expect(told.split("\n").filter((line) => line.startsWith("  "))).toEqual([
      `  STAMPEDE_DATA='${dataDir}' stampede backup stampede.backup`,
      `  STAMPEDE_DATA='${dataDir}-18' stampede restore stampede.backup`,
      `  STAMPEDE_DATA='${dataDir}-18' stampede verify`,
    ]);
  });

  test("a folder that is a file", async () => {
    const dataDir = newFolder();
    writeFileSync(dataDir, "");
    expect(await failure(dataDir)).toContain(`${dataDir} cannot be a folder`);
  });

  test("a folder that cannot be made", async () => {
    expect(await failure("/proc/stampede-data")).toContain("/proc/stampede-data cannot be made");
  });

  test.skipIf(isRoot)("a folder that may not be written", async () => {
    const dataDir = newFolder();
    mkdirSync(dataDir, { mode: 0o500 });
    writeFileSync(join(dataDir, "..", "x"), "");
    chmodSync(join(dataDir, ".."), 0o500);
    cleanups.push(() => chmodSync(join(dataDir, ".."), 0o700));
    expect(await failure(join(dataDir, "../other"))).toContain("may not write");
  });

  test("a path that initdb would hand to a shell unescaped", async () => {
    const dataDir = newFolder();
    for (const name of ['"', "$x", "`id`", "\\"]) {
      // oxlint-disable-next-line no-await-in-loop
      expect(await failure(join(dataDir, name))).toContain("PostgreSQL cannot handle");
    }
    expect(existsSync(dataDir)).toBe(false);
  });

  test("pgdata that PostgreSQL did not make", async () => {
    const dataDir = newFolder();
    mkdirSync(join(dataDir, "pgdata"), { recursive: true });
    writeFileSync(join(dataDir, "pgdata/notes.txt"), "");
    writeFileSync(join(dataDir, "password"), "secret");
    expect(await failure(dataDir)).toMatch(/pgdata is not a database of PostgreSQL/);
  });

  test("a wrong password, and a lost one", async () => {
    const dataDir = await usedFolder();
    const path = join(dataDir, "password");
    replaceForTheTest(path, "wrong");
    expect(await failure(dataDir)).toMatch(/does not take the password in the data folder/);
    expect(postmasterPid(dataDir)).toBeUndefined();
    rmSync(path);
    expect(await failure(dataDir)).toMatch(/password is missing/);
    writeFileSync(path, "");
  });

  test("a server that does not start, in its own words", async () => {
    const dataDir = await usedFolder();
    replaceForTheTest(join(dataDir, "pgdata/pg_hba.conf"), "nonsense");
    expect(await failure(dataDir)).toMatch(/does not start in .* It said:\n[^]*pg_hba/);
  });
});

describe.skipIf(!isRoot || process.platform !== "linux")("started by root", () => {
  const noCapability = 0n;
  const readSearchOrOverride = [1n << 1n, 1n << 2n];

  test("the server is an ordinary user without any capability", async () => {
    const dataDir = newFolder();
    await start(dataDir);
    const pid = runningPid(dataDir);
    expect(statusOf(pid, "Uid")).not.toBe("0");
    expect(statusOf(pid, "Groups") ?? "").not.toBe("0");
    expect(BigInt(`0x${statusOf(pid, "CapPrm")}`)).toBe(noCapability);
  });

  test("below a folder that only root may enter it keeps one capability, and we keep ours", async () => {
    const before = readFileSync("/proc/self/status", "utf8").match(/^Cap\w+:.*$/gm);
    const dataDir = newFolder(0o700);
    const { server } = await start(dataDir);
    const pid = runningPid(dataDir);
    expect(statusOf(pid, "Uid")).not.toBe("0");
    expect(readSearchOrOverride).toContain(BigInt(`0x${statusOf(pid, "CapPrm")}`));
    expect(readFileSync("/proc/self/status", "utf8").match(/^Cap\w+:.*$/gm)).toEqual(before);
    expect(await query(server, "select 1")).toEqual([[1]]);
    expect(modeOf(join(dataDir, ".."))).toBe(0o700);
    // And so do the children of the server, which read the time zones.
    expect(await query(server, "select now() at time zone 'Asia/Tokyo' is not null")).toEqual([
      [true],
    ]);
  });

  test("a folder of somebody's is served as that user, and all in it is theirs", async () => {
    const dataDir = newFolder();
    mkdirSync(dataDir);
    const { uid, gid } = { uid: 1, gid: 1 };
    Bun.spawnSync(["chown", `${uid}:${gid}`, dataDir]);
    await start(dataDir);
    expect(statusOf(runningPid(dataDir), "Uid")).toBe(String(uid));
    expect(statSync(join(dataDir, "password")).uid).toBe(uid);
    expect(statSync(join(dataDir, "postgres.log")).uid).toBe(uid);
    expect(statSync(join(dataDir, "lock")).uid).toBe(uid);
    expect(statSync(join(dataDir, "users")).uid).toBe(uid);
  });
});
