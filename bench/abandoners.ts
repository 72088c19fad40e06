/**
 * A program of its own: people who reserve and give back, each once, under a name of 200
 * characters that nobody had before. Prints one line of JSON (`AbandoningReport`); ends when its
 * standard input does.
 * `bun bench/abandoners.ts '{"hostname":…}'` (`Abandoning`)
 */
import { abandoningSchema, type AbandoningReport } from "./abandoned.ts";
import { HttpConnection } from "./http.ts";
import { reservationSchema } from "./shopping.ts";

const nameCharacters = 200;
const { hostname, port, connections, pairs, secondsMax } = abandoningSchema.parse(
  JSON.parse(process.argv[2] ?? ""),
);
const wrong: string[] = [];
let begun = 0;
let done = 0;

void Bun.stdin.bytes().then(() => process.exit(1));
setTimeout(() => {
  wrong.push(`after ${secondsMax} s only ${done} of ${pairs} were given back`);
  finish();
}, secondsMax * 1000);

const crowd = await Promise.all(
  Array.from({ length: connections }, () => HttpConnection.open(hostname, port)),
);
const startedAt = performance.now();
await Promise.all(crowd.map(abandon));
finish();

function finish(): never {
  const seconds = (performance.now() - startedAt) / 1000;
  const report: AbandoningReport = { seconds, pairs: done, wrong: wrong.slice(0, 10) };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exit(0);
}

async function abandon(connection: HttpConnection): Promise<void> {
  while (begun < pairs && wrong.length === 0) {
    begun += 1;
    const name = `${begun}-`.padEnd(nameCharacters, "n");
    // One request at a time on each connection: that is what a connection is here.
    // oxlint-disable-next-line no-await-in-loop
    const made = await connection.post(`/checkout?user_id=${name}&id=any`);
    if (made.status !== 200) {
      wrong.push(`a checkout was answered with ${made.status} ${made.body}`);
      return;
    }
    const { code } = reservationSchema.parse(JSON.parse(made.body));
    // oxlint-disable-next-line no-await-in-loop
    const given = await connection.delete(`/checkout?code=${code}`);
    if (given.status !== 204) wrong.push(`giving back was answered with ${given.status}`);
    done += 1;
  }
}
