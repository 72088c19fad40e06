/**
 * Whether there are records at all. Commands that only look at what is there make nothing: asked in
 * another folder than the one that sells, an audit of nothing would be without a fault, and a backup
 * of nothing whole.
 */
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Config } from "../config.ts";
import { EmbeddedError } from "../postgres/error.ts";

/** Whether there is a PostgreSQL to be asked: an embedded one is not made for this. */
export const hasDatabase = ({ databaseUrl, dataDir }: Config): boolean => {
  const pgdata = join(dataDir, "pgdata");
  return databaseUrl !== undefined || (existsSync(pgdata) && readdirSync(pgdata).length > 0);
};

/** @throws EmbeddedError where the program has never run */
export function ofRecords(config: Config): Config {
  if (hasDatabase(config)) return config;
  throw new EmbeddedError(
    `There are no records in ${resolve(config.dataDir)}: ask in the folder that the program runs in, or set STAMPEDE_DATA or DATABASE_URL as it has them.`,
  );
}
