/**
 * What a chapter of the report is made of, and what most of them need. Its figures are kept as they were
 * measured, one a turn: the page makes the median and the spread of them, so that there is none without.
 */
import { answersOf, type ArrivalReport } from "../arriving.ts";
import { complaintsOf } from "../complaints.ts";
import { percentile, type Latencies } from "../latencies.ts";
import { number } from "../report.ts";
import type { Home, Sale, Stampede } from "../stampede.ts";

/** A measure, once a turn. */
export type Figure = {
  readonly what: string;
  readonly values: readonly number[];
  readonly digits: number;
  readonly unit: string;
};

export type Line = {
  readonly name: string;
  /** A line a turn; x in the chart's unit, ascending. */
  readonly turns: readonly (readonly (readonly [x: number, y: number])[])[];
};

export type Chart = {
  /** Over seconds; over percentiles, with milliseconds; bars of one figure each. */
  readonly kind: "time" | "percentiles" | "bars";
  readonly title: string;
  /** What y is. */
  readonly unit: string;
  readonly lines: readonly Line[];
};

/** What must hold, and whether it did. */
export type Promised = { readonly what: string; readonly held: boolean };

export type Chapter = {
  readonly title: string;
  /** What is said of it at the top of the page. */
  readonly headline: Figure | null;
  /** Paragraphs: what was done, and what to know of it. */
  readonly says: readonly string[];
  readonly figures: readonly Figure[];
  readonly charts: readonly Chart[];
  readonly promises: readonly Promised[];
  readonly table?: {
    readonly head: readonly string[];
    readonly rows: readonly (readonly string[])[];
  };
};

/** Where a curve of percentiles is read: shares of the answers, 0 to 1. */
const curveShares = [
  0.01, 0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999, 0.9995, 0.9999,
];

/** As far as there are answers enough to tell. */
export const curveOf = (latencies: Latencies): [number, number][] =>
  curveShares
    .filter((share) => (1 - share) * latencies.count >= 1)
    .map((share) => [share, percentile(latencies, share)]);

/** Answers a second over the seconds, by halves of one: a tenth alone is as coarse as a commit. */
export function rateOverTime({ answersByTenth, seconds }: ArrivalReport): [number, number][] {
  const whole = Math.floor(seconds * 2);
  return Array.from({ length: whole }, (_, half) => [
    (half + 1) / 2,
    answersByTenth.slice(half * 5, half * 5 + 5).reduce((sum, n) => sum + n, 0) * 2,
  ]);
}

export const rateOf = (report: ArrivalReport): number => answersOf(report) / report.seconds;

/** What a crowd was told that it must not be. */
export function wrongIn(report: ArrivalReport, known: RegExp): string[] {
  const strange = Object.entries(report.answers).filter(([kind]) => !known.test(kind));
  return [
    ...report.wrong,
    ...strange.map(([kind, count]) => `${number(count)} answers were ${kind}`),
    ...(report.unanswered === 0 ? [] : [`${number(report.unanswered)} were never answered`]),
    ...(report.broken === 0 ? [] : [`${number(report.broken)} connections broke`]),
  ];
}

/** Of a checkout, of which most are refused, and of a purchase, of which none is. */
export const knownAnswers = /^(checkout (200|409)|purchase 200)$/;

/** What is promised of every crowd that was not cut off: answers, attempts and the audit. */
export async function promisesOf(
  stampede: Stampede,
  home: Home,
  during: {
    readonly before: Sale;
    readonly reports: readonly ArrivalReport[];
    /** Requests of others meanwhile that were answered, and are stored. */
    readonly beside?: number;
  },
): Promise<Promised[]> {
  const { before, reports, beside = 0 } = during;
  const after = await stampede.settledSale();
  const answers = reports.reduce((sum, report) => sum + answersOf(report), beside);
  const stored = after.attempts - before.attempts;
  const { ok, sold, max_units_one_user: most } = await stampede.audit();
  const { errors } = await complaintsOf(home);
  const strange = reports.flatMap((report) => wrongIn(report, knownAnswers));
  return [
    {
      what: `each of ${number(answers)} requests was answered as the contract says${listed(strange)}`,
      held: strange.length === 0,
    },
    { what: `and each is stored: ${number(stored)} attempts`, held: stored === answers },
    {
      what: `the audit, from the records alone, is ok: ${number(sold)} sold, ${most} to one buyer at most`,
      held: ok,
    },
    { what: `the program logged no error${listed(errors)}`, held: errors.length === 0 },
  ];
}

const listed = (texts: readonly string[]): string =>
  texts.length === 0 ? "" : `: ${texts.slice(0, 3).join("; ")}`;

/** What failed of promises, for the run's own verdict. */
export const brokenOf = (title: string, promises: readonly Promised[]): string[] =>
  promises.filter(({ held }) => !held).map(({ what }) => `${title}: not so: ${what}`);
