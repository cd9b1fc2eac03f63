/** Maybes as a layer: API, notes and audit log over one SQLite file. */
import { NodeHttpServer } from "@effect/platform-node"
import { Layer } from "effect"
import { AuditLogger } from "effect-audit"
import { Sqlite } from "effect-audit/sqlite"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { createServer } from "node:http"
import { Api } from "./Api.ts"
import { IdentifiedLayer } from "./Context.ts"
import { NotesHandlers } from "./handlers.ts"
import { NotesLayer } from "./Notes.ts"

/** The audit log, with the client that the notes use as well. */
export const auditLayer = (filename: string) => AuditLogger.layer().pipe(Layer.provideMerge(Sqlite.layer({ filename })))

/** The routes; needs the audit log. */
export const routes = HttpApiBuilder.layer(Api).pipe(
  Layer.provide(NotesHandlers),
  Layer.provide([IdentifiedLayer, NotesLayer])
)

/** The server on a port; 0 for any that is free. Needs the audit log. */
export const serverLayer = (port: number) =>
  HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port, host: "127.0.0.1" }))
  )
