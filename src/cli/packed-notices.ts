/**
 * The notices inside a compiled executable. This is what the program sees when it runs from source:
 * it reads them from where they are. `build.ts` puts another module in the place of this one.
 */
/** Path of the text that `stampede licenses` prints, compressed with zstd. */
export const packedNotices: string | undefined = undefined;
