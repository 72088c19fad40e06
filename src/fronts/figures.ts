/** The figures of several processes as those of one program, in Prometheus's text format. */

/**
 * Puts figures together, so that each is described once. Whose they are is among their labels.
 * @param texts of one process each
 */
function joinFigures(texts: readonly string[]): string {
  const figures = new Map<string, { readonly head: string[]; readonly values: string[] }>();
  for (const text of texts) {
    let of = "";
    const isDescribed = new Set(figures.keys());
    for (const line of text.split("\n").filter((one) => one !== "")) {
      const [, name] = /^# (?:HELP|TYPE) (\S+)/.exec(line) ?? [];
      of = name ?? of;
      const figure = figures.get(of) ?? { head: [], values: [] };
      figures.set(of, figure);
      if (name === undefined) figure.values.push(line);
      else if (!isDescribed.has(of)) figure.head.push(line);
    }
  }
  const blocks = Array.from(figures.values(), ({ head, values }) => [...head, ...values, ""]);
  return `${blocks.flat().join("\n")}\n`;
}

/** The figures of every process of the program on this machine, as far as this one can ask them. */
export async function figuresOfAll(
  own: { text(): Promise<string> },
  others: (() => Promise<readonly string[]>) | undefined,
): Promise<string> {
  if (others === undefined) return await own.text();
  return joinFigures(await Promise.all([own.text(), ...(await others())]));
}
