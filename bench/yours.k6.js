// A flood on a deployment of yours, by k6 (https://grafana.com/docs/k6), which is no part of this
// repository:
//
//   k6 run -e URL=https://shop.example -e RATE=500 bench/yours.k6.js
//
// RATE buyers a second arrive whether or not earlier ones were answered, so that a stall cannot hide,
// reserve the next free item, and buy it. With ACCESS=guarded, give a key of the scope `sell` as KEY.
// It sells: point it at a sale that may be sold. Where nothing is bought it fails, for then its times are
// those of refusals: of RATE_LIMITS (429), of a sale that is sold out or has a queue (409).
import { check } from "k6";
import exec from "k6/execution";
import http from "k6/http";
import { Counter } from "k6/metrics";

const url = (__ENV.URL ?? "http://localhost:8080").replace(/\/+$/, "");
const headers = __ENV.KEY === undefined ? {} : { Authorization: `Bearer ${__ENV.KEY}` };
const rate = Number(__ENV.RATE ?? 100);
if (!(Number.isInteger(rate) && rate > 0))
  throw new Error(`RATE is ${__ENV.RATE}; it takes a whole number from 1.`);
const bought = new Counter("bought");

export const options = {
  scenarios: {
    buyers: {
      executor: "constant-arrival-rate",
      rate,
      timeUnit: "1s",
      duration: __ENV.DURATION ?? "30s",
      preAllocatedVUs: rate,
      maxVUs: rate * 10,
    },
  },
  thresholds: {
    // A refusal is an answer; what must not be is a fault, or nothing.
    checks: ["rate>0.999"],
    bought: ["count>0"],
    "http_req_duration{name:checkout}": ["p(99)<1000"],
    "http_req_duration{name:purchase}": ["p(99)<1000"],
  },
};

const known = (status) => status === 200 || status === 409 || status === 429;

export default function buy() {
  const user = `k6-${exec.scenario.iterationInTest}`;
  const reserved = http.post(`${url}/checkout?id=any&user_id=${user}`, null, {
    headers,
    tags: { name: "checkout" },
  });
  check(reserved, { "checkout is answered": ({ status }) => known(status) });
  if (reserved.status !== 200) return;
  const order = http.post(`${url}/purchase?code=${reserved.json("code")}`, null, {
    headers,
    tags: { name: "purchase" },
  });
  check(order, { "purchase is answered": ({ status }) => status === 200 });
  if (order.status === 200) bought.add(1);
}

/** Ends the run before it begins where there is no shop, and no sale to buy in. */
export function setup() {
  const answer = http.get(`${url}/sale`);
  if (answer.status !== 200) exec.test.abort(`There is no Stampede at ${url}: ${answer.status}`);
  else if (answer.json("current") === null) exec.test.abort(`No sale is open at ${url}.`);
}

export function teardown() {
  const answer = http.get(`${url}/sale`);
  const current = answer.status === 200 ? answer.json("current") : null;
  if (!current) return;
  const audit = http.get(`${url}/sales/${current.id}/audit`);
  check(audit, { "the audit holds": (told) => told.json("ok") === true });
}
