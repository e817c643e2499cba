/*
 * The library stays small: minified and packed, all of it.
 */
import { build } from "esbuild";
import { expect, it } from "vitest";

it("is less than 6 kB minified and gzipped, without dependencies", async () => {
  const entry = new URL("../src/index.ts", import.meta.url).pathname;
  const { outputFiles, metafile } = await build({ entryPoints: [entry], bundle: true, minify: true, format: "esm", target: "es2022", write: false, metafile: true });
  const inputs = Object.keys(metafile.inputs);
  expect(inputs.filter((path) => path.includes("node_modules"))).toEqual([]);
  expect(Object.values(metafile.outputs)[0]!.imports).toEqual([]);
  const packed = new Blob([outputFiles[0]!.text]).stream().pipeThrough(new CompressionStream("gzip"));
  expect((await new Response(packed).arrayBuffer()).byteLength).toBeLessThan(6000);
});
