/** Room on a disk: how much there is, and how much is to be left. */
import { statfsSync } from "node:fs";

/** With less than this left on the disk of the records, whoever runs the program is warned. */
export const diskReserveBytes = 1e9;

/** What is free on the disk of a folder for those who are not root; null where nobody can tell. */
export function freeBytes(folder: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return null;
  }
}

/** As people write it: `1.4 GB`. */
export const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
