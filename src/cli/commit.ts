/**
 * Of which commit the program is. This is what it sees when it runs from source, or from a bundle of
 * it: git is asked. `build.ts` puts another module in the place of this one.
 */
import { join } from "node:path";

/** Twelve digits, with `.changed` when the files are not the commit's; null where nobody knows. */
export function commitOf(root: string): string | null {
  const command = ["git", "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=.changed"];
  try {
    const { success, stdout } = Bun.spawnSync(command, { cwd: root, stderr: "ignore" });
    return success ? stdout.toString().trim() : null;
  } catch {
    // There is no git.
    return null;
  }
}

export const commit = (): string | null => commitOf(join(import.meta.dir, "../.."));
