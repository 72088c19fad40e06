/**
 * `compose.yaml` and the balancer's configuration, as far as they can be read: what they name is
 * there, what they set the program takes, their ports fit each other, and no password is the same for
 * everybody.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readConfig } from "../../src/config.ts";
import { serversOf } from "../../src/postgres/servers.ts";

const root = join(import.meta.dir, "../..");
const textOf = (path: string): string => readFileSync(join(root, path), "utf8");
const text = textOf("compose.yaml");

const texts = z.array(z.string());
const needs = z.union([texts, z.record(z.string(), z.object({ condition: z.string() }))]);
const service = z.strictObject({
  image: z.string().optional(),
  build: z
    .strictObject({ context: z.literal("."), args: z.object({ COMMIT: z.string() }) })
    .optional(),
  user: z.string().optional(),
  profiles: texts.default([]),
  environment: z.record(z.string(), z.string()).default({}),
  command: texts.optional(),
  ports: texts.default([]),
  configs: z.array(z.object({ source: z.string(), target: z.string() })).default([]),
  secrets: texts.default([]),
  volumes: texts.default([]),
  networks: texts.default([]),
  depends_on: needs.default([]).transform((of) => (Array.isArray(of) ? of : Object.keys(of))),
  healthcheck: z.object({ test: texts }).loose().optional(),
  restart: z.literal("unless-stopped").optional(),
  stop_grace_period: z.string().optional(),
});
type Service = z.output<typeof service>;

const compose = z
  .object({
    services: z.record(z.string(), service),
    configs: z.record(z.string(), z.object({ file: z.string().optional() }).loose()),
    secrets: z.record(z.string(), z.object({ file: z.string() })),
    networks: z.record(z.string(), z.unknown()),
    volumes: z.record(z.string(), z.unknown()),
  })
  .parse(Bun.YAML.parse(text));
const services = Object.entries(compose.services);
const programs = services.filter(([, { build }]) => build !== undefined);
const postgres = services.filter(([, { image }]) => image === "postgres:18");

/** As compose fills it in, for somebody who has set a password and nothing else. */
const fill = (value: string): string =>
  value.replace(/\$\{(\w+):[-?]([^}]*)\}/g, (_, name: string, otherwise: string) =>
    name === "POSTGRES_PASSWORD" ? "hunter2" : otherwise,
  );

const filled = ({ environment }: Service): Record<string, string> =>
  Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, fill(value)]));

/** Those of a profile; undefined: of none. */
const named = (profile: string | undefined): string[] =>
  services.filter(([, { profiles }]) => profiles[0] === profile).map(([name]) => name);

describe("compose.yaml", () => {
  test("starts one process without a profile, and three more behind a balancer with it", () => {
    expect(named(undefined)).toEqual(["postgres", "stampede"]);
    expect(named("many")).toEqual(["primary", "replica", "one", "two", "three", "balancer"]);
  });

  test("names nothing that is not there", () => {
    for (const [, of] of services) {
      for (const name of of.depends_on) expect(Object.keys(compose.services)).toContain(name);
      for (const { source } of of.configs) expect(Object.keys(compose.configs)).toContain(source);
      for (const name of of.secrets) expect(Object.keys(compose.secrets)).toContain(name);
      for (const name of of.networks) expect(Object.keys(compose.networks)).toContain(name);
      for (const volume of of.volumes) {
        const [from = ""] = volume.split(":");
        if (from.startsWith("./")) expect(existsSync(join(root, from))).toBe(true);
        else expect(Object.keys(compose.volumes)).toContain(from);
      }
    }
    for (const { file } of Object.values(compose.configs)) {
      if (file !== undefined) expect(textOf(file)).not.toBe("");
    }
  });

  test("needs nobody who is not started with it", () => {
    for (const [, { profiles, depends_on: names }] of services) {
      const others = names.map((name) => compose.services[name]?.profiles);
      expect(others.filter((of) => !Bun.deepEquals(of, profiles))).toEqual([]);
    }
  });

  test.each(programs)("has %s set what the program takes, and nothing else", (_, of) => {
    const known = textOf("src/config.ts");
    for (const name of Object.keys(of.environment)) expect(known).toContain(`\n  ${name}: {`);
    const config = readConfig(filled(of));
    expect(config.access).toBe("guarded");
    const { urls = [] } = serversOf(config.databaseUrl ?? "") ?? {};
    const hosts = urls.map((url) => new URL(url).hostname);
    expect(hosts).toEqual(of.profiles.length === 0 ? ["postgres"] : ["primary", "replica"]);
    for (const host of hosts) expect(of.depends_on).toContain(host);
  });

  test("has no password but the operator's own, and the same for both ends", () => {
    for (const match of text.matchAll(/\$\{POSTGRES_PASSWORD[^}]*\}/g)) {
      expect(match[0]).toContain(":?");
    }
    for (const [, of] of postgres) expect(filled(of)["POSTGRES_PASSWORD"]).toBe("hunter2");
    for (const [, of] of programs) {
      expect(filled(of)["DATABASE_URL"]).toContain("//stampede:hunter2@");
    }
    expect(text.match(/(?:password|secret)[=:] *\w+/gi)).toEqual(null);
  });

  test("has the primary wait for the replica that follows it", () => {
    const [, name = ""] = /application_name=(\w+)/.exec(text) ?? [];
    expect(text).toContain(`set synchronous_standby_names = '${name}'`);
  });
});

describe("the balancer", () => {
  const configuration = textOf("docs/examples/haproxy.cfg");
  const balanced = [...configuration.matchAll(/^ {2}server (\w+) (\w+):(\d+)$/gm)];

  test("sends to every process that is started with it, where that listens", () => {
    const with3 = programs.filter(([, { profiles }]) => profiles.length > 0);
    expect(balanced.map(([, name]) => name ?? "")).toEqual(with3.map(([name]) => name));
    for (const [, name, host, port] of balanced) {
      expect(host).toBe(name ?? "");
      const of = compose.services[name ?? ""];
      expect(String(readConfig(of === undefined ? {} : filled(of)).port)).toBe(port ?? "");
    }
  });

  test("listens where it is reached", () => {
    const [, port] = /^ {2}bind :(\d+)$/m.exec(configuration) ?? [];
    expect(compose.services["balancer"]?.ports).toEqual([`${port}:${port}`]);
  });

  test("asks who is ready more often than one that stops goes on answering", () => {
    const [, every] = /check inter (\d+)ms fall 1 /.exec(configuration) ?? [];
    const { one } = compose.services;
    const { stopGraceMs } = readConfig(one === undefined ? {} : filled(one));
    expect(Number(every) * 2).toBeLessThan(stopGraceMs);
    expect(configuration).toContain("option httpchk GET /ready");
  });

  test("is a proxy that the processes know", () => {
    const { one } = compose.services;
    const { trustedProxies } = readConfig(one === undefined ? {} : filled(one));
    const [, network] = /subnet: ([\d.]+)\/24/.exec(text) ?? [];
    expect(trustedProxies.check((network ?? "").replace(/0$/, "9"))).toBe(true);
    expect(configuration).toContain("option forwardfor");
  });
});
