/**
 * Loads a server with a flood and counts every answer by its status. By wrk where it is
 * installed, else by autocannon, both in a process of their own. What they report about
 * themselves is parsed; a generator that fails, or whose answers went missing, is an error.
 */
import { join } from "node:path";
import { z } from "zod";
import { floods, type FloodName } from "./floods.ts";
import type { Owned } from "./owned.ts";
import { BenchError, within } from "./scenario.ts";

/** One GET, the same every time. */
export type Read = { readonly path: string; readonly headers: Readonly<Record<string, string>> };

export type Shot = {
  readonly of: FloodName | Read;
  /** `http://host:port` */
  readonly origin: string;
  readonly connections: number;
  readonly seconds: number;
  /** Ends it before its time. */
  readonly until?: Promise<unknown>;
};

const loadSchema = z.object({
  /** What it really took. */
  seconds: z.number().positive(),
  p50Ms: z.number(),
  p99Ms: z.number(),
  /** Answers by HTTP status. */
  statuses: z.record(z.string(), z.number().int()),
  /** Connections that failed, broke or waited too long. */
  socketErrors: z.number().int(),
});

export type Load = z.output<typeof loadSchema> & {
  /** Processor time of the generator itself. */
  readonly generatorSeconds: number;
};

export type LoadGenerator = {
  /** For a human: name and version. */
  readonly description: string;
  readonly shoot: (owned: Owned, shot: Shot) => Promise<Load>;
};

export type GeneratorName = "wrk" | "autocannon";

const answerSecondsMax = 10;
/** For starting, ending and reporting. */
const extraSecondsMax = 20;

export const answered = ({ statuses }: Load): number =>
  Object.values(statuses).reduce((sum, count) => sum + count, 0);

/** Answers that say that the server failed. */
export const failures = ({ statuses }: Load): number =>
  Object.entries(statuses).reduce((sum, [status, n]) => (status >= "500" ? sum + n : sum), 0);

/** Shots together, as one; percentiles are the worst of them. */
export const merge = (loads: readonly Load[]): Load => ({
  seconds: loads.reduce((sum, load) => sum + load.seconds, 0),
  p50Ms: Math.max(...loads.map((load) => load.p50Ms)),
  p99Ms: Math.max(...loads.map((load) => load.p99Ms)),
  statuses: loads.reduce<Record<string, number>>((all, { statuses }) => {
    for (const [status, n] of Object.entries(statuses)) all[status] = (all[status] ?? 0) + n;
    return all;
  }, {}),
  socketErrors: loads.reduce((sum, load) => sum + load.socketErrors, 0),
  generatorSeconds: loads.reduce((sum, load) => sum + load.generatorSeconds, 0),
});

/** @throws BenchError when `wanted` is not installed */
export function findGenerator(wanted: GeneratorName | undefined): LoadGenerator {
  const wrk = Bun.which("wrk");
  if (wanted === "wrk" && wrk === null) throw new BenchError("wrk is not installed here.");
  return wrk === null || wanted === "autocannon" ? autocannon() : byWrk(wrk);
}

function byWrk(program: string): LoadGenerator {
  const banner = Bun.spawnSync([program, "--version"]).stdout.toString();
  const version = /^wrk (\S+)/.exec(banner)?.[1] ?? "of unknown version";
  return {
    // On two cores a second thread changed nothing: 60,200 requests/s against 62,400 on 64
    // connections, 60,200 against 59,600 on 256.
    description: `wrk ${version}, one thread`,
    shoot: async (owned, { of, origin, connections, seconds, until }) => {
      const script = join(owned.folder(), "requests.lua");
      await Bun.write(script, wrkScript(typeof of === "string" ? floods[of].lua : readLua(of)));
      const command = [program, "-t1", `-c${connections}`, `-d${seconds}`, "-s", script];
      command.push(`--timeout=${answerSecondsMax}`, origin);
      return await shoot(owned, command, seconds, until);
    },
  };
}

const readLua = ({ path, headers }: Read): string => {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `
local text = ${JSON.stringify(`GET ${path} HTTP/1.1`)} .. head .. ${JSON.stringify(`${lines.join("")}\r\n`)}
function request() return text end`;
};

/**
 * Counting statuses costs wrk 0.1 to 0.5 µs a request and the server nothing (measured); without
 * it a flood of 503 would look fast.
 */
const wrkScript = (request: string): string => `
local threads = {}
function setup(thread) table.insert(threads, thread) end

function init()
  math.randomseed(${Math.floor(Math.random() * 2 ** 31)})
  math.random()
end

local head = "\\r\\nHost: " .. wrk.host .. ":" .. wrk.port .. "\\r\\n"
${request}

statuses = {}
local names = {}
function response(status)
  local name = names[status]
  if name == nil then
    -- Only tables with names for keys can be fetched from a thread.
    name = "s" .. status
    names[status] = name
  end
  statuses[name] = (statuses[name] or 0) + 1
end

function done(summary, latency)
  local counts = {}
  for _, thread in ipairs(threads) do
    for name, n in pairs(thread:get("statuses")) do
      local status = name:sub(2)
      counts[status] = (counts[status] or 0) + n
    end
  end
  local fields = {}
  for status, n in pairs(counts) do table.insert(fields, string.format('"%s":%d', status, n)) end
  local errors = summary.errors
  io.write(string.format(
    '\\n{"seconds":%.6f,"p50Ms":%.3f,"p99Ms":%.3f,"socketErrors":%d,"statuses":{%s}}\\n',
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.timeout, table.concat(fields, ",")))
end
`;

function autocannon(): LoadGenerator {
  return {
    description:
      "autocannon: takes more of the machine than wrk does, which flatters the ratios; whole milliseconds",
    shoot: async (owned, { of, origin, connections, seconds, until }) => {
      const program = join(import.meta.dir, "cannon.ts");
      const figures = [connections, seconds, answerSecondsMax].map(String);
      const given = [JSON.stringify(of), origin, ...figures];
      return await shoot(owned, [process.execPath, program, ...given], seconds, until);
    },
  };
}

/** Runs a generator, whose last line that begins with a brace is the report. */
async function shoot(
  owned: Owned,
  command: string[],
  seconds: number,
  until?: Promise<unknown>,
): Promise<Load> {
  const child = owned.spawn(command);
  // Both report what there was until then.
  const end = (): void => child.kill("SIGINT");
  until?.then(end, end);
  try {
    const most = seconds + answerSecondsMax + extraSecondsMax;
    const printed = new Response(child.stdout).text();
    const exitCode = await within(most, command[0] ?? "", child.exited);
    const report = (await printed).split("\n").findLast((line) => line.startsWith("{"));
    if (exitCode !== 0 || report === undefined) {
      throw new BenchError(`${command[0]} ended with ${exitCode}: ${await printed}`);
    }
    const generatorUs = Number(child.resourceUsage()?.cpuTime.total ?? 0);
    return { ...loadSchema.parse(JSON.parse(report)), generatorSeconds: generatorUs / 1e6 };
  } finally {
    child.kill("SIGKILL");
  }
}
