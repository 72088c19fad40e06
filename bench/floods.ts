/**
 * Requests that come in floods: each as Lua for wrk, and as a function for autocannon. The two
 * draw from the same numbers.
 */

export type Flood = {
  /** Lua that defines `function request()`, which returns a whole HTTP request. `head` is defined. */
  readonly lua: string;
  readonly request: () => {
    readonly method: "POST";
    readonly path: string;
    readonly body?: string;
  };
};

const users = 1_000_000;
const items = 10_000;

const random = (most: number): number => 1 + Math.floor(Math.random() * most);

export const floods = {
  checkout: {
    lua: `
local random = math.random
local tail = " HTTP/1.1" .. head .. "Content-Length: 0\\r\\n\\r\\n"
function request()
  return "POST /checkout?user_id=" .. random(${users}) .. "&id=" .. random(${items}) .. tail
end`,
    request: () => ({
      method: "POST",
      path: `/checkout?user_id=${random(users)}&id=${random(items)}`,
    }),
  },
} as const satisfies Record<string, Flood>;

export type FloodName = keyof typeof floods;

export const isFloodName = (name: string): name is FloodName => Object.hasOwn(floods, name);
