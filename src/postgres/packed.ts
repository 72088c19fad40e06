/**
 * The server's files inside a compiled executable. This is what the program sees when it runs from
 * source: there are none. `build.ts` puts another module in the place of this one.
 */
export type Packed = {
  /** Path of the archive: a tar, compressed with zstd. */
  readonly archive: string;
  /** As in {@link Distribution}. */
  readonly version: string;
  readonly id: string;
};

/** `source` when the program runs from source, `lean` in an executable that brings no PostgreSQL. */
export const packed: Packed | "source" | "lean" = "source";
