/** What `docs/start.md` says, done from its first command to its last. */
import { expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newDataFolder, newFolder, useLeftovers } from "../support/leftovers.ts";
import { programCommand, startServer, surroundings } from "../support/server.ts";
import { textOf } from "../support/sources.ts";

useLeftovers();

test("the guide's start leads to a sale that is proven", async () => {
  const environment = { STAMPEDE_DATA: newDataFolder(), SALE_ITEMS: "100" };
  await using server = await startServer(environment);
  const folder = newFolder();
  const shim = join(folder, "stampede");
  writeFileSync(shim, `#!/bin/sh\nexec ${programCommand()} "$@"\n`, { mode: 0o755 });
  const said: { command: string; output: string }[] = [];
  let code = "";
  const commands = Array.from(
    textOf("docs/start.md").matchAll(/^```bash\n([\s\S]*?)^```/gm),
    ([, block = ""]) => block.trimEnd().split("\n"),
  ).flat();
  // It runs already.
  expect(commands[0]).toBe("stampede");
  for (const command of commands.slice(1)) {
    const here = command.replace("localhost:8080", new URL(server.url).host).replace("CODE", code);
    const { PATH, ...rest } = surroundings();
    const { exitCode, stdout, stderr } = Bun.spawnSync(
      ["sh", "-c", here.replace("curl", "curl -fsS")],
      {
        cwd: folder,
        env: { ...rest, ...environment, PATH: `${folder}:${PATH}` },
        stdin: new Blob(["a good password\n"]),
      },
    );
    const output = stdout.toString();
    expect({ command, exitCode, error: stderr.toString() }).toMatchObject({ exitCode: 0 });
    code = /"code":"([^"]+)"/.exec(output)?.[1] ?? code;
    said.push({ command, output });
  }
  const after = (part: string) => said.find(({ command }) => command.includes(part))?.output;
  expect(after("/purchase")).toContain('"message":"Purchase successful"');
  expect(after("verify")).toContain("Ledger: rebuilt from the journal, and it adds up.");
  expect(after("/audit")).toContain('"ok":true');
  expect(after("coupons/HELLO")).toContain('"claimed_by":["anna"]');
  expect(after("key create")).toStartWith("sk_");
  expect(existsSync(join(folder, "first.backup"))).toBe(true);
  expect(await server.stop()).toBe(0);
});
