/** The dashboard and the alert rules, held to the figures that the program has. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import { newDataFolder, newFolder, useLeftovers } from "../support/leftovers.ts";
import { startServer } from "../support/server.ts";
import { textOf } from "../support/sources.ts";

useLeftovers();

const dashboard = z
  .object({
    panels: z.array(
      z.object({
        id: z.int(),
        title: z.string(),
        targets: z.array(z.object({ expr: z.string() })).min(1),
      }),
    ),
  })
  .parse(JSON.parse(textOf("docs/monitoring/grafana/stampede.json")));
const rules = z
  .object({
    groups: z.array(
      z.object({
        rules: z.array(
          z.object({
            alert: z.string(),
            expr: z.string(),
            labels: z.object({ severity: z.enum(["critical", "warning"]) }),
            annotations: z.object({ summary: z.string(), do: z.string() }),
          }),
        ),
      }),
    ),
  })
  .parse(Bun.YAML.parse(textOf("docs/monitoring/alerts.yml")));
const alerts = rules.groups.flatMap((group) => group.rules);
const panels = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

/** The series that an expression names. */
const seriesIn = (expr: string): string[] => expr.match(/\b(?:stampede|process)_\w+/g) ?? [];

describe("figures", () => {
  test("that a dashboard or an alert names are those of the program, and none of its own is left out", async () => {
    await using server = await startServer({
      STAMPEDE_DATA: newDataFolder(),
      BACKUP_DIR: join(newFolder(), "archive"),
    });
    await server.client.reserveAndBuy("ann");
    const { text } = await server.client.get("/metrics");
    const told = new Set(Array.from(text.matchAll(/^(\w+)(?=[{ ])/gm), ([, name = ""]) => name));
    const named = new Set([...panels, ...alerts.map(({ expr }) => expr)].flatMap(seriesIn));
    expect([...named].filter((name) => !told.has(name))).toEqual([]);
    const shown = new Set(panels.flatMap(seriesIn));
    expect([...told].filter((name) => !shown.has(name) && !/_(?:count|sum)$/.test(name))).toEqual(
      [],
    );
    // Each label by which somebody asks is there, with that value.
    for (const { expr } of alerts) {
      for (const [, name = "", label = ""] of expr.matchAll(/(stampede_\w+)\{(\w+="\w+")\}/g)) {
        expect(text).toContain(`${name}{${label}`);
      }
    }
    expect(await server.stop()).toBe(0);
  });

  test("have a panel each, and alerts a name each", () => {
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const names = alerts.map(({ alert }) => alert);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThanOrEqual(10);
  });
});

test("what compose takes of the monitoring is there", () => {
  const mounts = textOf("compose.yaml").matchAll(/- \.\/(docs\/monitoring\/[^:]+):/g);
  const files = Array.from(mounts, ([, path = ""]) => path);
  expect(files).toHaveLength(5);
  for (const path of files) expect(textOf(path).length).toBeGreaterThan(0);
});
