/*
 * vite.config: builds the dashboard into the folder that the gateway serves. Files under assets/ carry a hash of their
 * content in their name, and everything that shrinks lies there a second time as .gz.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vitest/config";

const here = fileURLToPath(new URL(".", import.meta.url));

/* Compressed once, here: the gateway only chooses. */
function compress(): Plugin {
  let folder = "";
  const visit = (path: string): void => {
    for (const name of readdirSync(path)) {
      const file = join(path, name);
      if (statSync(file).isDirectory()) {
        visit(file);
      } else if (/\.(html|js|css|svg|json)$/.test(name)) {
        const bytes = readFileSync(file);
        const packed = gzipSync(bytes, { level: 9 });
        if (bytes.length >= 1024 && packed.length < bytes.length * 0.9) {
          writeFileSync(`${file}.gz`, packed);
        }
      }
    }
  };
  return {
    name: "compress",
    apply: "build",
    configResolved: (config) => {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle: () => visit(folder),
  };
}

export default defineConfig({
  root: here,
  base: "./",
  resolve: { alias: { "notifyhub-client": join(here, "client/src/index.ts") } },
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  plugins: [compress()],
  build: {
    target: "es2022",
    emptyOutDir: true,
    assetsInlineLimit: 0, /* data: addresses are not for fonts and scripts */
    modulePreload: { polyfill: false }, /* an inline script, which the policy forbids */
    reportCompressedSize: false,
  },
  server: {
    /* For `npm run dev`: everything but the page comes from a gateway. */
    proxy: Object.fromEntries(
      ["/events", "/ws", "/health", "/stats", "/metrics", "/clients", "/types", "/groups", "/openapi.json", "/asyncapi.json"].map(
        (path) => [path, { target: process.env.NHUB_GATEWAY ?? "http://127.0.0.1:8080", ws: true }],
      ),
    ),
  },
  test: { include: ["test/**/*.test.ts", "client/test/**/*.test.ts"], environment: "node" },
});
