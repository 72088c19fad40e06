/**
 * Challenges before a guest joins a queue: a solution is good once, whichever process is asked, when
 * many ask at once, and after a restart; and what nobody was asked for is no solution.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { solveChallenge, type Challenge } from "altcha-lib";
import { deriveKey } from "altcha-lib/algorithms/pbkdf2";
import { z } from "zod";
import { usePostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { inTurn, upTo } from "../support/wait.ts";

const postgres = usePostgres();
const refusal = z.object({ code: z.string(), detail: z.string() });
type Solution = NonNullable<Awaited<ReturnType<typeof solveChallenge>>>;
type Solved = { readonly challenge: Challenge; readonly solution: Solution };

let environment: Record<string, string>;
let leader: TestServer;
let standby: TestServer;

beforeAll(async () => {
  environment = {
    DATABASE_URL: await postgres.newRecords(),
    SALE_ENTRY: "queue",
    CHALLENGE: "join",
  };
  leader = await startServer(environment);
  standby = await startServer(environment);
});

async function solve(server: TestServer): Promise<Solved> {
  const answer = await fetch(`${server.url}/challenge`);
  const challenge = (await answer.json()) as Challenge;
  const solution = await solveChallenge({ challenge, deriveKey });
  if (solution === null) throw new Error("it has no solution");
  return { challenge, solution };
}

const written = (solved: object): string => btoa(JSON.stringify(solved));

let guests = 0;
/** Somebody new joins. @returns 201, or why not */
async function join(server: TestServer, solution: string | null): Promise<number | string> {
  guests += 1;
  const query = solution === null ? "" : `&altcha=${encodeURIComponent(solution)}`;
  const path = `/sales/1/queue?user_id=guest${guests}${query}`;
  const answer = await fetch(server.url + path, { method: "POST" });
  if (answer.status === 201) return 201;
  const { code, detail } = refusal.parse(await answer.json());
  return `${answer.status} ${code}: ${detail}`;
}

const used = "403 challenge_required: altcha was used already.";
const nothingOfOurs = "403 challenge_required: altcha is not what GET /challenge asks for.";
const notSolved =
  "403 challenge_required: altcha is not the solution of a challenge that was made here.";

describe("a solution", () => {
  test("is good once on one process", async () => {
    const solved = written(await solve(leader));
    expect(await join(leader, solved)).toBe(201);
    expect(await join(leader, solved)).toBe(used);
  });

  test("is good once on two, wherever it was asked for", async () => {
    const [here, there] = [written(await solve(leader)), written(await solve(standby))];
    expect([await join(standby, here), await join(leader, here)]).toEqual([201, used]);
    expect([await join(leader, there), await join(standby, there)]).toEqual([201, used]);
  });

  test("is good for one of many who come with it at once, to both", async () => {
    const solved = written(await solve(leader));
    const answers = await Promise.all(
      upTo(20).map((index) => join(index % 2 === 0 ? leader : standby, solved)),
    );
    expect(answers.filter((answer) => answer === 201)).toHaveLength(1);
    expect(answers.filter((answer) => answer === used)).toHaveLength(19);
  });

  test("that was used is so after a restart, and one that was not is good after it", async () => {
    const [spent, kept] = [written(await solve(leader)), written(await solve(leader))];
    expect(await join(leader, spent)).toBe(201);
    await Promise.all([leader.kill(), standby.kill()]);
    leader = await startServer(environment);
    standby = await startServer(environment);
    expect([await join(leader, spent), await join(standby, spent)]).toEqual([used, used]);
    expect([await join(standby, kept), await join(leader, kept)]).toEqual([201, used]);
  });
});

describe("what is no solution", () => {
  test("is refused, and uses nothing up", async () => {
    const solved = await solve(leader);
    const { challenge, solution } = solved;
    const { parameters } = challenge;
    const inVain = await inTurn(
      [
        { challenge, solution: { ...solution, counter: solution.counter + 1 } },
        { challenge: { ...challenge, signature: "00".repeat(32) }, solution },
        { challenge: { ...challenge, parameters: { ...parameters, nonce: "00" } }, solution },
        {
          challenge: {
            ...challenge,
            parameters: { ...parameters, expiresAt: Number(parameters.expiresAt) + 600 },
          },
          solution,
        },
      ],
      (forged) => join(leader, written(forged)),
    );
    expect(new Set(inVain)).toEqual(new Set([notSolved]));
    const cheaper = { ...challenge, parameters: { ...parameters, cost: 1 } };
    const strange = [
      written({ challenge: cheaper, solution }),
      written({ challenge }),
      written({ challenge: { ...challenge, more: "x".repeat(5_000) }, solution }),
      "no base64 at all",
      btoa("[]"),
    ];
    expect(new Set(await inTurn(strange, (text) => join(leader, text)))).toEqual(
      new Set([nothingOfOurs]),
    );
    expect(await join(leader, null)).toStartWith("403 challenge_required");
    expect(await join(standby, written(solved))).toBe(201);
  });
});
