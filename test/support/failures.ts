/** What failed in a run, from what `bun test --reporter=junit` writes. */

export type Failure = {
  /** As the runner names it, from where it was started. */
  readonly file: string;
  readonly test: string;
  readonly message: string;
};

const failedCase = /<testcase ([^>]*)>\s*<failure [^>]*?message="([^"]*)"/g;
const entities = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" } as const;

const unescaped = (text: string): string =>
  text.replace(/&(#\d+|amp|lt|gt|quot|apos);/g, (_, name: string) =>
    name.startsWith("#")
      ? String.fromCodePoint(Number(name.slice(1)))
      : entities[name as keyof typeof entities],
  );

export function failuresIn(report: string): Failure[] {
  return [...report.matchAll(failedCase)].map(([, attributes = "", message = ""]) => {
    const given = (name: string): string =>
      unescaped(new RegExp(`(?:^| )${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
    const within = given("classname");
    const test = within === "" ? given("name") : `${within} > ${given("name")}`;
    return { file: given("file"), test, message: unescaped(message).trim() };
  });
}
