/** Accounts in the program itself: its processes, its secrets, and the commands `user …`. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import { AccountClient, expectRefusal } from "../support/accounts.ts";
import { codeOf } from "../support/authenticator.ts";
import { atEnd, newFolder } from "../support/leftovers.ts";
import { lookInto, newCluster, useOwnPostgres } from "../support/postgres.ts";
import {
  type Environment,
  runProgram,
  startServer,
  surroundings,
  type TestServer,
} from "../support/server.ts";
import { inTurn, until, upTo, within } from "../support/wait.ts";

const postgres = useOwnPostgres();
const program = join(import.meta.dir, "../../src/main.ts");
const password = "a good password";
const exitMaxMs = 60_000;

/** Runs a command of `user` with something on its standard input. */
async function userCommand(args: readonly string[], input: string, env: Environment) {
  const ended = await runProgram(["user", ...args], env, input);
  if (input.trim() !== "") expect(ended.output + ended.log).not.toContain(input.trim());
  return ended;
}

const userCreate = (args: readonly string[], input: string, env: Environment) =>
  userCommand(["create", ...args], input, env);

const accountsOf = (server: TestServer): AccountClient => new AccountClient(() => server.url);

describe("user create", () => {
  test("makes an administrator while the program runs on its own PostgreSQL", async () => {
    const env = { STAMPEDE_DATA: await newCluster() };
    await using server = await startServer(env);
    const made = await userCreate(["Root", "--role", "admin"], `${password}\n`, env);
    expect(made).toMatchObject({ exitCode: 0 });
    expect(made.output).toContain("Made the account Root, role admin.");
    const client = accountsOf(server);
    const { headers, user } = await client.enter("root", password);
    expect(user).toMatchObject({ username: "Root", role: "admin" });
    expect((await client.get("/api/admin/users", { headers })).status).toBe(200);
    expect(await userCreate(["ROOT"], password, env)).toMatchObject({
      exitCode: 1,
      log: "stampede: There is an account ROOT already.\n",
    });
    expect(await server.stop()).toBe(0);
    expect(server.program.said).not.toContain(password);
  });

  test("is refused without a name, a role or a password that will do", async () => {
    const env = { DATABASE_URL: await postgres.newDatabase() };
    const wrong: [string[], string, string][] = [
      [[], password, "user create NAME"],
      [["anna", "berta"], password, "user create NAME"],
      [["a b"], password, "The name has to be"],
      [["anna", "--role", "root"], password, '--role is "root"; it takes user or admin.'],
      [["anna"], "s3cret!", "The password has fewer than 8 characters."],
      [["anna"], "", "The password has fewer than 8 characters."],
      [["anna"], "s3cret".repeat(2_000), "The password has more than 256 characters."],
    ];
    await inTurn(wrong, async ([args, input, complaint]) => {
      const refused = await userCreate(args, input, env);
      expect(refused.exitCode).toBe(2);
      expect(refused.log).toContain(complaint);
      expect(refused.output + refused.log).not.toContain("s3cret");
    });
  });

  test("asks on a terminal, and shows nothing of what is typed", async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    const ask = async (...typed: readonly string[]) => {
      let shown = "";
      const command = Bun.spawn([process.execPath, program, "user", "create", "anna"], {
        cwd: newFolder(),
        env: { ...surroundings(), ...env },
        terminal: {
          data: (_, bytes) => {
            shown += new TextDecoder().decode(bytes);
          },
        },
      });
      atEnd(() => command.kill("SIGKILL"));
      await until("the question", () => shown.includes("Password for anna: "));
      command.terminal?.write(typed.join(""));
      const exitCode = await within("the command's end", exitMaxMs, command.exited);
      return { exitCode, shown };
    };
    const cancelled = await ask("good", "\x03");
    expect(cancelled.exitCode).toBe(1);
    const differing = await ask("a good one\r", "a bad one!\r");
    expect(differing.exitCode).toBe(2);
    expect(differing.shown).not.toContain("one");
    const made = await ask("wrong\x15", "good pä\x7fasswx\x7ford\r", "good password\r");
    expect(made.exitCode).toBe(0);
    expect(made.shown).not.toContain("good");
    const [row] = await lookInto(env.DATABASE_URL)<{ password_hash: string }[]>`
      select password_hash from users where username = 'anna'`;
    expect(await Bun.password.verify("good password", row?.password_hash ?? "")).toBe(true);
  });
});

describe("user password", () => {
  const better = "a better password";

  test("lets in by the new one, ends all sessions, and makes no account", async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    const server = await startServer(env);
    const client = accountsOf(server);
    await client.register("Anna", password);
    const { headers } = await client.enter("Anna", password);
    expect((await client.me(headers)).status).toBe(200);
    const changed = await userCommand(["password", "anna"], `${better}\n`, env);
    expect(changed).toMatchObject({ exitCode: 0, log: "" });
    expect(changed.output).toContain("Changed the password of Anna");
    expectRefusal(await client.login("anna", password), 401, "invalid_credentials");
    const anew = await client.enter("anna", better);
    expect(await server.stop()).toBe(0);

    // What the first server may still have had in memory, the next one reads.
    await using next = await startServer(env);
    expectRefusal(await accountsOf(next).me(headers), 401, "unauthenticated");
    expect((await accountsOf(next).me(anew.headers)).status).toBe(200);
    expect(await userCommand(["password", "berta"], password, env)).toMatchObject({
      exitCode: 1,
      log: "stampede: There is no account berta.\n",
    });
    await inTurn(
      [
        [["password"], password, "user password NAME"],
        [["password", "anna", "x"], password, "user password NAME"],
        [["password", "anna", "--role", "admin"], password, "--role belongs to user create."],
        [["password", "anna"], "s3cret!", "The password has fewer than 8 characters."],
      ] as const,
      async ([args, input, complaint]) => {
        const refused = await userCommand(args, input, env);
        expect(refused.exitCode).toBe(2);
        expect(refused.log).toContain(complaint);
      },
    );
  });
});

const endsEverywhere = async (servers: readonly TestServer[], headers: Record<string, string>) => {
  for (const server of servers) {
    // oxlint-disable-next-line no-await-in-loop
    await until("the session's end", async () => {
      return (await accountsOf(server).me(headers)).status === 401;
    });
  }
};

describe("user list, disable and role", () => {
  test("end sessions on every process, and keep one who administrates", async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    const run = (...args: string[]) => userCommand(args, "", env);
    await userCreate(["Root", "--role", "admin"], `${password}\n`, env);
    await using first = await startServer(env);
    await using second = await startServer(env);
    const client = accountsOf(second);
    await client.register("Anna", password);
    const anna = await client.enter("anna", password);
    expect((await accountsOf(first).me(anna.headers)).status).toBe(200);

    expect(await run("role", "ROOT", "user")).toMatchObject({
      exitCode: 1,
      log:
        "stampede: ROOT is the last who administrates. " +
        "Make another first: stampede user role NAME admin.\n",
    });
    expect((await run("disable", "root")).log).toContain("root is the last who administrates.");
    const raised = await run("role", "anna", "admin");
    expect(raised).toMatchObject({ exitCode: 0, log: "" });
    expect(raised.output).toContain("Anna has the role admin now, and its sessions end");
    await endsEverywhere([first, second], anna.headers);
    const anew = await client.enter("anna", password);
    expect((await client.get("/api/admin/users", anew)).status).toBe(200);

    const disabled = await run("disable", "anna");
    expect(disabled).toMatchObject({ exitCode: 0, log: "" });
    expect(disabled.output).toContain("Disabled Anna, and ended its sessions");
    await endsEverywhere([first, second], anew.headers);
    expectRefusal(await client.login("anna", password), 401, "invalid_credentials");
    // One who is disabled administrates nothing.
    expect((await run("role", "root", "user")).exitCode).toBe(1);
    expect((await run("role", "anna", "user")).exitCode).toBe(0);

    const listed = await run("list");
    expect(listed).toMatchObject({ exitCode: 0, log: "" });
    expect(listed.output.split("\n").map((line) => line.split(/ {2,}/).slice(0, 4))).toEqual([
      ["name", "role", "state", "second factor"],
      ["Root", "admin", "enabled", "off"],
      ["Anna", "user", "disabled", "off"],
      [""],
    ]);
  });

  test("say what is wrong with a call", async () => {
    const env = { DATABASE_URL: await postgres.newRecords() };
    await inTurn(
      [
        [["role", "anna"], 2, "user role NAME user|admin"],
        [["role", "anna", "root"], 2, 'A role is "root"; it takes user or admin.'],
        [["disable"], 2, "user disable NAME"],
        [["list", "anna"], 2, "user list"],
        [["disable", "anna", "--role", "user"], 2, "--role belongs to user create."],
        [["disable", "nobody"], 1, "There is no account nobody."],
        [["role", "nobody", "admin"], 1, "There is no account nobody."],
      ] as const,
      async ([args, exitCode, complaint]) => {
        const refused = await userCommand(args, "", env);
        expect(refused.log).toContain(complaint);
        expect(refused.exitCode).toBe(exitCode);
      },
    );
  });
});

describe("a second factor", () => {
  test("is demanded by a setting, outlives a restart, and is taken away by a command", async () => {
    const env = { DATABASE_URL: await postgres.newDatabase(), ADMIN_SECOND_FACTOR: "demanded" };
    await userCreate(["Root", "--role", "admin"], `${password}\n`, env);
    const server = await startServer(env);
    const client = accountsOf(server);
    const root = await client.enter("root", password);
    // By role, and by what a scope allows.
    await inTurn(["/api/admin/users", "/api/admin/stats"], async (path) => {
      expectRefusal(await client.get(path, root), 403, "second_factor_demanded");
    });
    const begun = await client.send("POST", "/api/auth/second-factor", { password }, root);
    const { secret } = z.object({ secret: z.string() }).parse(begun.json());
    const otp = codeOf(secret, Date.now());
    const confirmed = await client.send("POST", "/api/auth/second-factor/confirm", { otp }, root);
    const { recovery_codes: codes } = z
      .object({ recovery_codes: z.array(z.string()) })
      .parse(confirmed.json());
    expect((await client.get("/api/admin/stats", root)).status).toBe(200);
    expect(await server.stop()).toBe(0);

    await using next = await startServer(env);
    const again = accountsOf(next);
    const login = (code: string | undefined) =>
      again.send("POST", "/api/auth/login", { username: "root", password, otp: code });
    expectRefusal(await login(undefined), 401, "second_factor_required");
    expectRefusal(await login(otp), 401, "invalid_second_factor");
    expect((await login(codes[0])).status).toBe(200);
    expectRefusal(await login(codes[0]), 401, "invalid_second_factor");
    const following = codeOf(secret, Date.now() + 30_000);
    expect((await login(following)).status).toBe(200);

    const reset = await userCommand(["reset-factor", "ROOT"], "", env);
    expect(reset).toMatchObject({ exitCode: 0, log: "" });
    expect(reset.output).toContain("Took away the second factor of Root");
    const anew = await again.enter("root", password);
    expectRefusal(await again.get("/api/admin/stats", anew), 403, "second_factor_demanded");
    expect(await userCommand(["reset-factor", "berta"], "", env)).toMatchObject({
      exitCode: 1,
      log: "stampede: There is no account berta.\n",
    });
    expect(await userCommand(["reset-factor"], "", env)).toMatchObject({ exitCode: 2 });
  });
});

/** The status of a wrong password for one account, as a proxy passes it on for an address. */
async function guess(client: AccountClient, address: string): Promise<number> {
  const headers = { "X-Forwarded-For": address };
  return (await client.login("berta", "not the password", { headers })).status;
}

describe("two processes", () => {
  test("agree on tokens, addresses and cookies; what was ended stays so when the leader dies", async () => {
    const url = await postgres.newRecords();
    await using first = await startServer({ DATABASE_URL: url });
    await using second = await startServer({
      DATABASE_URL: url,
      TRUSTED_PROXIES: "127.0.0.0/8",
    });
    const [leader, standby] = [accountsOf(first), accountsOf(second)];
    const sql = lookInto(url);
    const secrets = await sql<{ name: string }[]>`select name from secrets order by name`;
    expect(secrets.map(({ name }) => name)).toEqual([
      "link",
      "second factors",
      "tokens",
      "webhooks",
    ]);

    expect((await standby.register("anna", password)).status).toBe(201);
    const anna = await standby.enter("anna", password, {
      headers: { "X-Forwarded-Proto": "https" },
    });
    expect(anna.answer.headers.getSetCookie()[0]).toMatch(
      /^__Host-stampede_token=[^;]+;.*; Secure$/,
    );
    expect((await leader.me(anna.headers)).json()).toEqual(anna.user);
    expect((await standby.me(anna.headers)).json()).toEqual(anna.user);

    // The standby's own Origin is ours, also where the leader answers.
    const gone = await standby.enter("anna", password);
    const cookie = { Cookie: `stampede_token=${gone.token}` };
    const logout = (origin: string) =>
      standby.ask("POST", "/api/auth/logout", { headers: { ...cookie, Origin: origin } });
    expectRefusal(await logout("http://evil.example"), 403, "cross_site");
    expect((await logout(second.url)).status).toBe(204);

    // The leader counts the address that the standby saw, and believes nobody else.
    // One at a time: a standby does not wait for as long as eleven hashes may take.
    const guesses = await inTurn(upTo(11), () => guess(standby, "192.0.2.1"));
    expect(guesses).toEqual([...upTo(10).map(() => 401), 429]);
    expect(await guess(standby, "192.0.2.2")).toBe(401);
    const direct = await inTurn(upTo(11), (n) => guess(leader, `192.0.2.${n + 10}`));
    expect(direct).toEqual([...upTo(10).map(() => 401), 429]);

    await first.kill();
    await until("the next leader", async () => {
      const ready = await standby.get("/ready");
      return ready.status === 200 && ready.text.includes('"leader"');
    });
    expect((await standby.me(anna.headers)).json()).toEqual(anna.user);
    expectRefusal(await standby.me(cookie), 401, "unauthenticated");
    expect(first.program.said + second.program.said).not.toContain(password);
  });
});

describe("JWT_SECRET", () => {
  test("of fewer than 32 bytes stops the program, and is not repeated", async () => {
    const secret = "thirty-one bytes, one too few..";
    expect(secret.length).toBe(31);
    const stopped = await userCreate(["anna"], password, { JWT_SECRET: secret });
    expect(stopped.exitCode).toBe(2);
    expect(stopped.log).toContain("JWT_SECRET is not fit; it takes 32 bytes or more");
    expect(stopped.output + stopped.log).not.toContain(secret.slice(0, 8));
  });

  test("is the key of the tokens: those of another count for nothing", async () => {
    const url = await postgres.newRecords();
    const own = { DATABASE_URL: url, JWT_SECRET: "ä".repeat(16) };
    const first = await startServer(own);
    const client = accountsOf(first);
    await client.register("anna", password);
    const { headers } = await client.enter("anna", password);
    expect(await first.stop()).toBe(0);
    const names = await lookInto(url)<{ name: string }[]>`select name from secrets order by name`;
    expect(names.map(({ name }) => name)).toEqual(["link", "second factors", "webhooks"]);
    const again = await startServer(own);
    expect((await accountsOf(again).me(headers)).status).toBe(200);
    await again.stop();
    await using others = await startServer({ DATABASE_URL: url });
    expectRefusal(await accountsOf(others).me(headers), 401, "unauthenticated");
  });

  test("and a proxy that is none stop the program before anything is done", async () => {
    const stopped = await userCreate(["anna"], password, { TRUSTED_PROXIES: "everybody" });
    expect(stopped.exitCode).toBe(2);
    expect(stopped.log).toContain('TRUSTED_PROXIES is "everybody"; it takes addresses');
  });
});

test("where PostgreSQL is away, nobody is let in, and it is not called an error", async () => {
  const server = await startServer({ DATABASE_URL: await postgres.newRecords() });
  const client = accountsOf(server);
  await client.register("anna", password);
  const { headers } = await client.enter("anna", password);
  await postgres.end("SIGKILL");
  try {
    await until("the refusal", async () => (await client.me(headers)).status === 503);
    expectRefusal(await client.login("anna", password), 503, "unavailable");
  } finally {
    await postgres.start();
  }
  await until("the account again", async () => (await client.me(headers)).status === 200);
  await server.stop();
});
