/** What `npm run bench` is asked, and how it was. */
import { parseArgs } from "node:util";
import type { GeneratorName } from "./load.ts";
import { BenchError } from "./scenario.ts";

export type Asked = {
  readonly help: boolean;
  readonly isReport: boolean;
  readonly isQuick: boolean;
  /** Scenarios, or of a report chapters; without, all of them. */
  readonly only: readonly string[] | undefined;
  readonly load: GeneratorName | undefined;
  readonly executable: string | undefined;
};
/** What there is to be measured. */
export type Names = { readonly scenarios: readonly string[]; readonly chapters: readonly string[] };

export const usageOf = ({ scenarios, chapters }: Names): string =>
  `bun bench/run.ts [--report] [--quick] [--only SCENARIO] [--load wrk|autocannon] [--executable PATH]

  --report            measures what makes a page to look at, and writes it: dist/bench.html
  --quick             shorter, and less to be relied on
  --only SCENARIO     one of ${scenarios.join(", ")}; may be repeated;
                      with --report one of ${chapters.join(", ")}
  --load GENERATOR    wrk or autocannon, in place of wrk where it is installed
  --executable PATH   measures this one; by default dist/stampede, built when it is not up to date
`;

/** @throws BenchError for what it does not know */
export function readOptions(args: readonly string[], names: Names): Asked {
  const { help, report, quick, only, load, executable } = parsed(args, names);
  const all = report ? names.chapters : names.scenarios;
  const unknown = only?.find((name) => !all.includes(name));
  if (unknown !== undefined)
    throw new BenchError(`There is no scenario ${unknown}.\n\n${usageOf(names)}`);
  if (load !== undefined && load !== "wrk" && load !== "autocannon") {
    throw new BenchError(`--load is ${load}; it takes wrk or autocannon.`);
  }
  return { help, isReport: report, isQuick: quick, only, load, executable };
}

function parsed(args: readonly string[], names: Names) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean", short: "h", default: false },
        report: { type: "boolean", default: false },
        quick: { type: "boolean", default: false },
        only: { type: "string", multiple: true },
        load: { type: "string" },
        executable: { type: "string" },
      },
    }).values;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new BenchError(`${why}\n\n${usageOf(names)}`);
  }
}

/** What gives the same again; the page says by it how it was made. Where an executable lies is nobody's business. */
export function commandOf({ isReport, isQuick, only = [], load, executable }: Asked): string {
  const options = [
    ...(isReport ? ["--report"] : []),
    ...(isQuick ? ["--quick"] : []),
    ...only.map((name) => `--only ${name}`),
    ...(load === undefined ? [] : [`--load ${load}`]),
    ...(executable === undefined ? [] : ["--executable …"]),
  ];
  return ["npm run bench", ...(options.length === 0 ? [] : ["--", ...options])].join(" ");
}
