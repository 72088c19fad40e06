// A flood on a deployment of yours, by k6 (https://grafana.com/docs/k6), which is no part of this
// repository:
//
//   k6 run -e URL=https://shop.example -e RATE=500 bench/yours.k6.js
//
// RATE buyers a second arrive whether or not earlier ones were answered, so that a stall cannot hide,
// reserve the next free item, and buy it. With ACCESS=guarded, give a key of the scope `sell` as KEY.
// It sells: point it at a sale that may be sold.
import { check } from "k6";
import exec from "k6/execution";
import http from "k6/http";

const url = __ENV.URL ?? "http://localhost:8080";
const headers = __ENV.KEY === undefined ? {} : { Authorization: `Bearer ${__ENV.KEY}` };
const rate = Number(__ENV.RATE ?? 100);

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
  const bought = http.post(`${url}/purchase?code=${reserved.json("code")}`, null, {
    headers,
    tags: { name: "purchase" },
  });
  check(bought, { "purchase is answered": ({ status }) => status === 200 });
}

export function teardown() {
  const { current } = http.get(`${url}/sale`).json();
  if (current === null) return;
  const audit = http.get(`${url}/sales/${current.id}/audit`);
  check(audit, { "the audit holds": (answer) => answer.json("ok") === true });
}
