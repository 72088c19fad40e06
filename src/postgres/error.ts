/**
 * The one error the embedded server throws on purpose, and the translation of what the file system
 * refuses into it. Anything else that is thrown in here is a bug.
 */

/** Something an operator can mend. The message is a sentence: what is wrong, and what to do. */
export class EmbeddedError extends Error {
  override readonly name = "EmbeddedError";
}

/** The code of a failed system call, such as `ENOENT`; undefined for every other kind of error. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Runs `work`; a refusal of the file system comes out as an {@link EmbeddedError} naming the path. */
export async function mendable<T>(dataDir: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const sentence = sentenceFor(error, dataDir);
    if (sentence === undefined) throw error;
    throw new EmbeddedError(sentence, { cause: error });
  }
}

function sentenceFor(error: unknown, dataDir: string): string | undefined {
  const path = error instanceof Error && "path" in error ? String(error.path) : dataDir;
  switch (systemErrorCode(error)) {
    case "EACCES":
    case "EPERM":
      return `This user (uid ${process.geteuid?.() ?? "unknown"}) may not write ${path}: run as the user it belongs to, or point STAMPEDE_DATA at a folder of your own.`;
    case "EROFS":
      return `${path} is on a file system that is mounted read-only: point STAMPEDE_DATA at a folder that can be written.`;
    case "ENOTDIR":
    case "EEXIST":
      return `${path} cannot be a folder, because a file of that name is in the way: point STAMPEDE_DATA at a folder.`;
    case "ENOENT":
      return `${path} cannot be made: point STAMPEDE_DATA at a folder that can be written.`;
    case "ENOSPC":
    case "EDQUOT":
      return `There is no space left for ${path}: free some, or point STAMPEDE_DATA at a larger disk.`;
    case "ENAMETOOLONG":
      return `The path ${path} is too long for this system: point STAMPEDE_DATA at a shorter one.`;
    default:
      return undefined;
  }
}
