/** Bundles the viewer's page: one script and one style sheet, which the package serves as they are. */
import { copyFileSync, mkdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { brotliCompressSync } from "node:zlib"
import { build } from "rolldown"

const root = new URL("..", import.meta.url)
const path = (file) => fileURLToPath(new URL(file, root))
mkdirSync(path("dist/viewer/page"), { recursive: true })
await build({
  input: path("src/viewer/app/main.tsx"),
  platform: "browser",
  transform: { jsx: { runtime: "automatic", importSource: "preact" } },
  output: { file: path("dist/viewer/page/app.js"), format: "esm", minify: true }
})
copyFileSync(path("src/viewer/app/style.css"), path("dist/viewer/page/style.css"))
const size = brotliCompressSync(readFileSync(path("dist/viewer/page/app.js"))).length
if (size > 40_000) throw new Error(`the viewer's page has ${size} bytes compressed`)
