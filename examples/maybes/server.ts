/** Maybes as a layer: API, notes and audit log over one SQLite file. */
import { NodeHttpServer } from "@effect/platform-node"
import { Layer } from "effect"
import { AuditLogger } from "effect-audit"
import { Erasure } from "effect-audit/erasure"
import { AuditApiLive, HttpAudit } from "effect-audit/http"
import { Ledger } from "effect-audit/ledger"
import { Sqlite } from "effect-audit/sqlite"
import { Viewer } from "effect-audit/viewer"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { createServer } from "node:http"
import { Api } from "./Api.ts"
import { NotesHandlers } from "./handlers.ts"
import { auditedRequests, auditPolicy } from "./Identity.ts"
import { NotesLayer } from "./Notes.ts"

/** The audit log, with the client that the notes use as well. */
export const auditLayer = (filename: string) =>
  Layer.mergeAll(Ledger.layer, Erasure.layer).pipe(
    Layer.provideMerge(AuditLogger.layer()),
    Layer.provideMerge(Sqlite.layer({ filename }))
  )

/** Notes, the trail as an API, and its viewer; needs the audit log. */
export const routes = Layer.mergeAll(
  HttpApiBuilder.layer(Api).pipe(
    Layer.provide(NotesHandlers),
    Layer.provide([HttpAudit.layerMiddleware, NotesLayer])
  ),
  AuditApiLive.layer,
  Viewer.layer(),
  HttpAudit.unknownRoutes
).pipe(Layer.provide([auditedRequests, auditPolicy]))

/** The server on a port; 0 for any that is free. Needs the audit log. */
export const serverLayer = (port: number) =>
  HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port, host: "127.0.0.1" }))
  )
