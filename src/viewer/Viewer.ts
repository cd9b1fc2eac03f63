/**
 * The page over the audit API: search, follow, read and prove events in a browser.
 *
 *     HttpRouter.serve(Layer.mergeAll(AuditApiLive.layer, Viewer.layer()))
 *
 * The page itself holds nothing: whoever may read is decided by the API that it asks. What an event says is shown as
 * text, never as markup; the policy of the page (CSP) allows its own script and style, and nothing else.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { existsSync, readFileSync } from "node:fs"

/** The page's files are not there: a bundle was made without them, or the sources were not built. */
export class PageMissing extends Schema.TaggedError<PageMissing>("effect-audit/viewer/PageMissing")("PageMissing", {}) {
  override get message(): string {
    return "the viewer's page is not beside its module: keep dist/viewer/page beside the bundle, or run npm run build"
  }
}

/** Where the page and the API are. */
export interface Options {
  /** `/audit/viewer` unless given. */
  readonly path?: `/${string}` | undefined
  /** Where `AuditApi` is, as the browser sees it: `/audit` unless given. */
  readonly api?: `/${string}` | undefined
}

const folders = [new URL("./page/", import.meta.url), new URL("../../dist/viewer/page/", import.meta.url)]

const read = (name: string): Effect.Effect<Uint8Array, PageMissing> =>
  Effect.try({
    try: () => {
      const folder = folders.find((url) => existsSync(new URL(name, url)))
      return readFileSync(new URL(name, folder))
    },
    catch: () => new PageMissing()
  })

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'"
].join("; ")

const headers = {
  "content-security-policy": policy,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache"
}

const html = (path: string, api: string): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="audit-api" content="${api}">
<title>Audit trail</title>
<link rel="stylesheet" href="${path}/style.css">
<script type="module" src="${path}/app.js"></script>
</head>
<body><div id="app"></div></body>
</html>
`

const isPath = (text: string): boolean => /^(?:\/[A-Za-z0-9._~-]+)*$/.test(text)

/** Serves the page. */
export const layer = (options: Options = {}): Layer.Layer<never, PageMissing, HttpRouter.HttpRouter> => {
  const { api = "/audit", path = "/audit/viewer" } = options
  if (!isPath(api) || !isPath(path)) throw new TypeError("path and api are paths such as /audit/viewer")
  return HttpRouter.use(Effect.fnUntraced(function*(router) {
    const [script, style] = [yield* read("app.js"), yield* read("style.css")]
    const file = (bytes: Uint8Array, contentType: string) =>
      HttpServerResponse.uint8Array(bytes, { contentType, headers })
    const page = file(new TextEncoder().encode(html(path, api)), "text/html; charset=utf-8")
    yield* router.add("GET", path, page)
    yield* router.add("GET", `${path}/app.js`, file(script, "text/javascript; charset=utf-8"))
    yield* router.add("GET", `${path}/style.css`, file(style, "text/css; charset=utf-8"))
  }))
}
