/**
 * What the program is called with: every bad value stops it at once, with a sentence that
 * names the variable, what it got and what it takes; a database that cannot be had is told in
 * a sentence, too, and one that is only late is waited for.
 */
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import packageJson from "../../package.json" with { type: "json" };
import { ConfigError, readConfig } from "../../src/config.ts";
import { atEnd, freePort } from "../support/leftovers.ts";
import { useOwnPostgres } from "../support/postgres.ts";
import { Program, runProgram, startServer } from "../support/server.ts";
import { textOf } from "../support/sources.ts";
import { inTurn, until } from "../support/wait.ts";

const postgres = useOwnPostgres();

const aStack = /^\s+at .+[:(]/m;

/** Runs the program with a value that it must refuse; returns what it said. */
async function refusalOf(env: Readonly<Record<string, string>>, ...args: string[]) {
  const { exitCode, output, log } = await runProgram(args, env);
  expect(log).toStartWith("stampede: ");
  expect(log).not.toMatch(aStack);
  expect(output).toBe("");
  return { exitCode, log };
}

describe("without anything set", () => {
  test("the defaults are those of the contract", () => {
    expect(readConfig({})).toMatchObject({
      port: 8080,
      host: "0.0.0.0",
      databaseUrl: undefined,
      dataDir: "./stampede-data",
      schedule: { cron: "0 * * * *", timeZone: "UTC" },
      hourlySale: {
        items: 10_000,
        unitsPerItem: 1,
        perUserLimit: 10,
        reservationTtlMs: 120_000,
      },
      retentionMs: Infinity,
      exportDir: null,
      tracing: null,
      couponSoldOutStatus: 409,
      logLevel: "info",
    });
    // What an unset variable becomes in compose files.
    expect(readConfig({ PORT: "", SALE_ITEMS: "" })).toEqual(readConfig({}));
  });

  test("it is frozen", () => {
    expect(Object.isFrozen(readConfig({}))).toBe(true);
  });
});

describe("a value", () => {
  const whole = ["0", "-1", "1.5", "1e3", " 5", "five", "0x10", "9".repeat(40), "١"];
  const bad: Readonly<Record<string, readonly string[]>> = {
    PORT: ["-1", "65536", "http", "80 ", "8080;"],
    DATABASE_URL: [
      "localhost",
      "mysql://a:b@c/d",
      "http://a/b",
      "postgres://u:p@h:99999/d",
      "postgres://a,b/d?target_session_attrs=standby",
    ],
    SALE_SCHEDULE: ["junk", "60 * * * *", "0 0 30 2 *", "0 0 * * * *", "* * * *", "@never"],
    SALE_TIMEZONE: ["Mars/Olympus", "Europe", "utc+1"],
    SALE_ITEMS: [...whole, "100001"],
    SALE_UNITS_PER_ITEM: [...whole, "1000001"],
    SALE_PER_USER_LIMIT: [...whole, "1000001"],
    RESERVATION_TTL_MS: [...whole, "86400001"],
    ATTEMPTS_RETENTION_DAYS: [...whole, "36501"],
    COUPON_SOLD_OUT_STATUS: ["404", "200", "4e2", "four"],
    FRONTS: ["7", "-1", "1.5", "all", "AUTO"],
    // What counts only beside another variable is refused without that, too.
    SALE_ADMIT_PER_SECOND: [...whole, "100001"],
    BACKUP_KEEP_DAYS: ["x", "-1"],
    OTEL_TRACES_SAMPLER_ARG: ["x", "2"],
    USER_TOKEN_JWKS: ["ftp://shop.example/jwks.json", "FILE:///jwks.json", "http://"],
    ADMIN_SECOND_FACTOR: ["yes", "Demanded"],
    LOG_LEVEL: ["loud", "INFO", "1"],
  };

  test.each(Object.entries(bad).flatMap(([name, values]) => values.map((value) => [name, value])))(
    "%s=%s is refused",
    (name = "", value = "") => {
      const read = () => readConfig({ [name]: value });
      expect(read).toThrow(ConfigError);
      expect(read).toThrow(new RegExp(`^${name} is .+; it takes .+\\.$`, "s"));
      // A URL holds a password: it is not repeated.
      if (name !== "DATABASE_URL") expect(read).toThrow(JSON.stringify(value));
      else expect(read).not.toThrow(value);
    },
  );

  test.each(Object.entries(bad).map(([name, values]) => [name, values[0] ?? ""]))(
    "of %s that is bad, as %s, ends every command at once, with 2",
    async (name = "", value = "") => {
      const { exitCode, log } = await refusalOf({ [name]: value });
      expect({ exitCode, log }).toEqual({ exitCode: 2, log: expect.stringContaining(name) });
    },
  );

  test("that is bad ends migrate and verify, too", async () => {
    await inTurn(["migrate", "verify", "serve"], async (command) => {
      expect((await refusalOf({ SALE_ITEMS: "many" }, command)).exitCode).toBe(2);
    });
  });

  test("that is a secret is not repeated", async () => {
    const { log, exitCode } = await refusalOf({ DATABASE_URL: "postgress://me:hunter2@db/x" });
    expect({ exitCode, log }).toEqual({
      exitCode: 2,
      log: expect.stringContaining("DATABASE_URL"),
    });
    expect(log).not.toContain("hunter2");
    const broken = await refusalOf({ DATABASE_URL: "postgres://me:hunter2%zz@127.0.0.1:1/x" });
    expect(broken).toEqual({ exitCode: 2, log: expect.stringContaining("DATABASE_URL") });
    expect(broken.log).not.toContain("hunter2");
  });
});

/** Those of `config.ts`, but for the one that is not this program's own. */
const variablesRead = Array.from(
  textOf("src/config.ts").matchAll(/^ {2}([A-Z][A-Z_]+): /gm),
  ([, name = ""]) => name,
).filter((name) => name !== "NODE_ENV");

describe("a command line", () => {
  test("the README tells the same variables", () => {
    const readme = textOf("README.md");
    expect(variablesRead.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
  });

  test("--help tells the commands and the variables", async () => {
    await inTurn(["--help", "-h"], async (flag) => {
      const { exitCode, output, log } = await runProgram([flag]);
      expect({ exitCode, log }).toEqual({ exitCode: 0, log: "" });
      const words = ["serve", "migrate", "verify", "--sale"];
      expect(variablesRead).toContain("SALE_ENTRY");
      expect([...variablesRead, ...words].filter((word) => !output.includes(word))).toEqual([]);
    });
  });

  test("licenses tells what it is made of, and under which licences", async () => {
    // From source, for they are collected from what lies about it.
    const source = join(import.meta.dir, "../../src/main.ts");
    const { exitCode, output, log } = await runProgram(["licenses"], {}, undefined, source);
    expect({ exitCode, log }).toEqual({ exitCode: 0, log: "" });
    expect(output).toMatch(/^PostgreSQL \d+\.\d+ \(PostgreSQL\)$/m);
    expect(output).toMatch(/^Bun [\d.]+ \(MIT AND LGPL/m);
  });

  test("--version tells the version, and of which commit it is", async () => {
    // From source, for git is asked about what lies there.
    const source = join(import.meta.dir, "../../src/main.ts");
    const { exitCode, output } = await runProgram(["--version"], {}, undefined, source);
    const git = Bun.spawnSync(["git", "rev-parse", "HEAD"], { cwd: import.meta.dir });
    const head = git.stdout.toString().slice(0, 12);
    expect(head).toMatch(/^[0-9a-f]{12}$/);
    const version = `${packageJson.version}+${head}`;
    expect([`${version}\n`, `${version}.changed\n`]).toContain(output);
    expect(exitCode).toBe(0);
  });

  test.each([
    [["sell"]],
    [["serve", "more"]],
    [["--sails"]],
    [["verify", "--sale"]],
    [["verify", "--sale", "x"]],
    [["verify", "--sale", "0"]],
    [["verify", "--sale", "99999999999"]],
    [["serve", "--sale", "1"]],
  ])("%j is refused with 2, and a way on", async (args) => {
    const { exitCode, log } = await refusalOf({}, ...args);
    expect({ exitCode, log }).toEqual({ exitCode: 2, log: expect.stringContaining("--help") });
  });
});

describe("an address to listen on", () => {
  test("that another program has is told in a sentence", async () => {
    const url = await postgres.newRecords();
    await using server = await startServer({ DATABASE_URL: url });
    const { exitCode, output, log } = await runProgram(["serve"], {
      DATABASE_URL: url,
      PORT: String(server.port),
    });
    expect({ exitCode, output }).toEqual({ exitCode: 1, output: "" });
    expect(log).toMatch(new RegExp(`^stampede: .*${server.port} is in use.*PORT`));
    expect(log).not.toMatch(aStack);
    expect((await server.client.get("/ready")).status).toBe(200);
  });

  test("and its port for other processes, too", async () => {
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    atEnd(() => taken.stop(true));
    const { exitCode, log } = await refusalOf({
      DATABASE_URL: await postgres.newRecords(),
      LINK_PORT: String(taken.port),
    });
    expect(exitCode).toBe(1);
    expect(log).toMatch(new RegExp(`^stampede: .*${taken.port} is in use.*LINK_PORT`));
  });

  test("that this machine does not have is told in a sentence", async () => {
    const url = await postgres.newRecords();
    await inTurn(["999.1.1.1", "nonsense.invalid", "203.0.113.1"], async (host) => {
      const { exitCode, log } = await refusalOf({ DATABASE_URL: url, HOST: host });
      expect([1, 2]).toContain(exitCode);
      expect(log).toContain("HOST");
    });
  });

  test("is said as it can be opened", async () => {
    const url = await postgres.newRecords();
    await inTurn(["0.0.0.0", "127.0.0.1", "localhost", "::1", "::"], async (host) => {
      const running = new Program([], { DATABASE_URL: url, HOST: host });
      const said = await until("its address", () => / at (http\S+)$/m.exec(running.output)?.[1]);
      const open = () => fetch(`${said}/health`).then(({ status }) => status);
      expect({ host, status: await open().catch(String) }).toEqual({ host, status: 200 });
      await running.kill();
    });
  });
});

describe("a database", () => {
  test("that refuses the password is told in a sentence", async () => {
    const env = { DATABASE_URL: postgres.url("postgres", "wrong-secret") };
    const { exitCode, log } = await refusalOf(env);
    expect({ exitCode, log }).toEqual({
      exitCode: 1,
      log: expect.stringMatching(/refused the login.*password.*DATABASE_URL/),
    });
    expect(log).not.toContain("wrong-secret");
  });

  test("that does not exist is told in a sentence", async () => {
    const { exitCode, log } = await refusalOf({ DATABASE_URL: postgres.url("nonsense") });
    expect({ exitCode, log }).toEqual({
      exitCode: 1,
      log: expect.stringMatching(/"nonsense" does not exist.*DATABASE_URL/),
    });
  });

  test("on a host that nobody knows is told in a sentence", async () => {
    const { exitCode, log } = await refusalOf({
      DATABASE_URL: "postgres://u:p@nonsense.invalid/x",
    });
    expect({ exitCode, log }).toEqual({
      exitCode: 1,
      log: expect.stringMatching(/Cannot reach PostgreSQL at nonsense\.invalid/),
    });
  });

  test("that never answers is told in a sentence", async () => {
    const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    atEnd(() => silent.stop(true));
    const env = { DATABASE_URL: `postgres://u:p@127.0.0.1:${silent.port}/x` };
    const { exitCode, log } = await refusalOf(env);
    expect({ exitCode, log }).toEqual({
      exitCode: 1,
      log: expect.stringMatching(/Cannot reach PostgreSQL at 127\.0\.0\.1/),
    });
  });

  test("at an IPv6 address is reached there", async () => {
    const env = { DATABASE_URL: `postgres://u:p@[::1]:${freePort()}/x` };
    const running = new Program(["serve"], env);
    await until("its answer", () => running.output !== "" || running.log !== "");
    expect(running.said).toMatch(/Waiting for .*ECONNREFUSED/);
    await running.kill();
  });

  test("that comes up later is waited for", async () => {
    const url = await postgres.newDatabase();
    await postgres.end("SIGINT");
    const running = new Program(["serve"], { DATABASE_URL: url });
    try {
      await until("its waiting", () => running.output.includes("Waiting for PostgreSQL at"));
    } finally {
      await postgres.start();
    }
    await until("its selling", () => running.output.includes("sells at"));
    expect(running.output).not.toContain(postgres.url("x").split(":")[2]?.split("@")[0] ?? "");
    running.signal("SIGTERM");
    expect(await running.exited()).toBe(0);
  });

  test("that does not come up is not waited for by one that is told to stop", async () => {
    const env = { DATABASE_URL: `postgres://u:p@127.0.0.1:${freePort()}/x` };
    const running = new Program(["serve"], env);
    await until("its waiting", () => running.output.includes("Waiting for PostgreSQL at"));
    running.signal("SIGTERM");
    await running.exited(5_000);
    expect(running.log).not.toMatch(aStack);
  });
});
