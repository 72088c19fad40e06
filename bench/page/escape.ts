/** Text as HTML shows it. */
export const escape = (text: string): string => Bun.escapeHTML(text);
