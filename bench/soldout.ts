/**
 * A whole sale, from the first request to the 10,000th acknowledged purchase, on a new folder
 * each time. It is right when exactly what there was is sold, no item twice, every request is
 * recorded, and the audit agrees.
 */
import { complaintsOf } from "./complaints.ts";
import { median, type Measure, measureTable, number, verdictsOf } from "./report.ts";
import type { Bench, Found, Plan, Scenario } from "./scenario.ts";
import { goShopping, type ShoppingReport } from "./shopping.ts";
import { type Audit, makeHome, type Sale, Stampede } from "./stampede.ts";

const connections = 256;
/** A fifth more than it takes to buy everything. */
const buyers = 1_200;
const perUserLimit = 10;
const saleSeconds = 4;
const saleSecondsMax = 60;
const startSeconds = 5;

export const soldOut: Scenario = {
  name: "soldout",
  seconds: ({ soldOutRuns }: Plan) => soldOutRuns * (startSeconds + saleSeconds),
  run,
};

async function run(bench: Bench): Promise<Found> {
  const { soldOutRuns } = bench.plan;
  const reports: ShoppingReport[] = [];
  const lines: string[] = [];
  const wrong: string[] = [];
  let database: string | null = null;
  for (let i = 1; i <= soldOutRuns; i += 1) {
    // oxlint-disable-next-line no-await-in-loop
    const { report, complaints, warnings, ...sold } = await sellOut(
      bench,
      `${i} of ${soldOutRuns}`,
    );
    database = sold.database;
    reports.push(report);
    wrong.push(...complaints);
    lines.push(...warnings);
  }
  const mid = (of: (report: ShoppingReport) => number): number => median(reports.map(of));
  const measures: Measure[] = [
    {
      what: "first request to last purchase",
      value: mid(({ seconds }) => seconds),
      digits: 2,
      unit: "s",
      target: { is: "<", bound: 3 },
    },
    { what: "requests", value: mid(({ requests }) => requests), digits: 0, unit: "" },
    { what: "requests/s", value: mid((r) => r.requests / r.seconds), digits: 0, unit: "" },
    { what: "checkout p99", value: mid((r) => r.checkoutP99Ms), digits: 1, unit: "ms" },
    { what: "purchase p99", value: mid((r) => r.purchaseP99Ms), digits: 1, unit: "ms" },
  ];
  const each = reports.map(({ seconds }) => `${number(seconds, 2)} s`).join(", ");
  const answers = Object.entries(reports.at(-1)?.answers ?? {})
    .map(([kind, n]) => `${number(n)} × ${kind}`)
    .join(", ");
  return {
    database,
    lines: [
      `A sale of 10,000 sold out: ${connections} connections, ${number(buyers)} buyers of ${perUserLimit} at most; medians of ${soldOutRuns}`,
      ...measureTable(measures),
      `Each: ${each}. Answers of the last: ${answers}.`,
      ...lines,
      "",
    ],
    verdicts: verdictsOf(measures).map(({ what, met }) => ({ what: `sold out, ${what}`, met })),
    wrong,
  };
}

async function sellOut(
  { owned, progress, executable }: Bench,
  which: string,
): Promise<{
  database: string;
  report: ShoppingReport;
  complaints: string[];
  warnings: string[];
}> {
  const home = makeHome(owned);
  const stampede = await progress.step(`sold out: starting, ${which}`, startSeconds, () =>
    Stampede.start(owned, executable, home),
  );
  const { stock } = await stampede.sale();
  const report = await progress.step(`sold out: selling, ${which}`, saleSeconds, () =>
    goShopping(owned, {
      hostname: "127.0.0.1",
      port: home.port,
      connections,
      buyers,
      limit: perUserLimit,
      items: stock,
      want: stock,
      secondsMax: saleSecondsMax,
    }),
  );
  const sale = await stampede.settledSale();
  const complaints = contradictions(report, sale, await stampede.audit());
  await stampede.stop();
  const { errors, warnings } = await complaintsOf(home);
  const { database } = stampede;
  return { database, report, complaints: [...complaints, ...errors], warnings };
}

function contradictions(report: ShoppingReport, sale: Sale, audit: Audit): string[] {
  const { purchases, distinctItems, requests } = report;
  const { stock } = sale;
  const checks: [boolean, string][] = [
    [audit.ok, "the audit is not ok"],
    [audit.sold === stock, `the audit counts ${audit.sold} sold of ${stock}`],
    [sale.sold === stock, `the sale counts ${sale.sold} sold of ${stock}`],
    [purchases === stock, `${purchases} purchases were acknowledged of ${stock}`],
    [distinctItems === stock, `${distinctItems} different items were bought of ${stock}`],
    [audit.max_units_one_user <= perUserLimit, `one user has ${audit.max_units_one_user}`],
    [sale.attempts === requests, `${sale.attempts} attempts are stored of ${requests} requests`],
  ];
  const failed = checks.filter(([holds]) => !holds).map(([, text]) => text);
  return [...report.wrong, ...failed].map((text) => `sold out: ${text}`);
}
