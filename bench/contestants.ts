/** What the benches compare: each records one event at a time, in a folder, and calls back when that is done. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { fdatasync, fsyncSync, openSync, write } from "node:fs"
import { join } from "node:path"
import { pino } from "pino"
import { AuditLogger, RequestContext } from "../src/index.ts"
import { Sqlite } from "../src/sqlite/index.ts"
import type { Realistic } from "./realistic.ts"

/** Records one event, and calls back when that is done. */
export type Record = (event: Realistic, done: (ok: boolean) => void) => void

const lineOf = ({ context, draft }: Realistic): string =>
  `${JSON.stringify({ ...context, ...draft, recorded_at: new Date().toISOString() })}\n`

/** A plain file: what comes in one turn of the event loop shares a write and an fdatasync. */
const plain = (folder: string): Record => {
  const descriptor = openSync(join(folder, "plain.ndjson"), "w")
  let waiting: Array<{ readonly line: string; readonly done: (ok: boolean) => void }> = []
  let running = false
  const flush = () => {
    const batch = waiting
    waiting = []
    write(descriptor, batch.map(({ line }) => line).join(""), () =>
      fdatasync(descriptor, (error) => {
        for (const { done } of batch) done(error === null)
        running = waiting.length > 0
        if (running) setImmediate(flush)
      }))
  }
  return (event, done) => {
    waiting.push({ line: lineOf(event), done })
    if (!running) {
      running = true
      setImmediate(flush)
    }
  }
}

const redact = ["draft.input.email", "draft.input.password", "draft.metadata.token", "context.actor.email"]

const pinoUnsynced = (folder: string): Record => {
  const logger = pino({ redact }, pino.destination({ dest: join(folder, "pino.log"), sync: false }))
  return (event, done) => {
    logger.info(event)
    done(true)
  }
}

const pinoSynced = (folder: string): Record => {
  const destination = pino.destination({ dest: join(folder, "pino.log"), sync: true, fsync: false })
  const descriptor = openSync(join(folder, "pino.log"), "a")
  const logger = pino({ redact }, destination)
  return (event, done) => {
    logger.info(event)
    fsyncSync(descriptor)
    done(true)
  }
}

const scope = Scope.makeUnsafe()
/** Closes what was opened. */
export const close = (): Promise<void> => Effect.runPromise(Scope.close(scope, Exit.void))

const audit = (thread: boolean | undefined) => async (folder: string): Promise<Record> => {
  const store = AuditLogger.layer().pipe(Layer.provide(Sqlite.layer({ filename: join(folder, "audit.db"), thread })))
  const services = await Effect.runPromise(Layer.buildWithScope(store, scope))
  const logger = Context.get(services, AuditLogger.AuditLogger)
  return ({ context, draft }, done) => {
    Effect.runCallback(Effect.provideService(logger.emit(draft), RequestContext.RequestContext, context), {
      onExit: (exit) => done(Exit.isSuccess(exit))
    })
  }
}

export const contestants: { readonly [name: string]: (folder: string) => Record | Promise<Record> } = {
  none: () => (_, done) => done(true),
  plain,
  pino: pinoUnsynced,
  "pino-fsync": pinoSynced,
  "effect-audit": audit(undefined),
  "effect-audit, no thread": audit(false)
}
