/** How a time is written, in answers and for PostgreSQL. */

/** RFC 3339 in UTC with milliseconds. @param ms since the Unix epoch */
export const isoTime = (ms: number): string => new Date(ms).toISOString();
