// node bundle.mjs ENTRY TARGET GENERATED FORMAT: packs a script with all that it imports into one file.
import { build } from "esbuild";

const [entry, target, generated, format] = process.argv.slice(2);
await build({
  entryPoints: [entry], outfile: target, alias: { "playground:generated": generated }, bundle: true, logLevel: "warning",
  // A classic script: one of modules would not run from a file.
  ...(format === "iife" ? { format, minify: true, target: "es2022" } : { format, platform: "node" }),
});
