/** What the program that is measured has logged, and what of it is not as it should be. */
import { join } from "node:path";
import { z } from "zod";
import type { Home } from "./stampede.ts";

const logLineSchema = z.object({ level: z.number(), msg: z.string() }).loose();
const warnLevel = 40;
const errorLevel = 50;

/** What every start on this home has logged, one after another. */
export const logOf = ({ folder }: Home): string => join(folder, "stampede.log");

/** Errors and warnings, each line as it is. What is no log line at all is an error. */
export async function complaintsOf(
  home: Home,
): Promise<{ readonly errors: string[]; readonly warnings: string[] }> {
  const errors: string[] = [];
  const warnings: string[] = [];
  for (const line of (await Bun.file(logOf(home)).text()).split("\n")) {
    if (line === "") continue;
    const level = parseLogLine(line)?.level ?? errorLevel;
    if (level >= errorLevel) errors.push(`logged: ${line}`);
    else if (level >= warnLevel) warnings.push(`logged: ${line}`);
  }
  return { errors, warnings };
}

function parseLogLine(text: string): z.output<typeof logLineSchema> | null {
  try {
    return logLineSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
