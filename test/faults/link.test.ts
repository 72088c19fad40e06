/**
 * Three processes on one database, and buyers at all of them who never ask twice: while the leader is
 * killed, or told to stop, or one after another is replaced, whoever asks a process that lives is
 * answered, and the journal has each request exactly once. Nobody is sent away sooner than they are
 * after three seconds without a leader, which is what a machine that is busy may take.
 */
import { describe, expect, test } from "bun:test";
import {
  answersEach,
  buyersEach,
  ends,
  expectOnce,
  faultsOf,
  Flood,
  floodedSale,
  leadsNow,
  leaves,
  tell,
} from "../support/flood.ts";
import { endSession } from "../support/leading.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { inTurn, until, upTo } from "../support/wait.ts";

const postgres = usePostgres();

describe("buyers at processes that live see no error, and nothing is done twice", () => {
  test("when the leader is killed", async () => {
    const url = await postgres.newDatabase();
    await using leader = await startServer(floodedSale(url));
    await using first = await startServer(floodedSale(url));
    await using second = await startServer(floodedSale(url));
    const floods = [new Flood(first, "first"), new Flood(second, "second")];
    await Promise.all(floods.map((flood) => flood.goesOn()));
    await leader.kill();
    await Promise.all(floods.map((flood) => flood.goesOn()));
    await Promise.all(floods.map((flood) => flood.end()));
    tell("killed", floods);
    expect(faultsOf(floods)).toEqual([]);
    expect((await inTurn([first, second], leadsNow)).filter(Boolean).length).toBe(1);
    await expectOnce(lookInto(url), floods);
  });

  test("when the leader is told to stop, at itself too", async () => {
    const url = await postgres.newDatabase();
    await using leader = await startServer(floodedSale(url));
    await using standby = await startServer(floodedSale(url));
    const floods = [new Flood(leader, "leader"), new Flood(standby, "standby")];
    const [own, other] = floods;
    await Promise.all(floods.map((flood) => flood.goesOn()));
    leader.program.signal("SIGTERM");
    await own?.goesOn(buyersEach);
    await leaves(leader, own);
    await other?.goesOn();
    await other?.end();
    expect(await leader.program.exited()).toBe(0);
    tell("stopped", floods);
    expect(faultsOf(floods)).toEqual([]);
    await expectOnce(lookInto(url), floods);
  });

  test("when the leader's session is ended time and again, at itself too", async () => {
    const url = await postgres.newDatabase();
    const servers = await inTurn(upTo(2), () => startServer(floodedSale(url)));
    const floods = servers.map((server, n) => new Flood(server, `${n}`));
    const sql = lookInto(url);
    await inTurn(upTo(6), async () => {
      await Promise.all(floods.map((flood) => flood.goesOn(answersEach / 3)));
      await endSession(sql);
    });
    await Promise.all(floods.map((flood) => flood.goesOn(answersEach / 3)));
    await Promise.all(floods.map((flood) => flood.end()));
    tell("its session ended", floods);
    expect(faultsOf(floods)).toEqual([]);
    await expectOnce(sql, floods);
    await Promise.all(servers.map((server) => server.kill()));
  });

  test("when the leader stands still until another leads, and wakes", async () => {
    const url = await postgres.newDatabase();
    await using leader = await startServer(floodedSale(url));
    await using standby = await startServer(floodedSale(url));
    const floods = [new Flood(leader, "leader"), new Flood(standby, "standby")];
    await Promise.all(floods.map((flood) => flood.goesOn()));
    leader.program.signal("SIGSTOP");
    await until("another's leading", () => leadsNow(standby));
    leader.program.signal("SIGCONT");
    await Promise.all(floods.map((flood) => flood.goesOn()));
    await Promise.all(floods.map((flood) => flood.end()));
    tell("stood still", floods);
    expect(faultsOf(floods)).toEqual([]);
    await expectOnce(lookInto(url), floods);
  });

  test("when three are replaced one after another, three times over", async () => {
    const url = await postgres.newDatabase();
    const servers = await inTurn(upTo(3), () => startServer(floodedSale(url)));
    const floods = servers.map((server, n) => new Flood(server, `of the first ${n}`));
    await inTurn(upTo(9), async (n) => {
      const next = await startServer(floodedSale(url));
      servers.push(next);
      floods.push(new Flood(next, `of the next ${n}`));
      const [old, its] = [servers[n - 1] as TestServer, floods[n - 1]];
      old.program.signal("SIGTERM");
      await leaves(old, its);
      await floods.at(-1)?.goesOn(answersEach / 6);
      expect(await ends(old, floods)).toBe(0);
    });
    await Promise.all(floods.map((flood) => flood.end()));
    tell("replaced", floods);
    expect(faultsOf(floods)).toEqual([]);
    expect((await inTurn(servers.slice(9), leadsNow)).filter(Boolean).length).toBe(1);
    await expectOnce(lookInto(url), floods);
    await Promise.all(servers.map((server) => server.kill()));
  }, 300_000);
});
