// Builds src/aspen/memory_viewer/static/vendor/ from the packages of package-lock.json: `make viewer-vendor`.
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const OUT = new URL("../src/aspen/memory_viewer/static/vendor/", import.meta.url);
const LICENCES = {
  "view.js": ["preact", "htm"],
  "graph.js": ["graphology", "graphology-utils", "sigma", "events"],
  "layout.js": ["graphology", "graphology-utils", "graphology-layout-forceatlas2", "events"],
  "inter-latin.woff2": ["@fontsource-variable/inter"],
};

await mkdir(OUT, { recursive: true });
for (const [name, packages] of Object.entries(LICENCES)) {
  if (!name.endsWith(".js")) continue;
  await build({
    entryPoints: [name.replace(/\.js$/, ".mjs")],
    outfile: new URL(name, OUT).pathname,
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    legalComments: "none",
    define: { "process.env.NODE_ENV": '"production"' },
    banner: { js: `/* ${(await versions(packages)).join(", ")}; licences in LICENCES.txt */` },
  });
}
await copyFile(
  "node_modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
  new URL("inter-latin.woff2", OUT),
);

const texts = ["What the memory viewer ships of others, unchanged but for bundling and minifying.\n"];
for (const name of [...new Set(Object.values(LICENCES).flat())]) {
  const files = Object.keys(LICENCES).filter((file) => LICENCES[file].includes(name));
  const [version] = await versions([name]);
  texts.push(`${"=".repeat(80)}\n${version}, in ${files.join(", ")}\n${"=".repeat(80)}\n\n${await licence(name)}\n`);
}
await writeFile(new URL("LICENCES.txt", OUT), texts.join("\n"));

async function versions(packages) {
  return Promise.all(
    packages.map(async (name) => {
      const about = JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8"));
      return `${name} ${about.version} (${about.license})`;
    }),
  );
}

async function licence(name) {
  for (const file of ["LICENSE", "LICENSE.txt"]) {
    try {
      return (await readFile(`node_modules/${name}/${file}`, "utf8")).trim();
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
  }
  throw new Error(`${name} has no licence file`);
}
