/** However what is asked for is mixed, PostgreSQL keeps so many plans for the one who writes. */
import { expect, test } from "bun:test";
import type { Command, Outcome } from "../../src/ledger/commands.ts";
import { Journal } from "../../src/store/journal.ts";
import { preparedUsesMin, preparedMax } from "../../src/store/statements.ts";
import { lookInto, usePostgres } from "../support/postgres.ts";
import { inTurn, upTo } from "../support/wait.ts";

const postgres = usePostgres();

const code = "01a221e5-7b74-7481-a0ef-4b17106851da";
const guest = { kind: "guest", userId: "ann" } as const;
const customer = { kind: "customer", userId: "ann" } as const;

/** Of each kind of row that a stranger and a customer can have written, one that is refused. */
const refused: readonly { readonly command: Command; readonly outcome: Outcome }[] = [
  ...[guest, customer].map((buyer) => ({
    command: {
      kind: "checkout",
      buyer,
      item: 1,
      sale: "unknown",
      code,
      key: null,
      expectedPriceCents: null,
    } as const,
    outcome: { word: "sale_not_found", saleId: null } as const,
  })),
  {
    command: { kind: "purchase", code, by: null, expectedPriceCents: null, lookup: null },
    outcome: { word: "code_not_found", of: null },
  },
  {
    command: {
      kind: "buy",
      buyer: customer,
      saleId: "unknown",
      itemId: 1,
      quantity: 1,
      code,
      key: null,
      expectedPriceCents: null,
    },
    outcome: { word: "sale_not_found", saleId: null },
  },
  {
    command: { kind: "claim", coupon: "none", buyer: guest, key: null },
    outcome: { word: "coupon_not_found" },
  },
];
/** Each of them, by itself and as it comes over the link. */
const rows = refused.flatMap((row) => [
  { ...row, asked: undefined },
  { ...row, asked: 1 },
]);

test("however batches are mixed, so many statements are prepared and no more", async () => {
  const session = lookInto(await postgres.newRecords(), 1);
  const [backend] = await session<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const journal = new Journal({ sql: session, backendPid: backend?.pid ?? 0 });
  let firstSeq = 1;
  const commit = async (mixture: number): Promise<void> => {
    const batch = rows.filter((_, bit) => (mixture & (1 << bit)) !== 0);
    const asked: number[] = [];
    batch.forEach((row, place) => {
      if (row.asked !== undefined) asked[place] = firstSeq + place;
    });
    const commands = batch.map(({ command }) => command);
    const outcomes = batch.map(({ outcome }) => outcome);
    await journal.commit({ firstSeq, at: Date.now(), commands, outcomes, asked });
    firstSeq += batch.length;
  };
  const mixtures = upTo(preparedMax + 40);
  for (const mixture of mixtures) {
    // oxlint-disable-next-line no-await-in-loop
    await inTurn(upTo(preparedUsesMin), () => commit(mixture));
  }
  await inTurn(mixtures.slice(-40), commit);
  const [prepared] = await session<{ count: number }[]>`
    select count(*)::int as count from pg_prepared_statements
    where statement like '%attempts%' and statement not like '%pg_prepared_statements%'`;
  expect(prepared?.count).toBe(preparedMax);
  const [stored] = await session<{ count: number }[]>`
    select count(*)::int as count from attempts`;
  expect(stored?.count).toBe(firstSeq - 1);
});
