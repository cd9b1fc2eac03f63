/** Records of what was done to a log, inside the change that does it. */
import * as Effect from "effect/Effect"
import { AuditError, SinkRejected } from "../AuditError.ts"
import { ReadDraft } from "../internal/draft.ts"
import type { Log, LogWriter } from "../ledger/LogStore.ts"
import type { LoggingEngine, Receipt } from "../LoggingEngine.ts"
import type { RequestContext } from "../RequestContext.ts"

/** Records inside the change; anything else would not be one with what it records. */
export const recording = (engine: LoggingEngine["Service"]) =>
  Effect.fnUntraced(function*(
    method: string,
    writer: LogWriter,
    log: Log,
    draft: ReadDraft
  ): Effect.fn.Return<Receipt, AuditError, RequestContext> {
    const receipt = yield* engine.log(ReadDraft.for(engine, draft))
    const [event] = yield* writer.find(log, [receipt.eventId])
    if (event !== undefined) return receipt
    const detail = "the engine records to another store than the one that is changed"
    return yield* new AuditError({ method, reason: new SinkRejected({ detail }) })
  })

export type Recording = ReturnType<typeof recording>
