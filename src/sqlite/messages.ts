/** What the thread that writes is told. */
import type { FileIdentity } from "../internal/files.ts"
import type { Packed } from "../internal/sealedRow.ts"
import type { Head } from "../ledger/extends.ts"

/** What the thread is started with. */
export interface Start {
  readonly filename: string
  readonly identity: FileIdentity
  /** How long to wait for another process's lock when the file is opened, in milliseconds. */
  readonly deadlineMillis: number
  /** Names the deployment in the origin of a new log. */
  readonly deployment: string
}

/** One commit. */
export interface Ask {
  readonly rows: Packed
  /** Milliseconds since 1970. */
  readonly millis: number
  /** The last heads that were signed of origins: all that the thread has asked for. Absent where there is no signer. */
  readonly heads: ReadonlyMap<string, Head | undefined> | undefined
}
