/** What the rounds of a coupon stampede come to: tables, the verdict, and what stood in the way. */
import { median, meets, number, table, type Target, word } from "./report.ts";
import type { Found } from "./scenario.ts";
import type { Contender, Round } from "./stampeding.ts";

/** A contender, the size of its coupons, and how they went. */
export type Side = {
  readonly who: Contender;
  readonly amount: number;
  readonly rounds: Round[];
};

const target: Target = { is: "≥", bound: 10 };
/** Share of the machine that others may take before the figures mean little. */
const othersMax = 0.05;
/** Share of a core from which on the crowd may be what is measured. */
const crowdShareMax = 0.9;

/**
 * @param sides Stampede, and those beside it
 * @param claimSecondsMax after which what was claimed counts, whatever was left
 */
export function judge(
  [stampede, ...others]: readonly Side[],
  claimSecondsMax: number,
): Pick<Found, "lines" | "verdicts"> {
  if (stampede === undefined) return { lines: [], verdicts: [] };
  const sides = [stampede, ...others];
  const rate = (side: Side): number => median(side.rounds.map((round) => round.claimRate));
  const better = others.reduce((most, one) => (rate(one) > rate(most) ? one : most));
  // Neighbours in time are compared with each other, and the median is taken of that.
  const ratios = (of: (round: Round) => number): number[] =>
    stampede.rounds.map((round, i) => {
      const beside = better.rounds[i];
      return of(round) / (beside === undefined ? Number.NaN : of(beside));
    });
  const ratio = (digits: number, of: (round: Round) => number): string =>
    number(median(ratios(of)), digits);
  const rates = ratios((round) => round.claimRate);
  const factor = median(rates);
  const met = meets(factor, target);
  const claims = table(
    ["", "coupon of", "claims/s", "p50 ms", "p99 ms", "CPU µs/claim", "PostgreSQL's"],
    [
      ...sides.map(claimRow),
      [
        "Stampede ÷ better",
        "",
        number(factor, 1),
        ratio(2, ({ report }) => report.claims.p50Ms),
        ratio(2, ({ report }) => report.claims.p99Ms),
        ratio(2, (round) => round.serverUs + round.databaseUs),
        ratio(2, (round) => round.databaseUs),
      ],
      ["target", "", `${target.is} ${target.bound}`],
      ["", "", word(met)],
    ],
  );
  const refusals = table(
    ["when it is gone", "requests/s", "p50 ms", "p99 ms"],
    sides.map(refusalRow),
  );
  const by = rates.map((value) => number(value, 1)).join(" ");
  return {
    lines: [
      ...claims,
      `Claims/s, Stampede ÷ better, by coupon: ${by}`,
      "",
      ...refusals,
      "",
      ...circumstances(sides, claimSecondsMax),
    ],
    verdicts: [{ what: "coupon claims/s, Stampede ÷ a transaction a claim", met }],
  };
}

const middle = ({ rounds }: Side, digits: number, of: (round: Round) => number): string =>
  number(median(rounds.map(of)), digits);

const claimRow = (side: Side): string[] => [
  side.who.name,
  number(side.amount),
  middle(side, 0, (round) => round.claimRate),
  middle(side, 1, ({ report }) => report.claims.p50Ms),
  middle(side, 1, ({ report }) => report.claims.p99Ms),
  middle(side, 1, ({ serverUs, databaseUs }) => serverUs + databaseUs),
  middle(side, 1, ({ databaseUs }) => databaseUs),
];

const refusalRow = (side: Side): string[] => [
  side.who.name,
  middle(side, 0, (round) => round.refusalRate),
  middle(side, 1, ({ report }) => report.refusals.p50Ms ?? Number.NaN),
  middle(side, 1, ({ report }) => report.refusals.p99Ms ?? Number.NaN),
];

/** What may have stood in the way of the figures. */
function circumstances(sides: readonly Side[], claimSecondsMax: number): string[] {
  const rounds = sides.flatMap((side) => side.rounds);
  const others = median(rounds.map((round) => round.others));
  const crowd = median(sides[0]?.rounds.map((round) => round.crowdShare) ?? []);
  const late = sides.filter((side) => side.rounds.some(({ report }) => !report.gone));
  return [
    `The crowd took ${number(crowd * 100)} % of a core while it claimed from Stampede` +
      (crowd > crowdShareMax ? ": it is the crowd that was measured." : "."),
    `Other programs took ${number(others * 100)} % of the machine meanwhile` +
      (others > othersMax ? ": do not rely on these figures." : "."),
    ...late.map(
      ({ who }) =>
        `${who.name}: not every coupon was gone in ${claimSecondsMax} s; what was claimed by then counts.`,
    ),
  ];
}
